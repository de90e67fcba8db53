"""The data sets of `keras.datasets`, read from the files that Keras keeps; downloaded only when asked for.

| name | samples | labels | splits |
|---|---|---|---|
| `mnist`, `fashion_mnist` | (28, 28, 1) uint8 | 10 classes | train, test |
| `cifar10`, `cifar100` | (32, 32, 3) uint8 | 10 or 100 classes | train, test |
| `boston_housing`, `california_housing` | (13,) or (8,) float32 | a price | drawn by seed |

`imdb` and `reuters` are lists of word numbers of many lengths: no input of a fixed shape.
"""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from device_profiles.errors import DataError, with_near_miss
from device_profiles.records import Record
from device_profiles.strictyaml import refusal
from stages.datasets.arrays import ArraysReader, Part
from stages.datasets.digests import file_digests, text_digest
from stages.datasets.foreign_code import ForeignCode
from stages.datasets.records import TEST, TRAIN, LabelKind, Reader

LIBRARIES = ()
Array = NDArray[Any]
Pair = tuple[Array, Array]
_ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


@dataclass(frozen=True)
class File:
    """One file of a data set.

    Attributes:
        names: below Keras's cache folder, as its versions call it; a download gets the first.
        origin: where it is downloaded from.
        sha256: of the file, or "" where Keras does not state it.
    """

    names: tuple[str, ...]
    origin: str
    sha256: str = ""


@dataclass(frozen=True)
class Contents:
    """What the files of a data set hold: pairs by split ("" to be drawn), and class names."""

    pairs: dict[str, Pair]
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataSet:
    """A data set: its files and how to read them."""

    files: tuple[File, ...]
    read: Callable[[list[Path]], Contents]


class Settings(Record):
    """Which data set."""

    kind: Literal["keras"] = "keras"
    name: str = Field(description="as in keras.datasets: mnist, fashion_mnist, cifar10, ...")
    download: bool = Field(default=False, description="fetch what is not in the cache")
    cache: Path | None = Field(default=None, description="Keras's cache; left out: .keras in the home folder")

    @field_validator("name")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in DATA_SETS:
            found = with_near_miss(f"no Keras data set is called '{value}'", value, DATA_SETS)
            raise refusal(found, ", ".join(DATA_SETS))
        return value

    def slice_columns(self) -> tuple[str, ...]:
        """Columns whose values are slices: none here."""
        return ()

    def folder(self) -> Path:
        """Where the files are."""
        return (self.cache or Path.home() / ".keras") / "datasets"


def open_reader(settings: Settings, labels: LabelKind) -> Reader:
    """A reader of the data set.

    Raises:
        DataError: it is not in the cache, or its files are damaged.
    """
    data_set = DATA_SETS[settings.name]
    paths = [_found(settings, file) or _downloaded(settings, file) for file in data_set.files]
    with _faults(settings.name, paths):
        contents = data_set.read(paths)
    where = f"keras:{settings.name}"
    parts = [Part({"": x}, {"": y}, None, split, f"{where}: {split}" if split else where)
             for split, (x, y) in contents.pairs.items()]
    return ArraysReader(class_names=contents.class_names if labels != "values" else (), parts=parts, labels=labels)


def source_digest(settings: Settings, cache: Path | None = None) -> str:
    """SHA-256 of the files; where they may be downloaded, the name stands for them: it is the same before and after.

    Raises:
        DataError: they are not in the cache and may not be downloaded.
    """
    if settings.download:
        return f"{settings.kind}:{settings.name}"
    paths = [_found(settings, file) or _downloaded(settings, file) for file in DATA_SETS[settings.name].files]
    return f"{settings.kind}:{settings.name}:sha256:{text_digest(*file_digests(paths, cache))}"


def _found(settings: Settings, file: File) -> Path | None:
    """The file in the cache, or None."""
    paths = (settings.folder() / name for name in file.names)
    return next((path for path in paths if path.is_file()), None)


def _downloaded(settings: Settings, file: File) -> Path:
    """Fetch a file into the cache; Keras checks its digest where it is known."""
    target = settings.folder() / file.names[0]
    if not settings.download:
        raise DataError(f"keras:{settings.name} is not in Keras's cache: there is no {target}",
                        "the data set's files, or leave to download them",
                        f"set data.source: {{kind: keras, name: {settings.name}, download: true}}")
    from keras.utils import get_file

    with ForeignCode(f"the download of keras:{settings.name}", "a connection to the data set's server",
                     f"fetch {file.origin} as {target}"):
        return Path(get_file(target.name, origin=file.origin, file_hash=file.sha256 or None,
                             cache_dir=str(target.parent), cache_subdir="."))


