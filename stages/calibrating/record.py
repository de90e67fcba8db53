"""What a calibration study returns."""

from __future__ import annotations

from device_profiles.records import Figure, Record
from stages.records import StageResult


class CalibrationPoint(Record):
    """One size of calibration set, in several draws.

    Attributes:
        samples: in the set.
        scores: of the quantized model, one a draw.
        drops: score of the float model less this one's, in points, one a draw.
        differences: score at the study's largest size less this one's, in points, one a draw; empty at that size.
        changed: samples that are decided otherwise than by the float model, one a draw; empty for a task that decides
            nothing.
        distances: mean absolute difference of the outputs from the float model's, one a draw; it moves where the score
            does not.
        range_shares: width of the activations' ranges as a share of that at the largest size, averaged over tensors,
            one a draw.
        differs: whether a difference is proven at this size in any draw.
    """

    samples: int
    scores: tuple[float, ...]
    drops: tuple[Figure, ...]
    differences: tuple[Figure, ...] = ()
    changed: tuple[int, ...] = ()
    distances: tuple[float, ...] = ()
    range_shares: tuple[float, ...]
    differs: bool = False


class CalibrationStudy(StageResult):
    """Score against the number of calibration samples. The plot is in the artifact as `calibration.png`.

    Attributes:
        format: the number format.
        engine: that ran the models.
        split: that they were scored on, with so many `scored` samples.
        score_name: "accuracy", "R2", ...
        float_score: of the float32 tflite model in the same engine.
        points: by size, ascending.
        enough: the smallest size from which on no difference is proven; None where the last but one still differs.
        resolution_points: the smallest difference that could have been proven from `enough` on, in points.
    """

    format: str
    engine: str
    engine_version: str
    split: str
    scored: int
    strategy: str
    score_name: str
    float_score: float
    points: tuple[CalibrationPoint, ...]
    enough: int | None
    resolution_points: float
