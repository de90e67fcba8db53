"""Rules on activations: ranges that are too narrow, too wide, or set by few channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from stages.explaining.causes import SCALED, Evidence, channel_list, finer
from stages.explaining.tally import FIXED, Tally
from stages.records import CalibrationReport
from stages.records.explaining import Cause, Change

_CLIPPED = 0.25  # of the local noise: below it, rounding and weights weigh more than the edges
_USED = 0.5  # of the range: half of it unused is one bit lost
_FEW = 64  # samples: fewer leave extremes of the activations to chance (docs/calibration.md)
_USUAL = 200  # what quantize.calibration_samples is where nobody says
_OUTSIDE = 0.01
_HOLDS = 1.02  # times its width: a range whose float values need no more than that holds them
_OTHER_SCALE = 8.0  # times: samples of one kind differ by less, 0..1 and 0..255 by more
_OUTLIER = 8.0  # times the median channel's peak: three bits lost for that channel
_PER_RANGE = 0.25  # at most so many channels can be outliers; more are the rule
_APART = 8.0  # steps of the sum that the smaller branch must reach: three bits
_TIES = 0.05
_KEEPS = ("RESHAPE", "MAX_POOL_2D", "PAD", "SQUEEZE", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SPLIT", "GATHER")
_POOLS = ("AVERAGE_POOL_2D", "MEAN", "SUM")


def scaled_samples(evidence: Evidence) -> Iterator[Cause]:
    """An input whose range was calibrated on samples in another scale than those that it is fed."""
    for tally in evidence.noise.tallies:
        if tally.operator != "INPUT" or not tally.scale or not len(tally.lows):
            continue
        low, high = float(tally.lows.min()), float(tally.highs.max())
        reach, room = max(-low, high), max(-tally.low, tally.high)
        if reach <= 0 or 1 / _OTHER_SCALE < reach / room < _OTHER_SCALE:
            continue
        if reach < room and evidence.calibration and evidence.calibration.outlier_count:
            continue  # single samples reach far out, which `unused_ranges` says
        times = f"{reach / room:.3g} times" if reach > room else f"a {room / reach:.3g}th of"
        yield Cause(
            kind=SCALED, layer=tally.label, share=1.0,
            short=f"the samples reach {times} what its range was calibrated for",
            found=f"{tally.label}: its range is {tally.low:.3g} to {tally.high:.3g}, the samples go from {low:.3g} "
                  f"to {high:.3g}: {times} that; all that follows suffers from it",
            changes=(Change(text="calibrate with samples in the scale that the device feeds, or feed what it was "
                                 "calibrated with: one of the two lacks a normalization"),))


def saturated_ranges(evidence: Evidence) -> Iterator[Cause]:
    """Values beyond the range of an activation, and a calibration set that would explain it."""
    won = [(tally, evidence.noise.share(tally) * part) for tally in evidence.noise.tallies
           if tally.clipped >= _CLIPPED and not _far_channels(tally) and (part := _won_by_all(tally)) > 0]
    loud = {id(tally) for tally, _ in evidence.loud()}
    cut = [(tally, share) for tally, share in won if id(tally) in loud]
    if not cut:
        yield from _lopsided(evidence)
        return
    worst, _ = max(cut, key=lambda each: each[1])
    report = evidence.calibration
    kind, why, changes = _blame(report)
    if kind:
        yield Cause(kind=kind, layer=worst.label, share=min(1.0, sum(share for _, share in won)), changes=changes,
                    short=why, found=f"{why}; in {len(won)} operators values lie beyond the range, most in "
                                     f"{_beyond(worst)}")
        return
    for tally, share in cut:
        yield Cause(kind="saturated_range", layer=tally.label, share=share, found=_beyond(tally),
                    short=f"{100 * tally.beyond / tally.elements:.2g} % of its values are clipped",
                    changes=(*_more_samples(report), *finer(evidence, tally)))


def _won_by_all(tally: Tally) -> float:
    """Part of the local noise that a range of all values would take off: less is cut off, but steps are wider.

    A range that was cut because that rounds better wins nothing by being wider, and is no fault. One that holds all
    that the float model gives is none either: what lies beyond it came with the noise of operators before.
    """
    if (tally.range_used or 0.0) <= _HOLDS:
        return 0.0
    return tally.won_by_range(min(tally.low, float(tally.lows.min())), max(tally.high, float(tally.highs.max())))


def _lopsided(evidence: Evidence) -> Iterator[Cause]:
    """A calibration set that lacks classes though its ranges happen to hold: said, with the little that it costs."""
    kind, why, changes = _blame(evidence.calibration)
    if kind != "calibration_one_sided" or not evidence.noise.tallies:
        return
    worst = max(evidence.noise.tallies, key=lambda each: evidence.noise.share(each) * each.clipped)
    share = sum(evidence.noise.share(each) * each.clipped for each in evidence.noise.tallies)
    yield Cause(kind=kind, layer=worst.label, share=min(1.0, share), changes=changes, short=why,
                found=f"{why}; what lies beyond its ranges makes {100 * share:.1f} % of the noise")


def _beyond(tally: Tally) -> str:
    """Numbers of a range that is too narrow."""
    return (f"{tally.label}: {100 * tally.beyond / tally.elements:.2g} % of the values lie beyond "
            f"{tally.low:.3g} to {tally.high:.3g}; the float model reaches {tally.lows.min():.3g} to "
            f"{tally.highs.max():.3g}, which makes {100 * tally.clipped:.0f} % of its noise")


def _blame(report: CalibrationReport | None) -> tuple[str, str, tuple[Change, ...]]:
    """(kind, what is wrong, changes) of a calibration set; an empty kind where nothing is."""
    if report is None:
        return "", "", ()
    outside = max((each.outside for each in report.inputs.values()), default=0.0)
    enough = min(report.available, max(_USUAL, report.samples))
    balanced = Change(text="choose the calibration set from all classes alike",
                      settings={"quantize": {"calibration": "balanced", "calibration_samples": enough}})
    lacking = _lacking(report.class_counts)
    if lacking:
        return ("calibration_one_sided", f"the calibration set of {report.samples} samples is one-sided: {lacking}",
                (balanced,))
    if report.samples < _FEW and report.available > report.samples:
        return "calibration_small", f"only {report.samples} samples set the ranges", _more_samples(report)
    if outside > _OUTSIDE:
        return ("calibration_one_sided", f"{100 * outside:.1f} % of the values of other training samples lie beyond "
                "what the calibration set holds", (balanced, *_more_samples(report)))
    return "", "", ()


def _lacking(counts: Sequence[int]) -> str:
    """What is uneven about samples by class; "" where nothing is."""
    missing = [number for number, count in enumerate(counts) if not count]
    if len(missing) == len(counts):
        return ""
    if missing:
        return f"class {missing[0]} has none" if len(missing) == 1 else f"classes {channel_list(missing)} have none"
    return f"{min(counts)} to {max(counts)} a class" if max(counts) >= _OUTLIER * min(counts) else ""


def _more_samples(report: CalibrationReport | None) -> tuple[Change, ...]:
    """Four times as many calibration samples, as far as there are."""
    if report is None:
        return (Change(text="calibrate with more samples, drawn from all that the model will see"),)
    more = min(report.available, max(4 * report.samples, 4 * _FEW))
    if more <= report.samples:
        return ()
    return (Change(text=f"calibrate with {more:,} samples instead of {report.samples:,}",
                   settings={"quantize": {"calibration_samples": more}}),)


def unused_ranges(evidence: Evidence) -> Iterator[Cause]:
    """A range of which the values use less than half."""
    wide, loud = dict(_wide(evidence)), {tally.label for tally, _ in evidence.loud()}
    own = [each for each in evidence.noise.tallies
           if each.label in wide and each.label in loud and each.operator not in (*_KEEPS, *_POOLS)]
    if not own:
        return
    worst = max(own, key=lambda each: wide[each.label])
    used = worst.range_used or 0.0
    yield Cause(
        kind="unused_range", layer=worst.label, share=min(1.0, sum(wide.values())),
        short=f"its values use {100 * used:.0f} % of the range",
        found=f"{worst.label}: the range is {worst.low:.3g} to {worst.high:.3g}, the values use {100 * used:.0f} % "
              f"of it: {_bits(used)} are lost{_others(len(wide), evidence.calibration)}",
        changes=(*_without_outliers(evidence.calibration), *finer(evidence, worst)))


def _wide(evidence: Evidence) -> Iterator[tuple[str, float]]:
    """Labels of activations that use less than half of their range, with the noise that a fitting one takes off."""
    by_output = {each.tensor.index: each for each in evidence.noise.tallies}
    for tally in evidence.noise.tallies:
        used = _used(tally, by_output)
        if used is not None and used < _USED and tally.rounded >= _CLIPPED and tally.operator not in FIXED:
            yield tally.label, evidence.noise.share(tally) * tally.rounded * (1 - used**2)


def _others(count: int, report: CalibrationReport | None) -> str:
    """What else is said of ranges that are too wide."""
    more = f"; {count} operators are like that" if count > 1 else ""
    if report is None or not report.outlier_count:
        return more
    return f"{more}; {report.outlier_count} of the {report.samples} calibration samples reach far out"


def _without_outliers(report: CalibrationReport | None) -> tuple[Change, ...]:
    """Another choice of calibration samples, where it is not the one in use."""
    if report is not None and report.strategy == "outliers-dropped":
        return ()
    return (Change(text="leave samples that reach far out out of the calibration set",
                   settings={"quantize": {"calibration": "outliers-dropped"}}),)


def _used(tally: Tally, by_output: Mapping[int, Tally]) -> float | None:
    """How much of its range an activation needs; of what must keep its input's range, how much the input needs."""
    if tally.operator not in (*_KEEPS, *_POOLS) or tally.pair is None:
        return tally.range_used
    before = by_output.get(tally.pair.made.inputs[0])
    if before is None or before.scale != tally.scale:
        return tally.range_used
    return _used(before, by_output)


