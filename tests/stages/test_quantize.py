"""The quantize stage: which way a format takes, and which it has none for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from device_profiles.errors import StageError
from stages import quantize
from tests.stages.conftest import SEED, make_context


def options(**given: Any) -> quantize.Options:
    return quantize.Options(**({"format": "int8qat", "epochs": 1, "batch_size": 16, "seed": SEED} | given))


def test_qat_without_a_model_is_refused(tmp_path: Path, prepared: Path) -> None:
    with pytest.raises(StageError, match="needs a model"):
        quantize.run(data=prepared, options=options(), context=make_context(tmp_path))


def test_a_format_without_quantization_is_refused(tmp_path: Path, prepared: Path) -> None:
    with pytest.raises(StageError, match="'float32' has no quantization"):
        quantize.run(data=prepared, options=options(format="float32"), context=make_context(tmp_path))


@pytest.mark.parametrize(("given", "method"), [
    ({"format": "int8"}, "static"), ({"format": "int16x8"}, "static"), ({"format": "dynamic"}, "dynamic"),
    ({"format": "float16"}, "float16"), ({}, "qat"), ({"sparsity": 0.5}, "pqat"), ({"clusters": 4}, "cqat"),
    ({"sparsity": 0.5, "clusters": 4}, "pcqat")])
def test_the_method_follows_from_format_and_history(given: dict[str, Any], method: str) -> None:
    assert options(**given).method == method
