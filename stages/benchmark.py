"""Measure latency and memory of every tflite model in every engine, in worker processes, in interleaved rounds.

Each model has a worker of its own, so that the resident set is the model's. After the warm-up every model is measured
for a moment in every round, in an order drawn anew: a machine that drifts hits all models alike.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from device_profiles.errors import StoreError
from stages.artifacts import TFLITE_FILE
from stages.benchmarking.settings import Options, Settings, pinned
from stages.benchmarking.trial import Trial, failing
from stages.context import StageContext
from stages.engines.client import EngineWorker
from stages.engines.inputs import first_samples, normalization_of
from stages.engines.targets import facts
from stages.engines.targets.adb import AdbTarget
from stages.engines.targets.emulated import EmulatedTarget
from stages.engines.targets.names import HOST
from stages.engines.targets.opening import open_target
from stages.engines.targets.target import Target
from stages.records import BenchmarkResult, EngineBenchmark, EngineStatus
from stages.records.targets import Conditions
from stages.timing import Array

__all__ = ["LIBRARIES", "NAME", "VERSION", "Options", "Settings", "run"]

NAME = "benchmark"
VERSION = 4
LIBRARIES = ("numpy",)

_FED = 32  # samples that the inferences take in turn
_REBUILD = "run again: what is missing is built anew"
_AGAIN: tuple[EngineStatus, ...] = ("crashed", "timeout")


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


@dataclass(frozen=True)
class _Place:
    """Where the measuring is done, and what all of it shares."""

    target: Target
    options: Options
    context: StageContext
    progress: _Progress


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
            with failing(trial):
                if isinstance(target, EmulatedTarget):
                    trial.count(target, content, fed, options, context.log)
                    continue
                if isinstance(target, AdbTarget) and target.benchmark_model is not None:
                    trial.start_program(target, content, options, cpus)
                    continue
                worker = stack.enter_context(EngineWorker(trial.engine, log=context.log, model=trial.variant,
                                                          timeout_s=options.timeout_s, target=target))
                trial.start(worker, content, fed, options, cpus)
        _take_rounds(trials, options, place.progress)
        for trial in trials:
            with failing(trial):
                trial.finish()


def _take_rounds(trials: list[Trial], options: Options, progress: _Progress) -> None:
    """Interleaved rounds, each in an order of its own."""
    generator = np.random.default_rng(options.seed)
    for _ in range(options.rounds):
        for position in generator.permutation(len(trials)):
            trial = trials[position]
            if trial.is_due(options):
                with failing(trial):
                    trial.round(options)
            progress.step(f"{trial.variant} in {trial.engine}")


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


def _read(path: Path) -> bytes:
    """A file of an artifact.

    Raises:
        StoreError: it is missing.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", "", _REBUILD) from error
