"""Faults to be planted in a ResNet-8, one at a time, each with what `litesmith explain` should say about it.

The network that they are planted in is `sound`: the one that came has a fault of its own, which is one of them.

A fault in the network keeps what the float model computes wherever it can: a channel is scaled up in one layer and down
in the next, so that only its number format suffers. Faults that a run file can hold go through a run; those that other
tools make (a calibration set in another scale, one scale for all channels of a kernel, a range that was cut) are made
as files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Edit = Callable[[Any], Any]
FACTOR = 60.0
SHARE = 40.0
"""How many times as large as the others an outlier is: a channel, a single weight."""


@dataclass(frozen=True)
class Fault:
    """One fault in a run.

    Attributes:
        name: for the table.
        kinds: causes (or reasons of slowness) that name it.
        layers: parts of the labels that are right; none: the whole model.
        edit: of the Keras model; it may return another one.
        data: which training split.
        entry: the variant's entry in the run file.
        slow: whether it is one of "why is it not faster".
        as_it_came: whether the fault is the network's own, which `sound` takes out.
        by_hand: whether what mends it is done in the model, exactly, and gives back the model without the fault.
    """

    name: str
    kinds: tuple[str, ...]
    layers: tuple[str, ...] = ()
    edit: Edit | None = None
    data: str = "plain"
    entry: dict[str, Any] = field(default_factory=lambda: {"name": "int8"})
    slow: bool = False
    as_it_came: bool = False
    by_hand: bool = False


def scaled(model: Any, norm: str, reader: str, channels: list[int], factor: float) -> None:
    """Channels of a normalized ReLU, larger by a factor, and the next kernel's weights for them smaller by it."""
    gamma, beta, mean, variance = model.get_layer(norm).get_weights()
    gamma[channels] *= factor
    beta[channels] *= factor
    model.get_layer(norm).set_weights([gamma, beta, mean, variance])
    kernel, bias = model.get_layer(reader).get_weights()
    kernel[:, :, channels] /= factor
    model.get_layer(reader).set_weights([kernel, bias])


def silenced(model: Any, norm: str, channels: list[int]) -> None:
    """Channels that are zero after their ReLU, whatever the input."""
    gamma, beta, mean, variance = model.get_layer(norm).get_weights()
    gamma[channels], beta[channels] = 0.0, -1.0
    model.get_layer(norm).set_weights([gamma, beta, mean, variance])


def weakest(model: Any, norm: str, count: int) -> list[int]:
    """The channels whose normalization gives them the least amplitude."""
    return [int(each) for each in np.argsort(np.abs(model.get_layer(norm).get_weights()[0]))[:count]]


def outlier_weight(model: Any) -> None:
    """One weight of two channels far larger than the others, on an input that is always zero."""
    silent = weakest(model, "batch_normalization_1", 1)
    silenced(model, "batch_normalization_1", silent)
    kernel, bias = model.get_layer("conv2d_2").get_weights()
    kernel[1, 1, silent[0], [1, 5, 9]] = SHARE * np.abs(kernel).max()
    model.get_layer("conv2d_2").set_weights([kernel, bias])


def outlier_inputs(model: Any) -> None:
    """Weights of one input channel far larger than the others, as that channel is far smaller."""
    scaled(model, "batch_normalization_3", "conv2d_4", [3], 1 / FACTOR)


def outlier_channel(model: Any) -> None:
    """One channel of an activation far larger than the others."""
    scaled(model, "batch_normalization_5", "conv2d_7", [7], FACTOR)


def dead(model: Any) -> None:
    """A quarter of the channels of one layer never change."""
    silenced(model, "batch_normalization_3", weakest(model, "batch_normalization_3", 8))


def uneven(channels: int) -> Any:
    """Factors from 1/10 to 10, evenly spread on a logarithmic scale, in an order drawn once."""
    return np.random.default_rng(1).permutation(np.logspace(-1, 1, channels)).astype(np.float32)


def rebuilt(model: Any, made: Callable[[Any, Any], Any]) -> Any:
    """The model anew, layer by layer, without its weights.

    Args:
        model: a functional model.
        made: gives the output of what takes a layer's place, of the layer and what it is given.
    """
    import tf_keras

    outputs: dict[str, Any] = {}
    for layer in model.layers:
        if not layer._inbound_nodes[0].parent_nodes:
            outputs[layer.name] = tf_keras.Input(layer.output_shape[0][1:], name=layer.name)
            continue
        given = [outputs[node.layer.name] for node in layer._inbound_nodes[0].parent_nodes]
        outputs[layer.name] = made(layer, given if len(given) > 1 else given[0])
    return tf_keras.Model(outputs[model.layers[0].name], outputs[model.layers[-1].name])


