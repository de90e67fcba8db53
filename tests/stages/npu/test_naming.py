from __future__ import annotations

from device_profiles.tflite import read_tflite
from stages.npu.naming import with_names
from tests.stages.npu.small import int8_model


def names(content: bytes) -> list[str]:
    return [tensor.name for tensor in read_tflite(content).graphs[0].tensors]


def test_a_model_with_names_of_its_own_stays_as_it_is():
    content = int8_model("COS")
    assert with_names(content) is content


def test_doubled_names_become_single_ones_and_the_others_stay():
    before = int8_model("COS", names=("same", "same", "last"))
    after = names(with_names(before))
    assert names(before).count("same") == 2
    assert len(set(after)) == len(after)
    assert {"input", "last"} <= set(after)
    assert "same" not in after


def test_a_new_name_gives_way_to_one_that_is_taken():
    position = names(int8_model("COS")).index("middle")
    before = int8_model("COS", names=(f"tensor{position}", "input", "last"))
    after = names(with_names(before))
    assert after[position] == f"tensor{position}_"
    assert after.count(f"tensor{position}") == 1
