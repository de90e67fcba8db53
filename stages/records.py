"""What stages return: one vocabulary of frozen records. Imports no sibling.

Every record can be written as JSON and read back; `result.json` in an artifact is the record of the stage that made it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from device_profiles.records import Figure, Provenance, Record

EngineStatus = Literal["ok", "unavailable", "refused", "crashed", "timeout"]
Verdict = Literal["pass", "fail", "undecided", "unknown"]


class StageResult(Record):
    """Base of every stage's result.

    Attributes:
        summary: one line for people: "accuracy 98.3 % on 270 validation samples, 24 epochs".
        provisional: what went wrong in passing (a crash, a time limit); a result with an entry is kept, but the call is
            made again by the next run.
        warnings: what a user should know; shown once at the end of the run.
    """

    summary: str
    provisional: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


# -- data and training -------------------------------------------------------------------------------------------


class SplitReport(Record):
    """One split: samples, and counts per class in the order of the class names."""

    samples: int
    class_counts: tuple[int, ...]


class Normalization(Record):
    """How raw inputs become model inputs: `x_model = (x_raw - offset) / scale`, elementwise over the last axis.

    Attributes:
        kind: the option that chose it: "none", "minmax" or "standard".
        offset: one value, or one per channel.
        scale: one value, or one per channel; never 0.
    """

    kind: str
    offset: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)


class PrepareResult(StageResult):
    """The data report.

    Attributes:
        source: what the run file named.
        input_shape: shape of one sample, without the batch axis.
        class_names: in label order: label `i` is `class_names[i]`.
        splits: by "train", "validation", "test".
        normalization: fitted on the training split alone.
        nan_samples: samples with a NaN or an infinity (an error unless 0 was made so by dropping them).
        constant_samples: samples whose elements are all equal.
        constant_features: input elements that never change over the training split.
        duplicates_within: exact duplicates inside a split.
        duplicates_across: exact duplicates between two splits (leakage), by "train/test" and so on.
    """

    source: str
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    splits: dict[str, SplitReport]
    normalization: Normalization
    nan_samples: int
    constant_samples: int
    constant_features: int
    duplicates_within: dict[str, int]
    duplicates_across: dict[str, int]


class History(Record):
    """Learning curves: one value an epoch."""

    loss: tuple[float, ...]
    accuracy: tuple[float, ...]
    validation_loss: tuple[float, ...]
    validation_accuracy: tuple[float, ...]
    best_epoch: int
    stopped_early: bool


class TrainResult(StageResult):
    """A trained model: curves, and its size."""

    history: History
    parameters: int


class PruneResult(StageResult):
    """A pruned or clustered model, with what was verified on its weights after the wrappers were stripped.

    Attributes:
        sparsity: share of zeros over all pruned kernels, counted, 0 to 1.
        layer_sparsity: the same by layer name.
        shared_values: by layer name, distinct values in a clustered kernel; empty where nothing was clustered.
        skipped_layers: layers that were left alone, with the reason.
    """

    history: History
    sparsity: float
    layer_sparsity: dict[str, float]
    shared_values: dict[str, int]
    skipped_layers: dict[str, str]


class QuantizeResult(StageResult):
    """Either a QAT model (`history` is there) or the calibration set and recipe of a post-training format.

    Attributes:
        format: the number format.
        method: "qat", "pqat", "cqat", "pcqat", "static", "dynamic", "float16" or "none".
        calibration_samples: how many training samples set the ranges; 0 where none are needed.
        calibration_class_counts: the same per class.
        not_quantized: layers that stay in float, with the reason.
        sparsity: for QAT after pruning, share of zeros that is left, counted; else None.
        shared_values: for QAT after clustering, distinct values by layer, counted.
    """

    format: str
    method: str
    history: History | None = None
    calibration_samples: int = 0
    calibration_class_counts: tuple[int, ...] = ()
    not_quantized: dict[str, str] = Field(default_factory=dict)
    sparsity: float | None = None
    shared_values: dict[str, int] = Field(default_factory=dict)


class ConvertResult(StageResult):
    """A tflite model.

    Attributes:
        format: the number format.
        converter: what made it, with its version: "TFLiteConverter 2.21.0", "litert-quantizer 0.11.0".
        tflite_bytes: size of the file.
        sha256: of the file.
    """

    format: str
    converter: str
    tflite_bytes: int
    sha256: str


# -- evaluation --------------------------------------------------------------------------------------------------


class Metrics(Record):
    """Classification metrics on the test split.

    Shares are figures with unit "fraction"; `log_loss` is in nats. `confusion[i][j]` counts samples of class `i` that
    were given label `j`.
    """

    samples: int
    accuracy: Figure
    precision: Figure
    recall: Figure
    f1: Figure
    log_loss: Figure
    per_class_recall: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]


class EngineEvaluation(Record):
    """One tflite model in one engine.

    Attributes:
        status: "ok", or why there are no metrics; `message` says it in words.
        drop: accuracy of the float Keras model less this one's, in points, with a paired bootstrap interval.
        changed: predictions that differ from the float Keras model's.
        largest_difference: of any output from the float Keras model's, in units of the output.
    """

    engine: str
    engine_version: str
    status: EngineStatus
    message: str = ""
    metrics: Metrics | None = None
    drop: Figure | None = None
    changed: int | None = None
    largest_difference: float | None = None


class Agreement(Record):
    """How far two engines agree on the same tflite model and inputs."""

    engines: tuple[str, str]
    largest_difference: float
    equal_labels: float


class EvaluateResult(StageResult):
    """One tflite model in every engine; by engine name. Outputs are in the artifact as `outputs_<engine>.npy`."""

    engines: dict[str, EngineEvaluation]
    agreements: tuple[Agreement, ...] = ()


class BaselineResult(StageResult):
    """The float Keras model on the test split. Its outputs are in the artifact as `outputs.npy`."""

    metrics: Metrics


# -- benchmark ---------------------------------------------------------------------------------------------------


class Host(Record):
    """The machine that measured."""

    cpu: str
    architecture: str
    cores: int
    memory_bytes: int
    system: str
    python: str


class OperatorTime(Record):
    """Time of one operator of the tflite model, where the engine gives it."""

    index: int
    operator: str
    latency_ms: float


class EngineBenchmark(Record):
    """One tflite model measured in one engine.

    Attributes:
        load: from bytes to a model that can be invoked, ms.
        first_inference: the first one, ms.
        median, p90, p99, minimum: of one inference (batch 1), ms; a percentile is None where the samples do not
            support it.
        throughput: inferences a second at batch 1.
        peak_memory: resident set of the worker at its highest, less its baseline before the model was loaded, bytes.
        arena: bytes of the tensor arena, exact (tflm only).
        samples_ms: every sample, in order, in the artifact's `samples.json`; here a summary for plots: the deciles
            0, 10, ... 100 %.
        rounds: how many interleaved rounds the samples came in.
    """

    engine: str
    engine_version: str
    status: EngineStatus
    message: str = ""
    threads: int = 1
    cpus: tuple[int, ...] = ()
    load: Figure | None = None
    first_inference: Figure | None = None
    median: Figure | None = None
    p90: Figure | None = None
    p99: Figure | None = None
    minimum: Figure | None = None
    throughput: Figure | None = None
    peak_memory: Figure | None = None
    arena: Figure | None = None
    deciles_ms: tuple[float, ...] = ()
    rounds: int = 0
    operator_times: tuple[OperatorTime, ...] = ()


class BenchmarkResult(StageResult):
    """Every variant in every engine: `variants[name][engine]`."""

    host: Host
    variants: dict[str, dict[str, EngineBenchmark]]


# -- check -------------------------------------------------------------------------------------------------------


class LimitVerdict(Record):
    """One limit of one profile on one variant.

    Attributes:
        limit: "operators", "formats", "latency_median_ms", "tflite_bytes", "arena_bytes", "accuracy_drop_points", ...
        verdict: see DESIGN: the spread spans the bound -> undecided; no figure can be had -> unknown.
        found: the figure, or None.
        found_text: the same for people; for a refusal, what is missing: "operator TRANSPOSE_CONV version 3".
        allowed: the bound, in the figure's unit, or None.
        allowed_text: the same for people.
        provenance: of the figure; None where there is none.
        why: a sentence where the verdict is not "pass".
    """

    limit: str
    verdict: Verdict
    found: Figure | None = None
    found_text: str
    allowed: float | None = None
    allowed_text: str
    provenance: Provenance | None = None
    why: str = ""


class VariantCheck(Record):
    """All limits of one profile on one variant; `verdict` is the worst of them (fail, unknown, undecided, pass)."""

    variant: str
    verdict: Verdict
    limits: tuple[LimitVerdict, ...]


class ProfileCheck(Record):
    """All variants on one profile.

    Attributes:
        engine: the engine that the profile runs.
        winner: the variant picked by `choice` among those that pass, or None.
        reason: why it won, or why there is none, in a sentence.
        picks: the winner by each choice ("smallest", "fastest", "most-accurate"), where one passes.
        latency: by variant, the figure that latency limits were held against, or None where none can be had.
    """

    profile: str
    device: str
    device_class: str
    engine: str
    required: bool
    choice: str
    winner: str | None
    reason: str
    picks: dict[str, str]
    latency: dict[str, Figure | None]
    variants: dict[str, VariantCheck]


class CheckResult(StageResult):
    """Every profile, by name. `fits` is False when a required profile has no winner."""

    profiles: dict[str, ProfileCheck]
    fits: bool
