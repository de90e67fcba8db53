"""A made-up run, as realistic as the shape asks for: nine variants, three engines, three profiles.

Its numbers are invented for tests of rendering and stand nowhere else. Change one with `model_copy(update=...)`.
"""

from __future__ import annotations

import numpy as np

from device_profiles.records import Figure
from stages.calibrating.record import CalibrationPoint, CalibrationStudy
from stages.examining.thumbnails import thumbnail
from stages.records import (
    Agreement,
    BaselineResult,
    BenchmarkResult,
    CheckResult,
    ConvertResult,
    EngineBenchmark,
    EngineEvaluation,
    EvaluateResult,
    ExamineResult,
    GroupSizes,
    History,
    Host,
    InputExtremes,
    LabelErrors,
    LimitVerdict,
    Metrics,
    ModelResult,
    NearDuplicates,
    NearPair,
    Normalization,
    OperatorTime,
    PrepareResult,
    ProfileCheck,
    PruneResult,
    QuantizeResult,
    Sample,
    SplitReport,
    SuspectedLabel,
    TensorSpec,
    TrainResult,
    VariantCheck,
)
from stages.reporting.sources import Heading, Sources

CLASSES = tuple(str(digit) for digit in range(10))
# variant: bytes, correct of 360, litert ms, tflite-runtime ms, arena
VARIANTS: dict[str, tuple[int, int, float, float, int | None]] = {
    "float32": (84_212, 354, 0.0214, 0.0252, 13_824),
    "float16": (45_120, 354, 0.0221, 0.0258, None),
    "dynamic": (27_344, 353, 0.0243, 0.0461, None),
    "int8": (26_480, 352, 0.0262, 0.0894, 4_912),
    "int8qat": (26_912, 354, 0.0264, 0.0901, 4_912),
    "int16x8": (28_736, 354, 0.0871, 0.1313, 8_720),
    "pruned75-int8": (26_480, 349, 0.0261, 0.0893, 4_912),
    "pruned75-int8qat": (26_912, 351, 0.0263, 0.0899, 4_912),
    "clustered16-int8": (26_480, 351, 0.0262, 0.0896, 4_912),
}


def figure(value: float, unit: str, *, samples: int = 1, spread: float = 0.0, provenance: str = "measured",
           method: str = "") -> Figure:
    """A figure whose interval is `value` plus and minus `spread`; none for a spread of 0."""
    interval = (value - spread, value + spread) if spread else None
    return Figure(value=value, unit=unit, samples=samples, interval=interval, provenance=provenance, method=method)


def metrics(correct: int, total: int = 360) -> Metrics:
    """Metrics of a classifier whose errors all go to the next class."""
    wrong = total - correct
    rows = []
    for label in range(10):
        errors = wrong // 10 + (1 if label < wrong % 10 else 0)
        row = [0] * 10
        row[label], row[(label + 1) % 10] = 36 - errors, errors
        rows.append(tuple(row))
    share = correct / total
    one = figure(share, "fraction", samples=total, spread=0.013)
    figures = {"accuracy": one, "precision": one, "recall": one, "f1": one,
               "log_loss": figure(0.08, "nats", samples=total)}
    return Metrics(samples=total, figures=figures,
                   per_class_recall=tuple(row[index] / 36 for index, row in enumerate(rows)), confusion=tuple(rows))


def _evaluation(name: str) -> EvaluateResult:
    correct = VARIANTS[name][1]
    engines = {}
    for engine, version, less in (("litert", "2.3.0", 0), ("tflite-runtime", "2.14.0", 1), ("tflm", "dev", 0)):
        if engine == "tflm" and VARIANTS[name][4] is None:
            engines[engine] = EngineEvaluation(
                engine=engine, engine_version=version, status="refused",
                message="hybrid models are not supported: node 1 CONV_2D has float inputs and int8 weights")
            continue
        drop = figure((354 - correct + less) / 3.6, "points", samples=360, spread=0.7,
                      method="paired bootstrap of 2,000 resamples")
        engines[engine] = EngineEvaluation(
            engine=engine, engine_version=version, status="ok", metrics=metrics(correct - less), drop=drop,
            changed=354 - correct + less, largest_difference=0.012)
    agreements = (Agreement(engines=("litert", "tflite-runtime"), largest_difference=0.0039, equal_labels=359 / 360),)
    return EvaluateResult(summary="evaluated", engines=engines, agreements=agreements)


