"""Measure what a tflite model scores on the test split, in every engine, against the float model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import cast

from pydantic import Field, field_validator

from device_profiles.errors import EngineError, StageError, StoreError
from device_profiles.records import Record
from stages.artifacts import TFLITE_FILE
from stages.context import StageContext
from stages.datasets.prepared import read_preprocessing, read_split
from stages.datasets.records import TEST
from stages.engines import registry
from stages.engines.inputs import first_samples, normalization_of
from stages.engines.pool import Job
from stages.engines.targets.differing import first_difference
from stages.engines.targets.host import HostTarget
from stages.engines.targets.names import HOST, TargetText
from stages.engines.targets.opening import open_target
from stages.engines.targets.target import Target, stamped
from stages.outputs import OUTPUTS_FILE, largest_difference, overall_score, read_outputs, score_name, write_outputs
from stages.records import Agreement, EngineEvaluation, EngineStatus, EvaluateResult
from stages.records.targets import OperatorDifference
from stages.safety import slices as slicing
from stages.safety.measure import SLICE, Gate, Wish
from stages.statistics import ENDS_LEVEL
from stages.tasks import Truth, make_task, read_truth
from stages.tasks.base import Array
from stages.tasks.matching import Shape
from stages.tasks.settings import TaskSettings, score_text

NAME = "evaluate"
VERSION = 3
LIBRARIES = ("numpy", "scipy")

_FOLLOWED = 16  # samples that are followed through the operators where a target's kernels are compared
_AGAIN: tuple[EngineStatus, ...] = ("crashed", "timeout")


class Settings(Record):
    """What a user may set for the evaluation."""

    engines: tuple[str, ...] = Field(default=tuple(registry.ENGINES), min_length=1,
                                     description=f"engines to run: {', '.join(registry.ENGINES)}")
    batch_size: int = Field(default=0, ge=0, le=4096,
                            description="samples per invocation, where the engine can; 0: by the size of a sample")
    workers: int = Field(default=0, ge=0, le=256, description="processes per engine, one thread each; 0: one per core")
    timeout_s: float = Field(default=120.0, gt=0, description="seconds that an engine may take to load, or for a batch")
    resamples: int = Field(default=2000, ge=100, le=100_000, description="bootstrap resamples for the intervals")
    calibration: bool = Field(default=False, description="measure the calibration error, without a limit on it too")
    slices: tuple[str, ...] = Field(
        default=(), description="columns whose values are slices: of data.source.slices, or group; left out: all of "
                                "data.source.slices")
    target: TargetText = Field(
        default=HOST, description="where the engines run: host, ssh:user@host, adb:serial, emulated")
    slice_least_samples: int = Field(default=slicing.LEAST_SAMPLES, ge=1,
                                     description="slices with fewer test samples are reported, not judged")

    @field_validator("engines")
    @classmethod
    def _known_engines(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return registry.checked_names(names)


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        seed: of the bootstrap.
        variant: the variant's name, for messages.
        engine_versions: installed version by engine, None where it is not installed; part of the key, so that
            installing an engine runs the evaluation again.
        task: what the outputs are scored by.
        asked: limits of some profile that take more than outputs on the test split.
    """

    seed: int = 0
    variant: str = ""
    engine_versions: dict[str, str | None] = Field(default_factory=dict)
    task: TaskSettings = TaskSettings()
    asked: tuple[str, ...] = ()


