"""What disturbs a measurement from outside: other load, a hypervisor that takes cores away, levels that drift or step.

Linux counts for every thread how long it ran and how long it stood in a run queue, ready and without a core
(`/proc/PID/task/TID/schedstat`, fields 1 and 2, ns: Documentation/scheduler/sched-stats.rst), and for every core the
ticks that the hypervisor gave to others (`steal` in `/proc/stat`, proc(5)). Elsewhere these are not known.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_PROC = Path("/proc")
_STEAL = 7  # field of a `cpu` line in /proc/stat, counted from 0 after the name
_FEWEST, _SHUFFLES = 8, 999


@dataclass(frozen=True)
class Queued:
    """A process so far: nanoseconds that its threads ran, and that they waited for a core."""

    ran_ns: int
    waited_ns: int

    def since(self, before: Queued) -> Queued:
        """From an earlier reading to this one."""
        return Queued(self.ran_ns - before.ran_ns, self.waited_ns - before.waited_ns)

    @property
    def share(self) -> float:
        """Of the time in which it could have run, the share that it waited: 0 on an idle machine."""
        total = self.ran_ns + self.waited_ns
        return self.waited_ns / total if total > 0 else 0.0


def queued(pid: int, proc: Path = _PROC) -> Queued | None:
    """The threads of a process, added up; None where the system does not say."""
    ran = waited = 0
    try:
        for thread in (proc / str(pid) / "task").iterdir():
            fields = (thread / "schedstat").read_text().split()
            ran, waited = ran + int(fields[0]), waited + int(fields[1])
    except (OSError, IndexError, ValueError):
        return None
    return Queued(ran, waited)


@dataclass(frozen=True)
class Ticks:
    """Cores so far: clock ticks of every kind, and those that the hypervisor gave to others."""

    total: int
    stolen: int

    def share_since(self, before: Ticks) -> float:
        """Share that was stolen from an earlier reading to this one."""
        return (self.stolen - before.stolen) / (self.total - before.total) if self.total > before.total else 0.0


def ticks(cpus: Sequence[int], proc: Path = _PROC) -> Ticks | None:
    """Ticks of some cores (none named: of all); None where the system does not say."""
    names = {f"cpu{number}" for number in cpus} or {"cpu"}
    total = stolen = found = 0
    try:
        for line in (proc / "stat").read_text().splitlines():
            name, *fields = line.split() or [""]
            if name in names:
                values = [int(field) for field in fields[:_STEAL + 1]]  # guest time is in user time already
                total, stolen, found = total + sum(values), stolen + values[_STEAL], found + 1
    except (OSError, IndexError, ValueError):
        return None
    return Ticks(total, stolen) if found else None


def load_average() -> float | None:
    """Processes that ran or waited to run, mean of the last minute; None where the system does not say."""
    with contextlib.suppress(OSError, AttributeError):
        return os.getloadavg()[0]
    return None


@dataclass(frozen=True)
class Shift:
    """A series that does not stay where it was.

    Attributes:
        kind: "drift" where a straight line explains it better than one step does, else "step".
        change: last level by the first, less 1: by the line's ends, or by the medians before and after the step.
        at: for a step, the first launch of the new level, counted from 1; for a drift 1.
        p_value: how often a shuffled series looks as uneven.
    """

    kind: str
    change: float
    at: int
    p_value: float


def shift(values: Sequence[float], level: float = 0.01, seed: int = 0) -> Shift | None:
    """A step or a drift in a series, by a permutation test of the best split into two levels.

    The statistic is the sum of squares that the best split into two means explains; it is compared with that of 999
    shuffles (a change-point test by permutation: Pettitt 1979, Applied Statistics 28:126-135, uses ranks the same way).

    Args:
        values: positive, one a launch, in order.
        level: the p value from which on it is none.
        seed: of the shuffles.

    Returns:
        None for fewer than eight values, or where chance explains it.
    """
    if len(values) < _FEWEST:
        return None
    logs = np.log(np.asarray(values, np.float64))
    generator = np.random.default_rng(seed)
    shuffles = generator.permuted(np.tile(logs, (_SHUFFLES, 1)), axis=1)  # (shuffles, launches)
    explained, at = (result[0] for result in _best_split(logs[None]))
    p_value = (1 + int((_best_split(shuffles)[0] >= explained).sum())) / (1 + _SHUFFLES)
    if p_value > level:
        return None
    place = np.arange(len(logs))
    slope, start = np.polyfit(place, logs, 1)
    by_line = float(((slope * place + start - logs.mean()) ** 2).sum())
    if by_line >= explained:
        return Shift("drift", float(np.expm1(slope * (len(logs) - 1))), 1, p_value)
    change = float(np.median(logs[at:]) - np.median(logs[:at]))
    return Shift("step", float(np.expm1(change)), int(at) + 1, p_value)


def _best_split(logs: Array) -> tuple[Array, Array]:
    """For each row: the sum of squares between two levels at the best split, and the index where the second begins.

    With k values of mean a before and n - k of mean b after, it is k (n - k) / n (a - b)^2. At least two on each side:
    a single launch is an outlier, not a level.
    """
    count = logs.shape[1]
    before = np.arange(2, count - 1)
    sums = np.cumsum(logs, axis=1)
    first = sums[:, 1:-2] / before
    second = (sums[:, -1:] - sums[:, 1:-2]) / (count - before)
    between = before * (count - before) / count * (first - second) ** 2  # (rows, splits)
    best = between.argmax(axis=1)
    return between[np.arange(len(logs)), best], before[best]