def latency(median: float, engine: str, version: str, arena: int | None = None) -> EngineBenchmark:
    """A benchmark of 300 samples whose deciles rise evenly up to the 90th and then jump."""
    deciles = (*(median * (0.95 + 0.01 * step) for step in range(10)), median * 2.5)
    return EngineBenchmark(
        engine=engine, engine_version=version, status="ok", threads=1, cpus=(0,), rounds=10, deciles_ms=deciles,
        load=figure(1.2, "ms"), first_inference=figure(median * 6, "ms"),
        median=figure(median, "ms", samples=300, spread=median * 0.01, method="median; bootstrap of 1,000 resamples"),
        p90=figure(median * 1.04, "ms", samples=300, spread=median * 0.02), p99=None,
        minimum=figure(median * 0.95, "ms", samples=300), throughput=figure(1000 / median, "1/s", samples=300),
        peak_memory=figure(2_400_000, "bytes"), arena=figure(arena, "bytes") if arena else None,
        operator_times=(OperatorTime(index=0, operator="CONV_2D", latency_ms=median * 0.7),
                        OperatorTime(index=1, operator="FULLY_CONNECTED", latency_ms=median * 0.2)))


def _benchmark() -> BenchmarkResult:
    variants = {}
    for name, (_, _, litert, runtime, arena) in VARIANTS.items():
        tflm = latency(litert * 40, "tflm", "dev", arena) if arena else EngineBenchmark(
            engine="tflm", engine_version="dev", status="refused", message="hybrid models are not supported")
        variants[name] = {"litert": latency(litert, "litert", "2.3.0"),
                          "tflite-runtime": latency(runtime, "tflite-runtime", "2.14.0"), "tflm": tflm}
    host = Host(cpu="Example CPU 2.4 GHz", architecture="x86_64", cores=2, memory_bytes=8 * 1024**3,
                system="Linux 6.1", python="3.11.2")
    return BenchmarkResult(summary="27 measured", host=host, variants=variants)


def limit(name: str, verdict: str, found: Figure | None, found_text: str, allowed: float | None, allowed_text: str,
          why: str = "") -> LimitVerdict:
    """One verdict."""
    return LimitVerdict(limit=name, verdict=verdict, found=found, found_text=found_text, allowed=allowed,
                        allowed_text=allowed_text, provenance=found.provenance if found else None, why=why)


def _on_profile(name: str, profile: str) -> VariantCheck:
    """The iot profile refuses what has no arena and is unsure about int16x8's latency; the others pass all."""
    size, correct, _, _, arena = VARIANTS[name]
    limits = []
    if profile == "iot" and arena is None:
        limits.append(limit("operators", "fail", None, "CONV_2D with float input and int8 weights", None,
                            "what TFLM runs", "tflm refuses the model: hybrid models are not supported"))
    bound = {"cpu": 200_000, "mobile": 100_000, "iot": 65_536}[profile]
    size_verdict = "pass" if size <= bound else "fail"
    limits.append(limit("tflite_bytes", size_verdict, figure(size, "bytes"), f"{size:,} bytes", bound,
                        f"at most {bound:,} bytes",
                        "" if size <= bound else f"{size - bound:,} bytes over; try int8"))
    verdict = "undecided" if (name, profile) == ("int16x8", "iot") else "pass"
    limits.append(limit("latency_median_ms", verdict, _latency(name, profile), "see figure", 20, "at most 20 ms",
                        "the interval spans the bound" if verdict == "undecided" else ""))
    limits.append(limit("energy_uj", "unknown", None, "not obtained", 500, "at most 500 µJ",
                        "the profile states no power") if (name, profile) == ("float32", "mobile") else
                  limit("accuracy_drop_points", "pass",
                        figure((354 - correct) / 3.6, "points", spread=0.7, samples=360),
                        f"{(354 - correct) / 3.6:.2f} points", 2, "at most 2.00 points"))
    order = ("pass", "undecided", "unknown", "fail")
    found = max((one.verdict for one in limits), key=order.index)
    return VariantCheck(variant=name, limits=tuple(limits), verdict=found)


