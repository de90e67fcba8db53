"""Rules on weights and biases."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stages.explaining.causes import LEAST_SHARE, Evidence, channel_list, finer, fixed
from stages.explaining.tally import Tally, decibel
from stages.explaining.weights import CREST, Array, WeightFacts
from stages.records.explaining import Cause, Change

_PART = 0.4  # of the local noise that neither clipping nor rounding of the output makes
_SHARED = 2.0  # times less noise with a scale for each channel: half a bit
_SHIFTED = 0.5
_FINE_DB = 40.0  # what eight bits that are well used have (see `causes.LOUD_DB`): shifts of less are nothing to mend
_BIAS = 0.3
_LOW_BITS = 4


def outlier_weights(evidence: Evidence) -> Iterator[Cause]:
    """Weights far larger than the others of their scale."""
    for tally, share in evidence.loud():
        facts, part = evidence.facts(tally), tally.rest
        if facts is None or part < _PART or facts.bits > 8:
            continue
        channels = np.flatnonzero(facts.crests > CREST).tolist()
        if not channels:
            continue
        yield Cause(
            kind="outlier_weights", layer=tally.label, share=share * part * _made_in(tally, channels),
            short=_outlier_short(facts, channels),
            found=f"{tally.label}: {_outlier_text(facts, channels)}; weights alone {_db(facts.snr_db)}, the worst "
                  f"channel {_db(float(facts.channel_snr_db.min()))}",
            changes=(*_other_algorithms(evidence), *finer(evidence, tally), *_balanced(facts)))


def _made_in(tally: Tally, channels: list[int]) -> float:
    """Part of the local noise that is made in some of the channels."""
    every = float(tally.distance.sum())
    return float(tally.distance[channels].sum()) / every if every and max(channels) < len(tally.distance) else 1.0


def _outlier_short(facts: WeightFacts, channels: list[int]) -> str:
    """In a few words."""
    if facts.outlying_inputs:
        return f"weights of {len(facts.outlying_inputs)} input channels set the scale of the others"
    return f"single weights set the scale of {len(channels)} of {len(facts.crests)} channels"


def _outlier_text(facts: WeightFacts, channels: list[int]) -> str:
    """With numbers."""
    times = f"{facts.crests.max():.0f} times the usual ones"
    if facts.outlying_inputs:
        return f"the weights that read input channel {channel_list(facts.outlying_inputs)} are up to {times}"
    return f"in channel {channel_list(channels)} the largest weight is up to {times}"


def _balanced(facts: WeightFacts) -> tuple[Change, ...]:
    """What is left to do in the model."""
    if not facts.outlying_inputs:
        return ()
    return (Change(text=f"scale input channel {channel_list(facts.outlying_inputs)} up in the layer before, and these "
                        "weights down: with ReLU between them the model computes the same"),)


def shared_scales(evidence: Evidence) -> Iterator[Cause]:
    """One scale for all channels of a kernel, where one for each would round much better."""
    found = [(tally, gain, share) for tally in evidence.noise.tallies
             for gain, share in [_by_channel(evidence, tally)] if gain > 1]
    loud = {id(tally) for tally, _ in evidence.loud()}
    if not any(id(tally) in loud and gain >= _SHARED for tally, gain, _ in found):
        return
    worst, gain, _ = max(found, key=lambda each: each[2])
    facts = evidence.weights[worst.pair.made.index] if worst.pair else None
    peaks = facts.peaks[facts.peaks > 0] if facts else np.ones(1)
    yield Cause(
        kind="shared_scale", layer=worst.label, share=sum(share for _, _, share in found),
        short=f"one scale serves all channels of its weights, as in {len(found)} kernels" if len(found) > 1 else
        "one scale serves all channels of its weights",
        found=f"{worst.label}: one scale serves {len(peaks)} channels, of which the largest reaches {peaks.max():.3g} "
              f"and the median one {float(np.median(peaks)):.3g}; a scale for each takes off {10 * np.log10(gain):.0f} "
              f"dB; {len(found)} kernels are like that",
        changes=(Change(text="give each output channel a scale of its own: TFLiteConverter does so unless told not "
                             "to, and litesmith's int8, int16x8 and int4"), *finer(evidence, worst)))


def _by_channel(evidence: Evidence, tally: Tally) -> tuple[float, float]:
    """(how many times less noise a scale for each channel leaves, the share of all noise that it would take off).

    Rounding makes `scale^2 / 12` a weight and a scale follows its peak, so a channel of peak p keeps `(p / max(p))^2`
    of its noise; channels count by the noise that they were measured to make, see `tally.py`.
    """
    facts, part = evidence.facts(tally), tally.rest
    if facts is None or part < _PART or facts.per_channel or len(facts.peaks) < 2 or not facts.peaks.any():
        return 1.0, 0.0
    kept = (facts.peaks / facts.peaks.max())**2
    noise = tally.channel_noise if len(tally.channel_noise) == len(kept) else np.ones(len(kept))
    gain = float(noise.sum() / (noise * kept).sum()) if noise.any() else 1.0
    return gain, evidence.noise.share(tally) * part * (1 - 1 / gain)


def coarse_weights(evidence: Evidence) -> Iterator[Cause]:
    """Weights of 4 bits where more are needed."""
    for tally, share in evidence.loud():
        facts, part = evidence.facts(tally), tally.rest
        if facts is None or facts.bits > _LOW_BITS or part < _PART or (facts.crests > CREST).any():
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
    shifts = {tally.label: evidence.noise.shift_share(tally) for tally in evidence.noise.tallies
              if (facts := evidence.facts(tally)) is not None and _can_be_shifted(facts)}
    worst = max((tally for tally in evidence.noise.tallies if tally.label in shifts and tally.shifted >= _SHIFTED
                 and (decibel(tally.local) or _FINE_DB) < _FINE_DB), key=lambda each: shifts[each.label], default=None)
    if worst is None or shifts[worst.label] < LEAST_SHARE:
        return
    total = sum(shifts.values())
    others = f"; shifts in {len(shifts)} kernels make {100 * total:.0f} % together" if len(shifts) > 1 else ""
    yield Cause(
        kind="shifted_outputs", layer=worst.label, share=min(1.0, total), short="its outputs are shifted as a whole",
        found=f"{worst.label}: {100 * worst.shifted:.0f} % of its noise is one shift for each channel{others}",
        changes=(*_corrected(evidence), *finer(evidence, worst)))


def _corrected(evidence: Evidence) -> tuple[Change, ...]:
    """Bias correction, where it is not in use."""
    if evidence.bias_correction:
        return ()
    return (Change(text="let the biases take up the shift", settings={"quantize": {"bias_correction": True}}),)


def _can_be_shifted(facts: WeightFacts) -> bool:
    """Whether a bias could take up a shift: it fits its integers, and no single weight is the fault."""
    return not facts.bias_clipped and not (facts.crests > CREST).any()


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
        yield Cause(kind="coarse_bias", layer=tally.label, share=share * part, short="its biases do not fit",
                    found=f"{tally.label}: {_bias_text(facts, facts.bias_error)}: {100 * part:.0f} % of its noise",
                    changes=finer(evidence, tally))


def _bias_text(facts: WeightFacts, error: Array) -> str:
    """What is wrong with biases.

    Args:
        facts: of the weights.
        error: (channels,) of the biases, in real values.
    """
    empty = [channel for channel in facts.bias_clipped if facts.peaks[channel] == 0]
    if empty:
        return (f"the weights of channel {channel_list(empty)} are all zero, which makes their scale so small that the "
                "bias, in steps of it, does not fit 32 bits")
    if facts.bias_clipped:
        return f"the bias of channel {channel_list(facts.bias_clipped)} does not fit 32 bits"
    worst = int(np.abs(error).argmax())
    return (f"a step of the bias is input scale times weight scale, and channel {worst} is off by "
            f"{abs(error[worst]):.3g}")


def _other_algorithms(evidence: Evidence) -> tuple[Change, ...]:
    """Better ways to round the weights than the one in use; `gptq` is the best there is."""
    if evidence.number_format not in ("int8", "int16x8", "int4", "dynamic") or evidence.algorithm == "gptq":
        return ()
    return tuple(Change(text=f"find the weights' integers by {name}", settings={"quantize": {
        "algorithm": name, "bias_correction": True}}) for name in ("gptq", "mse") if name != evidence.algorithm)


def _db(value: float | None) -> str:
    return "without loss" if value is None or not np.isfinite(value) else f"{value:.1f} dB"
