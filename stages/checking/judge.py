"""One figure against one bound: pass, fail, undecided or unknown, and what would decide it.

A limit is an upper bound, and a figure at the bound passes. With the figure's interval [low, high]:

    high <= bound          pass
    low  >  bound          fail
    low  <= bound < high   undecided

An exact count (one observation, no interval) is its own interval. A figure of many observations without an interval, or
a prediction without a stated error, decides nothing: its spread is not known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from device_profiles.records import Figure, Provenance, Record
from stages.records import LimitVerdict, Verdict
from stages.reporting.text import figure_text, plain_number, quantity
from stages.statistics import ENDS_LEVEL, ONE_SIDED

WORST_FIRST: tuple[Verdict, ...] = ("fail", "unknown", "undecided", "pass")
MOST_SAMPLES = 1_000_000
"""Above so many samples, "take more" is no advice."""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of the verdicts: fail, then unknown, undecided, pass. Of none at all: pass."""
    return min(verdicts, key=WORST_FIRST.index, default="pass")


def is_exact(figure: Figure) -> bool:
    """Whether the figure is a count that was read once and has no spread: a file's bytes, an arena."""
    return figure.interval is None and figure.samples <= 1 and figure.provenance != "predicted"


class Needed(Record):
    """How many samples would decide an undecided verdict, should the effect stay what it is.

    Attributes:
        samples: so many; None where no number of them would (the value lies at the bound itself).
        now: how many there are.
        of: what is counted: "samples", "test samples of class 'cat'".
        rounds: where samples come in rounds that are no sample of their own, so many rounds; see `in_rounds`.
        rounds_now: how many there are.
    """

    samples: int | None
    now: int
    of: str = "samples"
    rounds: int | None = None
    rounds_now: int = 0

    @property
    def text(self) -> str:
        """The sentence."""
        if self.samples is None:
            return "the value lies at the bound: only another limit or another model would decide it"
        if self.rounds is not None:
            return (f"about {self.rounds:,} rounds ({self.rounds_now:,} now; benchmark.rounds) would decide it if the "
                    "value stays")
        return f"about {self.samples:,} {self.of} ({self.now:,} now) would decide it if the value stays"


def judge(limit: str, found: Figure | None, bound: float, unit: str, missing: str = "",
          needed: Callable[[], Needed] | None = None) -> LimitVerdict:
    """Hold a figure against its bound.

    Args:
        limit: the limit's name.
        found: the figure in `unit`, or None where none can be had.
        bound: the highest value allowed, in `unit`.
        unit: "ms", "bytes", "points", "fraction", "uJ".
        missing: why there is no figure.
        needed: what would decide it, asked where the figure's interval spans the bound; left out: the rule of the
            square root, see `by_square_root`.
    """
    allowed_text = f"at most {quantity(bound, unit)}"
    if found is None or math.isnan(found.value):
        return LimitVerdict(limit=limit, verdict="unknown", found_text="no figure", allowed=bound,
                            allowed_text=allowed_text, why=missing or "no figure can be had")
    verdict, more = _verdict(found, bound), None
    if verdict == "undecided" and found.interval is not None and found.provenance != "predicted":
        more = needed() if needed else by_square_root(found, bound)
    return LimitVerdict(limit=limit, verdict=verdict, found=found, found_text=figure_text(found), allowed=bound,
                        allowed_text=allowed_text, provenance=found.provenance, why=_why(verdict, found, bound, more),
                        deciding_samples=more.samples if more else None, deciding_rounds=more.rounds if more else None)


def refuse(limit: str, found_text: str, allowed_text: str, why: str) -> LimitVerdict:
    """A `fail` that needs no figure: the device or its engine cannot run the tflite model at all."""
    return LimitVerdict(limit=limit, verdict="fail", found_text=found_text, allowed_text=allowed_text, why=why)


