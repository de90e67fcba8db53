"""`keras.datasets` from files that stand in for Keras's cache; nothing is downloaded here."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from device_profiles.errors import DataError
from stages.datasets import keras_datasets
from stages.datasets.keras_datasets import Settings
from stages.datasets.records import Chunk, LabelKind, Reader


def read(settings: Settings, labels: LabelKind = "classes") -> tuple[list[Chunk], Reader]:
    reader = keras_datasets.open_reader(settings, labels)
    return list(reader.chunks()), reader


def mnist(folder: Path) -> Settings:
    (folder / "datasets").mkdir()
    x = np.arange(5 * 784, dtype=np.uint32).astype(np.uint8).reshape(5, 28, 28)
    y = np.arange(5, dtype=np.uint8)
    np.savez(folder / "datasets" / "mnist.npz", x_train=x[:3], y_train=y[:3], x_test=x[3:], y_test=y[3:])
    return Settings(name="mnist", cache=folder)


def archive(path: Path, **members: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as file:
        for name, content in members.items():
            data = pickle.dumps(content, protocol=2)
            info = tarfile.TarInfo(f"inner/{name.replace('_meta', '.meta')}")
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))


def batch(value: int, count: int = 2, key: bytes = b"labels") -> dict[bytes, Any]:
    data = np.full((count, 3072), value, np.uint8)
    data[:, 1024:2048] = 99  # the green plane
    return {b"data": data, key: [value % 10] * count}


def cifar10(folder: Path, name: str = "cifar-10-batches-py-target_archive") -> Settings:
    batches = {f"data_batch_{i}": batch(i) for i in range(1, 6)}
    archive(folder / "datasets" / name, **batches, test_batch=batch(7, 3),
            batches_meta={b"label_names": [f"class{i}".encode() for i in range(10)]})
    return Settings(name="cifar10", cache=folder)


def test_mnist_keeps_its_splits(tmp_path: Path) -> None:
    chunks, reader = read(mnist(tmp_path))
    assert [(chunk.splits[0], chunk.x.shape) for chunk in chunks] == [
        ("train", (3, 28, 28, 1)), ("test", (2, 28, 28, 1))]
    assert chunks[0].x.dtype == np.uint8
    assert reader.class_names == tuple("0123456789")


@pytest.mark.parametrize("name", ["cifar-10-batches-py-target_archive", "cifar-10-batches-py.tar.gz"])
def test_cifar10_is_read_from_its_archive_with_channels_last(tmp_path: Path, name: str) -> None:
    chunks, reader = read(cifar10(tmp_path, name))
    assert [(chunk.splits[0], len(chunk.x)) for chunk in chunks] == [("train", 10), ("test", 3)]
    assert chunks[0].x[2, 5, 6].tolist() == [2, 99, 2]  # red, green, blue
    assert chunks[1].y is not None
    assert chunks[1].y.tolist() == [7, 7, 7]
    assert reader.class_names[3] == "class3"


def test_cifar100_takes_the_fine_labels(tmp_path: Path) -> None:
    names = [f"fine{i}".encode() for i in range(100)]
    archive(tmp_path / "datasets" / "cifar-100-python.tar.gz", train=batch(4, key=b"fine_labels"),
            test=batch(5, key=b"fine_labels"), meta={b"fine_label_names": names})
    chunks, reader = read(Settings(name="cifar100", cache=tmp_path))
    assert len(reader.class_names) == 100
    assert [chunk.y.tolist() for chunk in chunks if chunk.y is not None] == [[4, 4], [5, 5]]


def test_fashion_mnist_is_read_from_idx_files(tmp_path: Path) -> None:
    folder = tmp_path / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    for part, count in (("train", 3), ("t10k", 2)):
        images = struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28) + bytes(range(count)) * 784
        labels = struct.pack(">4BI", 0, 0, 8, 1, count) + bytes(count)
        for kind, data in (("images-idx3", images), ("labels-idx1", labels)):
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(data))
    chunks, reader = read(Settings(name="fashion_mnist", cache=tmp_path))
    assert [len(chunk.x) for chunk in chunks] == [3, 2]
    assert chunks[0].x[0, 0, :4, 0].tolist() == [0, 1, 2, 0]
    assert reader.class_names[9] == "Ankle boot"


def test_housing_is_values_without_splits(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    np.savez(tmp_path / "datasets" / "boston_housing.npz", x=np.ones((4, 13)), y=np.array([20.5, 21, 22, 23]))
    (chunk,), reader = read(Settings(name="boston_housing", cache=tmp_path), "values")
    assert (chunk.x.shape, list(chunk.splits), reader.class_names) == ((4, 13), [], ())
    with pytest.raises(DataError, match="keras:boston_housing has labels"):
        read(Settings(name="boston_housing", cache=tmp_path))


def test_what_is_not_there_is_not_downloaded(tmp_path: Path) -> None:
    settings = Settings(name="mnist", cache=tmp_path)
    for call in (lambda: read(settings), lambda: keras_datasets.source_digest(settings)):
        with pytest.raises(DataError, match=r"is not in Keras's cache: there is no .*mnist\.npz") as caught:
            call()
        assert "download: true" in caught.value.next_step


def test_a_download_is_asked_of_keras_with_its_digest_and_a_failed_one_is_one_error(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def get_file(name: str, **options: Any) -> str:
        asked.append((name, options))
        if len(asked) == 1:
            raise Exception("URL fetch failure: no route to host")  # this is what Keras raises
        mnist(tmp_path)
        return str(tmp_path / "datasets" / name)

    utilities = ModuleType("keras.utils")
    utilities.get_file = get_file  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keras", ModuleType("keras"))
    monkeypatch.setitem(sys.modules, "keras.utils", utilities)
    settings = Settings(name="mnist", cache=tmp_path, download=True)
    with pytest.raises(DataError, match="the download of keras:mnist raised Exception: URL fetch failure"):
        read(settings)
    before = keras_datasets.source_digest(settings)
    chunks, _ = read(settings)
    assert len(chunks) == 2
    assert asked[1][0] == "mnist.npz"
    assert len(asked[1][1]["file_hash"]) == 64
    assert keras_datasets.source_digest(settings) == before
    read(settings)
    assert len(asked) == 2


def test_the_digest_follows_the_files(tmp_path: Path) -> None:
    settings = mnist(tmp_path)
    before = keras_datasets.source_digest(settings)
    (tmp_path / "datasets" / "mnist.npz").write_bytes(b"other")
    assert keras_datasets.source_digest(settings) != before


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/litesmith_was_here",)


def test_a_pickle_that_calls_something_is_refused_unrun(tmp_path: Path) -> None:
    archive(tmp_path / "datasets" / "cifar-10-python.tar.gz", data_batch_1=Evil())
    with pytest.raises(DataError, match=r"it asks for (posix|nt)\.system"):
        read(Settings(name="cifar10", cache=tmp_path))
    assert not Path("/tmp/litesmith_was_here").exists()


@pytest.mark.parametrize(
    "content", [b"", b"no archive", gzip.compress(b"no tar", mtime=0)], ids=["empty", "no_archive", "gzip_of_no_tar"]
)
def test_a_damaged_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "cifar-10-python.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match="keras:cifar10 cannot be read from"):
        read(Settings(name="cifar10", cache=tmp_path))


def test_an_archive_that_lacks_a_batch_is_refused(tmp_path: Path) -> None:
    archive(tmp_path / "datasets" / "cifar-10-python.tar.gz", data_batch_1=batch(1))
    with pytest.raises(DataError, match="data_batch_2"):
        read(Settings(name="cifar10", cache=tmp_path))


@pytest.mark.parametrize(("name", "hint"), [("cifar", "did you mean 'cifar10'?"), ("imdb", "no Keras data set")])
def test_another_name_is_refused(name: str, hint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(name=name)
    assert hint in str(caught.value)
