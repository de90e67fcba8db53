"""What stages return: one vocabulary of frozen records. Imports no other part of `stages`.

Every record can be written as JSON and read back; `result.json` in an artifact is the record of the stage that made it.
"""

from __future__ import annotations

from stages.records.base import EngineStatus, StageResult, Verdict
from stages.records.benchmark import BenchmarkResult, EngineBenchmark, Host, OperatorTime
from stages.records.check import CheckResult, LimitVerdict, ProfileCheck, ProfileOutcome, VariantCheck
from stages.records.compression import BeforeAfter, SlimAudition, SlimBranch, SlimLatency, SlimResult, SlimRound
from stages.records.data import (
    ExamineResult,
    GroupSizes,
    InputExtremes,
    LabelErrors,
    NearDuplicates,
    NearPair,
    Normalization,
    PrepareResult,
    Sample,
    SkippedSample,
    SplitReport,
    SuspectedLabel,
    TensorSpec,
)
from stages.records.evaluation import (
    Agreement,
    BaselineResult,
    Calibration,
    Corrupted,
    EngineEvaluation,
    EvaluateResult,
    McNemar,
    Member,
    Metrics,
    PairedCounts,
    Safety,
    Worst,
)
from stages.records.explaining import Cause, Change, ExplainResult, LayerNoise, Slowness, Step, Trial
from stages.records.models import (
    CalibrationReport,
    ConvertResult,
    DistilResult,
    History,
    InputRange,
    ModelResult,
    PackResult,
    PruneResult,
    QuantizeResult,
    TrainResult,
)
from stages.records.packing import PackedTensor, Packing
from stages.records.sensitivity import LayerSensitivity, LayerTrial, MixedRound, Mixing, SensitivityResult

__all__ = [
    "Agreement", "BaselineResult", "BeforeAfter", "BenchmarkResult", "Calibration", "CalibrationReport", "Cause",
    "Change", "CheckResult", "ConvertResult", "Corrupted", "DistilResult", "EngineBenchmark", "EngineEvaluation",
    "EngineStatus", "EvaluateResult", "ExamineResult", "ExplainResult", "GroupSizes", "History", "Host",
    "InputExtremes", "InputRange", "LabelErrors", "LayerNoise", "LayerSensitivity", "LayerTrial", "LimitVerdict",
    "McNemar", "Member", "Metrics", "MixedRound", "Mixing", "ModelResult", "NearDuplicates", "NearPair",
    "Normalization", "OperatorTime", "PackResult", "PackedTensor", "Packing", "PairedCounts", "PrepareResult",
    "ProfileCheck", "ProfileOutcome", "PruneResult", "QuantizeResult", "Safety", "Sample", "SensitivityResult",
    "SkippedSample", "SlimAudition", "SlimBranch", "SlimLatency", "SlimResult", "SlimRound", "Slowness", "SplitReport",
    "StageResult", "Step", "SuspectedLabel", "TensorSpec", "TrainResult", "Trial", "VariantCheck", "Verdict", "Worst",
]