def _bits(used: float) -> str:
    """As in "2.0 bits"."""
    return f"{-np.log2(max(used, 1e-6)):.1f} bits"


def outlier_activations(evidence: Evidence) -> Iterator[Cause]:
    """Few channels of an activation that set the range for all others."""
    for tally, share in evidence.loud():
        channels = _far_channels(tally)
        if not channels or tally.rounded + tally.clipped < _CLIPPED:
            continue
        peaks = np.maximum(np.abs(tally.lows), np.abs(tally.highs))
        usual = float(np.median(peaks[peaks > 0]))
        others = [each for each in range(len(peaks)) if each not in channels]
        won = max(0.0, tally.won_by_range(float(tally.lows[others].min()), float(tally.highs[others].max())))
        yield Cause(
            kind="outlier_activations", layer=tally.label, share=share * won,
            short=f"{len(channels)} of {len(peaks)} channels set the range",
            found=f"{tally.label}: channel {channel_list(channels)} reaches {peaks.max():.3g}, the median channel "
                  f"{usual:.3g}, which has {usual / tally.scale:.0f} steps left",
            changes=(*finer(evidence, tally),
                     Change(text="limit the activation (ReLU6), or scale the channel down in this layer's weights and "
                                 "up in the next one's before quantizing")))


def _far_channels(tally: Tally) -> list[int]:
    """Few channels that reach far beyond the others; a range then cuts them off or drowns the others, or both."""
    if not tally.scale or len(tally.lows) < 3 or tally.operator in FIXED:
        return []
    peaks = np.maximum(np.abs(tally.lows), np.abs(tally.highs))
    alive = peaks[peaks > 0]
    channels: list[int] = np.flatnonzero(peaks > _OUTLIER * np.median(alive)).tolist() if len(alive) else []
    return channels if len(channels) <= max(1, _PER_RANGE * len(peaks)) else []


