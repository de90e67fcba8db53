"""Samples from a function of the user's: arrays, splits of arrays, or `tf.data` datasets.

| what it returns | what it means |
|---|---|
| `(x, y)` | arrays, or dicts of arrays by input or output name; splits are drawn by seed |
| `{"x": x, "y": y, "groups": groups}` | the same, with what no split may cut in two |
| `{"x": x, "y": y, "slices": {name: values}}` | the same, with columns whose values are slices |
| `((x, y), (x, y))`, or three of them | train and test, or train, validation and test |
| `{"train": ..., "validation": ..., "test": ...}` | splits by name, each as above, or all of them datasets |
| a `tf.data.Dataset` | samples or batches of `(x, y)` |
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from device_profiles.errors import DataError, UsageError, with_near_miss
from device_profiles.records import Record
from device_profiles.strictyaml import refusal
from stages.datasets.arrays import ArraysReader, Part
from stages.datasets.digests import file_digest, text_digest
from stages.datasets.foreign_code import ForeignCode
from stages.datasets.records import SPLITS, TEST, TRAIN, VALIDATION, LabelKind, Reader
from stages.datasets.tensors import DatasetPart, DatasetReader
from stages.imports import find_source, load_function, split_reference, working_folder_importable

LIBRARIES = ("tensorflow",)
Array = NDArray[Any]
FORM = ('(x, y) arrays; {"x": x, "y": y, "groups": groups, "slices": slices}; ((x_train, y_train), (x_test, y_test)); '
        'a dict of these by "train", "validation", "test"; or a tf.data.Dataset of (x, y)')


class Settings(Record):
    """Which function, and what it is called with."""

    kind: Literal["function"] = "function"
    path: str = Field(description="package.module:function, importable from the working folder")
    arguments: dict[str, Any] = Field(default_factory=dict, description="given to the function by name")
    version: str = Field(default="", description="raise it when the function would return other samples than before")
    class_names: tuple[str, ...] = Field(default=(), description="in label order")
    batched: bool | None = Field(default=None, description="whether a dataset's element is a batch; auto if left out")
    add_channel: bool = Field(
        default=True, description="give x of shape (samples, height, width) an axis of one channel")

    def slice_columns(self) -> None:
        """Columns whose values are slices: what the function returns has them."""
        return

    @field_validator("path")
    @classmethod
    def _is_reference(cls, value: str) -> str:
        try:
            split_reference(value)
        except UsageError as error:
            raise refusal(error.found, error.allowed, error.next_step) from error
        return value


def open_reader(settings: Settings, labels: LabelKind) -> Reader:
    """Call the function and make a reader of what it returns.

    Raises:
        UsageError: the function cannot be imported.
        DataError: it raises, or returns what is no data.
    """
    function = load_function(settings.path)
    _check_arguments(settings, function)
    user_code = ForeignCode(settings.path, "a function that returns samples",
                            "call it in a script of yours: it fails there too", _source(settings))
    with working_folder_importable(), user_code:
        returned = function(**settings.arguments)
    parts = _splits(settings.path, returned)
    names = settings.class_names if labels != "values" else ()
    if all(_is_dataset(part) for part in parts.values()):
        datasets = [DatasetPart(dataset, split, _where(settings.path, split)) for split, dataset in parts.items()]
        return DatasetReader(class_names=names, parts=datasets, labels=labels, batched=settings.batched,
                             add_channel=settings.add_channel)
    arrays = [_part(_where(settings.path, split), split, value) for split, value in parts.items()]
    return ArraysReader(class_names=names, parts=arrays, labels=labels, add_channel=settings.add_channel)


def source_digest(settings: Settings, cache: Path | None = None) -> str:
    """SHA-256 of the module's source, the arguments and the version.

    What the module imports and what files it reads is not known: that is what `version` is for.

    Raises:
        UsageError: there is no such module.
    """
    source = _source(settings)
    code = file_digest(source, cache) if source else ""
    return f"{settings.kind}:sha256:{text_digest(settings.model_dump_json(), code)}"


def _source(settings: Settings) -> Path | None:
    """The file of the function's module."""
    return find_source(split_reference(settings.path)[0])


