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


class SkippedSample(Record):
    """A sample that could not be read: its file or row, and the reason."""

    name: str
    reason: str


class SplitReport(Record):
    """One split: samples, and counts per class in the order of the class names (none where labels are values)."""

    samples: int
    class_counts: tuple[int, ...] = ()
    groups: int = 0


class Normalization(Record):
    """How raw inputs become model inputs: `x_model = (x_raw - offset) / scale`, elementwise over the last axis.

    Attributes:
        kind: the option that chose it: "none", "minmax", "standard", "symmetric", "fixed".
        offset: one value, or one per channel.
        scale: one value, or one per channel; never 0.
    """

    kind: str
    offset: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)


class TensorSpec(Record):
    """One input or output of the data.

    Attributes:
        shape: of one sample, without the batch axis.
        dtype: as it is stored: "uint8" or "float32"; the model is given float32.
        normalization: what stands between stored and given values.
    """

    shape: tuple[int, ...]
    dtype: str
    normalization: Normalization = Normalization(kind="none")


class PrepareResult(StageResult):
    """The data report.

    Attributes:
        source: what the run file named.
        task: the task's kind.
        inputs: by input name; a data set with one input calls it "input".
        class_names: in label order: label `i` is `class_names[i]`; () where labels are values.
        targets: by output name, how targets became what the model is trained on (regression); else empty.
        splits: by "train", "validation", "test".
        split_by: what kept samples together: "sample" or "group".
        nan_samples: samples with a NaN or an infinity (an error unless 0 was made so by dropping them).
        constant_samples: samples whose elements are all equal.
        constant_features: input elements that never change over the training split.
        duplicates_within: exact duplicates inside a split.
        duplicates_across: exact duplicates between two splits (leakage), by "train/test" and so on.
        skipped: samples that could not be read: the first of them by name, and how many in all.
    """

    source: str
    task: str = "classification"
    inputs: dict[str, TensorSpec]
    class_names: tuple[str, ...]
    targets: dict[str, TensorSpec] = Field(default_factory=dict)
    splits: dict[str, SplitReport]
    split_by: str = "sample"
    nan_samples: int
    constant_samples: int
    constant_features: int
    duplicates_within: dict[str, int]
    duplicates_across: dict[str, int]
    skipped: tuple[SkippedSample, ...] = ()
    skipped_samples: int = 0


class Sample(Record):
    """One sample: where it is, and what its source called it.

    Attributes:
        split: "train", "validation" or "test".
        index: row in that split.
        name: from the source (a file, a row), or empty.
        label: its class, or its value; empty where that is several.
    """

    split: str
    index: int
    name: str = ""
    label: str = ""


class NearPair(Record):
    """Two samples that show nearly the same, and how alike they are: correlation at the best small shift, up to 1."""

    first: Sample
    second: Sample
    similarity: float


class NearDuplicates(Record):
    """Samples that nearly repeat another one; exact repeats are counted by `prepare` and left out here.

    Attributes:
        left_out: why nothing was looked for; else empty.
        method: how it was looked for, with the thresholds that were used.
        within: pairs inside a split, by split.
        across: pairs between two splits (leakage), by "train/test" and so on.
        samples_across: by the same keys, how many samples of the later split have such a pair.
        pairs: the ones to look at first: across splits before within, most alike first.
    """

    left_out: str = ""
    method: str = ""
    within: dict[str, int] = Field(default_factory=dict)
    across: dict[str, int] = Field(default_factory=dict)
    samples_across: dict[str, int] = Field(default_factory=dict)
    pairs: tuple[NearPair, ...] = ()


class SuspectedLabel(Record):
    """A sample whose label a cross-validated model contradicts.

    Attributes:
        sample: with its label as given.
        suggested: the class, or the value, that the model gives.
        margin: for classes, probability of the suggested one less that of the given one; for values, the residual in
            robust standard deviations.
    """

    sample: Sample
    suggested: str
    margin: float


class LabelErrors(Record):
    """Labels suspected by cross-validation; a suspicion, not a proof.

    Attributes:
        left_out: why none were looked for, or why none are listed; else empty.
        method: the model and the folds.
        score: what the model reached on samples that it was not fitted on; its suspicions are worth no more.
        suspected: how many.
        listed: the first of them, strongest suspicion first.
    """

    left_out: str = ""
    method: str = ""
    score: Figure | None = None
    suspected: int = 0
    listed: tuple[SuspectedLabel, ...] = ()