def copied(layer: Any, given: Any) -> Any:
    """The output of a layer like another one."""
    return layer.__class__.from_config(layer.get_config())(given)


def sound(model: Any) -> Any:
    """The network to plant faults in: its mean by GlobalAveragePooling2D.

    As it came it has a fault of its own: AVERAGE_POOL_2D must keep its input's range, of which a mean uses a fifth.
    """
    import tf_keras

    def mean(layer: Any, given: Any) -> Any:
        if layer.name == "average_pooling2d":
            return tf_keras.layers.GlobalAveragePooling2D(name=layer.name)(given)
        return given if layer.name == "flatten" else copied(layer, given)

    made = rebuilt(model, mean)
    for layer in made.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    return made


def rewired(model: Any, after: str, readers: tuple[str, ...]) -> Any:
    """The model with a batch normalization after a layer, whose factors the kernels that read it take back."""
    import tf_keras

    factors = uneven(int(model.get_layer(after).output_shape[-1]))

    def normalized(layer: Any, given: Any) -> Any:
        output = copied(layer, given)
        return (tf_keras.layers.BatchNormalization(epsilon=0.0, name="planted")(output) if layer.name == after else
                output)

    made = rebuilt(model, normalized)
    for layer in model.layers:
        made.get_layer(layer.name).set_weights(layer.get_weights())
    made.get_layer("planted").set_weights([factors, 0 * factors, 0 * factors, 0 * factors + 1])
    for name in readers:
        kernel, bias = made.get_layer(name).get_weights()
        made.get_layer(name).set_weights([kernel / factors[None, None, :, None], bias])
    return made


def unfolded(model: Any) -> Any:
    """A batch normalization after an addition, where no convolution can take it in."""
    return rewired(model, "add_1", ("conv2d_6", "conv2d_8"))


def activation_first(model: Any) -> Any:
    """Convolution, ReLU, batch normalization."""
    return rewired(model, "activation_3", ("conv2d_4",))


def pruned(model: Any) -> None:
    """Four of five weights of every kernel are zero; what it then scores is not the question."""
    for layer in model.layers:
        if layer.name.startswith("conv2d"):
            kernel, bias = layer.get_weights()
            kernel[np.abs(kernel) < np.quantile(np.abs(kernel), 0.8)] = 0.0
            layer.set_weights([kernel, bias])


def wide_dense(model: Any) -> Any:
    """A network that is little more than one large matrix."""
    import tf_keras

    tf_keras.utils.set_random_seed(1)
    layers = tf_keras.layers
    return tf_keras.Sequential([layers.Input(model.input_shape[1:]), layers.Rescaling(1 / 255), layers.Flatten(),
                                layers.Dense(1024, activation="relu", name="wide"),
                                layers.Dense(10, activation="softmax", name="scores")])


def odd_channels(model: Any) -> Any:
    """Convolutions of 13 and 19 channels."""
    import tf_keras

    tf_keras.utils.set_random_seed(1)
    layers = tf_keras.layers
    return tf_keras.Sequential([
        layers.Input(model.input_shape[1:]), layers.Rescaling(1 / 255), layers.Conv2D(13, 3, activation="relu"),
        layers.Conv2D(19, 3, activation="relu"), layers.GlobalAveragePooling2D(),
        layers.Dense(10, activation="softmax")])


def _entry(name: str, **quantize: Any) -> dict[str, Any]:
    return {"name": name, "quantize": quantize}


ISLANDS = {"formats": ["int8", "float32"],
           "fixed": {"1:CONV_2D": "float32", "4:CONV_2D": "float32", "8:CONV_2D": "float32"}}
