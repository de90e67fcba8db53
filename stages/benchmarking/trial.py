"""One variant in one engine: its worker, its rounds, and what became of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from device_profiles.errors import EngineError
from device_profiles.records import Figure
from stages.benchmarking.settings import FEWEST_ROUNDS, Options
from stages.engines import registry
from stages.engines.client import EngineWorker
from stages.engines.targets.adb import AdbTarget
from stages.engines.targets.benchmark_program import Round, of_means, run_round
from stages.engines.targets.counting import count_inference
from stages.engines.targets.emulated import EmulatedTarget
from stages.records import EngineBenchmark, EngineStatus
from stages.timing import Array, latency_figures

_SETTLING, _SETTLING_S = 2000, 0.002  # start of a round that does not count: the others have had the caches
_WINDOW, _WINDOW_S, _WINDOWS, _STEADY = 500, 0.02, 3, 0.03
_EMULATED_TIMES = 20  # what an emulator takes longer, and more
_PROGRAM_S = 0.2  # of measuring in a start of Google's program


class Trial:
    """One variant in one engine."""

    def __init__(self, engine: str, variant: str) -> None:
        self.engine, self.variant = engine, variant
        self.rounds: list[Array] = []  # ns
        self.status: EngineStatus = "ok"
        self.message = ""
        self.steady = True
        self.spent_s = 0.0
        self.version = ""
        self.threads = 1
        self.cpus: tuple[int, ...] = ()
        self._once: dict[str, Figure] = {}
        self._timed = True
        self._start_program: Callable[[], Round] | None = None
        self._worker: EngineWorker | None = None

    def start(self, worker: EngineWorker, content: bytes, samples: Mapping[str, Array], options: Options,
              cpus: tuple[int, ...]) -> None:
        """Load the model, make the first inference, and warm up.

        Args:
            worker: a fresh one.
            content: the tflite model.
            samples: (samples, ...) by input name, as the model is to be given them.
            options: see `Options`.
            cpus: the cores to pin it to; empty for none.

        Raises:
            StageError: the samples do not fit the model.
            EngineError: the engine does not take it, or its process ended.
        """
        self._worker, self.version = worker, worker.hello.version
        self.threads = registry.threads_of(self.engine, options.threads)
        loaded = worker.load(content, threads=self.threads, cpus=cpus)
        self.cpus = loaded.cpus if cpus else ()
        worker.feed(*worker.in_order(samples))
        first_ns = float(worker.measure(1)[0])
        self._once["load"] = _once(loaded.load_ms, "ms", "from bytes to a model that can be invoked")
        self._once["first_inference"] = _once(first_ns / 1e6, "ms", "the first after loading")
        if loaded.arena_bytes:
            self._once["arena"] = _once(loaded.arena_bytes, "bytes", "in use, as the runtime reports it")
            self._once |= {part: _once(getattr(loaded, f"{part}_bytes"), "bytes", "in use, as the runtime reports it")
                           for part in ("arena_persistent", "arena_non_persistent")}
        self.steady = warm_up(worker, options.warm_up_s)

    def count(self, target: EmulatedTarget, content: bytes, samples: Mapping[str, Array], options: Options,
              log: Path) -> None:
        """Count instructions instead: an emulator's times mean nothing."""
        self._timed = False
        found = count_inference(target, self.engine, content, samples, log=log, model=self.variant,
                                timeout_s=_EMULATED_TIMES * options.timeout_s)
        self.version = found.engine_version
        self._once = {"instructions": found.instructions, "accesses": found.accesses}

    def start_program(self, target: AdbTarget, content: bytes, options: Options, cpus: tuple[int, ...]) -> None:
        """Measure with Google's program, which is started anew for each round."""
        self.threads, self.cpus = options.threads, cpus
        self._start_program = partial(run_round, target, content, model=self.variant, threads=options.threads,
                                      cpus=cpus, seconds=max(_PROGRAM_S, options.round_s))
        found = self._start_program()
        self._once["load"] = _once(found.load_ms, "ms", "as benchmark_model prints it")
        self._once["first_inference"] = _once(found.first_ms, "ms", "the first after loading")
        if found.memory_bytes:
            self._once["peak_memory"] = _once(found.memory_bytes, "bytes", "growth of benchmark_model, as it prints it")

    def round(self, options: Options) -> None:
        """Measure for one round, and the memory after it."""
        if self._start_program is not None:
            found = self._start_program()
            self.rounds.append(np.array([found.mean_ms * 1e6]))
            self.spent_s += max(_PROGRAM_S, options.round_s)
            return
        worker = self._worker
        if worker is None:
            return
        worker.measure(_SETTLING, _SETTLING_S)
        taken = worker.measure(options.round_samples, options.round_s)
        self.rounds.append(taken)
        self.spent_s += float(taken.sum()) * 1e-9

    def finish(self) -> None:
        """Ask for the memory, which has been at its highest by now, and for the exact arena."""
        if self._worker is None or self.status != "ok":
            return
        memory = self._worker.memory()
        self._once["peak_memory"] = _once(
            memory.peak_bytes - memory.baseline_bytes, "bytes",
            "highest resident set of the worker less the one before the model was loaded")
        if "arena" in self._once:
            arena = self._worker.arena()
            self._once["arena"] = _once(arena.least_bytes, "bytes", "exact: the least that the model loads into; "
                                        f"the runtime reports {arena.used_bytes:,} bytes in use then")

    def fail(self, error: EngineError) -> None:
        """Keep why there are no figures; what was measured before is dropped."""
        self.status, self.message = cast(EngineStatus, error.status), error.found
        self.rounds, self._once, self.steady = [], {}, True

    def is_due(self, options: Options) -> bool:
        """Whether another round is to be made."""
        made = len(self.rounds)
        return self._timed and self.status == "ok" and made < options.rounds and (
            made < FEWEST_ROUNDS or self.spent_s < options.budget_s)

    def record(self, options: Options) -> EngineBenchmark:
        """The figures, or the reason why there are none."""
        base = {"engine": self.engine, "engine_version": self.version, "status": self.status, "message": self.message}
        if self.status != "ok":
            return EngineBenchmark.model_validate(base)
        if not self._timed:
            return EngineBenchmark.model_validate({**base, **self._once})
        figures = latency_figures(self.rounds, seed=options.seed, resamples=options.resamples)
        if self._start_program is not None:
            figures = of_means(figures)
        return EngineBenchmark.model_validate({
            **base, **self._once, **vars(figures), "threads": self.threads, "cpus": self.cpus,
            "rounds": len(self.rounds)})


def warm_up(worker: EngineWorker, limit_s: float) -> bool:
    """Make inferences until the latency is steady; whether it became so within the limit.

    Steady: the medians of the last three windows (of 500 inferences or 20 ms each) lie within 3 % of each other.
    """
    medians: list[float] = []
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        medians = [*medians, float(np.median(worker.measure(_WINDOW, _WINDOW_S)))][-_WINDOWS:]
        if len(medians) == _WINDOWS and max(medians) <= (1 + _STEADY) * min(medians):
            return True
    return limit_s == 0


@contextlib.contextmanager
def failing(trial: Trial) -> Iterator[None]:
    """A failure of the engine is the trial's own; the others go on."""
    try:
        yield
    except EngineError as error:
        trial.fail(error)


def _once(value: float, unit: str, method: str) -> Figure:
    """A figure from one observation."""
    return Figure(value=value, unit=unit, provenance="measured", method=method)
