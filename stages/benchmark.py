"""Measure latency and memory of every tflite model in every engine, in worker processes, in interleaved rounds.

Each model has a worker of its own, so that the resident set is the model's. After the warm-up every model is measured
for a moment in every round, in an order drawn anew: a machine that drifts hits all models alike.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
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
from stages.records import BenchmarkResult, EngineBenchmark, EngineStatus
from stages.timing import Array, latency_figures

NAME = "benchmark"
VERSION = 3
LIBRARIES = ("numpy",)

_FED = 32  # samples that the inferences take in turn
_SETTLING, _SETTLING_S = 2000, 0.002  # start of a round that does not count: the others have had the caches
_FEWEST_ROUNDS = 5
_WINDOW, _WINDOW_S, _WINDOWS, _STEADY = 500, 0.02, 3, 0.03
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
    """
    contents = {name: _read(folder / TFLITE_FILE) for name, folder in tflites.items()}
    samples = {name: first_samples(data / "x_test.npy", _FED, normalization_of(folder, data))
               for name, folder in tflites.items()}
    progress = _Progress(context, len(options.engines) * len(contents) * options.rounds)
    found: dict[str, dict[str, EngineBenchmark]] = {name: {} for name in contents}
    raw: dict[str, dict[str, list[list[float]]]] = {name: {} for name in contents}
    unsteady: list[str] = []
    for engine in options.engines:
        for trial in _measure_engine(engine, contents, samples, options, context, progress):
            found[trial.variant][engine] = trial.record(options)
            raw[trial.variant][engine] = [(each / 1e6).tolist() for each in trial.rounds]
            unsteady += [] if trial.steady else [f"{trial.variant} in {engine}"]
    (context.out / "samples.json").write_text(json.dumps({"unit": "ms", "samples": raw}), "utf-8")
    return _result(found, unsteady, options)


def pinned(options: Settings) -> tuple[int, ...]:
    """The cores that the workers are pinned to; empty for none."""
    if options.cpus == "any" or not hasattr(os, "sched_setaffinity"):
        return ()
    if options.cpus == "last":
        return host.cores()[-options.threads:]
    return tuple(options.cpus)


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
        self._worker: EngineWorker | None = None

    def start(self, worker: EngineWorker, content: bytes, samples: Mapping[str, Array], options: Options) -> None:
        """Load the model, make the first inference, and warm up.

        Args:
            worker: a fresh one.
            content: the tflite model.
            samples: (samples, ...) by input name, as the model is to be given them.
            options: see `Options`.

        Raises:
            StageError: the samples do not fit the model.
            EngineError: the engine does not take it, or its process ended.
        """
        self._worker, self.version = worker, worker.hello.version
        self.threads = 1 if self.engine == "tflm" else options.threads
        loaded = worker.load(content, threads=self.threads, cpus=pinned(options))
        self.cpus = loaded.cpus if pinned(options) else ()
        worker.feed(*(samples[name] for name in worker.match({name: x.shape[1:] for name, x in samples.items()})))
        first_ns = float(worker.measure(1)[0])
        self._once["load"] = _once(loaded.load_ms, "ms", "from bytes to a model that can be invoked")
        self._once["first_inference"] = _once(first_ns / 1e6, "ms", "the first after loading")
        if loaded.arena_bytes:
            self._once["arena"] = _once(loaded.arena_bytes, "bytes", "in use, as the runtime reports it")
        self.steady = warm_up(worker, options.warm_up_s)

    def round(self, options: Options) -> None:
        """Measure for one round, and the memory after it."""
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
        return self.status == "ok" and made < options.rounds and (
            made < _FEWEST_ROUNDS or self.spent_s < options.budget_s)

    def record(self, options: Options) -> EngineBenchmark:
        """The figures, or the reason why there are none."""
        base = {"engine": self.engine, "engine_version": self.version, "status": self.status, "message": self.message}
        if self.status != "ok":
            return EngineBenchmark.model_validate(base)
        figures = latency_figures(self.rounds, seed=options.seed, resamples=options.resamples)
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
                    options: Options, context: StageContext, progress: _Progress) -> list[Trial]:
    """Every variant in one engine: started one after the other, then measured in turns."""
    trials = [Trial(engine, variant) for variant in contents]
    info = registry.engine_info(engine)
    with contextlib.ExitStack() as stack:
        for trial in trials:
            trial.version = info.version or ""
            if not info.available:
                trial.status, trial.message = "unavailable", info.reason
                continue
            progress.step(f"{trial.variant} in {engine}", 0)
            with _failing(trial):
                worker = stack.enter_context(EngineWorker(engine, log=context.log, model=trial.variant,
                                                          timeout_s=options.timeout_s))
                trial.start(worker, contents[trial.variant], samples[trial.variant], options)
        _take_rounds(trials, options, progress)
        for trial in trials:
            with _failing(trial):
                trial.finish()
    return trials


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


def _result(found: dict[str, dict[str, EngineBenchmark]], unsteady: list[str], options: Options) -> BenchmarkResult:
    """The record, with what went wrong in passing."""
    all_records = [(variant, record) for variant, records in found.items() for record in records.values()]
    failed = [f"{variant} in {r.engine}: {r.message}" for variant, r in all_records if r.status in _AGAIN]
    warnings = [*failed]
    if unsteady:
        warnings.append(f"not steady after {options.warm_up_s:g} s of warm-up: {', '.join(unsteady)}; is there other "
                        "load on this machine? The intervals show it")
    measured = [(record.median.value, variant, record) for variant, record in all_records if record.median]
    fastest = min(measured, default=None, key=lambda each: each[0])
    text = f"{len(measured)} of {len(all_records)} measured"
    if fastest:
        text += f", fastest {fastest[1]} in {fastest[2].engine} with {fastest[0]:.3g} ms"
    return BenchmarkResult(summary=text, provisional=tuple(failed), warnings=tuple(warnings), host=host.host(),
                           variants=found)


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
