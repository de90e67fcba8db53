"""Which of the variants that pass is picked, and why; where none passes, what stood in the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from device_profiles.records import Figure, Record
from stages.checking.judge import WORST_FIRST, overshoot
from stages.records import LimitVerdict, VariantCheck
from stages.reporting.text import listing, plural, quantity

Choice = Literal["smallest", "fastest", "most-accurate"]
CHOICES: tuple[Choice, ...] = ("smallest", "fastest", "most-accurate")


class Candidate(Record):
    """What a pick looks at.

    Attributes:
        tflite_bytes: size of the file.
        latency: median on the profile, or None.
        accuracy: in the profile's engine, or None.
        check: the verdicts on the profile.
    """

    variant: str
    tflite_bytes: int
    latency: Figure | None
    accuracy: Figure | None
    check: VariantCheck


def _value(figure: Figure | None, missing: float) -> float:
    return missing if figure is None else figure.value


def _size(one: Candidate) -> tuple[float, ...]:
    """Fewest bytes; then the faster, then the more accurate."""
    return one.tflite_bytes, _value(one.latency, math.inf), -_value(one.accuracy, 0)


def _speed(one: Candidate) -> tuple[float, ...]:
    """Least latency; then fewest bytes, then the more accurate."""
    return _value(one.latency, math.inf), one.tflite_bytes, -_value(one.accuracy, 0)


def _accuracy(one: Candidate) -> tuple[float, ...]:
    """Highest accuracy; then fewest bytes, then the faster."""
    return -_value(one.accuracy, 0), one.tflite_bytes, _value(one.latency, math.inf)


def _least(candidates: Sequence[Candidate], choice: Choice) -> Candidate:
    """The first by the choice's order; equal ones by name, so that the pick is the same on every run."""
    order = {"smallest": _size, "fastest": _speed, "most-accurate": _accuracy}[choice]
    return min(candidates, key=lambda one: (order(one), one.variant))


def _no_slower(candidates: Sequence[Candidate], fastest: Candidate) -> list[Candidate]:
    """Those whose measured latency cannot be told from the fastest one's: their intervals overlap.

    Noise alone would else decide between two variants that run the same kernels. A prediction's interval is an error
    that both share, not noise, so predictions are compared by their values.
    """
    best = fastest.latency
    if best is None or best.interval is None or best.provenance == "predicted":
        return [fastest]
    return [one for one in candidates if one.latency is not None
            and (one.latency.interval or (one.latency.value,))[0] <= best.interval[1]]


def pick(candidates: Sequence[Candidate], choice: Choice) -> Candidate | None:
    """The best by the choice among the candidates that pass; None where none passes or the choice has no figure."""
    passing = [one for one in candidates if one.check.verdict == "pass"]
    if choice == "fastest":
        passing = [one for one in passing if one.latency is not None]
        if passing:
            return _least(_no_slower(passing, _least(passing, "fastest")), "smallest")
    if choice == "most-accurate":
        passing = [one for one in passing if one.accuracy is not None]
    return _least(passing, choice) if passing else None


def picks(candidates: Sequence[Candidate]) -> dict[str, str]:
    """The pick by each choice that has one."""
    found = {choice: pick(candidates, choice) for choice in CHOICES}
    return {choice: one.variant for choice, one in found.items() if one is not None}


def reason(candidates: Sequence[Candidate], choice: Choice) -> str:
    """Why the pick won, or what stood in the way of all, in one sentence."""
    winner = pick(candidates, choice)
    passing = [one for one in candidates if one.check.verdict == "pass"]
    if winner is None:
        return _no_figure(passing, choice) if passing else _nearest_miss(candidates)
    if choice == "smallest":
        figure = f"{winner.tflite_bytes:,} bytes"
    else:
        found = winner.latency if choice == "fastest" else winner.accuracy
        figure = f"{quantity(found.value, found.unit)} ({found.provenance})" if found else "no figure"
    rank = "the only one that passes" if len(passing) == 1 else f"the {choice} of {len(passing)} that pass"
    return f"{winner.variant}: {figure}, {rank}{_beside(passing, winner, choice)}."


def _beside(passing: Sequence[Candidate], winner: Candidate, choice: Choice) -> str:
    """The clause about those that tie with the winner, and by what it was preferred."""
    others = [one.variant for one in _tied(passing, winner, choice) if one.variant != winner.variant]
    if not others:
        return ""
    if choice == "fastest":
        return f"; {listing(others)} cannot be told from it by latency, the smallest of them is taken"
    verb = "equals" if len(others) == 1 else "equal"
    rule = "the faster one" if choice == "smallest" else "the smallest of them"
    return f"; {listing(others)} {verb} it, {rule} is taken"


def _tied(passing: Sequence[Candidate], winner: Candidate, choice: Choice) -> list[Candidate]:
    """Those that are as good as the winner by the choice's own figure."""
    if choice == "smallest":
        return [one for one in passing if one.tflite_bytes == winner.tflite_bytes]
    if choice == "fastest":
        timed = [one for one in passing if one.latency is not None]
        return _no_slower(timed, _least(timed, "fastest"))
    return [one for one in passing if _value(one.accuracy, -1) == _value(winner.accuracy, -1)]


def _no_figure(passing: Sequence[Candidate], choice: Choice) -> str:
    """The choice asks for a figure that none of the passing variants has."""
    figure = "latency" if choice == "fastest" else "accuracy"
    return (f"Of {plural(len(passing), 'variant')} that would pass none has a figure of {figure}, by which '{choice}' "
            "picks.")


def _nearest_miss(candidates: Sequence[Candidate]) -> str:
    """Which variant came nearest, which limit stopped it and by how much."""
    if not candidates:
        return "There are no variants."
    near = min(candidates, key=_distance)
    stopping = _stopping(near.check)
    detail = f"{stopping.limit}: found {stopping.found_text}, allowed {stopping.allowed_text}"
    why = f" ({stopping.why})" if stopping.why else ""
    return (f"None of {plural(len(candidates), 'variant')} passes. Nearest is {near.variant}, {near.check.verdict} on "
            f"{detail}{why}.")


def _distance(one: Candidate) -> tuple[int, float, str]:
    """How far from a pass: the kind of verdict, then the largest overshoot, then the name."""
    over = max((overshoot(limit) for limit in one.check.limits if limit.verdict == "fail"), default=0.0)
    return -WORST_FIRST.index(one.check.verdict), over, one.variant


def _stopping(check: VariantCheck) -> LimitVerdict:
    """The limit that is furthest from passing among those of the worst verdict."""
    at_worst = [limit for limit in check.limits if limit.verdict == check.verdict]
    return max(at_worst, key=overshoot)
