"""npz files: read as they stand in the file, and whatever is off gets one clean message."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import DataError
from stages.datasets import arrays, npz
from stages.datasets.records import Chunk, LabelKind, Reader


def write(folder: Path, **content: Any) -> npz.Settings:
    path = folder / "data.npz"
    np.savez(path, **content)
    return npz.Settings(path=path)


def read(settings: npz.Settings, labels: LabelKind = "classes") -> tuple[list[Chunk], Reader]:
    reader = npz.open_reader(settings, labels)
    return list(reader.chunks()), reader


def test_images_without_a_channel_axis_get_one_and_uint8_stays(tmp_path: Path) -> None:
    (chunk,), reader = read(write(tmp_path, x=np.arange(24, dtype=np.uint8).reshape(2, 3, 4), y=[1, 0]))
    assert (chunk.x.shape, chunk.x.dtype) == ((2, 3, 4, 1), np.uint8)
    assert chunk.x[1, 0, 0, 0] == 12
    assert chunk.y is not None
    assert chunk.y.tolist() == [1, 0]
    assert (reader.class_names, reader.total, list(chunk.splits)) == (("0", "1"), 2, [])


def test_given_splits_and_names_are_kept(tmp_path: Path) -> None:
    chunks, reader = read(write(tmp_path, x_test=np.ones((2, 2, 2)), y_test=[1, 0], x_train=np.zeros((3, 2, 2)),
                                y_train=[0, 1, 1], class_names=["cat", "dog"]))
    assert [split for chunk in chunks for split in chunk.splits] == ["train"] * 3 + ["test"] * 2
    assert np.concatenate([chunk.y for chunk in chunks]).tolist() == [0, 1, 1, 1, 0]
    assert reader.class_names == ("cat", "dog")


def test_several_inputs_outputs_and_groups_go_by_their_names(tmp_path: Path) -> None:
    content = {"x.image": np.zeros((2, 4, 4), np.uint8), "x.age": np.ones((2, 1)), "y.kind": [0, 1],
               "y.size": [[0.5], [1.5]], "groups": ["ann", "bob"]}
    (chunk,), _ = read(write(tmp_path, **content))
    assert chunk.x.dtype == np.dtype([("image", "u1", (4, 4, 1)), ("age", "f4", (1,))])
    assert chunk.y is not None
    assert chunk.y["size"].tolist() == [[0.5], [1.5]]
    assert list(chunk.groups) == ["ann", "bob"]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_slices_put_together_are_the_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Any,
                                           order: Any) -> None:
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 100)
    x = np.random.default_rng(0).random((50, 3, 2), np.float32)
    save(tmp_path / "data.npz", x=np.asarray(x, order=order), y=np.arange(50) % 4)
    chunks, _ = read(npz.Settings(path=tmp_path / "data.npz", add_channel=False))
    assert len(chunks) == 13  # 24 bytes a sample: 4 samples
    assert np.array_equal(np.concatenate([chunk.x for chunk in chunks]), x)
    assert np.concatenate([chunk.y for chunk in chunks]).tolist() == [i % 4 for i in range(50)]


def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    settings = write(tmp_path, x=np.zeros((20_000, 2048), np.uint8), y=np.zeros(20_000, int))  # 41 MB
    tracemalloc.start()
    try:
        count = sum(len(chunk.x) for chunk in npz.open_reader(settings, "classes").chunks())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 16 << 20


@pytest.mark.parametrize(("content", "message"), [
    ({"x": np.zeros((2, 2, 2))}, "has x and no y"),
    ({"y": np.zeros(2, int)}, "has the arrays y"),
    ({"x_test": np.zeros((2, 2)), "y_test": [0, 1]}, "has the arrays x_test, y_test"),
    ({"x": np.zeros((2, 2, 2)), "y": [0]}, "y has shape (1,)"),
    ({"x": np.zeros((2, 2, 2)), "y": [0.0, 1.0]}, "type float64"),
    ({"x": np.zeros(2), "y": [0, 1]}, "x has shape (2,)"),
    ({"x": np.array([["a"]]), "y": [0]}, "x has shape (1, 1) and type <U1"),
    ({"x": np.zeros((1, 2, 2)), "y": [0], "x_train": np.zeros((1, 2, 2)), "y_train": [0]}, "both x and x_train"),
    ({"x": np.zeros((1, 2)), "x.a": np.zeros((1, 2)), "y": [0]}, "both x and x.a"),
    ({"x_train": np.zeros((1, 2, 2)), "y_train": [0], "x_test": np.zeros((1, 3, 2)), "y_test": [0]}, "of the shapes"),
    ({"X": np.zeros((1, 2, 2)), "y": [0]}, "an array 'X'"),
    ({"x_trian": np.zeros((1, 2, 2))}, "did you mean 'x_train'?"),
    ({"x": np.zeros((1, 2)), "y": [2], "class_names": ["a", "b"]}, "sample 0 has the label 2"),
])
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(write(tmp_path, **content))
    assert message in caught.value.found


@pytest.mark.parametrize("name", ["x", "y", "class_names"])
def test_pickled_objects_are_refused_unread(tmp_path: Path, name: str) -> None:
    content: dict[str, Any] = {"x": np.zeros((1, 2)), "y": [0], name: np.array([{"a": 1}], dtype=object)}
    with pytest.raises(DataError, match=r"cannot be read as npz: .*holds pickled objects"):
        read(write(tmp_path, **content))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 truncated", b"not an archive at all"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        read(npz.Settings(path=path))


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    settings = write(tmp_path, x=np.zeros((50, 4, 4)), y=np.zeros(50, int))
    content = bytearray(settings.path.read_bytes())
    content[2000] ^= 1
    settings.path.write_bytes(content)
    with pytest.raises(DataError, match="Bad CRC-32"):
        read(settings)


def test_a_single_array_is_told_from_an_archive(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", np.zeros(3))
    with pytest.raises(DataError, match="holds a single array"):
        read(npz.Settings(path=tmp_path / "data.npy"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    settings = npz.Settings(path=tmp_path / "nowhere.npz")
    for call in (lambda: npz.open_reader(settings, "classes"), lambda: npz.source_digest(settings)):
        with pytest.raises(DataError, match=r"nowhere\.npz cannot be read: No such file"):
            call()


def test_the_digest_follows_the_content_and_not_the_path(tmp_path: Path) -> None:
    settings = write(tmp_path, x=np.zeros((1, 2, 2)), y=[0])
    moved = npz.Settings(path=settings.path.rename(tmp_path / "moved.npz"))
    before = npz.source_digest(moved)
    write(tmp_path, x=np.ones((1, 2, 2)), y=[0])
    assert npz.source_digest(settings) != before
    assert before.startswith("npz:sha256:")


def test_slices_are_columns_and_a_split_without_them_has_empty_values(tmp_path: Path) -> None:
    x, y = np.zeros((2, 3)), [0, 1]
    chunks, _ = read(write(tmp_path, **{"x_train": x, "y_train": y, "x_test": x, "y_test": y,
                                        "slice_test": ["day", "night"], "slice_test.site": [7, 8]}))
    assert [dict(chunk.slices) for chunk in chunks] == [
        {"slice": ["", ""], "site": ["", ""]}, {"slice": ["day", "night"], "site": ["7", "8"]}]
    with pytest.raises(DataError, match=r"slice 'slice' has shape \(3,\) for 2 samples"):
        read(write(tmp_path, x=x, y=y, slice=["a", "b", "c"]))
    with pytest.raises(DataError, match="did you mean 'slice_test'"):
        read(write(tmp_path, x=x, y=y, slices_test=["a", "b"]))
