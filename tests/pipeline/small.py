"""A run that is whole but small: two epochs, three variants, one engine to measure in."""

from __future__ import annotations

SMALL = {
    "name": "small",
    "train": {"epochs": 2},
    "prune": {"epochs": 2},
    "quantize": {"epochs": 1, "calibration_samples": 20},
    "evaluate": {"engines": ["litert", "tflm"], "resamples": 100},
    "benchmark": {"engines": ["litert", "tflm"], "rounds": 5, "round_samples": 5, "budget_s": 0.2, "warm_up_s": 0.05},
    "variants": ["float32", "int8", "pruned75-int8qat"],
    "check": {"require": ["cpu"], "limits": {"cpu": {"accuracy_drop_points": 100, "latency_p90_ms": None}}},
}
