"""A reader over `tf.data` datasets: those of a user's function, of TFRecord files, of tensorflow-datasets.

A dataset gives (x, y), a sample or a batch at a time; x and y are tensors, or dicts of tensors by input or output name.
Its order must be the same on every pass, or the same run would not give the same bytes: the beginning is read twice and
compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import DataError
from stages.datasets.array_labels import Labels, as_text, join
from stages.datasets.arrays import CHUNK_BYTES, Part, check_part, prepared_input
from stages.datasets.records import Chunk, LabelKind, Reader

Array = NDArray[Any]
FORM = "(x, y), where x and y are tensors, or dicts of tensors by name"
_PLACE = re.compile(r"\{\{.*?\}\}|\[Op:.*")
_RAISED = re.compile(r"\w*(Error|Exception|Warning)\b.*:")
COMPARED = 8
"""Samples at the beginning that are read twice."""


@dataclass(frozen=True)
class DatasetPart:
    """A dataset that is one split, or none.

    Attributes:
        dataset: a `tf.data.Dataset`.
        split: one of `SPLITS`, or "".
        where: what to call it in messages.
    """

    dataset: Any
    split: str = ""
    where: str = "the dataset"


@dataclass
class DatasetReader(Reader):
    """All samples of some datasets, one after the other.

    Attributes:
        parts: the datasets.
        labels: what the task predicts.
        batched: whether an element is a batch; None: found out from the shapes.
        grouped: whether elements are (x, y, group).
        checked: whether to read the beginning twice.
        add_channel: give (height, width) samples an axis of one channel.
    """

    parts: Sequence[DatasetPart] = ()
    labels: LabelKind = "classes"
    batched: bool | None = None
    grouped: bool = False
    checked: bool = True
    add_channel: bool = True

    def chunks(self) -> Iterator[Chunk]:
        """See `Reader.chunks`."""
        classes, named = 0, self.class_names
        for part in self.parts:
            with tensor_faults(part.where):
                labels = Labels(self.labels, part.where, named, classes)
                for x, y, *groups in self._batches(part):
                    yield self._chunk(part, x, labels.take(y), groups)
            classes = labels.classes
            self.class_names = labels.names()

    def _batches(self, part: DatasetPart) -> Iterator[tuple[Any, ...]]:
        """(x, y) or (x, y, groups) as numpy, a batch at a time."""
        import tensorflow as tf

        x, y = _split_spec(part, 3 if self.grouped else 2)
        dataset = part.dataset
        if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
            raise DataError(f"{part.where} never ends", "a dataset of one pass", "leave out repeat(), or add take(n)")
        options = tf.data.Options()
        options.deterministic = True
        dataset = dataset.with_options(options)
        if not (_is_batched(part, x, y) if self.batched is None else self.batched):
            dataset = dataset.batch(_batch_size(x))
        if self.checked:
            _check_order(dataset, part.where)
        yield from dataset.as_numpy_iterator()

    def _chunk(self, part: DatasetPart, x: Any, y: Array, groups: Sequence[Array]) -> Chunk:
        """A batch as a chunk."""
        inputs = x if isinstance(x, Mapping) else {"": x}
        check_part(Part(inputs, {"": y}, where=part.where))
        prepared = {name: prepared_input(values, self.add_channel) for name, values in inputs.items()}
        samples = prepared[""] if set(prepared) == {""} else join(prepared)
        return Chunk(x=samples, y=y, groups=as_text(groups[0]) if groups else (),
                     splits=[part.split] * len(samples) if part.split else ())


def _split_spec(part: DatasetPart, length: int) -> tuple[Any, Any]:
    """What the dataset says of x and y.  # length of its elements: 2, or 3 with groups.

    Raises:
        DataError: its elements are not (x, y), or not of plain tensors.
    """
    import tensorflow as tf

    spec = part.dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != length:
        found = f"a tuple of {len(spec)}" if isinstance(spec, tuple) else f"a {type(spec).__name__}"
        raise DataError(f"an element of {part.where} is {found}", FORM, "dataset.map(lambda ...: (x, y))")
    for leaf in tf.nest.flatten(spec):
        if not isinstance(leaf, tf.TensorSpec):
            raise DataError(f"an element of {part.where} holds a {type(leaf).__name__.removesuffix('Spec')}", FORM,
                            "make dense tensors of one shape")
    for side in spec:
        if not isinstance(side, Mapping | tf.TensorSpec) or (
                isinstance(side, Mapping) and not all(isinstance(leaf, tf.TensorSpec) for leaf in side.values())):
            raise DataError(f"an element of {part.where} holds a {type(side).__name__}", FORM)
    return spec[0], spec[1]


def _is_batched(part: DatasetPart, x: Any, y: Any) -> bool:
    """Whether an element is a batch: every tensor has a first axis of one length, which the dataset leaves open.

    Raises:
        DataError: the first axes have one fixed length: it can be either.
    """
    import tensorflow as tf

    ranks = [leaf.shape.rank for leaf in tf.nest.flatten((x, y))]
    if None in ranks:
        first = next(iter(part.dataset.take(1)), None)
        if first is None:
            raise DataError(f"{part.where} has no samples", "at least 3 samples in each class")
        return all(leaf.shape.rank for leaf in tf.nest.flatten(first)) and _one_length(tf.nest.flatten(first))
    if 0 in ranks:
        return False
    lengths = {leaf.shape[0] for leaf in tf.nest.flatten((x, y))}
    if lengths == {None}:
        return True
    if len(lengths) > 1:
        return False
    found = f"an element of {part.where} may be a sample or a batch: x and y begin with an axis of {lengths.pop()}"
    raise DataError(found, "single samples, or batches without drop_remainder",
                    "set data.source.batched to true or false")


def _one_length(tensors: Sequence[Any]) -> bool:
    """Whether all tensors have as many rows."""
    return len({int(tensor.shape[0]) for tensor in tensors}) == 1


def _batch_size(x: Any) -> int:
    """Samples that make up a chunk."""
    import tensorflow as tf

    leaves = tf.nest.flatten(x)
    sizes = [leaf.shape.num_elements() for leaf in leaves]
    if None in sizes:
        return COMPARED
    sample = sum(int(size * leaf.dtype.size) for size, leaf in zip(sizes, leaves, strict=True))
    return max(COMPARED, min(4096, CHUNK_BYTES // max(1, sample)))


def _check_order(dataset: Any, where: str) -> None:
    """Refuse a dataset that begins differently on two passes."""
    one, other = (_beginning(dataset) for _ in range(2))
    if len(one) != len(other) or any(not np.array_equal(a, b) for a, b in zip(one, other, strict=False)):
        raise DataError(f"{where} begins with other samples on every pass", "the same samples in the same order",
                        "leave shuffling and augmentation to litesmith, or give shuffle a seed and "
                        "reshuffle_each_iteration=False")


def _beginning(dataset: Any) -> list[Array]:
    """The tensors of the first samples."""
    import tensorflow as tf

    first = next(islice(dataset.as_numpy_iterator(), 1), None)
    return [] if first is None else [np.nan_to_num(leaf[:COMPARED]) if leaf.dtype.kind == "f" else leaf[:COMPARED]
                                     for leaf in map(np.atleast_1d, tf.nest.flatten(first))]


@contextmanager
def tensor_faults(where: str) -> Iterator[None]:
    """What TensorFlow raises while it reads, as one error."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        lines = [_PLACE.sub("", line).strip() for line in str(error.message).splitlines()]
        raised = [line for line in lines if _RAISED.match(line)]  # by the Python code of a generator
        found = (raised or [line for line in lines if line] or [type(error).__name__])[0]
        raise DataError(f"{where} cannot be read: {found[:300]}", "samples of one shape and type",
                        "iterate over the dataset in a script of yours: it fails there too") from error
