"""What one kernel alone costs, and what follows from it for the zeros."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages import training
from stages.datasets.prepared import Split
from stages.models.files import load_model
from stages.models.framework import tensorflow_turn
from stages.pruning import sensitivity
from stages.tasks import TaskSettings


class Costly:
    """A model in which a point goes with every hundredth of the named kernels' zeros above a limit."""

    def __init__(self, limits: Mapping[str, float]) -> None:
        self.limits, self.asked = limits, []

    def cost(self, layer: str, kernel: np.ndarray) -> float:
        share = float((kernel == 0).mean())
        self.asked.append((layer, round(share, 4)))
        return 100 * max(0.0, share - self.limits.get(layer, 1.0))

    most_affordable = sensitivity.Sensitivity.most_affordable


def kernels(*names: str) -> dict[str, np.ndarray]:
    return {name: np.arange(1, 401, dtype=np.float32).reshape(20, 20) for name in names}


def shared(most: Mapping[str, float]) -> dict[str, float]:
    """Half of two kernels' weights: what one may not have, the other gets."""
    first = min(0.5, most.get("a", 1.0))
    second = min(1.0 - first, most.get("b", 1.0))
    return {"a": first, "b": second}


def test_the_smallest_weights_go_first() -> None:
    assert sensitivity.without_smallest("", np.float32([[3, -1], [2, -4]]), 0.5).tolist() == [[3, 0], [0, -4]]


def test_a_costly_kernel_gets_fewer_zeros_and_the_other_more() -> None:
    model = Costly({"a": 0.2})
    shares, costs = sensitivity.spared(model, kernels("a", "b"), 5.0, shared)
    assert shares == {"a": 0.25, "b": 0.75}  # 0.25 costs 5 points: no more than allowed
    assert costs == {"a": pytest.approx(30), "b": 0.0}
    assert ("b", 0.75) in model.asked  # the other one is measured again with what it gets for it


def test_kernels_that_cost_little_are_asked_once() -> None:
    model = Costly({})
    assert sensitivity.spared(model, kernels("a", "b"), 5.0, shared)[0] == {"a": 0.5, "b": 0.5}
    assert model.asked == [("a", 0.5), ("b", 0.5)]


def test_halving_finds_the_largest_share_to_a_sixteenth() -> None:
    found, cost = Costly({"a": 0.33}).most_affordable("a", kernels("a")["a"], 0.8, 1.0, sensitivity.without_smallest)
    assert found == pytest.approx(0.3)  # 0.34 is affordable; of 0.05, 0.1, ... 0.8 the largest below it
    assert cost == pytest.approx(47)


def test_a_kernel_that_was_never_taken_costs_the_difference_of_the_scores(tmp_path: Path, prepared: Path,
                                                                          trained: Path) -> None:
    lesson = training.read_lesson(prepared, TaskSettings())
    with tensorflow_turn(0, tmp_path / "log.txt"):
        model = load_model(trained)
        before = model.get_weights()
        measured = sensitivity.Sensitivity(model, lesson, 500, 0)
        kernel = model.get_layer("scores").kernel.numpy()
        predicted = model(lesson.validation.x).numpy().argmax(1)
        right = (predicted == lesson.validation.y).mean()
        assert measured.score == pytest.approx(right)
        assert measured.cost("scores", kernel) == 0
        without = np.full(len(predicted), model.get_layer("scores").bias.numpy().argmax())
        assert measured.cost("scores", 0 * kernel) == pytest.approx(
            100 * (right - (without == lesson.validation.y).mean()))
        assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_the_kernel_is_put_back_when_measuring_fails(tmp_path: Path, prepared: Path, trained: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: Any) -> float:
        raise RuntimeError("no")

    with tensorflow_turn(0, tmp_path / "log.txt"):
        model = load_model(trained)
        measured = sensitivity.Sensitivity(model, training.read_lesson(prepared, TaskSettings()), 10, 0)
        kernel = model.get_layer("scores").kernel.numpy()
        monkeypatch.setattr(sensitivity.Sensitivity, "_measure", fail)
        with pytest.raises(RuntimeError):
            measured.cost("scores", 0 * kernel)
        assert np.array_equal(model.get_layer("scores").kernel.numpy(), kernel)


def test_some_samples_keep_their_labels_groups_and_clips_and_are_the_same_each_time() -> None:
    rows = np.arange(20)
    split = Split(np.float32(rows)[:, None], rows, groups=tuple(map(str, rows)), clips=rows)
    some = sensitivity.some_samples(split, 5, seed=3)
    assert len(set(some.y.tolist())) == 5
    assert some.y.tolist() == some.x[:, 0].tolist() == some.clips.tolist() == [int(each) for each in some.groups]
    assert sensitivity.some_samples(split, 5, seed=3).y.tolist() == some.y.tolist()
    assert sensitivity.some_samples(split, 20, seed=3) is split
