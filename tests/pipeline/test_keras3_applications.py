"""One application of Keras 3 from its `.keras` file through pruning and QAT to int8; takes minutes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.mark.slow
def test_mobilenet_v2_of_keras_3_becomes_int8_by_every_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import keras3_applications as benchmark

    row = benchmark.measure("MobileNetV2", None, 160, tmp_path)
    variants = row["variants"]
    assert row["proof"] <= 1e-4
    assert {name: found.get("message") for name, found in variants.items()} == dict.fromkeys(benchmark.VARIANTS)
    assert variants["float32"]["changed"] == 0
    assert variants["int8"]["tflite_bytes"] < 0.35 * variants["float32"]["tflite_bytes"]
    assert variants["int8qat"]["tflite_bytes"] < 0.35 * variants["float32"]["tflite_bytes"]
    assert "not_quantized" not in variants["int8qat"]
