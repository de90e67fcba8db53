"""Which of the variants that pass is picked, and why; where none passes, what stood in the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from device_profiles.records import Figure, Record
from stages.checking.judge import WORST_FIRST, overshoot
from stages.records import LimitVerdict, VariantCheck
from stages.reporting.text import listing, plural, quantity
from stages.tasks.settings import score_text

Choice = Literal["smallest", "fastest", "most-accurate"]
CHOICES: tuple[Choice, ...] = ("smallest", "fastest", "most-accurate")


class Candidate(Record):
    """What a pick looks at.

    Attributes:
        tflite_bytes: size of the file.
        latency: median on the profile, or None.
        score: of the task (accuracy, R2, ...) in the profile's engine, or None.
        score_name: what the score is called.
        check: the verdicts on the profile.
    """

    variant: str
    tflite_bytes: int
    latency: Figure | None
    score: Figure | None
    score_name: str = "accuracy"
    check: VariantCheck


def _smallest(ones: Sequence[Candidate]) -> list[Candidate]:
    """Those with the fewest bytes."""
    least = min(one.tflite_bytes for one in ones)
    return [one for one in ones if one.tflite_bytes == least]


def _fastest(ones: Sequence[Candidate]) -> list[Candidate]:
    """Those whose latency cannot be told from the lowest: measured intervals overlap, or predicted values are equal.

    Noise alone would else decide between two variants that run the same kernels. A prediction's interval is an error
    that both share, not noise, so predictions are compared by their values. All, where none has a latency.
    """
    timed = [(one, one.latency) for one in ones if one.latency is not None]
    if not timed:
        return list(ones)
    best = min((latency for _, latency in timed), key=lambda latency: latency.value)
    if best.interval is None or best.provenance == "predicted":
        return [one for one, latency in timed if latency.value == best.value]
    return [one for one, latency in timed if (latency.interval or (latency.value,))[0] <= best.interval[1]]


def _most_accurate(ones: Sequence[Candidate]) -> list[Candidate]:
    """Those with the highest score; all, where none has one."""
    known = [(one, one.score.value) for one in ones if one.score is not None]
    highest = max((value for _, value in known), default=None)
    return [one for one, value in known if value == highest] or list(ones)


def _simplest(ones: Sequence[Candidate]) -> list[Candidate]:
    """Those with the fewest steps in their name: what brings nothing is better left out."""
    least = min(one.variant.count("-") for one in ones)
    return [one for one in ones if one.variant.count("-") == least]


def _first_by_name(ones: Sequence[Candidate]) -> list[Candidate]:
    return [min(ones, key=lambda one: one.variant)]


Narrow = Callable[[Sequence[Candidate]], list[Candidate]]
_BYTES, _LATENCY, _SCORE = ("bytes", _smallest), ("latency", _fastest), ("score", _most_accurate)
_LAST = (("fewer steps", _simplest), ("name", _first_by_name))
_ORDER: dict[Choice, tuple[tuple[str, Narrow], ...]] = {
    "smallest": (_BYTES, _LATENCY, _SCORE, *_LAST),
    "fastest": (_LATENCY, _BYTES, _SCORE, *_LAST),
    "most-accurate": (_SCORE, _BYTES, _LATENCY, *_LAST),
}
"""By choice, what decides, and what decides between those that tie in it."""


class _Decision(Record):
    """A winner, those that tied with it in the choice's own figure, and by what it was preferred to them."""

    winner: Candidate
    tied: tuple[str, ...]
    by: tuple[str, ...]


def _decide(passing: Sequence[Candidate], choice: Choice) -> _Decision:
    """Narrow the candidates down, one figure after the other."""
    (_, first), *rest = _ORDER[choice]
    left = tied = first(passing)
    by = []
    for word, narrow in rest:
        fewer = narrow(left)
        if len(fewer) < len(left):
            by.append(left[0].score_name if word == "score" else word)
        left = fewer
    return _Decision(winner=left[0], by=tuple(by), tied=tuple(one.variant for one in tied if one != left[0]))


def _eligible(candidates: Sequence[Candidate], choice: Choice) -> list[Candidate]:
    """Those that pass and have the figure that the choice looks at."""
    passing = [one for one in candidates if one.check.verdict == "pass"]
    if choice == "fastest":
        return [one for one in passing if one.latency is not None]
    return [one for one in passing if one.score is not None] if choice == "most-accurate" else passing


def pick(candidates: Sequence[Candidate], choice: Choice) -> Candidate | None:
    """The best by the choice among the candidates that pass; None where none passes or the choice has no figure."""
    eligible = _eligible(candidates, choice)
    return _decide(eligible, choice).winner if eligible else None


def picks(candidates: Sequence[Candidate]) -> dict[str, str]:
    """The pick by each choice that has one."""
    found = {choice: pick(candidates, choice) for choice in CHOICES}
    return {choice: one.variant for choice, one in found.items() if one is not None}


def reason(candidates: Sequence[Candidate], choice: Choice) -> str:
    """Why the pick won, or what stood in the way of all, in one sentence."""
    passing = [one for one in candidates if one.check.verdict == "pass"]
    eligible = _eligible(candidates, choice)
    if not eligible:
        return _no_figure(passing, choice) if passing else _nearest_miss(candidates)
    decision = _decide(eligible, choice)
    rank = "the only one that passes" if len(passing) == 1 else f"the {choice} of {len(passing)} that pass"
    return f"{decision.winner.variant}: {_figure(decision.winner, choice)}, {rank}{_beside(decision, choice)}."


def _figure(winner: Candidate, choice: Choice) -> str:
    """The figure that the choice looks at."""
    if choice == "smallest":
        return f"{winner.tflite_bytes:,} bytes"
    found = winner.latency if choice == "fastest" else winner.score
    if found is None:
        return "no figure"
    if choice == "fastest":
        return f"{quantity(found.value, found.unit)} ({found.provenance})"
    return f"{score_text(winner.score_name, found.value)} ({found.provenance})"


def _beside(decision: _Decision, choice: Choice) -> str:
    """The clause about those that tie with the winner, and by what it was preferred."""
    if not decision.tied:
        return ""
    figure = {"smallest": "bytes", "fastest": "latency", "most-accurate": decision.winner.score_name}[choice]
    verb = "ties" if len(decision.tied) == 1 else "tie"
    return f"; {listing(decision.tied)} {verb} with it in {figure}, decided by {listing(decision.by)}"


def _no_figure(passing: Sequence[Candidate], choice: Choice) -> str:
    """The choice asks for a figure that none of the passing variants has."""
    figure = "latency" if choice == "fastest" else passing[0].score_name
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