def run(*, tflite: Path, data: Path, baseline: Path, options: Options, context: StageContext) -> EvaluateResult:
    """Run the test split in every engine; write `outputs_<engine>.npy`, as the baseline's `outputs.npy`.

    Args:
        tflite: a convert artifact.
        data: a prepare artifact.
        baseline: a baseline artifact: the float model's outputs.
        options: see `Options`.
        context: where to write.

    Raises:
        StageError: the model's inputs or outputs do not fit the data, or a metric of the user's fails.
        DataError: outputs that are not finite, or labels that leave the score undefined.
        UsageError: a slice column that is not there.
        StoreError: an artifact without its files.
        TargetError: the target cannot be reached, or was lost; nothing of it is kept.
    """
    with open_target(options.target) as target:
        trial = _Trial(tflite, data, baseline, options, context, target)
        engines = {name: trial.evaluate(name) for name in options.engines}
        differences = {} if target.tells_time else trial.differences()
    failed = [f"{e.engine}: {e.message}" for e in engines.values() if e.status in _AGAIN]
    idle = () if trial.outputs else (f"{trial.name}: no engine could run it",)
    result = EvaluateResult(
        summary=_summary(engines.values()), provisional=tuple(failed), warnings=(*failed, *idle), engines=engines,
        agreements=trial.agreements(), target=options.target, differences=differences)
    return stamped(result, target.provenance)