def _latency(name: str, profile: str) -> Figure | None:
    litert = VARIANTS[name][2]
    if profile == "cpu":
        return latency(litert, "litert", "2.3.0").median
    scale = {"mobile": 4.0, "iot": 150.0}[profile]
    if profile == "iot" and VARIANTS[name][4] is None:
        return None
    return figure(litert * scale, "ms", spread=litert * scale * 0.4, provenance="predicted", method="roofline")


def check() -> CheckResult:
    """int8 wins everywhere."""
    profiles = {}
    for name, device, kind, engine in (("cpu", "this host", "cpu", "litert"),
                                       ("mobile", "Cortex-A76 phone core", "mobile", "litert"),
                                       ("iot", "NUCLEO-L4R5ZI (Cortex-M4)", "iot", "tflm")):
        profiles[name] = ProfileCheck(
            profile=name, device=device, device_class=kind, engine=engine, required=True, choice="smallest",
            winner="int8", reason="int8: 26,480 bytes, the smallest of 7 that pass.",
            picks={"smallest": "int8", "fastest": "float32", "most-accurate": "int8qat"},
            latency={variant: _latency(variant, name) for variant in VARIANTS},
            variants={variant: _on_profile(variant, name) for variant in VARIANTS})
    return CheckResult(summary="3 of 3 profiles", profiles=profiles, fits=True)


def history(epochs: int, start: float) -> History:
    """Curves that settle."""
    fall = tuple(round(start * 0.8**epoch + 0.05, 4) for epoch in range(epochs))
    return History(loss=fall, score=tuple(1 - value / 3 for value in fall),
                   validation_loss=tuple(value * 1.1 for value in fall),
                   validation_score=tuple(1 - value / 2.8 for value in fall), best_epoch=epochs - 1,
                   stopped_early=False)


def sources() -> Sources:
    """All results of the made-up run."""
    split = SplitReport(samples=360, class_counts=(36,) * 10)
    data = PrepareResult(
        summary="1,797 samples", source="digits", class_names=CLASSES,
        inputs={"input": TensorSpec(shape=(8, 8, 1), dtype="float32",
                                    normalization=Normalization(kind="minmax", offset=(0.0,), scale=(16.0,)))},
        splits={"train": SplitReport(samples=1077, class_counts=(108,) * 7 + (107,) * 3), "validation": split,
                "test": split},
        nan_samples=0, constant_samples=0, constant_features=3,
        duplicates_within={"train": 0, "validation": 0, "test": 0},
        duplicates_across={"train/test": 0, "train/validation": 0})
    trainings = {
        "float32": TrainResult(summary="trained", history=history(24, 2.0), parameters=20_458),
        "pruned75": PruneResult(summary="pruned", history=history(8, 0.6), sparsity=0.75,
                                layer_sparsity={"conv": 0.75}, shared_values={}, skipped_layers={"dense": "the last"}),
        "clustered16": PruneResult(summary="clustered", history=history(6, 0.4), sparsity=0.0, layer_sparsity={},
                                   shared_values={"conv": 16}, skipped_layers={}),
        "int8qat": QuantizeResult(summary="qat", format="int8qat", method="qat", history=history(6, 0.3)),
        "int8": QuantizeResult(summary="calibrated", format="int8", method="static", calibration_samples=256),
    }
    converted = {name: ConvertResult(summary="converted", format=name.split("-")[-1], tflite_bytes=row[0],
                                     converter="TFLiteConverter 2.21.0", sha256=f"{index:064x}")
                 for index, (name, row) in enumerate(VARIANTS.items())}
    return Sources(data=data, trainings=trainings, converted=converted,
                   evaluated={name: _evaluation(name) for name in VARIANTS},
                   baseline=BaselineResult(summary="baseline", metrics=metrics(354)), benchmark=_benchmark(),
                   check=check())