FAULTS = (
    Fault("calibration set of one class, drawn from a one-sided training split",
          ("calibration_one_sided",), data="one-sided", entry=_entry("int8", calibration="random",
                                                                     calibration_samples=64)),
    Fault("calibration set of 2 samples", ("calibration_small", "calibration_one_sided"),
          entry=_entry("int8", calibration_samples=2)),
    Fault("calibration set with samples 8 times as bright", ("unused_range",), data="glaring",
          entry=_entry("int8", ranges="extremes", calibration="random")),
    Fault("outlier weights in three channels of a kernel", ("outlier_weights",), ("batch_normalization_2", "add"),
          outlier_weight),
    Fault("weights of one input channel 60 times the others", ("outlier_weights", "lost_channels"),
          ("activation_3", "batch_normalization_3", "batch_normalization_4", "add_1"), outlier_inputs),
    Fault("one activation channel 60 times the others", ("outlier_activations",),
          ("activation_5", "batch_normalization_5"), outlier_channel),
    Fault("8 of 32 channels dead", ("dead_channels",), ("activation_3", "batch_normalization_3"), dead),
    Fault("a mean by AVERAGE_POOL_2D, in its input's range", ("pooled_range",), ("average_pooling2d",),
          as_it_came=True),
    Fault("batch normalization left unfolded", ("unfolded_norm",), ("add_1",), unfolded, by_hand=True),
    Fault("activation before batch normalization", ("activation_before_norm",), ("conv2d_3", "activation_3"),
          activation_first, by_hand=True),
    Fault("4-bit weights, rounded to the nearest", ("coarse_weights",), entry=_entry("int4", algorithm="minmax",
                                                                                     bias_correction=False)),
    Fault("float16: smaller, not faster", ("float_arithmetic",), entry={"name": "float16"}, slow=True),
    Fault("islands of float layers among integers", ("boundaries",), entry=_entry("mixed", mixed=ISLANDS), slow=True),
    Fault("4-bit convolutions fall out of the delegate", ("outside_delegate",), entry={"name": "int4"}, slow=True),
    Fault("int16x8 in reference kernels", ("outside_delegate", "reference_kernels"), entry={"name": "int16x8"},
          slow=True),
    Fault("80 % of the weights zero", ("zeros",), edit=pruned, slow=True),
    Fault("a layer bound by memory", ("memory_bound",), edit=wide_dense, slow=True),
    Fault("convolutions of 13 and 19 channels", ("layout",), edit=odd_channels, slow=True),
)


# -- faults that another tool makes --------------------------------------------------------------------------------

SCALED, NARROW, WIDE = 255.0, 0.25, 16.0
_CALIBRATING = 200


def file_fault(case: str, model: str, arrays: str) -> tuple[tuple[str, ...], tuple[str, ...], bytes, bytes, bytes, Any,
                                                             Any]:
    """(kinds, layers, float model, faulty int8 model, mended int8 model, samples, labels) of a fault in a file.

    Args:
        case: of `explain_faults.FILES`.
        model: a trained ResNet-8 that takes 0 to 255.
        arrays: the `.npz` file of images.
    """
    import tensorflow as tf
    import tf_keras

    from stages.converting.quantizing import PostTraining
    from stages.recipes import rules_for

    images = np.load(arrays)
    train, seen = (images[name].astype(np.float32) for name in ("x_train", "x_validation"))
    train, labels = train[::len(train) // _CALIBRATING], images["y_validation"]
    network = sound(tf_keras.models.load_model(model, compile=False))
    if case.endswith("0 to 1"):
        network = _taking_one(network)
        seen = seen / SCALED
    plain = bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
    if case.startswith("one scale"):
        return (("shared_scale",), (), plain, _converted(network, train, per_channel=False),
                _converted(network, train, per_channel=True), seen, labels)
    work = PostTraining(plain, rules_for("int8"), method="mse")
    right = work.calibrate(train / SCALED if case.endswith("0 to 1") else train)
    mended = work.quantize(right, {})
    if case.startswith("calibrated"):
        wrong = work.calibrate(train / SCALED if case.endswith("0 to 255") else train)
        return ("calibration_scaled",), (), plain, work.quantize(wrong, {}), mended, seen, labels
    tensor = next(name for name in right if "activation_3/Relu" in name.split(";")[0])
    factor = NARROW if "cut" in case else WIDE
    wrong = {**right, tensor: {end: value * factor for end, value in right[tensor].items()}}
    kinds = ("saturated_range",) if "cut" in case else ("unused_range",)
    return kinds, ("activation_3",), plain, work.quantize(wrong, {}), mended, seen, labels


def _taking_one(model: Any) -> Any:
    """The model for inputs from 0 to 1."""
    kernel, bias = model.get_layer("conv2d").get_weights()
    model.get_layer("conv2d").set_weights([kernel * SCALED, bias])
    return model


def _converted(model: Any, samples: Any, *, per_channel: bool) -> bytes:
    """The int8 model of TensorFlow's own converter."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample[None]] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter._experimental_disable_per_channel = not per_channel
    return bytes(converter.convert())


def answers(content: bytes, samples: Any) -> Any:
    """(samples,) the class with the largest output, in litert."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    given = interpreter.get_input_details()[0]
    interpreter.resize_tensor_input(given["index"], samples.shape)
    interpreter.allocate_tensors()
    scale, zero = given["quantization"]
    values = np.clip(np.round(samples / scale) + zero, -128, 127).astype(np.int8) if scale else samples
    interpreter.set_tensor(given["index"], values)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).argmax(axis=1)
