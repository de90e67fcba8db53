"""Many models on the same samples: in order, by workers that stay; and how far their outputs are from each other."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from stages.converting.source import read_float
from stages.mixing.trials import Runner, divergence, divergence_kind, make_bench, noise_share
from stages.tasks.settings import TaskSettings


def test_noise_is_the_share_of_energy_that_differs() -> None:
    reference = np.array([[3.0, 4.0]])
    assert noise_share(reference, reference + np.array([[0.0, 1.0]])) == pytest.approx(1 / 25)
    both = np.zeros(1, [("a", "f4", (2,)), ("b", "f4", (2,))])
    both["a"], both["b"] = reference, reference
    moved = both.copy()
    moved["b"] += np.array([[0.0, 1.0]])
    assert noise_share(both, moved) == pytest.approx(1 / 50)


def test_divergence_of_classes_is_that_of_kullback_and_leibler(prepared: Path, tmp_path: Path) -> None:
    bench = make_bench(prepared, TaskSettings(), samples=5, seed=0, engine="litert", workers=1, timeout_s=60,
                       log=tmp_path / "log", folder=tmp_path)
    assert bench.count == 5
    p, q = np.array([[0.5, 0.25, 0.25]] * 5), np.array([[0.25, 0.5, 0.25]] * 5)
    assert divergence_kind(bench.task, p) == "kl"
    assert divergence("kl", p, q, bench) == pytest.approx(0.25 * math.log(2))
    assert divergence("kl", p, p, bench) == 0


def test_models_share_workers_and_come_back_in_order(float_tflite: Path, prepared: Path, tmp_path: Path) -> None:
    bench = make_bench(prepared, TaskSettings(), samples=9, seed=0, engine="litert", workers=2, timeout_s=60,
                       log=tmp_path / "log", folder=tmp_path)
    content = read_float(float_tflite)
    with Runner(bench) as runner:
        alone = runner.outputs(content, "alone")
        found = list(runner.many((str(number), lambda: content) for number in range(5)))
        assert len(runner._idle) <= 2
    assert all((each == alone).all() for each in found)
    assert len(found) == 5
