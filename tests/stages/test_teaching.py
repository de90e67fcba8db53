"""The figures of `benchmarks/teaching.py`: the interval of a mean over draws."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "teaching.py"


def benchmark() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("teaching", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_interval_is_student_s_t_worked_out_by_hand() -> None:
    # mean 3, deviation sqrt(20 / 3), n = 4, t = 3.182446: half = 3.182446 * 2.581989 / 2 = 4.108520
    assert benchmark().interval([0.0, 2.0, 4.0, 6.0]) == pytest.approx((3 - 4.108520, 3 + 4.108520), abs=1e-5)
