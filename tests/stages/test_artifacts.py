"""Results are read back as they were written, and what is damaged is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles.errors import StoreError
from stages.artifacts import read_result
from stages.records import ConvertResult


def _write(folder: Path, text: str) -> Path:
    (folder / "result.json").write_text(text, encoding="utf-8")
    return folder


def test_a_result_comes_back_equal(tmp_path: Path) -> None:
    result = ConvertResult(summary="done", format="int8", converter="c 1", tflite_bytes=7, sha256="ab")
    assert read_result(_write(tmp_path, result.model_dump_json()), ConvertResult) == result


def test_a_missing_result_is_a_store_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"result\.json cannot be read: No such file"):
        read_result(tmp_path, ConvertResult)


def test_a_truncated_result_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a ConvertResult"):
        read_result(_write(tmp_path, '{"summary": "do'), ConvertResult)


def test_a_result_of_another_stage_names_the_key_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a ConvertResult: format: Field required"):
        read_result(_write(tmp_path, '{"summary": "x", "parameters": 3}'), ConvertResult)
