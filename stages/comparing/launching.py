"""One launch: two fresh processes, measured in turns for about a second.

Two processes that run the same bytes differ by up to a few percent for as long as they live, since where their memory
lies decides what meets in the caches (Mytkowicz, Diwan, Hauswirth, Sweeney 2009, ASPLOS XIV; Curtsinger, Berger 2013,
ASPLOS XVIII). More rounds of the same two processes prove that difference and not the models'. So the launch, not the
round, is what counts as one observation.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.benchmarking.trial import warm_up
from stages.comparing.conditions import Queued, load_average, queued, ticks
from stages.engines.client import EngineWorker

Array = npt.NDArray[Any]
ROUNDS, FEWEST_ROUNDS, MOST_ROUNDS = 12, 3, 36
_SETTLED = 0.005
"""A launch of fast models goes on, up to `MOST_ROUNDS`, until its ratio is known to this standard error. Whether it
does depends on how far the rounds spread and not on which side is slower, so it favours neither."""
_ROUND_S, _ROUND_SAMPLES = 0.02, 250
_SETTLING, _SETTLING_S = 2000, 0.002  # start of a turn that does not count: the other one has had the caches
_SLOW_MS = 20.0  # from here on, what the other one left in the caches is no part of an inference that matters
_LAUNCH_S = 2.0  # the turns of one launch, where a model is so slow that twelve rounds would take longer
_WARM_UP_S = 0.2


@dataclass(frozen=True)
class Contender:
    """A tflite model that takes part.

    Attributes:
        name: for people.
        content: the file.
        samples: an array for each input, (samples, ...): float32 in the model's units or uint8 as stored, taken in
            turn.
        command: what to start instead of the worker file with this Python.
    """

    name: str
    content: bytes
    samples: tuple[Array, ...]
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where and how both are run.

    Attributes:
        engine: a name in `stages.engines.registry.ENGINES`.
        log: gets the workers' stderr.
        threads: of the engine.
        cpus: cores to pin to; none: not pinned.
        timeout_s: that an engine may take to load or to answer.
    """

    engine: str
    log: Path
    threads: int = 1
    cpus: tuple[int, ...] = ()
    timeout_s: float = 60.0


@dataclass(frozen=True)
class Launch:
    """What two fresh processes gave.

    Attributes:
        turns: for the first and the second contender, the rounds, each (inferences,) int64 ns.
        waited: share of the time in which the engines could have run that they stood in a run queue; None where the
            system does not say.
        stolen: share of the cores' time that the hypervisor gave to others.
        load: the machine's load average.
        steady: whether the warm-up of both became steady.
        engine_version: as the worker reports it.
        seconds: wall time of the whole launch.
    """

    turns: tuple[tuple[Array, ...], tuple[Array, ...]]
    waited: float | None = None
    stolen: float | None = None
    load: float | None = None
    steady: bool = True
    engine_version: str = ""
    seconds: float = 0.0

    @property
    def ratios(self) -> Array:
        """(rounds,) median of the second by that of the first, each round by itself."""
        return round_ratios(*self.turns)

    @property
    def log_ratio(self) -> float:
        """Median over the rounds of the logarithm of the ratio."""
        return float(np.median(np.log(self.ratios)))

    def pooled(self, contender: int) -> Array:
        """(inferences,) ns of all rounds of one contender."""
        return np.concatenate(self.turns[contender])

    @property
    def late(self) -> float:
        """Share of the inferences that took more than twice the median of their turn: held up by something."""
        every = [turn for turns in self.turns for turn in turns]
        return sum(int((turn > 2 * np.median(turn)).sum()) for turn in every) / sum(map(len, every))


