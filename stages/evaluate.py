"""Measure the accuracy of a tflite model on the test split, in every engine, against the float Keras model."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import cast

import numpy as np
from pydantic import Field, field_validator

from device_profiles.errors import EngineError, StageError, StoreError
from device_profiles.records import Record
from stages import metrics
from stages.artifacts import TFLITE_FILE
from stages.context import StageContext
from stages.engines import host, registry
from stages.engines.pool import Job, predict_file
from stages.metrics import Array
from stages.records import Agreement, EngineEvaluation, EngineStatus, EvaluateResult

NAME = "evaluate"
VERSION = 1
LIBRARIES = ("numpy",)

SAMPLES_FILE, LABELS_FILE, REFERENCE_FILE = "x_test.npy", "y_test.npy", "outputs.npy"
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
    """

    seed: int = 0
    variant: str = ""
    engine_versions: dict[str, str | None] = Field(default_factory=dict)


def run(*, tflite: Path, data: Path, baseline: Path, options: Options, context: StageContext) -> EvaluateResult:
    """Run the test split in every engine; write `outputs_<engine>.npy`, (samples, classes) float32.

    Args:
        tflite: a convert artifact.
        data: a prepare artifact.
        baseline: a baseline artifact: the float Keras model's outputs.
        options: see `Options`.
        context: where to write.

    Raises:
        StageError: the model's inputs or outputs do not fit the data.
        DataError: outputs that are not finite.
        StoreError: an artifact without its files.
    """
    task = _Task(tflite, data, baseline, options, context)
    engines: dict[str, EngineEvaluation] = {}
    outputs: dict[str, Array] = {}
    for name in options.engines:
        engines[name] = task.evaluate(name, outputs)
        if name in outputs:
            np.save(context.out / f"outputs_{name}.npy", outputs[name])
    failed = [f"{e.engine}: {e.message}" for e in engines.values() if e.status in _AGAIN]
    idle = () if outputs else (f"{task.name}: no engine could run it",)
    return EvaluateResult(summary=_summary(engines.values()), provisional=tuple(failed), warnings=(*failed, *idle),
                          engines=engines, agreements=_agreements(outputs))


class _Task:
    """What all engines share: the tflite model, the samples, the labels and the reference."""

    def __init__(self, tflite: Path, data: Path, baseline: Path, options: Options, context: StageContext) -> None:
        self._options, self._context = options, context
        self.name = options.variant or tflite.name
        self._samples = data / SAMPLES_FILE
        self._labels = _load(data / LABELS_FILE)  # (samples,) int64
        self._reference = _load(baseline / REFERENCE_FILE)  # (samples, classes) float32
        try:
            self._tflite = (tflite / TFLITE_FILE).read_bytes()
        except OSError as error:
            raise StoreError(f"{tflite / TFLITE_FILE} cannot be read: {error.strerror}") from error
        metrics.check_outputs(self._reference, self._labels, self._reference.shape[-1], "the float Keras model")
        self._from_logits = metrics.are_logits(self._reference)

    def evaluate(self, engine: str, outputs: dict[str, Array]) -> EngineEvaluation:
        """One engine's figures, or why there are none; its outputs are added to `outputs`."""
        info = registry.engine_info(engine)
        if not info.available:
            return EngineEvaluation(engine=engine, engine_version="", status="unavailable", message=info.reason)
        version = info.version or ""
        try:
            outputs[engine] = self._predict(engine)
        except EngineError as error:
            return EngineEvaluation(engine=engine, engine_version=version, message=error.found,
                                    status=cast(EngineStatus, error.status))
        return self._score(engine, version, outputs[engine])

    def _predict(self, engine: str) -> Array:
        """(samples, classes) float32 outputs of one engine."""
        options = self._options
        job = Job(engine=engine, tflite=self._tflite, model=self.name, samples=self._samples,
                  batch=options.batch_size,
                  workers=options.workers or len(host.cores()), timeout_s=options.timeout_s, log=self._context.log)
        found = predict_file(job, lambda done, total: self._context.progress(done, total, f"{self.name} in {engine}"))
        if len(found.outputs) != 1:
            raise StageError(f"{self.name} has {len(found.outputs)} outputs", "1: one value per class",
                             "give a model with one output")
        outputs = found.outputs[0]
        metrics.check_outputs(outputs, self._labels, self._reference.shape[1], f"{self.name} in {engine}")
        return outputs

    def _score(self, engine: str, version: str, outputs: Array) -> EngineEvaluation:
        """Metrics, and the distance from the float Keras model."""
        options, labels = self._options, self._labels
        scores = metrics.classification_metrics(outputs, labels, from_logits=self._from_logits, seed=options.seed,
                                                resamples=options.resamples)
        drop = metrics.drop_figure(self._reference, outputs, labels, seed=options.seed, resamples=options.resamples)
        return EngineEvaluation(
            engine=engine, engine_version=version, status="ok", metrics=scores, drop=drop,
            changed=metrics.changed_labels(self._reference, outputs),
            largest_difference=float(abs(self._reference - outputs).max()))


def _load(path: Path) -> Array:
    """An array of an artifact.

    Raises:
        StoreError: it is missing or damaged.
    """
    try:
        loaded: Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(f"{path} cannot be read: {error}", "", "run again: what is missing is built anew") from error
    return loaded


def _agreements(outputs: dict[str, Array]) -> tuple[Agreement, ...]:
    """Every pair of engines that ran the model."""
    return tuple(
        Agreement(engines=(one, other), largest_difference=float(abs(outputs[one] - outputs[other]).max()),
                  equal_labels=1.0 - metrics.changed_labels(outputs[one], outputs[other]) / len(outputs[one]))
        for one, other in combinations(outputs, 2))


def _summary(engines: Iterable[EngineEvaluation]) -> str:
    """One line: "litert 97.5 % (drop 0.3), tflm refused"."""
    parts = [f"{e.engine} {100 * e.metrics.accuracy.value:.1f} % (drop {e.drop.value:.1f})" if e.metrics and e.drop
             else f"{e.engine} {e.status}" for e in engines]
    return ", ".join(parts)
