"""`tf.data` datasets as readers: batched or not, in a fixed order, with faults in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import DataError
from stages.datasets.records import Chunk
from stages.datasets.tensors import DatasetPart, DatasetReader

X, Y = np.arange(160, dtype=np.uint8).reshape(40, 2, 2), np.arange(40) % 2


def pairs(x: Any = X, y: Any = Y) -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((x, y))


def read(*datasets: Any, **options: Any) -> tuple[list[Chunk], DatasetReader]:
    parts = [data if isinstance(data, DatasetPart) else DatasetPart(data, where="my:data") for data in datasets]
    reader = DatasetReader(parts=parts, **options)
    return list(reader.chunks()), reader


def joined(chunks: list[Chunk], what: str) -> Any:
    return np.concatenate([getattr(chunk, what) for chunk in chunks])


@pytest.mark.parametrize("change", [lambda data: data, lambda data: data.batch(7), lambda data: data.batch(40)])
def test_samples_and_batches_give_the_same(change: Callable[[Any], Any]) -> None:
    chunks, reader = read(change(pairs()))
    assert np.array_equal(joined(chunks, "x"), X[..., None])
    assert joined(chunks, "x").dtype == np.uint8
    assert joined(chunks, "y").tolist() == Y.tolist()
    assert reader.class_names == ("0", "1")


def test_one_hot_labels_of_single_samples_are_told_from_batches() -> None:
    chunks, reader = read(pairs(y=np.eye(3)[Y]))
    assert joined(chunks, "y").tolist() == Y.tolist()
    assert reader.class_names == ("0", "1", "2")


def test_batches_of_a_fixed_size_need_a_word() -> None:
    data = pairs().batch(8, drop_remainder=True)
    with pytest.raises(DataError, match="may be a sample or a batch: x and y begin with an axis of 8"):
        read(data)
    assert len(joined(read(data, batched=True)[0], "x")) == 40


def test_several_inputs_outputs_and_splits_go_by_name() -> None:
    data = pairs({"a": X, "b": X.reshape(40, 4).astype(float)}, {"kind": Y, "size": Y * 0.5})
    chunks, _ = read(DatasetPart(data, "train"), DatasetPart(data.take(3), "test"))
    assert joined(chunks, "x").dtype == np.dtype([("a", "u1", (2, 2, 1)), ("b", "f4", (4,))])
    assert joined(chunks, "y").dtype == np.dtype([("kind", "i8"), ("size", "f4")])
    assert joined(chunks, "splits").tolist() == ["train"] * 40 + ["test"] * 3


def test_groups_come_as_a_third_tensor_where_they_are_asked_for() -> None:
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y, [f"g{i % 4}" for i in range(40)]))
    assert list(read(data, grouped=True)[0][0].groups)[:5] == ["g0", "g1", "g2", "g3", "g0"]
    with pytest.raises(DataError, match="a tuple of 3"):
        read(data)


def generator(*rows: Any, shape: Any = (2, 2)) -> Any:
    import tensorflow as tf

    def produce() -> Iterator[Any]:
        for row in rows:
            if isinstance(row, Exception):
                raise row
            yield row, 0

    signature = (tf.TensorSpec(shape, tf.float32), tf.TensorSpec((), tf.int64))
    return tf.data.Dataset.from_generator(produce, output_signature=signature)


def ragged() -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((tf.ragged.constant([[1, 2], [3]]), [0, 1]))


@pytest.mark.parametrize(("make", "message"), [
    (lambda: pairs().repeat(), "never ends"),
    (lambda: pairs().shuffle(40), "begins with other samples on every pass"),
    (lambda: pairs(X.astype(str)), "x has shape (40, 2, 2) and type object"),
    (lambda: pairs().map(lambda x, y: x), "an element of my:data is a TensorSpec"),
    (lambda: pairs().map(lambda x, y: ((x, x), y)), "holds a tuple"),
    (ragged, "holds a Ragged"),
    (lambda: generator(np.ones((2, 2)), OSError("the disk is gone")), "cannot be read: OSError: the disk is gone"),
    (lambda: generator(np.ones((2, 2)), np.ones((3, 2)), shape=(None, 2)), "Cannot batch tensors with different"),
    (lambda: pairs(y=Y - 1), "sample 0 has the label -1"),
])
def test_a_dataset_that_is_no_data_is_refused_in_one_line(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(make())
    assert message in caught.value.found
    assert "\n" not in caught.value.found
    assert "{{" not in caught.value.found


def test_a_shuffle_with_a_fixed_order_is_taken() -> None:
    chunks, _ = read(pairs().shuffle(40, seed=3, reshuffle_each_iteration=False))
    assert sorted(joined(chunks, "x")[:, 0, 0, 0].tolist()) == list(range(0, 160, 4))