def launch(pair: tuple[Contender, Contender], place: Place, generator: np.random.Generator) -> Launch:
    """Start both, warm them up, and measure them in turns; order of starting and of turns drawn anew.

    Args:
        pair: the first is the reference.
        place: engine, threads and cores.
        generator: of the orders.

    Raises:
        StageError: the samples do not fit a model.
        EngineError: the engine does not take a model, or its process ended.
    """
    start, before = time.monotonic(), ticks(place.cpus)
    with contextlib.ExitStack() as stack:
        started: dict[int, _Runner] = {}
        for position in generator.permutation(2):
            started[int(position)] = stack.enter_context(_Runner(pair[position], place))
        runners = (started[0], started[1])
        rounds, settle = pace(runners[0].typical_ms + runners[1].typical_ms)
        while len(runners[0].turns) < rounds or (settle and is_open(runners[0].turns, runners[1].turns)):
            for position in generator.permutation(2):
                runners[position].turn(settle)
    after = ticks(place.cpus)
    return Launch(turns=(tuple(runners[0].turns), tuple(runners[1].turns)), waited=_waited(runners),
                  stolen=after.share_since(before) if before and after else None, load=load_average(),
                  steady=all(each.steady for each in runners), engine_version=runners[0].worker.hello.version,
                  seconds=time.monotonic() - start)


def round_ratios(first: Sequence[Array], second: Sequence[Array]) -> Array:
    """(rounds,) median of the second by that of the first, each round by itself."""
    medians = [np.array([np.median(each) for each in turns]) for turns in (first, second)]
    return np.asarray(medians[1] / medians[0])


def is_open(first: Sequence[Array], second: Sequence[Array]) -> bool:
    """Whether another round is to be made, though there are enough: the median's standard error is above `_SETTLED`.

    With the median absolute deviation d of n logarithms, the error of their median is 1.2533 * 1.4826 d / sqrt(n) where
    they are normal; neighbours that come and go make two levels of them, and then it is larger.
    """
    count = len(first)
    if count >= MOST_ROUNDS:
        return False
    logs = np.log(round_ratios(first, second))
    deviation = float(np.median(np.abs(logs - np.median(logs))))
    return bool(1.2533 * 1.4826 * deviation / count**0.5 > _SETTLED)


def pace(both_ms: float) -> tuple[int, bool]:
    """How many rounds a launch has, and whether a turn begins with inferences that do not count.

    Args:
        both_ms: one inference of each contender, together.
    """
    settle = both_ms < 2 * _SLOW_MS
    round_s = 2 * (_ROUND_S + _SETTLING_S) + 2e-3 * both_ms if settle else max(2 * _ROUND_S, 1e-3 * both_ms)
    return int(np.clip(_LAUNCH_S / round_s, FEWEST_ROUNDS, ROUNDS)), settle


def _waited(runners: Sequence[_Runner]) -> float | None:
    """Share of waiting over all turns."""
    if any(each.spent is None for each in runners):
        return None
    spent = [each.spent for each in runners if each.spent is not None]
    return Queued(sum(each.ran_ns for each in spent), sum(each.waited_ns for each in spent)).share


@dataclass
class _Runner:
    """One contender's process; a context manager."""

    contender: Contender
    place: Place
    turns: list[Array] = field(default_factory=list)
    spent: Queued | None = field(default_factory=lambda: Queued(0, 0))

    def __enter__(self) -> _Runner:
        """Start, load, feed and warm up; the first inference tells how slow it is."""
        place = self.place
        with contextlib.ExitStack() as stack:
            self.worker = stack.enter_context(EngineWorker(
                place.engine, log=place.log, model=self.contender.name, timeout_s=place.timeout_s,
                command=self.contender.command))
            self.worker.load(self.contender.content, threads=place.threads, cpus=place.cpus or None)
            self.worker.feed(*self.contender.samples)
            self.worker.measure(1)
            self.typical_ms = float(np.median(self.worker.measure(5, _ROUND_S))) / 1e6
            self.steady = self.typical_ms > _SLOW_MS or warm_up(self.worker, _WARM_UP_S)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def turn(self, settle: bool) -> None:
        """Measure for a moment."""
        if settle:
            self.worker.measure(_SETTLING, _SETTLING_S)
        before = queued(self.worker.pid)
        self.turns.append(self.worker.measure(_ROUND_SAMPLES, _ROUND_S))
        after = queued(self.worker.pid)
        if self.spent is None or before is None or after is None:
            self.spent = None
            return
        spent = after.since(before)
        self.spent = Queued(self.spent.ran_ns + spent.ran_ns, self.spent.waited_ns + spent.waited_ns)
