"""Tensors of a model and parts of the data: by name, by shape, or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import DataError, StageError
from stages.tasks.matching import arrange, check_finite, match, shapes_text


@pytest.mark.parametrize(("wanted", "found", "pairs"), [
    ({"input": (3,)}, {"input_1": (3,)}, {"input": "input_1"}),
    ({"input": (3,)}, {"input_1": (4,)}, None),
    ({"input": None}, {"input_1": (4,)}, {"input": "input_1"}),
    ({"a": (3,), "b": (3,)}, {"b": (3,), "a": (3,)}, {"a": "a", "b": "b"}),
    ({"a": (3,), "b": (3,)}, {"b": (3,), "a": (2,)}, None),
    ({"a": (3,), "b": (2,)}, {"x": (2,), "y": (3,)}, {"a": "y", "b": "x"}),
    ({"a": (3,), "b": (3,)}, {"x": (3,), "y": (3,)}, None),
    ({"a": (3,), "b": None}, {"x": (3,), "y": (2,)}, None),
    ({"a": (3,)}, {"x": (3,), "y": (2,)}, None),
])
def test_tensors_are_paired_by_name_or_by_shapes_that_differ(
        wanted: dict[str, tuple[int, ...] | None], found: dict[str, tuple[int | None, ...]],
        pairs: dict[str, str] | None) -> None:
    assert match(wanted, found) == pairs


def test_outputs_are_put_in_the_order_of_the_task() -> None:
    one, two = np.zeros((5, 3), np.float32), np.ones((5, 1), np.float32)
    found = arrange({"age": two, "kind": one}, {"kind": None, "age": None}, "int8")
    assert found.dtype.names == ("kind", "age")
    assert (found["age"] == 1).all()
    assert found["kind"].shape == (5, 3)
    assert arrange({"whatever": two}, {"output": None}, "int8") is two


def test_outputs_that_nothing_tells_apart_are_refused_with_names_and_shapes() -> None:
    same = {"StatefulPartitionedCall:0": np.zeros((5, 1)), "StatefulPartitionedCall:1": np.zeros((5, 1))}
    with pytest.raises(StageError, match=r"int8 has the outputs StatefulPartitionedCall:0 \(1,\)") as caught:
        arrange(same, {"kind": (1,), "age": (1,)}, "int8")
    assert caught.value.allowed == "kind (1,), age (1,)"
    with pytest.raises(StageError, match="int8 has 2 outputs") as caught:
        arrange(same, {"output": (1,)}, "int8")
    assert "task.outputs" in caught.value.next_step


def test_samples_with_a_nan_are_counted_over_all_parts() -> None:
    outputs = np.zeros((5000, 2), np.float32)
    outputs[[3, 4999], 1] = np.nan, np.inf
    with pytest.raises(DataError, match="int8 gives NaN or infinity on 2 of 5000 samples"):
        check_finite(outputs, "int8")
    check_finite(np.zeros((0, 2)), "int8")


def test_shapes_are_spelt_with_their_names_where_there_are_several() -> None:
    assert shapes_text({"a": (1, 2)}) == "(1, 2)"
    assert shapes_text({"a": (1,), "b": None}) == "a (1,), b of any length"
