"""Data to inputs: by name, by position where there is one, and one clean message where they do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import StageError, StoreError
from stages.artifacts import RESULT_FILE
from stages.datasets.prepared import Preprocessing, write_preprocessing
from stages.engines import inputs
from stages.records import ConvertResult, Normalization, TensorSpec

HALF = Normalization(kind="fixed", offset=(1.0,), scale=(2.0,))


def converted(folded: bool) -> ConvertResult:
    return ConvertResult(summary="", format="int8", converter="", tflite_bytes=0, sha256="", folded=folded)


def test_inputs_are_matched_by_name_whatever_their_order() -> None:
    data = {"age": (2,), "image": (6, 6, 1)}
    assert inputs.match("m", ["image", "age"], [(6, 6, 1), (2,)], data) == ["image", "age"]


def test_inputs_of_other_names_are_matched_by_shapes_that_all_differ() -> None:
    data = {"age": (2,), "image": (6, 6, 1)}
    assert inputs.match("m", ["input_1", "input_2"], [(6, 6, 1), (2,)], data) == ["image", "age"]


def test_the_only_input_is_matched_by_position() -> None:
    assert inputs.match("m", ["conv2d_input"], [(8, 8, 1)], {"input": (8, 8, 1)}) == ["input"]


def test_an_open_axis_takes_any_size() -> None:
    assert inputs.match("m", ["x"], [(1, 1, 3)], {"input": (32, 24, 3)}, [(0, 1, 2)]) == ["input"]
    with pytest.raises(StageError):
        inputs.match("m", ["x"], [(1, 1, 3)], {"input": (32, 24, 1)}, [(0, 1, 2)])


@pytest.mark.parametrize(("names", "shapes", "data"), [
    (["x"], [(8, 8, 1)], {"input": (8, 8, 3)}),
    (["x"], [(8, 8, 1)], {"input": (8, 8)}),
    (["image", "age"], [(8, 8, 1), (2,)], {"image": (8, 8, 1)}),
    (["a", "b"], [(2,), (2,)], {"c": (2,), "d": (2,)}),
])
def test_what_does_not_fit_is_one_error_with_both_sides(
        names: list[str], shapes: list[tuple[int, ...]], data: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(StageError) as caught:
        inputs.match("int8 in litert", names, shapes, data)
    name, shape = next(iter(data.items()))
    assert f"do not fit int8 in litert: {name} {shape}" in caught.value.found
    assert caught.value.allowed.startswith(f"{names[0]} {shapes[0]}")
    assert caught.value.next_step


def test_a_folded_model_is_given_what_is_stored() -> None:
    preprocessing = Preprocessing(inputs={"input": TensorSpec(shape=(2,), dtype="uint8", normalization=HALF)})
    assert inputs.normalization_for(converted(folded=False), preprocessing) == {"input": HALF}
    assert inputs.normalization_for(converted(folded=True), preprocessing) == {}


def test_normalization_of_artifacts_reads_both_records(tmp_path: Path) -> None:
    write_preprocessing(tmp_path, Preprocessing(inputs={
        "input": TensorSpec(shape=(2,), dtype="uint8", normalization=HALF)}))
    with pytest.raises(StoreError, match=r"result\.json"):
        inputs.normalization_of(tmp_path, tmp_path)
    (tmp_path / RESULT_FILE).write_text(converted(folded=False).model_dump_json())
    assert inputs.normalization_of(tmp_path, tmp_path) == {"input": HALF}


def test_first_samples_are_normalized_by_name_or_left_as_stored(tmp_path: Path) -> None:
    rows = np.array([(3, [5.0]), (1, [7.0])], [("a", "u1"), ("b", "f4", (1,))])
    np.save(tmp_path / "x.npy", rows)
    found = inputs.first_samples(tmp_path / "x.npy", 1, {"b": HALF})
    assert (found["a"].dtype, found["a"].tolist()) == (np.uint8, [3])
    assert (found["b"].dtype, found["b"].tolist()) == (np.float32, [[2.0]])


def test_stored_shapes_come_from_the_header(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((5, 4, 2), np.uint8))
    assert inputs.stored_shapes(tmp_path / "x.npy") == {"input": (4, 2)}
    np.save(tmp_path / "s.npy", np.zeros(5, [("a", "u1", (4,)), ("b", "f4", (1,))]))
    assert inputs.stored_shapes(tmp_path / "s.npy") == {"a": (4,), "b": (1,)}


@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY\x01\x00\x10\x00 nonsense"])
def test_a_file_without_samples_is_a_store_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(StoreError, match=r"x\.npy"):
        inputs.stored_shapes(tmp_path / "x.npy")


def test_a_single_number_is_no_samples(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.float32(3))
    with pytest.raises(StoreError, match="single number"):
        inputs.stored_shapes(tmp_path / "x.npy")
