"""TFRecord files by schema: numbers, raw bytes and images; damaged files are named."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from device_profiles.errors import DataError
from stages.datasets import tfrecord
from stages.datasets.records import Chunk, LabelKind, Reader
from stages.datasets.tfrecord import Settings

NUMBERS = {"x": {"dtype": "float32", "shape": [2]}, "label": {"dtype": "int64"}}


def write(path: Path, *examples: dict[str, Any], compression: str = "") -> None:
    import tensorflow as tf

    def feature(value: Any) -> Any:
        values = value if isinstance(value, list) else [value]
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for example in examples:
            features = tf.train.Features(feature={name: feature(value) for name, value in example.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())


def read(labels: LabelKind = "classes", **settings: Any) -> tuple[list[Chunk], Reader]:
    reader = tfrecord.open_reader(Settings(**settings), labels)
    return list(reader.chunks()), reader


def encoded(kind: str, value: int, size: tuple[int, int] = (4, 4)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (size[1], size[0]), (value, value, value)).save(file, kind)
    return file.getvalue()


def test_files_come_by_name_and_samples_in_their_order(tmp_path: Path) -> None:
    write(tmp_path / "b.tfrecord", {"x": [5.0, 6.0], "label": 2})
    write(tmp_path / "a.tfrecord", {"x": [1.0, 2.0], "label": 0}, {"x": [3.0, 4.0], "label": 1})
    chunks, reader = read(path=str(tmp_path / "*.tfrecord"), features=NUMBERS)
    x, y = (np.concatenate([getattr(chunk, what) for chunk in chunks]) for what in "xy")
    assert x.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert (y.tolist(), reader.class_names) == ([0, 1, 2], ("0", "1", "2"))


def test_raw_bytes_and_images_are_decoded_to_uint8(tmp_path: Path) -> None:
    raw = np.arange(12, dtype="<i2").tobytes()
    write(tmp_path / "a", {"r": raw, "p": encoded("PNG", 7), "j": encoded("JPEG", 200), "label": 1})
    features = {"r": {"dtype": "int16", "shape": [3, 4, 1], "encoding": "raw"},
                "png": {"name": "p", "shape": [4, 4, 3], "encoding": "png"},
                "jpeg": {"name": "j", "shape": [4, 4, 1], "encoding": "jpeg"}, "label": {"dtype": "int64"}}
    (chunk,), _ = read(path=str(tmp_path / "a"), features=features)
    assert chunk.x.dtype == np.dtype([("r", "f4", (3, 4, 1)), ("png", "u1", (4, 4, 3)), ("jpeg", "u1", (4, 4, 1))])
    assert chunk.x["r"][0, 2, 3, 0] == 11
    assert np.unique(chunk.x["png"]).tolist() == [7]
    assert abs(int(chunk.x["jpeg"].mean()) - 200) <= 1


def test_images_of_other_sizes_are_resized_only_when_asked(tmp_path: Path) -> None:
    write(tmp_path / "a", {"x": encoded("PNG", 7, (6, 8)), "label": 1})
    image = {"shape": [4, 4, 3], "encoding": "png"}
    (chunk,), _ = read(path=str(tmp_path / "a"), features={"x": {**image, "resize": True}, "label": {"dtype": "int64"}})
    assert (chunk.x.shape, np.unique(chunk.x).tolist()) == ((1, 4, 4, 3), [7])
    with pytest.raises(DataError, match="cannot be read"):
        read(path=str(tmp_path / "a"), features={"x": image, "label": {"dtype": "int64"}})


def test_text_labels_groups_and_splits_are_taken(tmp_path: Path) -> None:
    rows = [{"x": [float(i), 0.0], "label": label, "who": i % 2} for i, label in enumerate([b"dog", b"cat", b"dog"])]
    write(tmp_path / "train.gz", *rows, compression="GZIP")
    write(tmp_path / "test.gz", rows[0], compression="GZIP")
    features = {"x": NUMBERS["x"], "label": {"dtype": "text"}, "who": {"dtype": "int64"}}
    paths = {"test": str(tmp_path / "test.gz"), "train": str(tmp_path / "train.gz")}
    chunks, reader = read(path=paths, features=features, group="who")
    assert [(list(chunk.splits), chunk.y.tolist(), list(chunk.groups)) for chunk in chunks if chunk.y is not None] == [
        (["train"] * 3, [1, 0, 1], ["0", "1", "0"]), (["test"], [1], ["0"])]
    assert reader.class_names == ("cat", "dog")


def test_several_labels_are_several_outputs(tmp_path: Path) -> None:
    write(tmp_path / "a", {"x": [1.0, 2.0], "kind": 1, "size": 0.5})
    features = {"x": NUMBERS["x"], "kind": {"dtype": "int64"}, "size": {"dtype": "float32"}}
    (chunk,), _ = read("values", path=str(tmp_path / "a"), features=features, label=["kind", "size"])
    assert chunk.y is not None
    assert (chunk.y["kind"].tolist(), chunk.y["size"].tolist()) == ([1], [0.5])


def test_a_damaged_file_is_named_and_so_is_a_missing_feature(tmp_path: Path) -> None:
    write(tmp_path / "a", {"x": [1.0, 2.0], "label": 0})
    write(tmp_path / "b", {"x": [1.0, 2.0], "label": 0})
    content = bytearray((tmp_path / "b").read_bytes())
    content[20] ^= 1
    (tmp_path / "b").write_bytes(content)
    with pytest.raises(DataError, match=r"/b cannot be read: corrupted record"):
        read(path=str(tmp_path / "*"), features=NUMBERS)
    features = {**NUMBERS, "y": {"dtype": "float32"}}
    with pytest.raises(DataError, match=r"/a cannot be read: .*y"):
        read(path=str(tmp_path / "a"), features=features)


def test_a_pattern_without_files_is_refused_by_reader_and_digest(tmp_path: Path) -> None:
    settings = Settings(path=str(tmp_path / "*"), features=NUMBERS)
    with pytest.raises(DataError, match="no file matches"):
        tfrecord.source_digest(settings)
    (tmp_path / "a").write_bytes(b"1")
    before = tfrecord.source_digest(settings)
    (tmp_path / "b").write_bytes(b"2")
    assert tfrecord.source_digest(settings) != before


@pytest.mark.parametrize(("settings", "message"), [
    ({"label": "labl"}, "did you mean 'label'?"), ({"label": ["x", "label"]}, "there is no input"),
    ({"features": {"x": {"dtype": "text"}, "label": {}}}, "the input 'x' is text"),
    ({"features": {"x": {"encoding": "jpeg", "shape": [4, 4]}, "label": {}}}, "[height, width, 1]"),
    ({"features": {"x": {"resize": True}, "label": {}}}, "resize is for images"),
    ({"features": {"x": {"encoding": "png", "shape": [4, 4, 3], "dtype": "float32"}, "label": {}}}, "dtype uint8"),
    ({"features": {"x": {"dtype": "text", "shape": [2]}, "label": {}}}, "text has encoding none"),
])
def test_a_schema_that_contradicts_itself_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(**{"path": "*", "features": NUMBERS, **settings})
    assert message in str(caught.value)