class InputExtremes(Record):
    """Stored values of one input at the ends of their range: saturated pixels, clipped audio.

    Attributes:
        lowest, highest: over the samples that were examined, as stored.
        share_lowest, share_highest: of all elements that lie exactly there, 0 to 1.
        clipped_samples: samples of whose elements more than a fifth lie at one end while most samples have far fewer.
    """

    lowest: float
    highest: float
    share_lowest: float
    share_highest: float
    clipped_samples: int = 0


class GroupSizes(Record):
    """Samples by group (speaker, patient) in one split."""

    groups: int
    smallest: int
    median: float
    largest: int


class ExamineResult(StageResult):
    """What a closer look at the data finds; costly parts look at a sample of it.

    Attributes:
        samples: by split, how many there are.
        examined: by split, how many the costly parts looked at.
        imbalance: by split, largest class over smallest class that occurs; empty where labels are values.
        extremes: by input name.
        groups: by split; empty where the source has no groups.
        thumbnails: whether the artifact holds `thumbnails.json`, pictures of the samples that are listed.
    """

    samples: dict[str, int]
    examined: dict[str, int]
    imbalance: dict[str, float] = Field(default_factory=dict)
    extremes: dict[str, InputExtremes] = Field(default_factory=dict)
    groups: dict[str, GroupSizes] = Field(default_factory=dict)
    near_duplicates: NearDuplicates
    label_errors: LabelErrors
    thumbnails: bool = False


class History(Record):
    """Learning curves: one value an epoch.

    Attributes:
        score_name: what `score` is: the task's own score ("accuracy", "macro F1", "R2", ...); higher is better.
        best_epoch: 0-based; the one with the lowest validation loss.
    """

    score_name: str = "accuracy"
    loss: tuple[float, ...]
    score: tuple[float, ...]
    validation_loss: tuple[float, ...]
    validation_score: tuple[float, ...]
    best_epoch: int
    stopped_early: bool


class ModelResult(StageResult):
    """A Keras model (`model.keras`) or a float32 tflite model (`model.tflite`), as it was taken in or built.

    Attributes:
        origin: what the run file named.
        kind: "builder", "application", "function", "keras3", "keras2", "h5", "saved_model" or "tflite".
        trained: whether it came with trained weights.
        parameters: how many; 0 where it is not known.
        layers: how many; operators for a tflite model.
        changed: by layer, what the bridge from Keras 3 wrote differently, in words.
        proof: largest difference of any output between the model as given and as taken in, on `proof_samples`
            samples (`proof_on` says which); None where nothing was translated.
        trusted: what was found in the file and let through because the user said so.
    """

    origin: str
    kind: str
    trained: bool
    parameters: int = 0
    layers: int = 0
    changed: dict[str, str] = Field(default_factory=dict)
    proof: float | None = None
    proof_samples: int = 0
    proof_on: str = ""
    trusted: tuple[str, ...] = ()


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


class InputRange(Record):
    """What a calibration set holds of one input, in the model's units.

    Attributes:
        low, high: smallest and largest value.
        low_row, high_row: rows of the training split that have them.
        beyond_low, beyond_high: how far they lie beyond the 0.1st and the 99.9th percentile of all values, as a share
            of the span between these; a large one means that single values set the range.
        outside: share of the values of up to 1,000 other training samples that lie beyond the range.
    """

    low: float
    high: float
    low_row: int
    high_row: int
    beyond_low: float
    beyond_high: float
    outside: float


class CalibrationReport(Record):
    """The training samples that set the activation ranges.

    Attributes:
        strategy: how they were chosen: "balanced", "random", "all" or "outliers-dropped".
        samples: how many, of `available`.
        class_counts: how many of each class; () where labels are values.
        duplicates: samples that repeat another one of the set exactly.
        outliers: rows of the training split whose smallest or largest value lies far out; the first ten.
        outlier_count: how many there are.
        inputs: by input name.
    """

    strategy: str
    samples: int
    available: int
    class_counts: tuple[int, ...] = ()
    duplicates: int = 0
    outliers: tuple[int, ...] = ()
    outlier_count: int = 0
    inputs: dict[str, InputRange]


