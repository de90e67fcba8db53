"""A tflite model that a user names: what is read, and what is said of a file that is none."""

from __future__ import annotations

import hashlib

import pytest

from device_profiles.errors import TfliteError, UsageError
from device_profiles.workload import read_workload
from pipeline.tflite_file import read_file
from tests.device_profiles.handmade import conv_model


def test_a_whole_file_is_read_with_its_work_and_its_digest(tmp_path):
    content = conv_model()
    (tmp_path / "net.tflite").write_bytes(content)
    found = read_file(tmp_path / "net.tflite")
    assert (found.path, found.content) == (tmp_path / "net.tflite", content)
    assert found.workload == read_workload(content)
    assert found.sha256 == hashlib.sha256(content).hexdigest()


def test_a_folder_and_a_file_that_is_not_there_are_wrong_usage(tmp_path):
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "none.tflite", "no such file")):
        with pytest.raises(UsageError) as caught:
            read_file(path)
        assert (caught.value.found, caught.value.allowed) == (f"{path}: {words}", "a .tflite file")


@pytest.mark.parametrize("content", [b"", conv_model()[:100], b"PK\x03\x04 a zip file, renamed"],
                         ids=["empty", "cut", "a zip"])
def test_a_file_that_is_no_tflite_model_is_refused_by_name_with_what_the_reader_says(tmp_path, content):
    (tmp_path / "bad.tflite").write_bytes(content)
    with pytest.raises(TfliteError) as plain:
        read_workload(content)
    with pytest.raises(TfliteError) as caught:
        read_file(tmp_path / "bad.tflite")
    assert caught.value.found == f"{tmp_path / 'bad.tflite'}: {plain.value.found}"
    assert (caught.value.allowed, caught.value.next_step) == (plain.value.allowed, plain.value.next_step)
