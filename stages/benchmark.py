"""Measure latency and memory of every tflite model in every engine, in worker processes, in interleaved rounds.

Each model has a worker of its own, so that the resident set is the model's. After the warm-up every model is measured
for a moment in every round, in an order drawn anew: a machine that drifts hits all models alike.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, cast

import numpy as np
from pydantic import Field, field_validator

from device_profiles.errors import EngineError, StoreError
from device_profiles.records import Figure, Record
from stages.artifacts import TFLITE_FILE
from stages.context import StageContext
from stages.engines import host, registry
from stages.engines.client import EngineWorker
from stages.engines.inputs import first_samples, normalization_of
from stages.engines.targets import facts
from stages.engines.targets.adb import AdbTarget
from stages.engines.targets.benchmark_program import Round, of_means, run_round
from stages.engines.targets.counting import count_inference
from stages.engines.targets.emulated import EmulatedTarget
from stages.engines.targets.names import HOST, TargetText
from stages.engines.targets.opening import open_target
from stages.engines.targets.target import Target
from stages.records import BenchmarkResult, EngineBenchmark, EngineStatus
from stages.records.targets import Conditions
from stages.timing import Array, latency_figures

NAME = "benchmark"
VERSION = 4
LIBRARIES = ("numpy",)

_FED = 32  # samples that the inferences take in turn
_SETTLING, _SETTLING_S = 2000, 0.002  # start of a round that does not count: the others have had the caches
_FEWEST_ROUNDS = 5
_WINDOW, _WINDOW_S, _WINDOWS, _STEADY = 500, 0.02, 3, 0.03
_EMULATED_TIMES = 20  # what an emulator takes longer, and more
_PROGRAM_S = 0.2  # of measuring in a start of Google's program
_REBUILD = "run again: what is missing is built anew"
_AGAIN: tuple[EngineStatus, ...] = ("crashed", "timeout")


class Settings(Record):
    """What a user may set for the benchmark."""

    engines: tuple[str, ...] = Field(default=tuple(registry.ENGINES), min_length=1,
                                     description=f"engines to run: {', '.join(registry.ENGINES)}")
    threads: int = Field(default=1, ge=1, le=256, description="threads of the engine (tflm has one)")
    cpus: Literal["last", "any"] | tuple[int, ...] = Field(
        default="last", description="cores to pin to: last (as many of the last ones as threads), any, or a list")
    rounds: int = Field(default=30, ge=_FEWEST_ROUNDS, le=10_000, description="interleaved rounds over all variants")
    round_samples: int = Field(default=100, ge=1, le=100_000, description="inferences a round and variant, at most")
    round_s: float = Field(default=0.02, gt=0, le=60, description="seconds a round and variant, at most")
    target: TargetText = Field(
        default=HOST, description="where the engines run: host, ssh:user@host, adb:serial, emulated")
    budget_s: float = Field(default=5.0, gt=0, description="seconds a variant and engine; five rounds are always made")
    warm_up_s: float = Field(default=0.5, ge=0, description="seconds a variant may take until its latency is steady")
    timeout_s: float = Field(default=60.0, gt=0, description="seconds that an engine may take to load or to answer")
    resamples: int = Field(default=1000, ge=100, le=100_000, description="bootstrap resamples for the intervals")

    @field_validator("engines")
    @classmethod
    def _known_engines(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return registry.checked_names(names)


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        seed: of the bootstrap and the order within rounds.
        host: fingerprint of the machine; part of the key, so that another machine measures again.
        engine_versions: installed version by engine, None where it is not installed; part of the key as well.
    """

    seed: int = 0
    host: str = ""
    engine_versions: dict[str, str | None] = Field(default_factory=dict)