def _read_npz_splits(paths: list[Path]) -> Contents:
    """MNIST: arrays by split."""
    with np.load(paths[0], allow_pickle=False) as arrays:
        pairs = {split: (arrays[f"x_{split}"], arrays[f"y_{split}"]) for split in (TRAIN, TEST)}
    return Contents(pairs, tuple("0123456789"))


def _read_npz(paths: list[Path]) -> Contents:
    """Housing: one pair of arrays."""
    with np.load(paths[0], allow_pickle=False) as arrays:
        return Contents({"": (arrays["x"], arrays["y"])})


def _read_idx(paths: list[Path]) -> Contents:
    """Fashion-MNIST: four idx files. Source of the class names: the data set's README."""
    arrays = [_idx(path) for path in paths]
    names = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
    return Contents({TRAIN: (arrays[0], arrays[1]), TEST: (arrays[2], arrays[3])}, names)


def _idx(path: Path) -> Array:
    """An idx file of bytes: two zero bytes, type 8, the rank, each axis in 4 bytes (big-endian), the values."""
    with gzip.open(path) as file:
        data = file.read()
    if data[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path.name} is no idx file of unsigned bytes")
    shape = np.frombuffer(data, ">i4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape.tolist())


def _read_cifar10(paths: list[Path]) -> Contents:
    """Five batches for training and one for testing, in an archive."""
    batches = _unpickled(paths[0])
    train = [batches[f"data_batch_{i}"] for i in range(1, 6)]
    names = tuple(name.decode() for name in batches["batches.meta"][b"label_names"])
    return Contents({TRAIN: _cifar(train, b"labels"), TEST: _cifar([batches["test_batch"]], b"labels")}, names)


def _read_cifar100(paths: list[Path]) -> Contents:
    """One batch each, in an archive; the fine labels."""
    batches = _unpickled(paths[0])
    names = tuple(name.decode() for name in batches["meta"][b"fine_label_names"])
    return Contents({split: _cifar([batches[split]], b"fine_labels") for split in (TRAIN, TEST)}, names)


def _cifar(batches: list[dict[bytes, Any]], labels: bytes) -> Pair:
    """Images and labels of some batches."""
    data = np.concatenate([batch[b"data"] for batch in batches])
    x = data.reshape(-1, 3, 32, 32)  # (samples, channels, height, width)
    y = np.concatenate([np.asarray(batch[labels], np.int64) for batch in batches])
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)), y


def _unpickled(path: Path) -> dict[str, Any]:
    """By file name, the pickles in an archive. It is read in place: nothing is unpacked to disk."""
    found = {}
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            name = Path(member.name).name
            file = archive.extractfile(member) if member.isfile() else None
            if file and not name.endswith((".html", ".txt", "~")):
                found[name] = _Unpickler(io.BytesIO(file.read()), encoding="bytes").load()
    return found


class _Unpickler(pickle.Unpickler):
    """Reads arrays, numbers and text; anything else that a pickle may call is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Only what numpy needs to make an array."""
        if (module, name) in _HARMLESS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


_HARMLESS = {("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
             ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}


@contextmanager
def _faults(name: str, paths: list[Path]) -> Iterator[None]:
    """What a damaged file raises, as one error."""
    try:
        yield
    except (OSError, ValueError, EOFError, KeyError, zlib.error, tarfile.TarError, pickle.UnpicklingError) as error:
        raise DataError(f"keras:{name} cannot be read from {paths[0].parent}: {error}",
                        "the files as Keras downloads them",
                        f"delete {', '.join(str(path) for path in paths)} and set download: true") from error


_FASHION = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz",
            "t10k-labels-idx1-ubyte.gz")
DATA_SETS: dict[str, DataSet] = {
    "mnist": DataSet((File(("mnist.npz",), f"{_ORIGIN}mnist.npz",
                           "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"),), _read_npz_splits),
    "fashion_mnist": DataSet(tuple(File((f"fashion-mnist/{name}", f"datasets/fashion-mnist/{name}", name),
                                        _ORIGIN + name) for name in _FASHION), _read_idx),
    "cifar10": DataSet((File(("cifar-10-python.tar.gz", "cifar-10-batches-py-target_archive",
                              "cifar-10-batches-py.tar.gz"),
                             "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                             "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"),), _read_cifar10),
    "cifar100": DataSet((File(("cifar-100-python.tar.gz", "cifar-100-python-target_archive"),
                              "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
                              "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"),), _read_cifar100),
    "boston_housing": DataSet((File(("boston_housing.npz",), f"{_ORIGIN}boston_housing.npz",
                                    "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"),), _read_npz),
    "california_housing": DataSet((
        File(("california_housing.npz",), f"{_ORIGIN}california_housing.npz",
             "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"),), _read_npz),
}
