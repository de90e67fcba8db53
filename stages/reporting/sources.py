"""What a report is made from: the results of all stages, and what the plan alone knows."""

from __future__ import annotations

from pydantic import Field

from device_profiles.records import Record
from stages.calibrating.record import CalibrationStudy
from stages.records import (
    BaselineResult,
    BenchmarkResult,
    CheckResult,
    ConvertResult,
    DistilResult,
    EvaluateResult,
    ExamineResult,
    Mixing,
    ModelResult,
    PrepareResult,
    PruneResult,
    QuantizeResult,
    SensitivityResult,
    SlimResult,
    TrainResult,
)
from stages.records.npu import CompileResult

Training = TrainResult | DistilResult | SlimResult | PruneResult | QuantizeResult


class Sources(Record):
    """The results that a report is made from; variants keep the order of `converted`.

    Attributes:
        devices: by profile that was measured on a target of its own.
        compiled: by profile with an NPU, then by variant.
        sensitivities, mixings: by `mixed` variant, what its layers lose alone, and what was chosen.
    """

    data: PrepareResult
    trainings: dict[str, Training]
    converted: dict[str, ConvertResult]
    evaluated: dict[str, EvaluateResult]
    baseline: BaselineResult
    benchmark: BenchmarkResult
    check: CheckResult
    model: ModelResult | None = None
    examination: ExamineResult | None = None
    calibration: CalibrationStudy | None = None
    devices: dict[str, BenchmarkResult] = Field(default_factory=dict)
    compiled: dict[str, dict[str, CompileResult]] = Field(default_factory=dict)
    sensitivities: dict[str, SensitivityResult] = Field(default_factory=dict)
    mixings: dict[str, Mixing] = Field(default_factory=dict)


class Heading(Record):
    """What the plan knows and no stage does; see `stages.report.Options`."""

    run: str
    litesmith: str
    versions: dict[str, str]
    config: str
    tflite_path: str