def pooled_ranges(evidence: Evidence) -> Iterator[Cause]:
    """An integer pooling whose output must keep the range of its input and uses little of it."""
    by_output = {each.tensor.index: each for each in evidence.noise.tallies}
    for tally, share in evidence.loud():
        used = tally.range_used
        if tally.operator not in _POOLS or used is None or tally.pair is None:
            continue
        given = min(1.0, _used(tally, by_output) or 1.0)  # what is unused at the input already is another fault
        if used >= _USED * given:
            continue
        yield Cause(
            kind="pooled_range", layer=tally.label, share=share * tally.rounded * (given**2 - used**2),
            short="its mean uses little of its input's range",
            found=f"{tally.label}: means use {100 * used:.0f} % of the range that input and output share: "
                  f"{_bits(used / given)} are lost",
            changes=(*finer(evidence, tally), *_own_range(tally)))


def _own_range(tally: Tally) -> tuple[Change, ...]:
    """An operator for the same mean, whose output has a range of its own."""
    if tally.operator != "AVERAGE_POOL_2D" or tally.tensor.shape[1:3] != (1, 1):
        return ()
    return (Change(text="take the mean by GlobalAveragePooling2D, which becomes MEAN: its output has a range of its "
                        "own, and nothing need be trained again"),)


def unequal_branches(evidence: Evidence) -> Iterator[Cause]:
    """An ADD or CONCATENATION of branches whose ranges are very different."""
    by_output = {each.tensor.index: each for each in evidence.noise.tallies}
    for tally in evidence.noise.tallies:
        if tally.pair is None or not tally.scale or tally.operator not in ("ADD", "SUB", "CONCATENATION"):
            continue
        sources = [by_output[index] for index in tally.pair.made.inputs if index in by_output]
        peaks = [float(np.maximum(np.abs(each.lows), np.abs(each.highs)).max()) for each in sources if len(each.lows)]
        if len(peaks) < 2 or min(peaks) <= 0 or min(peaks) >= _APART * tally.scale:
            continue
        small = sources[int(np.argmin(peaks))]
        yield Cause(
            kind="unequal_branches", layer=tally.label, share=evidence.noise.share(tally),
            short=f"its branches' ranges are {max(peaks) / min(peaks):.0f} to 1",
            found=f"{tally.label}: {small.label} reaches {min(peaks):.3g} and the other branch {max(peaks):.3g}; in "
                  f"steps of {tally.scale:.3g} the smaller one has {min(peaks) / max(tally.scale, 1e-30):.1f}",
            changes=(*finer(evidence, tally), Change(text="normalize the branches before they meet")))


def tied_outputs(evidence: Evidence) -> Iterator[Cause]:
    """Outputs so coarse, or so saturated, that the two best are equal."""
    outputs = set(evidence.pairing.variant.outputs)
    for tally in evidence.noise.tallies:
        if tally.tensor.index not in outputs or not tally.rows or tally.ties < _TIES * tally.rows:
            continue
        yield Cause(
            kind="tied_outputs", layer=tally.label, share=tally.ties / tally.rows,
            short=f"{100 * tally.ties / tally.rows:.1f} % of the samples have two equal best outputs",
            found=f"{tally.label}: on {tally.ties} of {tally.rows} samples the two largest outputs are equal, and not "
                  f"in the float model; one step is {tally.scale:.3g}",
            changes=(*finer(evidence, tally),
                     Change(text="leave the softmax out and decide by the logits: their steps are finer where it "
                                 "matters")))