def run(*, tflites: Mapping[str, Path], data: Path, options: Options, context: StageContext) -> BenchmarkResult:
    """Measure; write every sample to `samples.json`: `samples[variant][engine]` is a list of rounds, in ms.

    Args:
        tflites: convert artifacts by variant.
        data: a prepare artifact, whose test samples are the inputs.
        options: see `Options`.
        context: where to write.

    Raises:
        StageError: a tflite model's inputs do not fit the data.
        StoreError: an artifact without its files.
        TargetError: the target cannot be reached, or was lost; nothing of it is kept.
    """
    contents = {name: _read(folder / TFLITE_FILE) for name, folder in tflites.items()}
    samples = {name: first_samples(data / "x_test.npy", _FED, normalization_of(folder, data))
               for name, folder in tflites.items()}
    progress = _Progress(context, len(options.engines) * len(contents) * options.rounds)
    found: dict[str, dict[str, EngineBenchmark]] = {name: {} for name in contents}
    raw: dict[str, dict[str, list[list[float]]]] = {name: {} for name in contents}
    unsteady: list[str] = []
    with open_target(options.target) as target:
        before = target.state()
        for engine in options.engines:
            for trial in _measure_engine(engine, contents, samples, _Place(target, options, context, progress)):
                found[trial.variant][engine] = trial.record(options)
                raw[trial.variant][engine] = [(each / 1e6).tolist() for each in trial.rounds]
                unsteady += [] if trial.steady else [f"{trial.variant} in {engine}"]
        conditions = facts.conditions(target.device(), before, target.state())
    (context.out / "samples.json").write_text(json.dumps({"unit": "ms", "samples": raw}), "utf-8")
    return _result(found, unsteady, options, conditions)


def pinned(options: Settings, cores: Sequence[int] | None = None) -> tuple[int, ...]:
    """The cores that the workers are pinned to; empty for none.

    Args:
        options: what the user wants.
        cores: those of the target; this host's by default.
    """
    if options.cpus == "any" or not hasattr(os, "sched_setaffinity"):
        return ()
    if options.cpus == "last":
        return tuple(host.cores() if cores is None else cores)[-options.threads:]
    return tuple(options.cpus)


@dataclass(frozen=True)
class _Place:
    """Where the measuring is done, and what all of it shares."""

    target: Target
    options: Options
    context: StageContext
    progress: _Progress


class Trial:
    """One variant in one engine: its worker, its rounds, and what became of it."""

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
        self.threads = 1 if self.engine == "tflm" else options.threads
        loaded = worker.load(content, threads=self.threads, cpus=cpus)
        self.cpus = loaded.cpus if cpus else ()
        worker.feed(*(samples[name] for name in worker.match({name: x.shape[1:] for name, x in samples.items()})))
        first_ns = float(worker.measure(1)[0])
        self._once["load"] = _once(loaded.load_ms, "ms", "from bytes to a model that can be invoked")
        self._once["first_inference"] = _once(first_ns / 1e6, "ms", "the first after loading")
        if loaded.arena_bytes:
            self._once["arena"] = _once(loaded.arena_bytes, "bytes", "in use, as the runtime reports it")
            self._once |= {part: _once(getattr(loaded, f"{part}_bytes"), "bytes", "in use, as the runtime reports it")
                           for part in ("arena_persistent", "arena_non_persistent")}
        self.steady = warm_up(worker, options.warm_up_s)

    def count(self, target: EmulatedTarget, content: bytes, samples: Mapping[str, Array], place: _Place) -> None:
        """Count instructions instead: an emulator's times mean nothing."""
        self._timed = False
        found = count_inference(target, self.engine, content, samples, log=place.context.log, model=self.variant,
                                timeout_s=_EMULATED_TIMES * place.options.timeout_s)
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
            made < _FEWEST_ROUNDS or self.spent_s < options.budget_s)

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


class _Progress:
    """Counts rounds of one variant in one engine."""

    def __init__(self, context: StageContext, total: int) -> None:
        self._context, self._total, self._done = context, total, 0

    def step(self, text: str, count: int = 1) -> None:
        """So many rounds are over, made or not."""
        self._done += count
        self._context.progress(self._done, self._total, text)