def accept(limit: str, found_text: str, allowed_text: str, provenance: Provenance | None = None) -> LimitVerdict:
    """A `pass` that needs no figure."""
    return LimitVerdict(limit=limit, verdict="pass", found_text=found_text, allowed_text=allowed_text,
                        provenance=provenance)


def unknown(limit: str, allowed_text: str, why: str) -> LimitVerdict:
    """No figure, and why."""
    return LimitVerdict(limit=limit, verdict="unknown", found_text="no figure", allowed_text=allowed_text, why=why)


def overshoot(limit: LimitVerdict) -> float:
    """By which share of the bound the found value lies above it; infinite for a refusal, 0 where it does not."""
    if limit.found is None or limit.allowed is None:
        return math.inf if limit.verdict == "fail" else 0.0
    if limit.allowed <= 0:
        return math.inf if limit.found.value > limit.allowed else 0.0
    return max(limit.found.value / limit.allowed - 1, 0.0)


def _verdict(found: Figure, bound: float) -> Verdict:
    """The rule at the top of this module."""
    if found.interval is None and not is_exact(found):
        return "undecided"
    low, high = found.interval or (found.value, found.value)
    if high <= bound:
        return "pass"
    return "fail" if low > bound else "undecided"


def _why(verdict: Verdict, found: Figure, bound: float, needed: Needed | None) -> str:
    """The sentence that goes with a verdict other than pass."""
    if verdict == "pass":
        return ""
    if verdict == "fail":
        return _excess(found, bound)
    if found.interval is None:
        kind = "a prediction without a stated error" if found.provenance == "predicted" else (
            f"{found.samples:,} samples, but no interval")
        return f"{kind}: its spread is not known, so it decides nothing"
    low, high = (plain_number(end, found.unit) for end in found.interval)
    what = needed.text if needed else "a measurement on the device would decide it"
    return f"the {interval_name(found)} {low} to {high} spans the bound {quantity(bound, found.unit)}; {what}"


def interval_name(figure: Figure) -> str:
    """`95 % interval`; where each end is a bound of its own, `interval of one-sided 95 % bounds`."""
    if figure.level == ENDS_LEVEL:
        return f"interval of one-sided {100 * ONE_SIDED:.0f} % bounds"
    return f"{100 * figure.level:.0f} % interval"


def _excess(found: Figure, bound: float) -> str:
    """By how much the figure is over."""
    share = f" ({100 * (found.value / bound - 1):,.0f} %)" if bound > 0 else ""
    return f"{quantity(found.value - bound, found.unit)}{share} over"


def by_square_root(found: Figure, bound: float) -> Needed:
    """What would decide, from the figure alone.

    An interval's half width falls with the square root of the samples, so with value v, half width w towards the bound
    b and n samples, the interval clears the bound from about n (w / |b - v|)^2 samples on, should v stay as it is.
    """
    low, high = found.interval or (found.value, found.value)
    gap, half = abs(bound - found.value), (high - found.value if found.value <= bound else found.value - low)
    needed = math.ceil(found.samples * (half / gap) ** 2) if gap else math.inf
    if needed > MOST_SAMPLES:
        return Needed(samples=None, now=found.samples)
    return Needed(samples=max(int(needed), found.samples + 1), now=found.samples)


def in_rounds(found: Figure, bound: float, rounds: int) -> Needed:
    """`by_square_root` for a latency, whose samples of one round are no more independent than the round is.

    The interval comes from drawing whole rounds, so it narrows with their number and not with the samples in each:
    with r rounds now, about r (w / |b - v|)^2 are needed.

    Args:
        found: the latency.
        bound: in its unit.
        rounds: that its samples came in.
    """
    needed = by_square_root(found, bound)
    if needed.samples is None or rounds < 1:
        return needed
    more = max(math.ceil(rounds * needed.samples / found.samples), rounds + 1)
    return needed.model_copy(update={"rounds": more, "rounds_now": rounds})
