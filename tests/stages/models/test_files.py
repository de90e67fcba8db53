"""`.keras` files: fixed bytes, and clean refusals."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models import files


def archive(**members: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as written:
        for name, content in members.items():
            written.writestr(name.replace("__", "."), content)
    return target.getvalue()


def metadata(date: str, version: str = "2.21.0") -> bytes:
    return json.dumps({"keras_version": version, "date_saved": date}).encode()


def test_a_model_comes_back_with_the_same_outputs(tmp_path: Path, tiny_keras: Any, tiny_samples: np.ndarray) -> None:
    files.save_model(tiny_keras, tmp_path)
    again = files.load_model(tmp_path)
    assert np.array_equal(again(tiny_samples).numpy(), tiny_keras(tiny_samples).numpy())


def test_saving_twice_gives_the_same_bytes_and_leaves_nothing_else(tmp_path: Path, tiny_keras: Any) -> None:
    first = files.save_model(tiny_keras, tmp_path).read_bytes()
    assert files.save_model(tiny_keras, tmp_path).read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_dates_and_order_do_not_show_in_the_bytes() -> None:
    monday = archive(metadata__json=metadata("2026-01-05@10:00:00"), config__json=b"{}")
    friday = archive(config__json=b"{}", metadata__json=metadata("2026-01-09@11:30:00"))
    assert monday != friday
    assert files.fix_dates(monday) == files.fix_dates(friday)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"plain text", archive(config__json=b"{}"),
                                     archive(metadata__json=b"[]"), archive(metadata__json=b"{")])
def test_what_is_no_keras_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(ModelError, match=r"is no whole \.keras file"):
        files.load_model(tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        files.load_model(tmp_path)


def test_a_flipped_byte_is_noticed(tmp_path: Path, tiny_keras: Any) -> None:
    path = files.save_model(tiny_keras, tmp_path)
    content = bytearray(path.read_bytes())
    content[content.index(b"model.weights.h5") + 3000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"the checksum of model\.weights\.h5 is wrong"):
        files.load_model(tmp_path)


def test_a_model_of_keras_3_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(archive(metadata__json=metadata("", "3.5.0")))
    with pytest.raises(ModelError, match=r"written by Keras 3\.5\.0"):
        files.load_model(tmp_path)


def test_code_inside_a_model_is_refused_unrun(tmp_path: Path) -> None:
    import tf_keras as keras

    keras.Sequential([keras.layers.Input((2,)), keras.layers.Lambda(lambda x: x + 1)]).save(tmp_path / "model.keras")
    with pytest.raises(ModelError, match="cannot be loaded"):
        files.load_model(tmp_path)
