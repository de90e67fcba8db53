"""Folding: the same function in layers that TFMOT can quantize, on graphs of every shape, where that is exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.tflite import read_tflite
from stages.models.folding import fold, fused_by_tfmot, largest_difference
from stages.models.framework import tensorflow_turn
from stages.models.qat import quantize_aware, set_activation_ranges

DEPTHWISE = "written as a depthwise 1x1 convolution"


@pytest.fixture(scope="module")
def turn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """`tf_keras` in a turn of its own."""
    with tensorflow_turn(1, tmp_path_factory.mktemp("turn") / "log.txt") as keras:
        yield keras


def randomized(model: Any) -> Any:
    """Draw every weight, statistics included; variances from 0.5 to 2, some gammas negative."""
    rng = np.random.default_rng(4)
    for layer in model.layers:
        for weight in layer.weights:
            low, high = (0.5, 2.0) if "variance" in weight.name else (-1.0, 1.0)
            weight.assign(rng.uniform(low, high, weight.shape).astype(np.float32))
    return model


def samples(model: Any, count: int = 5) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.normal(0, 1, (count, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]


def check(model: Any, keep_values: bool = False) -> Any:
    """The folded model, after it was held against the model on random samples and random weights."""
    names, before = list(model.output_names), model.get_weights()
    folded = fold(model, keep_values)
    assert largest_difference(model, folded.model, samples(model)) <= 1e-5
    assert list(folded.model.output_names) == names
    assert [tensor.name.split(":")[0] for tensor in folded.model.inputs] == [
        tensor.name.split(":")[0] for tensor in model.inputs]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    return folded


def kinds(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def chain(keras: Any, shape: tuple[int, ...], *layers: Any) -> Any:
    inputs = x = keras.layers.Input(shape, name="given")
    for layer in layers:
        x = layer(x)
    return randomized(keras.Model(inputs, x))


BACK: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "dense": ((6,), lambda layers: layers.Dense(4, name="kernel")),
    "dense without bias": ((6,), lambda layers: layers.Dense(4, use_bias=False, name="kernel")),
    "dense on a sequence": ((5, 6), lambda layers: layers.Dense(4, name="kernel")),
    "conv1d": ((9, 3), lambda layers: layers.Conv1D(4, 3, padding="same", name="kernel")),
    "conv3d": ((4, 4, 4, 2), lambda layers: layers.Conv3D(3, 2, name="kernel")),
    "transposed": ((4, 4, 2), lambda layers: layers.Conv2DTranspose(3, 3, strides=2, padding="same", name="kernel")),
    "transposed 1d": ((4, 2), lambda layers: layers.Conv1DTranspose(3, 3, strides=2, name="kernel")),
    "depthwise 1d": ((9, 3), lambda layers: layers.DepthwiseConv1D(3, depth_multiplier=2, name="kernel")),
}


@pytest.mark.parametrize("name", BACK)
def test_a_normalization_is_folded_into_the_kernel_before_it(turn: Any, name: str) -> None:
    shape, make = BACK[name]
    folded = check(chain(turn, shape, make(turn.layers), turn.layers.BatchNormalization(name="norm"),
                         turn.layers.ReLU(name="relu")))
    assert folded.changed == {"norm": "folded into 'kernel'"}
    assert [layer.name for layer in folded.model.layers] == ["given", "kernel", "relu"]


AHEAD: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "dense": ((6,), lambda layers: layers.Dense(4, use_bias=False, name="kernel")),
    "conv2d": ((6, 6, 2), lambda layers: layers.Conv2D(3, 3, strides=2, name="kernel")),
    "1x1": ((6, 6, 2), lambda layers: layers.Conv2D(3, 1, padding="same", use_bias=False, name="kernel")),
    "depthwise": ((6, 6, 2), lambda layers: layers.DepthwiseConv2D(3, depth_multiplier=2, name="kernel")),
    "conv1d": ((9, 3), lambda layers: layers.Conv1D(4, 3, name="kernel")),
}


@pytest.mark.parametrize("name", AHEAD)
def test_a_normalization_without_a_kernel_before_it_is_folded_into_the_one_behind(turn: Any, name: str) -> None:
    shape, make = AHEAD[name]
    folded = check(chain(turn, shape, turn.layers.BatchNormalization(name="norm"), make(turn.layers)))
    assert folded.changed == {"norm": "folded into 'kernel'"}
    assert [layer.name for layer in folded.model.layers] == ["given", "kernel"]


@pytest.mark.parametrize(("make", "shape"), [
    (lambda layers: layers.Conv2D(3, 3, padding="same"), (6, 6, 2)),  # the offset would not be in the padding
    (lambda layers: layers.Conv2D(4, 1, groups=2), (6, 6, 2)),
    (lambda layers: layers.ReLU(), (6, 6, 2)),
    (lambda layers: layers.Conv2D(3, 3, kernel_constraint="max_norm"), (6, 6, 2)),
])
def test_where_folding_is_not_exact_a_depthwise_convolution_takes_the_place(
        turn: Any, make: Callable[[Any], Any], shape: tuple[int, ...]) -> None:
    folded = check(chain(turn, shape, turn.layers.BatchNormalization(name="norm"), make(turn.layers)))
    assert folded.changed == {"norm": DEPTHWISE}
    assert type(folded.model.get_layer("norm")).__name__ == "DepthwiseConv2D"


def test_folding_scales_each_channel_by_gamma_over_the_deviation(turn: Any) -> None:
    dense = turn.layers.Dense(2, name="dense")
    norm = turn.layers.BatchNormalization(epsilon=0.0, name="norm")
    model = chain(turn, (2,), dense, norm)
    dense.set_weights([np.array([[1.0, 2.0], [0.0, 4.0]]), np.array([1.0, -1.0])])
    norm.set_weights([np.array([2.0, 3.0]), np.array([0.5, 0.0]), np.array([3.0, 1.0]), np.array([4.0, 9.0])])
    kernel, bias = fold(model).model.get_layer("dense").get_weights()
    assert kernel == pytest.approx(np.array([[1.0, 2.0], [0.0, 4.0]]))  # scales 2 / 2 and 3 / 3; the zero stays
    assert bias == pytest.approx(np.array([1 * 1 + 0.5 - 3, -1 - 1]))


def test_one_channel_is_folded_like_several(turn: Any) -> None:
    layers = turn.layers
    model = chain(turn, (4, 4, 1), layers.BatchNormalization(name="lone"), layers.ReLU(), layers.Flatten(),
                  layers.Dense(1, name="dense"), layers.BatchNormalization(name="norm"))
    assert check(model).changed == {"lone": DEPTHWISE, "norm": "folded into 'dense'"}


def test_what_tfmot_fuses_itself_is_left_to_it(turn: Any) -> None:
    model = chain(turn, (6, 6, 2), turn.layers.Conv2D(3, 3), turn.layers.BatchNormalization(name="norm"),
                  turn.layers.ReLU(), turn.layers.DepthwiseConv2D(3), turn.layers.BatchNormalization(name="deep"))
    assert fused_by_tfmot(model) == {"norm", "deep"}
    assert fold(model).model is model


def test_a_normalized_convolution_with_an_activation_inside_is_not_fused(turn: Any) -> None:
    model = chain(turn, (6, 6, 2), turn.layers.Conv2D(3, 3, activation="relu"),
                  turn.layers.BatchNormalization(name="norm"))
    assert fused_by_tfmot(model) == frozenset()
    assert check(model).changed == {"norm": DEPTHWISE}


def test_shared_values_keep_their_kernel(turn: Any) -> None:
    model = chain(turn, (6,), turn.layers.Dense(4, name="dense"), turn.layers.BatchNormalization(name="norm"))
    model.get_layer("dense").kernel.assign(np.resize(np.float32([-1, 0, 2]), (6, 4)))
    folded = check(model, keep_values=True)
    assert folded.changed == {"norm": DEPTHWISE}
    assert set(np.unique(folded.model.get_layer("dense").kernel)) == {-1, 0, 2}
    assert kinds(folded.model) == ["InputLayer", "Dense", "Reshape", "DepthwiseConv2D", "Reshape"]


def test_a_kernel_that_others_read_or_that_is_called_twice_is_left_alone(turn: Any) -> None:
    layers = turn.layers
    one, two = layers.Input((6,), name="one"), layers.Input((6,), name="two")
    shared = layers.Dense(4, name="shared")
    left = layers.BatchNormalization(name="left_norm")(shared(one))
    right = layers.BatchNormalization(name="right_norm")(shared(two))
    read = layers.Dense(3, name="read")(right)
    joined = layers.Add(name="joined")([layers.BatchNormalization(name="read_norm")(read), read])
    model = randomized(turn.Model([one, two], [left, joined]))
    folded = check(model)
    assert folded.changed == {"left_norm": DEPTHWISE, "right_norm": "folded into 'read'", "read_norm": DEPTHWISE}
    assert np.array_equal(folded.model.get_layer("shared").kernel, shared.kernel)


def test_a_normalization_that_is_called_twice_stays_one_layer(turn: Any) -> None:
    layers = turn.layers
    one, two = layers.Input((4, 4, 2)), layers.Input((4, 4, 2))
    norm = layers.BatchNormalization(name="norm")
    folded = check(randomized(turn.Model([one, two], layers.Concatenate()([norm(one), norm(two)]))))
    assert len(folded.model.get_layer("norm").inbound_nodes) == 2
    assert folded.changed == {"norm": DEPTHWISE}


def test_an_output_keeps_its_name(turn: Any) -> None:
    folded = check(chain(turn, (6,), turn.layers.Dense(4, name="dense"), turn.layers.BatchNormalization(name="code")))
    assert folded.changed == {"code": "folded into 'dense'"}
    assert kinds(folded.model) == ["InputLayer", "Dense", "Activation"]


def test_functions_of_tensorflow_in_the_graph_are_fed_as_before(turn: Any) -> None:
    import tensorflow as tf

    inputs = turn.layers.Input((6,))
    x = turn.layers.BatchNormalization(name="norm")(turn.layers.Dense(4, name="dense")(inputs))
    y = turn.layers.Dense(4, name="other")(inputs)
    model = randomized(turn.Model(inputs, tf.abs(x) + tf.maximum(y, x)[:, :3][:, None, :1]))
    assert check(model).changed == {"norm": "folded into 'dense'"}


def test_a_sequential_model_is_folded_too(turn: Any) -> None:
    model = randomized(turn.Sequential([turn.layers.Input((6,)), turn.layers.Dense(3, name="dense"),
                                        turn.layers.BatchNormalization(name="norm"), turn.layers.Softmax()]))
    assert check(model).changed == {"norm": "folded into 'dense'"}


def test_what_scales_the_inputs_becomes_a_convolution_that_does_not_learn(turn: Any) -> None:
    given = turn.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 0.25, 1.0], name="given_mean")
    model = chain(turn, (6, 6, 3), turn.layers.Rescaling(1 / 127.5, -1.0, name="scale"), given,
                  turn.layers.Rescaling(0.5, name="half"))
    folded = check(model)
    assert folded.changed == {"scale": DEPTHWISE, "given_mean": DEPTHWISE}
    assert not folded.model.get_layer("scale").trainable
    assert folded.model.get_layer("given_mean").get_weights()[0].ravel() == pytest.approx([0.5, 2.0, 1.0])
    assert type(folded.model.get_layer("half")).__name__ == "Rescaling"  # one multiplication: int8 as it is


@pytest.mark.parametrize(("axis", "shape"), [(1, (4, 4, 2)), (-1, (2, 2, 2, 2))])
def test_what_no_depthwise_convolution_computes_is_left_with_the_reason(
        turn: Any, axis: int, shape: tuple[int, ...]) -> None:
    model = chain(turn, shape, turn.layers.ReLU(), turn.layers.BatchNormalization(axis=axis, name="norm"))
    folded = fold(model)
    assert folded.model is model
    assert list(folded.left) == ["norm"]


def test_a_folded_model_is_saved_and_read_back_as_the_same_function(turn: Any, tmp_path: Path) -> None:
    from stages.models.files import load_model, save_model

    folded = fold(chain(turn, (6, 6, 2), turn.layers.BatchNormalization(name="norm"), turn.layers.ReLU())).model
    save_model(folded, tmp_path)
    assert largest_difference(folded, load_model(tmp_path), samples(folded)) == 0


def pooled(keras: Any, padding: str = "valid", readers: int = 2) -> Any:
    """A pooling that a concatenation reads, and a convolution too where there are two readers."""
    inputs = keras.layers.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(inputs)
    pool = keras.layers.AveragePooling2D(2, padding=padding, name="pool")(x)
    other = keras.layers.Conv2D(4, 1 if readers == 2 else 2, 1 if readers == 2 else 2, name="other")(
        pool if readers == 2 else x)
    return keras.Model(inputs, keras.layers.Concatenate(name="cat")([pool, other]))


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_pooling_that_a_concatenation_shares_gets_a_range_of_its_own(turn: Any, padding: str) -> None:
    done = check(pooled(turn, padding))
    assert done.changed == {"pool": "followed by a depthwise 1x1 convolution, for a range of its own"}
    assert [layer.name for layer in done.model.layers if not layer.trainable] == ["pool_range"]
    assert done.model.get_layer("cat").input[0].name.startswith("pool_range")


def test_a_shared_pooling_goes_through_quantization_aware_training_to_int8(turn: Any) -> None:
    import tensorflow as tf

    quantized, floats = quantize_aware(fold(randomized(pooled(turn))).model)
    set_activation_ranges(quantized, samples(quantized)[0])
    converter = tf.lite.TFLiteConverter.from_keras_model(quantized)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    assert floats == {}
    names = [operator.name for operator in read_tflite(converter.convert()).graphs[0].operators]
    assert names.count("AVERAGE_POOL_2D") == names.count("DEPTHWISE_CONV_2D") == 1


def test_a_pooling_that_a_concatenation_alone_reads_stays_as_it_is(turn: Any) -> None:
    assert check(pooled(turn, readers=1)).changed == {}