class _Trial:
    """What all engines share: the tflite model, the task, the labels and the reference.

    Attributes:
        name: of the variant.
        outputs: by engine that could run it.
    """

    def __init__(self, tflite: Path, data: Path, baseline: Path, options: Options, context: StageContext,
                 target: Target) -> None:
        self._options, self._context, self._target = options, context, target
        self.name = options.variant or tflite.name
        self.outputs: dict[str, Array] = {}
        try:
            self._tflite = (tflite / TFLITE_FILE).read_bytes()
        except OSError as error:
            raise StoreError(f"{tflite / TFLITE_FILE} cannot be read: {error.strerror}") from error
        self._samples, self._normalization = data / f"x_{TEST}.npy", normalization_of(tflite, data)
        preprocessing = read_preprocessing(data)
        self._task = make_task(options.task)
        self._reference = read_outputs(baseline / OUTPUTS_FILE, self._task)
        truth = read_truth(read_split(data, TEST, in_memory_bytes=0), preprocessing)
        self._task.check_outputs(self._reference, truth, "the float model")
        self._truth = self._task.with_logits(truth, self._reference)
        self._wanted = self._output_shapes()
        self._gate = Gate(self._task, self._reference, self._truth, baseline, _wish(options, data, truth))

    def evaluate(self, engine: str) -> EngineEvaluation:
        """One engine's figures, or why there are none; its outputs are written and kept."""
        info = self._target.engine_info(engine)
        if not info.available:
            return EngineEvaluation(engine=engine, engine_version="", status="unavailable", message=info.reason)
        version = info.version or ""
        try:
            outputs = self._predict(engine)
            corrupted = {kind: self._predict_corrupted(engine, kind, path)
                         for kind, path in self._gate.corruptions.items()}
        except EngineError as error:
            (self._context.out / f"outputs_{engine}.npy").unlink(missing_ok=True)
            return EngineEvaluation(engine=engine, engine_version=version, message=error.found,
                                    status=cast(EngineStatus, error.status))
        self.outputs[engine] = outputs
        return self._score(engine, version, outputs, corrupted)

    def agreements(self) -> tuple[Agreement, ...]:
        """Every pair of engines that ran the model."""
        return tuple(self._agreement(one, other) for one, other in combinations(self.outputs, 2))

    def differences(self) -> dict[str, OperatorDifference]:
        """By engine that runs here and there, the first operator that gives something else there."""
        samples = first_samples(self._samples, _FOLLOWED, self._normalization)
        found: dict[str, OperatorDifference] = {}
        for engine in self.outputs:
            if registry.engine_info(engine).available:
                with contextlib.suppress(EngineError):  # a model whose activations cannot all be outputs
                    found[engine] = first_difference(
                        (HostTarget(), self._target), engine, self._tflite, samples, log=self._context.log,
                        model=self.name, timeout_s=self._options.timeout_s)
        return found

    def _output_shapes(self) -> dict[str, Shape | None]:
        """Shape by output name, as the float model gives them."""
        names = self._reference.dtype.names
        return {name: self._reference.dtype[name].shape for name in names} if names else {"output": None}

    def _predict(self, engine: str) -> Array:
        """Outputs of one engine, (samples, *shape) float32 or structured, as they are read back from their file."""
        where = f"{self.name} in {engine}"
        outputs = self._run(engine, self._samples, self._context.out / f"outputs_{engine}.npy", where)
        if outputs.shape != self._reference.shape:
            raise StageError(f"{where} gives outputs of shape {outputs.shape}",
                             f"{self._reference.shape}, as the float model gives",
                             "make the tflite model from the model that the run file names")
        self._task.check_outputs(outputs, self._truth, where)
        return outputs

    def _predict_corrupted(self, engine: str, kind: str, samples: Path) -> Array:
        """Outputs of one engine on corrupted samples; they are not kept."""
        path, where = self._context.scratch / f"outputs_{engine}_{kind}.npy", f"{self.name} in {engine}, {kind}"
        try:
            return self._run(engine, samples, path, where)
        finally:
            path.unlink(missing_ok=True)

    def _run(self, engine: str, samples: Path, path: Path, where: str) -> Array:
        """A file of stored samples through one engine."""
        options = self._options
        job = Job(engine=engine, tflite=self._tflite, model=self.name, samples=samples,
                  normalization=self._normalization, batch=options.batch_size, log=self._context.log,
                  workers=options.workers or self._target.workers(), timeout_s=options.timeout_s, target=self._target)
        write_outputs(job, self._wanted, path, lambda done, total: self._context.progress(done, total, where))
        return read_outputs(path, self._task)

    def _score(self, engine: str, version: str, outputs: Array, corrupted: Mapping[str, Array]) -> EngineEvaluation:
        """Metrics, the distance from the float model, and what the mean hides."""
        task, truth, seed, resamples = self._task, self._truth, self._options.seed, self._options.resamples
        parts = task.outputs_metrics(outputs, truth, seed=seed, resamples=resamples)
        metrics = next(iter(parts.values()), None) or task.metrics(outputs, truth, seed=seed, resamples=resamples)
        return EngineEvaluation(
            engine=engine, engine_version=version, status="ok", metrics=metrics, outputs=parts,
            drop=task.drop(self._reference, outputs, truth, seed=seed, resamples=resamples, level=ENDS_LEVEL),
            changed=task.changed(self._reference, outputs, truth),
            largest_difference=largest_difference(self._reference, outputs),
            safety=self._gate.safety(outputs, corrupted))

    def _agreement(self, one: str, other: str) -> Agreement:
        """How far two engines agree."""
        left, right = self.outputs[one], self.outputs[other]
        changed = self._task.changed(left, right, self._truth)
        return Agreement(engines=(one, other), largest_difference=largest_difference(left, right),
                         equal_labels=None if changed is None else 1.0 - changed / len(left))


def _wish(options: Options, data: Path, truth: Truth) -> Wish:
    """What is to be measured beside the mean."""
    known = slicing.read_slices(data, truth.groups)
    columns = slicing.chosen_columns(known, options.slices, SLICE in options.asked)
    return Wish(asked=options.asked, calibration=options.calibration, columns=columns, seed=options.seed,
                least=options.slice_least_samples, resamples=options.resamples)


def _summary(engines: Iterable[EngineEvaluation]) -> str:
    """One line: "litert 97.5 % (drop 0.3), tflm refused"."""
    return ", ".join(f"{each.engine} {_score_text(each) or each.status}" for each in engines)


def _score_text(found: EngineEvaluation) -> str:
    """`97.5 % (drop 0.3)`, `R2 0.871 (drop 0.3)`; "" without a score."""
    if found.metrics is None or found.drop is None:
        return ""
    score = overall_score(found.metrics, found.outputs).value
    return f"{score_text(score_name(found.metrics, found.outputs), score)} (drop {found.drop.value:.1f})"
