"""Limits on what a mean hides: a verdict on each, and how many samples would decide one that is open.

Every figure here is of the same samples through the float model and the variant. How many samples would decide is
worked out with the interval itself: all counts are multiplied until it no longer spans the bound, so the assumption is
that every share stays what it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from device_profiles.records import Figure
from device_profiles.schema import SAFETY_LIMITS
from stages.checking.judge import Needed, by_square_root, judge
from stages.paired import POINTS, samples_to_clear, score_interval
from stages.records import EngineEvaluation, LimitVerdict, McNemar, Member, Safety, Worst
from stages.safety.members import family_level
from stages.statistics import ENDS_LEVEL, Interval, clopper_pearson

CHANGED, CLASS, SLICE, CORRUPTED, ERROR, RISE = SAFETY_LIMITS
DROP = "accuracy_drop_points"
_ABSENT = {CHANGED: "the task decides nothing that could change; bound accuracy_drop_points instead",
           CLASS: "the task has no classes; leave the limit out"}


def judge_drop(found: EngineEvaluation | None, bound: float, missing: str) -> LimitVerdict:
    """The drop of the score, points of accuracy, of R2, ...; of accuracy with McNemar's test beside it."""
    tests = found.safety.tests if found is not None and found.safety is not None else {}
    needed = None
    if found is not None and found.drop is not None and len(tests) == 1 and not found.outputs:
        table, value = next(iter(tests.values())), found.drop.value
        needed = _asked(table.samples, _paired_ends(table.lost, table.gained, table.samples), bound, value)
    verdict = judge(DROP, found.drop if found else None, bound, "points", missing, needed)
    if verdict.verdict in ("pass", "unknown") or not tests:
        return verdict
    return verdict.model_copy(update={"why": f"{verdict.why}; {'; '.join(map(test_text, tests.values()))}"})


def test_text(test: McNemar) -> str:
    """`12 lost, 4 gained, McNemar's exact p = 0.077`."""
    return f"{test.lost:,} lost, {test.gained:,} gained, McNemar's exact p = {test.p_value:.2g}"


def judge_safety(limit: str, safety: Safety | None, bound: float, missing: str) -> LimitVerdict:
    """One of `SAFETY_LIMITS`.

    Args:
        limit: its name.
        safety: of the variant in the profile's engine; None where there is none.
        bound: the highest value allowed.
        missing: why there is none.
    """
    if safety is None:
        return judge(limit, None, bound, _unit(limit), missing)
    worst = {CLASS: safety.classes, SLICE: safety.slices,
             CORRUPTED: safety.corrupted.changed if safety.corrupted else None}
    if limit in worst:
        found = worst[limit]
        if found is not None:
            return _judge_worst(limit, found, bound)
    elif limit == CHANGED and safety.changed is not None:
        return _judge_changed(safety.changed, bound)
    elif limit in (ERROR, RISE) and safety.calibration:
        return _judge_calibration(limit, safety, bound)
    missing = safety.missing.get(limit) or _ABSENT.get(limit, "it was not measured: run evaluate again")
    return judge(limit, None, bound, _unit(limit), missing)


def _unit(limit: str) -> str:
    return "fraction" if limit.endswith("_share") else "points"


def _judge_changed(found: Figure, bound: float) -> LimitVerdict:
    """The share of predictions that differ from the float model's."""
    count, samples = found.value * found.samples, found.samples
    return judge(CHANGED, found, bound, "fraction", needed=_asked(
        samples, lambda factor: clopper_pearson(count * factor, samples * factor), bound, found.value))


def _judge_calibration(limit: str, safety: Safety, bound: float) -> LimitVerdict:
    """The largest of any output."""
    figures = {name: each.error if limit == ERROR else each.rise for name, each in safety.calibration.items()}
    name = max(figures, key=lambda each: figures[each].value)
    found = figures[name]
    if len(figures) > 1:
        highest = max(ends[1] for each in figures.values() if (ends := each.interval) is not None)
        interval = (found.interval[0], highest) if found.interval else None
        found = found.model_copy(update={"interval": interval,
                                         "method": f"{found.method}; of output '{name}', the largest"})
    return judge(limit, found, bound, "points", needed=lambda: by_square_root(found, bound))


def _judge_worst(limit: str, found: Worst, bound: float) -> LimitVerdict:
    """The worst class, slice or corruption."""
    verdict = judge(limit, found.figure, bound, found.figure.unit, needed=lambda: _needed(limit, found, bound))
    more: dict[str, str] = {"found_text": f"{found.name}: {verdict.found_text}"}
    left_out = [one.name for one in found.members if not one.judged]
    if verdict.verdict != "pass":
        more["why"] = f"'{found.name}': {verdict.why}"
        if left_out:
            more["why"] += f"; not judged: {_named(left_out)}"
    return verdict.model_copy(update=more)


def _named(names: list[str], most: int = 5) -> str:
    """The first of some names, and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _needed(limit: str, found: Worst, bound: float) -> Needed:
    """What would decide a worst member: all that span the bound must fall below it, or one of them rise above it."""
    what = {CLASS: "class", SLICE: "slice", CORRUPTED: "corruption"}[limit]
    ways = _ways(found, bound)
    known = [(samples, one) for samples, one in ways if samples is not None]
    passing = found.figure.value <= bound
    if not known or (passing and len(known) < len(ways)):
        return Needed(samples=None, now=found.figure.samples)
    samples, one = (max if passing else min)(known, key=lambda pair: pair[0])
    return Needed(samples=samples, now=one.samples, of=f"test samples of {what} '{one.name}'")


def _ways(found: Worst, bound: float) -> list[tuple[int | None, Member]]:
    """For each member that keeps the verdict open, how many of its samples would close it."""
    judged = [(one, one.interval) for one in found.members if one.judged and one.interval is not None]
    if found.figure.value <= bound:
        level, below = ENDS_LEVEL, True
        open_ones = [one for one, ends in judged if ends[1] > bound]
    else:
        level, below = family_level(len(judged)), False
        open_ones = [one for one, _ in judged if one.value is not None and one.value > bound]
    return [(samples_to_clear(one.samples, _member_ends(one, found.figure.unit, level), bound, below=below), one)
            for one in open_ones]


def _asked(samples: int, ends: Callable[[float], Interval], bound: float, value: float) -> Callable[[], Needed]:
    """What would decide a figure whose interval is known for any multiple of its counts."""
    return lambda: Needed(samples=samples_to_clear(samples, ends, bound, below=value <= bound), now=samples,
                          of="test samples")


def _paired_ends(lost: int, gained: int, samples: int, level: float = ENDS_LEVEL) -> Callable[[float], Interval]:
    """The score interval, in points, with all counts multiplied."""
    def ends(factor: float) -> Interval:
        """With `factor` times the samples."""
        low, high = score_interval(lost * factor, gained * factor, samples * factor, level)
        return POINTS * low, POINTS * high

    return ends


def _member_ends(one: Member, unit: str, level: float) -> Callable[[float], Interval]:
    """A member's interval with all counts multiplied; without counts, narrower by the square root."""
    if unit == "fraction" and one.lost is not None:
        changed, samples = one.lost, one.samples
        return lambda factor: clopper_pearson(changed * factor, samples * factor, level)
    if one.lost is not None and one.gained is not None:
        return _paired_ends(one.lost, one.gained, one.samples, level)
    value, (low, high) = one.value or 0.0, one.interval or (-math.inf, math.inf)
    return lambda factor: (value - (value - low) / factor**0.5, value + (high - value) / factor**0.5)
