"""Data sets of tensorflow-datasets, an optional package; read from its folder, downloaded only when asked for.

The splits train, validation and test are taken as they are; what is missing is drawn from train by seed. `splits` names
others: `{train: "train[:90%]", test: "test"}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from device_profiles.errors import DataError, with_near_miss
from device_profiles.records import Record
from stages.datasets.digests import file_digests, text_digest
from stages.datasets.foreign_code import ForeignCode
from stages.datasets.records import SPLITS, TRAIN, LabelKind, Reader
from stages.datasets.tensors import DatasetPart, DatasetReader

LIBRARIES = ("tensorflow", "tensorflow-datasets")
PIP = "pip install tensorflow-datasets importlib_resources"
"""The second one is needed to prepare a data set, and not named among the requirements of the first (4.9.10)."""

_NAME = re.compile(r"(?P<name>\w+)(/(?P<config>[\w.-]+))?(:(?P<version>\d+\.\d+\.\d+))?")
Split = Literal["train", "validation", "test"]


class Settings(Record):
    """Which data set."""

    kind: Literal["tfds"] = "tfds"
    name: str = Field(description="name, name/config, name:1.0.0 or name/config:1.0.0")
    download: bool = Field(default=False, description="fetch and prepare what is not in the folder")
    data_dir: Path | None = Field(default=None, description="left out: tensorflow_datasets in the home folder")
    splits: dict[Split, str] = Field(default_factory=dict, description="by split, what to read; left out: as named")
    size: tuple[int, int] | None = Field(
        default=None, description="[height, width] that images are brought to (bilinear, antialiased)")

    @field_validator("name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError("not of the form name, name/config, name:1.0.0 or name/config:1.0.0")
        return value

    def slice_columns(self) -> tuple[str, ...]:
        """Columns whose values are slices: none here."""
        return ()

    def words(self) -> tuple[str, str, str]:
        """Name, config and version; "" for what is not given."""
        match = _NAME.fullmatch(self.name)
        return ("", "", "") if match is None else (match["name"], match["config"] or "", match["version"] or "")

    def folder(self) -> Path:
        """Where prepared data sets are."""
        return self.data_dir or Path.home() / "tensorflow_datasets"


def open_reader(settings: Settings, labels: LabelKind) -> Reader:
    """A reader of the data set.

    Raises:
        DataError: the package is not installed, the data set is not there, or has no (input, label) pairs.
    """
    if find_spec("tensorflow_datasets") is None:
        raise DataError("the package tensorflow-datasets is not installed", "it, for data.source tfds",
                        PIP)
    builder = _builder(settings)
    if not builder.info.supervised_keys or len(builder.info.supervised_keys) != 2:
        features = ", ".join(builder.info.features)
        raise DataError(f"tfds:{settings.name} has no (input, label) pairs: its features are {features}",
                        "a data set with supervised keys",
                        "read it with a function of yours: {kind: function, path: package.module:function}")
    names = getattr(builder.info.features[builder.info.supervised_keys[1]], "names", None) or ()
    parts = [_part(settings, builder, split, words) for split, words in _splits(settings, builder.info.splits).items()]
    return DatasetReader(class_names=tuple(names) if labels != "values" else (), parts=parts, labels=labels,
                         batched=False, checked=False, total=sum(len(part.dataset) for part in parts))


def source_digest(settings: Settings, cache: Path | None = None) -> str:
    """SHA-256 of the prepared files; where they may be downloaded, the name stands for them: the same before and after.

    Raises:
        DataError: the data set is not there and may not be downloaded.
    """
    if settings.download:
        return f"{settings.kind}:{settings.name}"
    folder = _prepared(settings)
    if folder is None:
        raise _absent(settings)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return f"{settings.kind}:{settings.name}:sha256:{text_digest(*file_digests(files, cache))}"


def _builder(settings: Settings) -> Any:
    """What reads the data set; prepared first where that is asked for."""
    import tensorflow_datasets

    folder = _prepared(settings)
    if folder is not None:
        with ForeignCode(f"tensorflow-datasets, reading {folder},", "a data set as it prepares them",
                         f"delete {folder} and set download: true"):
            return tensorflow_datasets.builder_from_directory(str(folder))
    if not settings.download:
        raise _absent(settings)
    with ForeignCode(f"the download of tfds:{settings.name}", "a data set of tensorflow-datasets, and a connection"):
        builder = tensorflow_datasets.builder(settings.name, data_dir=str(settings.folder()))
        builder.download_and_prepare()
        return builder


def _absent(settings: Settings) -> DataError:
    """The error for a data set that is not there."""
    folder = settings.folder()
    beside = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return DataError(with_near_miss(f"tfds:{settings.name} is not in {folder}", settings.name, beside),
                     "a data set that is prepared there, or leave to download it",
                     f"set data.source: {{kind: tfds, name: {settings.name}, download: true}}, or data_dir")


def _prepared(settings: Settings) -> Path | None:
    """The folder of the prepared data set in the version asked for, or the newest; None where there is none."""
    name, config, version = settings.words()
    base = settings.folder() / name / config
    found = [path.parent for path in base.glob("*/dataset_info.json")]
    if not config:
        found += [path.parent for path in base.glob("*/*/dataset_info.json")]
    found = [path for path in found if version in ("", path.name)]
    configs = sorted({path.parent.name for path in found})
    if len(configs) > 1:
        raise DataError(f"tfds:{settings.name} is there in {len(configs)} configs", ", ".join(configs),
                        f"name one: tfds:{name}/{configs[0]}")
    return max(found, key=_version, default=None)


def _version(path: Path) -> tuple[int, ...]:
    """A folder's name as a version."""
    return tuple(int(part) for part in path.name.split(".") if part.isdigit())


def _splits(settings: Settings, known: Mapping[str, Any]) -> dict[str, str]:
    """By split, what to read."""
    splits: dict[str, str] = {split: settings.splits[split] for split in SPLITS if split in settings.splits} \
        or {split: split for split in SPLITS if split in known}
    if TRAIN not in splits:
        raise DataError(f"tfds:{settings.name} has the splits {', '.join(known)}", "train among them",
                        "set data.source.splits: {train: ...}")
    return splits


def _part(settings: Settings, builder: Any, split: str, words: str) -> DatasetPart:
    """One split as (x, y) samples."""
    import tensorflow as tf

    where = f"tfds:{settings.name}: {split}"
    with ForeignCode(where, f"a split such as {', '.join(builder.info.splits)}", "check data.source.splits"):
        dataset = builder.as_dataset(split=words, as_supervised=True, shuffle_files=False)
    shape = dataset.element_spec[0].shape if isinstance(dataset.element_spec[0], tf.TensorSpec) else ()
    if settings.size is not None:
        size = settings.size

        def resized(x: Any, y: Any) -> tuple[Any, Any]:
            """The image in the size asked for.  # (height, width, channels), its own type."""
            return tf.cast(tf.round(tf.image.resize(x, size, antialias=True)), x.dtype), y

        dataset = dataset.map(resized, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    elif None in tuple(shape):
        raise DataError(f"the samples of tfds:{settings.name} have many sizes: {tuple(shape)}", "one size",
                        "set data.source.size: [height, width]")
    return DatasetPart(dataset, split, where)