def regression_sources() -> Sources:
    """The made-up run as a regression: R2, errors, no classes, no predictions that change."""
    found = sources()

    def scored(less: float) -> Metrics:
        figures = {"r2": figure(0.912 - less, "fraction", samples=89, spread=0.03),
                   "rmse": figure(52.1 + less, "target", samples=89, spread=2.0),
                   "mae": figure(41.8, "target", samples=89, spread=1.5)}
        return Metrics(task="regression", samples=89, score="r2", figures=figures)

    def evaluated(one: EvaluateResult) -> EvaluateResult:
        engines = {name: engine.model_copy(update={"metrics": scored(0.004) if engine.metrics else None,
                                                   "changed": None}) for name, engine in one.engines.items()}
        agreements = tuple(pair.model_copy(update={"equal_labels": None}) for pair in one.agreements)
        return one.model_copy(update={"engines": engines, "agreements": agreements})

    split = SplitReport(samples=89)
    data = found.data.model_copy(update={
        "source": "diabetes", "task": "regression", "class_names": (),
        "inputs": {"input": TensorSpec(shape=(10,), dtype="float32")},
        "splits": dict.fromkeys(("train", "validation", "test"), split)})
    trainings = {name: one.model_copy(update={"history": one.history.model_copy(update={"score_name": "R2"})})
                 for name, one in found.trainings.items() if one.history is not None}
    return found.model_copy(update={
        "data": data, "trainings": trainings, "baseline": BaselineResult(summary="", metrics=scored(0)),
        "evaluated": {name: evaluated(one) for name, one in found.evaluated.items()}})


def calibration_study() -> CalibrationStudy:
    """Three sizes in two draws; from 20 samples on nothing differs."""
    def point(samples: int, drop: float, share: float, differs: bool, changed: int) -> CalibrationPoint:
        drops = tuple(figure(value, "points", samples=360, spread=0.8) for value in (drop, drop + 0.5))
        return CalibrationPoint(samples=samples, scores=(0.98 - drop / 100, 0.975 - drop / 100), drops=drops,
                                changed=(changed, changed + 2), distances=(drop / 50, drop / 40),
                                range_shares=(share, share + 0.02), differs=differs)

    return CalibrationStudy(
        summary="from 20 calibration samples on the accuracy no longer changes", format="int8", engine="litert",
        engine_version="2.3.0", split="validation", scored=360, strategy="balanced", score_name="accuracy",
        float_score=0.98, points=(point(1, 6.0, 0.6, True, 21), point(20, 0.5, 0.94, False, 2),
                                  point(200, 0.25, 0.98, False, 1)), enough=20, resolution_points=0.8)


def examination(thumbnails: bool = True) -> ExamineResult:
    """A closer look that found a leak and a doubtful label."""
    first = Sample(split="train", index=12, name="7/0012.png", label="7")
    leaked, inside = Sample(split="test", index=4, label="9"), Sample(split="train", index=13, label="7")
    near = NearDuplicates(
        method="correlation of detail", within={"train": 1, "validation": 0, "test": 0},
        across={"train/validation": 0, "train/test": 1, "validation/test": 0},
        samples_across={"train/validation": 0, "train/test": 1, "validation/test": 0},
        pairs=(NearPair(first=first, second=leaked, similarity=0.9912),
               NearPair(first=first, second=inside, similarity=0.9955)))
    labels = LabelErrors(method="logistic regression, 5 folds", suspected=1, listed=(
        SuspectedLabel(sample=leaked, suggested="7", margin=0.93),),
        score=figure(0.978, "fraction", samples=1797))
    return ExamineResult(
        summary="1 near-duplicate pair across splits", warnings=("1 test sample nearly repeats a train sample",),
        samples={"train": 1077, "validation": 360, "test": 360},
        examined={"train": 1077, "validation": 360, "test": 360},
        imbalance={"train": 1.01}, near_duplicates=near, label_errors=labels, thumbnails=thumbnails,
        extremes={"input": InputExtremes(lowest=0, highest=16, share_lowest=0.489, share_highest=0.091,
                                         clipped_samples=2)},
        groups={"train": GroupSizes(groups=6, smallest=20, median=180, largest=240)})


def thumbnails() -> dict[str, str]:
    """Pictures of the samples that `examination` lists."""
    picture = thumbnail(np.arange(64, dtype=np.uint8).reshape(8, 8), 0, 64)
    return dict.fromkeys(("train/12", "train/13", "test/4"), picture)


def model() -> ModelResult:
    """A model that was bridged."""
    return ModelResult(summary="bridged", origin="models/mine.keras", kind="keras3", trained=True, parameters=78_666,
                       layers=41, changed={"act": "x * relu6(x + 3) / 6"}, proof=3.1e-6, proof_samples=64,
                       proof_on="training samples")


def heading() -> Heading:
    """What the plan knows."""
    return Heading(run="digits", litesmith="0.1.0", versions={"tensorflow": "2.21.0", "ai-edge-litert": "2.3.0"},
                   config="data: digits\nvariants: [float32, int8]\n", tflite_path="../models/{name}.tflite")
