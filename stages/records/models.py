"""What is known of a model: where it is from, how it was trained, pruned, quantized and converted."""

from __future__ import annotations

from pydantic import Field

from device_profiles.records import Record
from stages.records.base import StageResult
from stages.records.packing import Packing
from stages.records.sensitivity import Mixing


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


class DistilResult(StageResult):
    """A student that a teacher trained: curves, sizes, and how good the teacher is.

    Attributes:
        history: of the student; `loss` holds the teacher's part, the validation loss is the task's own.
        parameters: of the student.
        teacher_parameters: of the teacher.
        teacher_loss: on the validation split, the task's own.
        teacher_score: on the validation split; NaN where it is not defined there.
    """

    history: History
    parameters: int
    teacher_parameters: int
    teacher_loss: float
    teacher_score: float


class PruneResult(StageResult):
    """A pruned or clustered model, with what was verified on its weights after the wrappers were stripped.

    Attributes:
        sparsity: share of zeros over all kernels that may be pruned, counted, 0 to 1.
        layer_sparsity: the same by layer name, of those that were pruned.
        shared_values: by layer name, distinct values in a clustered kernel; empty where nothing was clustered.
        skipped_layers: layers that were left alone, with the reason.
        pattern: "2of4" where two of every four weights are zero; else empty.
        sensitivity: by layer name, points of the validation score that pruning or clustering this kernel alone cost
            before any training; empty where it was not measured. NaN where the task has no score on the samples.
    """

    history: History
    sparsity: float
    layer_sparsity: dict[str, float]
    shared_values: dict[str, int]
    skipped_layers: dict[str, str]
    pattern: str = ""
    sensitivity: dict[str, float] = Field(default_factory=dict)


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
        algorithm: how weights become integers: "minmax", "mse", "octav" or "gptq"; "" for QAT and float16.
        bias_correction: whether biases take up the shift that this makes.
        ranges: where activation ranges end: "extremes" or "mse"; "" where there are none, or they are learnt.
        mixing: for `mixed`: the formats that were chosen, and how.
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
    algorithm: str = ""
    bias_correction: bool = False
    ranges: str = ""
    mixing: Mixing | None = None


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
        packing: where its weights are in a code: what that made of it.
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
    packing: Packing | None = None


class PackResult(ConvertResult):
    """A tflite model whose weights are in codes that TFLM decodes."""

    packing: Packing
