"""The protocol: the reference against itself first, then both in turns until the claim is clear or the budget is spent.

What launches is handed in, so that the same protocol runs on engines here, on recorded launches, and in simulation.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from device_profiles.records import Figure
from stages.comparing.findings import findings
from stages.comparing.launching import Launch
from stages.comparing.records import LatencyComparison, NoiseFloor
from stages.comparing.sequential import (
    LEVEL,
    Decision,
    decide,
    detectable,
    launches_to_decide,
    robust_deviation,
    standard_error,
)
from stages.timing import FEWEST_ROUNDS, latency_figures, ratio_figure

Against = Literal["itself", "candidate"]
Bench = Callable[[Against], Launch]
"""Makes a launch of the reference against itself, or against the candidate."""
Tell = Callable[[str, float, float, str], None]
"""Told after each launch: phase, seconds spent, budget in seconds, the interval so far in words."""
FLOOR_LAUNCHES, FEWEST_FLOOR = 5, 2
_FLOOR_SHARE = 0.3


@dataclass(frozen=True)
class Rule:
    """What is to be decided, and for how long to try.

    Attributes:
        margin: the difference that does not matter, as a share: 0.02 for 2 %.
        budget_s: seconds of wall time, the noise floor included. A launch that has begun is finished.
        most_launches: of the reference against the candidate.
        level: of the interval; see `level_of_each`.
        seed: of the bootstrap.
    """

    margin: float = 0.02
    budget_s: float = 60.0
    most_launches: int = 1000
    level: float = LEVEL
    seed: int = 0


def level_of_each(claims: int) -> float:
    """The level of each of some claims, so that the chance that any of them is ever wrong is 1 - LEVEL (Bonferroni)."""
    return 1 - (1 - LEVEL) / max(1, claims)


def silent(phase: str, spent_s: float, budget_s: float, text: str) -> None:
    """The callback of a caller who does not want to know."""


@dataclass
class _Clock:
    """Seconds since the start."""

    now: Callable[[], float]
    start: float = field(init=False)

    def __post_init__(self) -> None:
        self.start = self.now()

    def __call__(self) -> float:
        return self.now() - self.start


@dataclass(frozen=True)
class Outcome:
    """Everything that was launched, and what it proves."""

    floor: tuple[Launch, ...]
    launches: tuple[Launch, ...]
    decision: Decision
    sound: bool
    seconds: float
    floor_seconds: float


def run_trial(bench: Bench, rule: Rule, tell: Tell = silent, now: Callable[[], float] = time.monotonic) -> Outcome:
    """Launch until the claim is clear.

    Args:
        bench: see `Bench`.
        rule: see `Rule`.
        tell: see `Tell`.
        now: a clock in seconds.

    Raises:
        EngineError: as the bench does; what was measured until then is lost.
    """
    clock = _Clock(now)
    floor = _noise_floor(bench, rule, tell, clock)
    sound, floor_seconds = decide(_logs(floor), 0.0).claim == "undecided", clock()
    deviation = robust_deviation(_logs(floor))
    launches: list[Launch] = []
    logs: list[float] = []
    while True:
        launches.append(bench("candidate"))
        logs.append(launches[-1].log_ratio)
        decision = decide(logs, rule.margin, deviation, rule.level)
        tell("in turns", clock(), rule.budget_s, words(decision))
        spent = clock() >= rule.budget_s or len(launches) >= rule.most_launches
        if _is_clear(decision, len(launches)) or spent or not sound:
            break
    if not sound:
        decision = Decision("undecided", decision.estimate, decision.half)
    return Outcome(tuple(floor), tuple(launches), decision, sound, clock(), floor_seconds)


def _noise_floor(bench: Bench, rule: Rule, tell: Tell, clock: _Clock) -> list[Launch]:
    """The reference against itself: five launches, fewer where the budget is short."""
    floor: list[Launch] = []
    while len(floor) < FEWEST_FLOOR or (len(floor) < FLOOR_LAUNCHES and clock() < _FLOOR_SHARE * rule.budget_s):
        floor.append(bench("itself"))
        tell("noise floor", clock(), rule.budget_s, f"{len(floor)} launches")
    return floor


def _is_clear(decision: Decision, launches: int) -> bool:
    """Whether to stop: not before medians have an interval, too."""
    return decision.claim != "undecided" and launches >= FEWEST_ROUNDS


def _logs(launches: Iterable[Launch]) -> list[float]:
    """The logarithms of their ratios."""
    return [each.log_ratio for each in launches]


def words(decision: Decision) -> str:
    """`+5.1 % (+4.2 % to +6.0 %)`."""
    estimate = f"{100 * math.expm1(decision.estimate):+.1f} %"
    if decision.interval is None:
        return estimate
    low, high = (f"{100 * (end - 1):+.1f} %" for end in decision.interval)
    return f"{estimate} ({low} to {high})"


def comparison(outcome: Outcome, rule: Rule, engine: str, threads: int = 1,
               cpus: tuple[int, ...] = ()) -> LatencyComparison:
    """The record of a trial."""
    launches, decision = outcome.launches, outcome.decision
    pooled = tuple([each.pooled(side) for each in launches] for side in (0, 1))
    reference, candidate = (latency_figures(each, seed=rule.seed, of="launches").median for each in pooled)
    needed = _needed(outcome, rule)
    each_s = (outcome.seconds - outcome.floor_seconds) / len(launches)
    return LatencyComparison(
        claim=decision.claim, why=_why(outcome, rule, needed, each_s), engine=engine,
        engine_version=launches[-1].engine_version, threads=threads, cpus=cpus, margin=rule.margin,
        ratio=_ratio(decision, len(launches), rule.level),
        medians_ratio=ratio_figure([each.ratios for each in launches], seed=rule.seed), reference=reference,
        candidate=candidate, floor=_floor(outcome, rule, each_s), launches=len(launches),
        inferences=sum(map(len, (*pooled[0], *pooled[1]))),
        seconds=outcome.seconds, launches_needed=needed, seconds_needed=needed * each_s if needed else None,
        findings=findings(outcome.floor, launches))


def _needed(outcome: Outcome, rule: Rule) -> int | None:
    """How many launches would decide what is undecided; None where no number of them would, or there is one alone."""
    now = len(outcome.launches)
    if outcome.decision.claim != "undecided" or not outcome.sound or now < 2:
        return None
    error = standard_error(_logs(outcome.launches), _floor_deviation(outcome))
    return launches_to_decide(outcome.decision.estimate, error * now**0.5, rule.margin, now, rule.level)


def _floor_deviation(outcome: Outcome) -> float:
    """Of a launch of the reference against itself."""
    return robust_deviation(_logs(outcome.floor))


def _ratio(decision: Decision, launches: int, level: float = LEVEL) -> Figure:
    """With the interval that is always valid."""
    return Figure(value=decision.ratio, unit="ratio", provenance="measured", samples=launches, level=level,
                  interval=decision.interval,
                  method=f"trimmed geometric mean of {launches} launches; interval valid at all times")


def _floor(outcome: Outcome, rule: Rule, each_s: float) -> NoiseFloor:
    """What the reference against itself says of the machine, and of what the budget could show."""
    deviation = _floor_deviation(outcome)
    itself = decide(_logs(outcome.floor), 0.0)
    affordable = min(rule.most_launches, max(1, int((rule.budget_s - outcome.floor_seconds) / max(each_s, 1e-9))))
    least = detectable(deviation, rule.margin, affordable, rule.level)
    return NoiseFloor(launches=len(outcome.floor), ratio=_ratio(itself, len(outcome.floor)),
                      spread=math.expm1(deviation), sound=outcome.sound,
                      detectable=None if math.isinf(least) else least)


def _why(outcome: Outcome, rule: Rule, needed: int | None, each_s: float) -> str:
    """The sentence that goes with the claim."""
    decision, margin = outcome.decision, f"{100 * rule.margin:g} %"
    shown = words(decision)
    if not outcome.sound:
        itself = decide(_logs(outcome.floor), 0.0)
        return (f"the reference differs from itself by {words(itself)} here, so nothing that is measured here is a "
                "claim: give the machine less to do, and measure again")
    if decision.claim == "same":
        return f"{shown}: within {margin} for certain"
    if decision.claim != "undecided":
        return f"{shown}: more than {margin} for certain"
    if math.isinf(decision.half):
        return f"{len(outcome.launches)} launches are too few for an interval: give --budget more seconds"
    if needed is None:
        return f"{shown} spans the margin of {margin}, and the ratio lies at it: only another margin would decide it"
    return (f"{shown} spans the margin of {margin}; about {needed:,} launches ({len(outcome.launches)} now), "
            f"{needed * each_s:,.0f} s, would decide it if the ratio stays")
