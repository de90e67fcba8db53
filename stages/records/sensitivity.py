"""How much each layer of a tflite model loses in each format, and which formats were chosen from that."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from device_profiles.records import Figure, Record
from stages.records.base import StageResult

LayerFormat = Literal["float32", "dynamic", "int8", "int16x8", "int4"]
Divergence = Literal["kl", "noise"]


class LayerTrial(Record):
    """The float model with one layer in another format.

    Attributes:
        format: of that layer; everything else computes in float.
        divergence: from the float model's outputs; see `SensitivityResult.divergence`.
        snr_db: energy of the float model's outputs over that of the difference, `10 log10`; None: no difference.
        score_drop_points: score of the float model less this one's, on the same samples.
        weight_bytes: of the layer's weights, bias and their scales, as stored in that format.
    """

    format: LayerFormat
    divergence: float
    snr_db: float | None
    score_drop_points: float
    weight_bytes: int


class LayerSensitivity(Record):
    """A layer, or several that share weights and so must share a format.

    Attributes:
        label: of the first: "3:CONV_2D conv/Relu".
        names: output tensors of all.
        macs: multiply-accumulates of one inference, of all.
        weights: elements of the kernel.
        float_bytes: of the layer's weights and bias in float32.
    """

    label: str
    names: tuple[str, ...]
    macs: int
    weights: int
    float_bytes: int
    trials: tuple[LayerTrial, ...]

    def trial(self, layer_format: str) -> LayerTrial | None:
        """What was tried in a format; None where nothing was."""
        return next((each for each in self.trials if each.format == layer_format), None)


class SensitivityResult(StageResult):
    """Each layer alone in each candidate format.

    Attributes:
        formats: candidates beside float32.
        divergence: "kl": mean of `sum(p log(p / q))` over the samples, for outputs that are probabilities of classes;
            "noise": energy of the outputs' difference over that of the float model's outputs.
        engine: that ran the models.
        samples: of the validation split.
        score_name: what dropped.
        score: of the float model on these samples.
        points_per_divergence: least-squares slope of the score's drop over the divergence, through the origin.
        layers: in the model's order.
        left_float: operators that no candidate format can take, with the reason.
    """

    formats: tuple[LayerFormat, ...]
    divergence: Divergence
    engine: str
    samples: int
    score_name: str
    score: float
    points_per_divergence: float
    layers: tuple[LayerSensitivity, ...]
    left_float: dict[str, str] = Field(default_factory=dict)


class MixedRound(Record):
    """One solution of the assignment, and what came of it.

    Attributes:
        divergence_allowed: bound of the sum of the layers' divergences that was solved for; None where the cost was
            bound instead.
        predicted_divergence, predicted_cost: by the additive model.
        gap: how far the solution may be from the best one, as a share of its cost; 0: proven best.
        drop_points: measured on the validation samples.
        tflite_bytes: of the assembled model.
        accepted: whether it keeps what was asked.
        formats: how many layers have each format.
    """

    divergence_allowed: float | None
    predicted_divergence: float
    predicted_cost: float
    gap: float
    drop_points: float
    tflite_bytes: int
    accepted: bool
    formats: dict[str, int]


class Mixing(Record):
    """The formats that were chosen.

    Attributes:
        candidates: formats to choose from.
        cost: "bytes", or "latency" on `profile` in milliseconds.
        profile: name, or "".
        asked: what was to be kept, for people.
        formats: by layer label.
        rounds: in the order in which they were solved.
        chosen: which of them.
        drop: of the chosen one, on the validation samples, with its interval.
        predicted_cost: of the chosen one, in bytes or milliseconds.
        boundaries: QUANTIZE and DEQUANTIZE operators in the assembled model.
    """

    candidates: tuple[LayerFormat, ...]
    cost: Literal["bytes", "latency"]
    profile: str = ""
    asked: str
    formats: dict[str, LayerFormat]
    rounds: tuple[MixedRound, ...]
    chosen: int
    drop: Figure
    predicted_cost: float
    boundaries: int