def _measure_engine(engine: str, contents: Mapping[str, bytes], samples: Mapping[str, Mapping[str, Array]],
                    place: _Place) -> list[Trial]:
    """Every variant in one engine, as many at a time as the target bears workers."""
    trials = [Trial(engine, variant) for variant in contents]
    info = place.target.engine_info(engine)
    for trial in trials:
        trial.version = info.version or ""
        if not info.available:
            trial.status, trial.message = "unavailable", info.reason
    several = place.target.most_workers
    for start in range(0, len(trials) if info.available else 0, several):
        _measure_together(trials[start:start + several], contents, samples, place)
    return trials


def _measure_together(trials: list[Trial], contents: Mapping[str, bytes], samples: Mapping[str, Mapping[str, Array]],
                      place: _Place) -> None:
    """Some variants in one engine: started one after the other, then measured in turns."""
    target, options, context = place.target, place.options, place.context
    cpus = pinned(options, target.cores())
    with contextlib.ExitStack() as stack:
        for trial in trials:
            place.progress.step(f"{trial.variant} in {trial.engine}", 0)
            content, fed = contents[trial.variant], samples[trial.variant]
            with _failing(trial):
                if isinstance(target, EmulatedTarget):
                    trial.count(target, content, fed, place)
                    continue
                if isinstance(target, AdbTarget) and target.benchmark_model is not None:
                    trial.start_program(target, content, options, cpus)
                    continue
                worker = stack.enter_context(EngineWorker(trial.engine, log=context.log, model=trial.variant,
                                                          timeout_s=options.timeout_s, target=target))
                trial.start(worker, content, fed, options, cpus)
        _take_rounds(trials, options, place.progress)
        for trial in trials:
            with _failing(trial):
                trial.finish()


def _take_rounds(trials: list[Trial], options: Options, progress: _Progress) -> None:
    """Interleaved rounds, each in an order of its own."""
    generator = np.random.default_rng(options.seed)
    for _ in range(options.rounds):
        for position in generator.permutation(len(trials)):
            trial = trials[position]
            if trial.is_due(options):
                with _failing(trial):
                    trial.round(options)
            progress.step(f"{trial.variant} in {trial.engine}")


@contextlib.contextmanager
def _failing(trial: Trial) -> Iterator[None]:
    """A failure of the engine is the trial's own; the others go on."""
    try:
        yield
    except EngineError as error:
        trial.fail(error)


def _result(found: dict[str, dict[str, EngineBenchmark]], unsteady: list[str], options: Options,
            conditions: Conditions) -> BenchmarkResult:
    """The record, with what went wrong in passing."""
    all_records = [(variant, record) for variant, records in found.items() for record in records.values()]
    failed = [f"{variant} in {r.engine}: {r.message}" for variant, r in all_records if r.status in _AGAIN]
    counted = sum(record.instructions is not None for _, record in all_records)
    warnings = [*failed, *(facts.remarks(conditions) if options.target != HOST and not counted else [])]
    if options.target != HOST:
        warnings.append(f"the benchmark ran on {options.target}, not on this host")
    if unsteady:
        warnings.append(f"not steady after {options.warm_up_s:g} s of warm-up: {', '.join(unsteady)}; is there other "
                        "load there? The intervals show it")
    return BenchmarkResult(summary=_summary(all_records), provisional=tuple(failed), warnings=tuple(warnings),
                           host=conditions.device.host, target=options.target, conditions=conditions, variants=found)


def _summary(records: Sequence[tuple[str, EngineBenchmark]]) -> str:
    """How many could be measured, and the fastest of them."""
    counted = sum(record.instructions is not None for _, record in records)
    if counted:
        return f"{counted} of {len(records)} counted"
    measured = [(record.median.value, variant, record) for variant, record in records if record.median]
    text = f"{len(measured)} of {len(records)} measured"
    if fastest := min(measured, default=None, key=lambda each: each[0]):
        text += f", fastest {fastest[1]} in {fastest[2].engine} with {fastest[0]:.3g} ms"
    return text


def _once(value: float, unit: str, method: str) -> Figure:
    """A figure from one observation."""
    return Figure(value=value, unit=unit, provenance="measured", method=method)


def _read(path: Path) -> bytes:
    """A file of an artifact.

    Raises:
        StoreError: it is missing.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", "", _REBUILD) from error
