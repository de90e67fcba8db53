"""TFRecord files of `tf.train.Example`, by a schema: for each feature its type, shape and encoding.

    source:
      kind: tfrecord
      path: data/train-*.tfrecord          # or {train: PATTERN, test: PATTERN}
      features:
        image: {encoding: jpeg, shape: [96, 96, 3]}
        label: {dtype: int64}

The feature called `label` is the label, the others are inputs. Files are read in the order of their names.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from device_profiles.errors import DataError, with_near_miss
from device_profiles.records import Record
from stages.datasets.array_labels import as_text
from stages.datasets.digests import split_digest
from stages.datasets.records import SPLITS, Chunk, LabelKind, Reader
from stages.datasets.tabular_columns import sort_texts
from stages.datasets.tensors import DatasetPart, DatasetReader, tensor_faults

LIBRARIES = ("tensorflow",)
Split = Literal["train", "validation", "test"]
_WHOLE = ("uint8", "int8", "uint16", "int16", "int32", "int64")


class Feature(Record):
    """One feature of an Example."""

    name: str | None = Field(default=None, description="its key in the Example; left out: the same")
    dtype: Literal["uint8", "int8", "uint16", "int16", "int32", "int64", "float32", "float64", "text"] = Field(
        default="uint8", description="of the values; raw bytes are little-endian values of this type")
    shape: tuple[int, ...] = Field(default=(), description="of one sample; [height, width, channels] for images")
    encoding: Literal["none", "raw", "jpeg", "png"] = Field(
        default="none", description="none (a list of numbers), raw (bytes), jpeg or png")
    resize: bool = Field(default=False, description="bring an image to the shape (bilinear, antialiased)")

    @model_validator(mode="after")
    def _fits(self) -> Feature:
        if self.encoding in ("jpeg", "png") and (len(self.shape) != 3 or self.shape[2] not in (1, 3)):
            raise ValueError("an image has the shape [height, width, 1] or [height, width, 3]")
        if self.resize and self.encoding not in ("jpeg", "png"):
            raise ValueError("resize is for images: encoding jpeg or png")
        if self.encoding in ("jpeg", "png") and self.dtype != "uint8":
            raise ValueError("an image has dtype uint8")
        if self.dtype == "text" and (self.encoding != "none" or self.shape):
            raise ValueError("text has encoding none and no shape")
        return self


class Settings(Record):
    """Which files, and what is in them."""

    kind: Literal["tfrecord"] = "tfrecord"
    path: str | dict[Split, str] = Field(description="a file or pattern (data/*.tfrecord), or one for each split")
    features: dict[str, Feature] = Field(min_length=2, description="schema, by the name of the input or output")
    label: str | tuple[str, ...] = Field(default="label", description="which feature, or features, are labels")
    group: str | None = Field(default=None, description="which feature is the group")
    class_names: tuple[str, ...] = Field(default=(), description="in label order; left out for text: sorted")
    compression: Literal["auto", "none", "gzip", "zlib"] = Field(default="auto", description="auto: gzip for *.gz")

    @model_validator(mode="after")
    def _known(self) -> Settings:
        for name in (*self.label_names(), *([self.group] if self.group else [])):
            if name not in self.features:
                raise ValueError(with_near_miss(f"there is no feature '{name}'", name, self.features))
        if not self.input_names():
            raise ValueError("every feature is a label or a group: there is no input")
        texts = [name for name in self.input_names() if self.features[name].dtype == "text"]
        if texts:
            raise ValueError(f"the input '{texts[0]}' is text")
        return self

    def label_names(self) -> tuple[str, ...]:
        """The features that are labels."""
        return (self.label,) if isinstance(self.label, str) else self.label

    def slice_columns(self) -> tuple[str, ...]:
        """Columns whose values are slices: the group alone."""
        return ("group",) if self.group else ()

    def input_names(self) -> tuple[str, ...]:
        """The features that are inputs."""
        return tuple(name for name in self.features if name not in (*self.label_names(), self.group))

    def files(self) -> list[tuple[str, Path]]:
        """(split or "", file) in order.

        Raises:
            DataError: a pattern that no file matches.
        """
        patterns = {"": self.path} if isinstance(self.path, str) else self.path
        found = []
        for split in ("", *SPLITS):
            if split in patterns:
                pattern = patterns[split]  # type: ignore[index]
                files = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - patterns may be absolute
                if not files:
                    raise DataError(f"no file matches {pattern}", "TFRecord files", "check data.source.path")
                found += [(split, Path(file)) for file in files]
        return found


def open_reader(settings: Settings, labels: LabelKind) -> Reader:
    """A reader of the files.

    Raises:
        DataError: there are no files.
    """
    names = settings.class_names if labels != "values" else ()
    return RecordReader(class_names=names, files=settings.files(), settings=settings, labels=labels, batched=False,
                        grouped=settings.group is not None, checked=False)


def source_digest(settings: Settings, cache: Path | None = None) -> str:
    """SHA-256 over the contents of all files.

    Raises:
        DataError: a file cannot be read.
    """
    return f"{settings.kind}:sha256:{split_digest(settings.files(), cache)}"


@dataclass
class RecordReader(DatasetReader):
    """Reads file after file, so that a damaged one can be named.

    Attributes:
        files: (split or "", file).
        settings: what is in them.
    """

    files: list[tuple[str, Path]] = field(default_factory=list)
    settings: Settings | None = None

    def chunks(self) -> Iterator[Chunk]:
        """See `Reader.chunks`."""
        if self.settings is None:
            return
        names = self.settings.label_names()
        text = [name for name in names if self.settings.features[name].dtype == "text"]
        if text and self.labels == "classes" and not self.class_names:
            self.class_names = tuple(sort_texts(self._texts(text[0])))
        self.parts = [DatasetPart(_dataset(self.settings, path), split, str(path)) for split, path in self.files]
        yield from super().chunks()

    def _texts(self, name: str) -> set[str]:
        """All values of a feature of text: a pass of its own."""
        import tensorflow as tf

        found: set[str] = set()
        if self.settings is not None:
            schema = {name: self.settings.features[name]}
            for _, path in self.files:
                records = tf.data.TFRecordDataset(str(path), _compression(self.settings, path))
                with tensor_faults(str(path)):
                    for batch in records.map(lambda record: _parsed(record, schema)[name]).batch(4096):
                        found |= set(as_text(batch.numpy()))
        return found


def _dataset(settings: Settings, path: Path) -> Any:
    """The samples of one file: (x, y) or (x, y, group)."""
    import tensorflow as tf

    inputs, labels = settings.input_names(), settings.label_names()

    def sample(record: Any) -> tuple[Any, ...]:
        """(x, y) or (x, y, group) of one serialized Example."""
        values = _parsed(record, settings.features)
        x = values[inputs[0]] if len(inputs) == 1 else {name: values[name] for name in inputs}
        y = values[labels[0]] if len(labels) == 1 else {name: values[name] for name in labels}
        return (x, y) if settings.group is None else (x, y, values[settings.group])

    records = tf.data.TFRecordDataset(str(path), _compression(settings, path))
    return records.map(sample, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _compression(settings: Settings, path: Path) -> str:
    """As TensorFlow spells it."""
    named = ("gzip" if path.suffix == ".gz" else "none") if settings.compression == "auto" else settings.compression
    return "" if named == "none" else named.upper()


def _parsed(record: Any, schema: Mapping[str, Feature]) -> dict[str, Any]:
    """Tensors by name from one serialized Example."""
    import tensorflow as tf

    kinds = {}
    for name, feature in schema.items():
        stored = tf.string if feature.encoding != "none" or feature.dtype == "text" else \
            tf.int64 if feature.dtype in _WHOLE else tf.float32
        kinds[feature.name or name] = tf.io.FixedLenFeature(() if stored == tf.string else feature.shape, stored)
    values = tf.io.parse_single_example(record, kinds)
    return {name: _decoded(values[feature.name or name], feature) for name, feature in schema.items()}


def _decoded(value: Any, feature: Feature) -> Any:
    """One feature's value in its type and shape."""
    import tensorflow as tf

    if feature.dtype == "text":
        return value
    if feature.encoding == "none":
        return tf.cast(value, feature.dtype) if feature.dtype in ("uint8", "float64") else value
    if feature.encoding == "raw":
        return tf.reshape(tf.io.decode_raw(value, feature.dtype), feature.shape)
    decode = tf.io.decode_jpeg if feature.encoding == "jpeg" else tf.io.decode_png
    image = decode(value, channels=feature.shape[2])  # (height, width, channels) uint8
    if feature.resize:
        image = tf.cast(tf.round(tf.image.resize(image, feature.shape[:2], antialias=True)), tf.uint8)
    return tf.ensure_shape(image, feature.shape)
