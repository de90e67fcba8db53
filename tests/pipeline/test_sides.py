"""What two sides bring to a comparison: names that meet, files that are there, samples that can be read."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import UsageError
from pipeline.sides import Match, find_models, matched, read_samples


def test_matching_goes_by_name_and_else_one_model_meets_every_other():
    assert matched(["x"], ["y"]).pairs == {"y": ("x", "y")}
    assert matched(["x"], ["y", "z"]).pairs == {"y": ("x", "y"), "z": ("x", "z")}
    assert matched(["y", "z"], ["x"]).pairs == {"y": ("y", "x"), "z": ("z", "x")}
    assert matched(["x"], ["x", "z"]) == Match({"x": ("x", "x")}, (), ("z",))
    assert matched(["y", "z"], ["z", "w"]) == Match({"z": ("z", "z")}, ("y",), ("w",))
    with pytest.raises(UsageError, match="share no variant"):
        matched(["x", "y"], ["z", "w"])


def test_a_baseline_s_model_meets_its_namesake_or_the_only_one():
    assert matched(["x"], ["y"], crossing=False).pairs == {"y": ("x", "y")}
    for first, second in ((["x"], ["y", "z"]), (["y", "z"], ["x"])):
        with pytest.raises(UsageError, match="share no variant"):
            matched(first, second, crossing=False)


def test_what_is_not_there_is_said_with_the_near_miss(sides):
    (sides / "empty").mkdir()
    for path, words in ((sides / "none", "no such file"), (sides / "empty", "holds no tflite model")):
        with pytest.raises(UsageError, match=words):
            find_models(path)
    with pytest.raises(UsageError, match="has no variant 'int9'; did you mean 'int8'"):
        find_models(sides / "a", ["int9"])
    assert list(find_models(sides / "a" / "models")) == ["float32", "int8", "old"]


def test_each_field_of_a_structured_array_is_an_input_and_no_file_is_none(tmp_path):
    both = np.zeros(3, dtype=[("left", np.float32, (2,)), ("right", np.uint8)])
    both["right"] = [1, 2, 3]
    np.save(tmp_path / "x.npy", both)
    left, right = read_samples(tmp_path / "x.npy")
    assert (left.shape, right.tolist()) == ((3, 2), [1, 2, 3])
    assert read_samples(None) == ()


@pytest.mark.parametrize(("content", "words"), [(b"nothing", "cannot be read"), (None, "cannot be read"),
                                                (np.zeros((0, 4)), "holds no samples"),
                                                (np.float32(1), "holds no samples")],
                         ids=["no array", "no file", "no rows", "a number"])
def test_a_file_without_samples_is_refused_with_its_name(tmp_path, content, words):
    path = tmp_path / "x.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(UsageError, match=rf"x\.npy {words}"):
        read_samples(path)