def _check_arguments(settings: Settings, function: Callable[..., Any]) -> None:
    """Refuse arguments that the function does not take."""
    try:
        signature = inspect.signature(function)
        signature.bind(**settings.arguments)
    except TypeError as error:
        raise DataError(f"{settings.path} cannot be called with data.source.arguments: {error}",
                        f"arguments of {settings.path.partition(':')[2]}{signature}") from error
    except ValueError:  # a function of C code, which says nothing of its arguments
        return


def _where(reference: str, split: str) -> str:
    """What to call what the function returned."""
    return f"{reference}: {split}" if split else reference


def _is_dataset(value: Any) -> bool:
    """Whether a value is a `tf.data.Dataset`; told by its looks, as TensorFlow may not be imported at all."""
    return hasattr(value, "element_spec") and hasattr(value, "as_numpy_iterator")


def _splits(reference: str, returned: Any) -> dict[str, Any]:
    """By split, what the function returned; one that is to be drawn from is called ""."""
    if _is_split(returned):
        return {"": returned}
    if isinstance(returned, Mapping) and returned:
        parts = _named_splits(reference, returned)
    elif isinstance(returned, tuple) and len(returned) in (2, 3):
        parts = dict(zip((TRAIN, TEST) if len(returned) == 2 else (TRAIN, VALIDATION, TEST), returned, strict=True))
    else:
        raise DataError(f"{reference} returned {_shown(returned)}", FORM)
    if not all(map(_is_split, parts.values())):
        raise DataError(f"{reference} returned {_shown(returned)}", FORM)
    if len(set(map(_is_dataset, parts.values()))) > 1:
        raise DataError(f"{reference} returned arrays for one split and a dataset for another", FORM)
    return parts


def _named_splits(reference: str, returned: Mapping[str, Any]) -> dict[str, Any]:
    """What the function returned by the names of splits."""
    unknown = [str(name) for name in returned if name not in SPLITS]
    if unknown or TRAIN not in returned:
        found = f"{reference} returned {_shown(returned)}"
        raise DataError(with_near_miss(found, unknown[0], SPLITS) if unknown else found, FORM)
    return {split: returned[split] for split in SPLITS if split in returned}


def _is_split(value: Any) -> bool:
    return _is_dataset(value) or _is_part(value)


def _is_part(value: Any) -> bool:
    """Whether a value is (x, y) or a dict with x and y."""
    if isinstance(value, Mapping):
        return {"x", "y"} <= set(value) <= {"x", "y", "groups", "slices"}
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_arrays, value))


def _is_arrays(value: Any) -> bool:
    """Whether a value is an array, a list, or a dict of these."""
    if isinstance(value, Mapping):
        return bool(value) and not set(value) <= set(SPLITS) and all(map(_is_arrays, value.values()))
    return isinstance(value, list) or (hasattr(value, "__array__") and not _is_dataset(value))


def _part(where: str, split: str, value: Any) -> Part:
    """Arrays of one split."""
    x, y, groups = (value["x"], value["y"], value.get("groups")) if isinstance(value, Mapping) else (*value, None)
    slices = value.get("slices", {}) if isinstance(value, Mapping) else {}
    return Part(_arrays(where, "x", x), _arrays(where, "y", y),
                None if groups is None else _arrays(where, "groups", groups)[""], split, where,
                _arrays(where, "slices", slices if isinstance(slices, Mapping) else {"slice": slices}))


def _arrays(where: str, what: str, value: Any) -> dict[str, Array]:
    """Arrays by name; a single one is called ""."""
    named = value if isinstance(value, Mapping) else {"": value}
    try:
        return {str(name): np.asarray(each) for name, each in named.items()}
    except (ValueError, TypeError) as error:
        raise DataError(f"{where}: {what} is no array: {error}", "numbers of one shape a sample") from error


def _shown(value: Any) -> str:
    """What was returned, in few words."""
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}: {', '.join(type(each).__name__ for each in value[:4])}"
    if isinstance(value, Mapping):
        entries = ", ".join(f"{name} ({type(each).__name__})" for name, each in list(value.items())[:6])
        return f"a dict with {entries or 'nothing'}"
    return "nothing" if value is None else f"a {type(value).__name__}"
