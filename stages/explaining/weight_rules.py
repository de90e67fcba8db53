"""Rules on weights and biases."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stages.explaining.causes import Evidence, channel_list, finer, fixed
from stages.explaining.noise import Tally
from stages.explaining.weights import WeightFacts
from stages.records.explaining import Cause, Change

_PART = 0.4  # of the local noise that neither clipping nor rounding of the output makes
_CREST = 8.0  # largest weight over the root of the mean square: 8 bits leave 34.8 dB
_PEAK = 8.0  # largest channel over the median one
_SHIFTED = 0.5
_BIAS = 0.3
_LOW_BITS = 4


def outlier_weights(evidence: Evidence) -> Iterator[Cause]:
    """Weights far larger than the others of their scale."""
    for tally, share in evidence.loud():
        facts, part = evidence.facts(tally), _weight_part(tally)
        if facts is None or part < _PART or facts.bits > 8:
            continue
        channels, found, short = _outliers(facts)
        if not channels:
            continue
        yield Cause(
            kind="outlier_weights", layer=tally.label, share=share * part, short=short,
            found=f"{tally.label}: {found}; weights alone {_db(facts.snr_db)}, the worst channel "
                  f"{_db(float(facts.channel_snr_db.min()))}",
            changes=(*_other_algorithms(evidence), *finer(evidence, tally)))


def _outliers(facts: WeightFacts) -> tuple[list[int], str, str]:
    """(channels, numbers, a few words) of weights that set a scale for the others."""
    if not facts.per_channel and len(facts.peaks) > 1:
        usual = float(np.median(facts.peaks[facts.peaks > 0])) if (facts.peaks > 0).any() else 0.0
        channels = np.flatnonzero(facts.peaks > _PEAK * usual).tolist() if usual else []
        if channels and len(channels) <= len(facts.peaks) / 2:
            return (channels, f"one scale serves all channels, and channel {channel_list(channels)} reaches "
                    f"{facts.peaks.max():.3g} where the median one reaches {usual:.3g}",
                    f"{len(channels)} of {len(facts.peaks)} channels set the range of all weights")
    channels = np.flatnonzero(facts.crests > _CREST).tolist()
    return (channels, f"in channel {channel_list(channels)} the largest weight is {facts.crests.max():.1f} times the "
            "channel's root mean square" if channels else "",
            f"single weights set the scale of {len(channels)} of {len(facts.crests)} channels")


def coarse_weights(evidence: Evidence) -> Iterator[Cause]:
    """Weights of 4 bits where more are needed."""
    for tally, share in evidence.loud():
        facts, part = evidence.facts(tally), _weight_part(tally)
        if facts is None or facts.bits > _LOW_BITS or part < _PART or _outliers(facts)[0]:
            continue
        yield Cause(
            kind="coarse_weights", layer=tally.label, share=share * part,
            short=f"its {facts.bits}-bit weights are coarse",
            found=f"{tally.label}: {facts.bits} bits leave {_db(facts.snr_db)} for the weights alone",
            changes=_more_bits(evidence, tally))


def _more_bits(evidence: Evidence, tally: Tally) -> tuple[Change, ...]:
    """Ways to give a 4-bit layer more bits, or better ones."""
    name = tally.original.split(" ")[0]
    if evidence.number_format == "mixed":
        return (fixed(evidence, tally.original, name, "int8"),)
    return (Change(text=f"keep {tally.original} in 8 bits", settings={"quantize": {"int4_keep": [name]}}),
            *_other_algorithms(evidence), Change(text="choose a format for each layer", format="mixed"))


def shifted_outputs(evidence: Evidence) -> Iterator[Cause]:
    """Outputs that are shifted as a whole by rounded weights, which a bias could take up."""
    for tally, share in evidence.loud():
        facts = evidence.facts(tally)
        if facts is None or tally.shifted < _SHIFTED or facts.bias_clipped or _outliers(facts)[0]:
            continue
        yield Cause(
            kind="shifted_outputs", layer=tally.label, share=share * tally.shifted,
            short="its outputs are shifted as a whole",
            found=f"{tally.label}: {100 * tally.shifted:.0f} % of its noise is one shift for each channel",
            changes=(Change(text="let the biases take up the shift", settings={"quantize": {"bias_correction": True}}),
                     *finer(evidence, tally)))


def coarse_biases(evidence: Evidence) -> Iterator[Cause]:
    """Biases that are rounded coarsely, or do not fit their integers."""
    for tally, share in evidence.loud():
        facts = evidence.facts(tally)
        if facts is None or facts.bias_error is None:
            continue
        per_channel = tally.elements / max(1, len(facts.bias_error))
        part = min(1.0, float((facts.bias_error**2).sum()) * per_channel / tally.local_error) if tally.local else 0.0
        if part < _BIAS or (not facts.bias_clipped and tally.shifted >= _SHIFTED):
            continue
        worst = int(np.abs(facts.bias_error).argmax())
        how = (f"the bias of channel {channel_list(facts.bias_clipped)} does not fit 32 bits" if facts.bias_clipped else
               f"a step of the bias is input scale times weight scale, and channel {worst} is off by "
               f"{abs(facts.bias_error[worst]):.3g}")
        yield Cause(kind="coarse_bias", layer=tally.label, share=share * part, short="its biases do not fit",
                    found=f"{tally.label}: {how}: {100 * part:.0f} % of its noise",
                    changes=finer(evidence, tally))


def _weight_part(tally: Tally) -> float:
    """Part of the local noise that neither edges nor rounding of the output make."""
    return max(0.0, 1.0 - tally.clipped - tally.rounded)


def _other_algorithms(evidence: Evidence) -> tuple[Change, ...]:
    """Other ways to round the weights."""
    if evidence.number_format not in ("int8", "int16x8", "int4", "dynamic"):
        return ()
    return tuple(Change(text=f"find the weights' integers by {name}", settings={"quantize": {
        "algorithm": name, "bias_correction": True}}) for name in ("gptq", "mse"))


def _db(value: float | None) -> str:
    return "without loss" if value is None or not np.isfinite(value) else f"{value:.1f} dB"
