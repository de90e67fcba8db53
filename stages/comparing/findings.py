"""What disturbed a comparison, named: each finding is a sentence with its figure and what it means for the claim."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence

import numpy as np

from stages.comparing.conditions import shift
from stages.comparing.launching import Launch

_WAITED, _STOLEN, _LATE, _UNSTEADY = 0.05, 0.01, 0.02, 0.2
_LEVEL, _RATIO = 0.03, 0.01
"""Changes of the level, and of the ratio, that are worth a word."""


def findings(floor: Sequence[Launch], launches: Sequence[Launch]) -> tuple[str, ...]:
    """All that there is to say of the launches, the noise floor's included."""
    every = (*floor, *launches)
    rules = (_waiting(every), _stealing(every), _lateness(every), _unsteadiness(every), _level(every), _ratio(launches))
    return tuple(found for rule in rules for found in rule)


def _waiting(every: Sequence[Launch]) -> Iterator[str]:
    """Other processes on the same cores."""
    shares = [each.waited for each in every if each.waited is not None]
    if not shares or (share := float(np.mean(shares))) < _WAITED:
        return
    loads = [each.load for each in every if each.load is not None]
    average = f", load average {np.median(loads):.1f} on {os.cpu_count()} cores" if loads else ""
    yield (f"other load: the engines stood in the run queue for {100 * share:.0f} % of their time "
           f"({100 * min(shares):.0f} to {100 * max(shares):.0f} % a launch{average}); medians of short turns bear it, "
           "but inferences longer than a few milliseconds are slowed on both sides")


def _stealing(every: Sequence[Launch]) -> Iterator[str]:
    """A hypervisor with other guests."""
    shares = [each.stolen for each in every if each.stolen is not None]
    if shares and np.mean(shares) >= _STOLEN:
        yield (f"steal time: the hypervisor gave {100 * np.mean(shares):.1f} % of the cores' time to other guests "
               f"(up to {100 * max(shares):.0f} % in a launch)")


def _lateness(every: Sequence[Launch]) -> Iterator[str]:
    """Outliers."""
    share = float(np.mean([each.late for each in every]))
    if share >= _LATE:
        yield (f"outliers: {100 * share:.1f} % of the inferences took more than twice the median of their turn; "
               "medians do not carry them")


def _unsteadiness(every: Sequence[Launch]) -> Iterator[str]:
    """Warm-ups that did not settle."""
    share = sum(not each.steady for each in every) / len(every)
    if share >= _UNSTEADY:
        yield f"not steady: in {100 * share:.0f} % of the launches the warm-up did not settle within 3 %"


def _level(every: Sequence[Launch]) -> Iterator[str]:
    """A clock that rises or falls, a neighbour that comes or goes: on both sides alike."""
    found = shift([float(np.median(each.pooled(0))) for each in every])
    if found is None or abs(found.change) < _LEVEL:
        return
    moved = "slower" if found.change > 0 else "faster"
    when = "over the measurement" if found.kind == "drift" else f"from launch {found.at} of {len(every)} on"
    yield (f"{found.kind}: the reference became {100 * abs(found.change):.0f} % {moved} {when}; both were measured in "
           "turns, so the ratio does not carry it, but milliseconds do")


def _ratio(launches: Sequence[Launch]) -> Iterator[str]:
    """A ratio that is not one number."""
    found = shift([math.exp(each.log_ratio) for each in launches])
    if found is not None and abs(found.change) >= _RATIO:
        when = "drifted" if found.kind == "drift" else f"stepped at launch {found.at} of {len(launches)}"
        yield (f"the ratio itself {when} by {100 * found.change:+.1f} %: the machine was in two states that treat the "
               "two models differently, and the claim is of their mixture")