class QuantizeResult(StageResult):
    """Either a QAT model (`history` is there) or the calibration set and recipe of a post-training format.

    Attributes:
        format: the number format.
        method: "qat", "pqat", "cqat", "pcqat", "static", "dynamic", "float16" or "none".
        calibration_samples: how many training samples set the ranges; 0 where none are needed.
        calibration_class_counts: the same per class.
        calibration: what is in the calibration set; None where none is needed.
        not_quantized: layers that stay in float, with the reason.
        rewritten: for QAT: layers that were folded into others or written another way beforehand, and how.
        sparsity: for QAT after pruning, share of zeros that is left, counted; else None.
        shared_values: for QAT after clustering, distinct values by layer, counted.
    """

    format: str
    method: str
    history: History | None = None
    calibration_samples: int = 0
    calibration_class_counts: tuple[int, ...] = ()
    calibration: CalibrationReport | None = None
    not_quantized: dict[str, str] = Field(default_factory=dict)
    rewritten: dict[str, str] = Field(default_factory=dict)
    sparsity: float | None = None
    shared_values: dict[str, int] = Field(default_factory=dict)


class ConvertResult(StageResult):
    """A tflite model.

    Attributes:
        format: the number format.
        converter: what made it, with its version: "TFLiteConverter 2.21.0", "litert-quantizer 0.11.0".
        tflite_bytes: size of the file.
        sha256: of the file.
        signature: the signature that names inputs and outputs; "" where only the tensors' names do.
        input_types, output_types: by name: "float32", "int8", "uint8", ...
        input_shapes: by name, of one sample without the batch axis; -1 where the model leaves an axis open.
        folded: whether the preprocessing is inside: the device gives stored values as they are. Else it gives
            `(stored - offset) / scale` as `preprocessing.json` has it, quantized where the input is an integer type.
        folded_by: how, by input name: "quantization" (the input's scale and zero point) or "operators".
    """

    format: str
    converter: str
    tflite_bytes: int
    sha256: str
    signature: str = ""
    input_types: dict[str, str] = Field(default_factory=dict)
    output_types: dict[str, str] = Field(default_factory=dict)
    input_shapes: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    folded: bool = False
    folded_by: dict[str, str] = Field(default_factory=dict)


# -- evaluation --------------------------------------------------------------------------------------------------


class Metrics(Record):
    """What a task measures on the test split.

    Attributes:
        task: the task's kind.
        samples: how many were scored.
        score: key in `figures` of the figure that a drop is measured in; a share up to 1, higher is better.
        figures: by name, in the order to be shown. Classification: accuracy, precision, recall, f1, log_loss. See
            `stages.tasks` for the others.
        per_class_recall: in label order; () for tasks without classes.
        confusion: `confusion[i][j]` counts samples of class `i` that were given label `j`; () for other tasks.
    """

    task: str = "classification"
    samples: int
    score: str = "accuracy"
    figures: dict[str, Figure]
    per_class_recall: tuple[float, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()

    @property
    def headline(self) -> Figure:
        """The figure that a drop is measured in."""
        return self.figures[self.score]


class EngineEvaluation(Record):
    """One tflite model in one engine.

    Attributes:
        status: "ok", or why there are no metrics; `message` says it in words.
        metrics: of the model's output; of its first one where it has several.
        outputs: by output name, the metrics of each, for a model with several; else empty.
        drop: score of the float model less this one's, in points (hundredths), with a paired bootstrap interval; the
            largest of all outputs.
        changed: predictions that differ from the float model's; None for tasks that decide nothing.
        largest_difference: of any output from the float Keras model's, in units of the output.
    """

    engine: str
    engine_version: str
    status: EngineStatus
    message: str = ""
    metrics: Metrics | None = None
    outputs: dict[str, Metrics] = Field(default_factory=dict)
    drop: Figure | None = None
    changed: int | None = None
    largest_difference: float | None = None


class Agreement(Record):
    """How far two engines agree on the same tflite model and inputs.

    Attributes:
        equal_labels: share of samples that both decide alike; None for tasks that decide nothing.
    """

    engines: tuple[str, str]
    largest_difference: float
    equal_labels: float | None = None


class EvaluateResult(StageResult):
    """One tflite model in every engine; by engine name. Outputs are in the artifact as `outputs_<engine>.npy`."""

    engines: dict[str, EngineEvaluation]
    agreements: tuple[Agreement, ...] = ()


class BaselineResult(StageResult):
    """The float model on the test split. Its outputs are in the artifact as `outputs.npy`.

    Attributes:
        metrics: of its output; of its first one where it has several.
        outputs: by output name, the metrics of each, for a model with several; else empty.
    """

    metrics: Metrics
    outputs: dict[str, Metrics] = Field(default_factory=dict)


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
