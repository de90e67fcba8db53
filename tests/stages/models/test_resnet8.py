"""`resnet8` against MLPerf Tiny's reference."""

from __future__ import annotations

import pytest

from device_profiles.errors import ModelError
from stages.models.resnet8 import build
from tests.stages.models.reference import (
    REFERENCES,
    described,
    needs_references,
    take_pruning_and_qat,
    tflite_rows,
)


def test_it_has_the_parameters_that_its_layers_add_up_to() -> None:
    convolutions = 9 * (3 * 16 + 2 * 16 * 16 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64) + 16 * 32 + 32 * 64
    biases = 3 * 16 + 3 * 32 + 3 * 64
    normalizations = 4 * (3 * 16 + 2 * 32 + 2 * 64)
    assert build((32, 32, 3), 10).count_params() == convolutions + biases + normalizations + 64 * 10 + 10 == 78_666


def test_the_tflite_model_has_the_references_operators_and_macs() -> None:
    rows = tflite_rows(build((32, 32, 3), 10))
    assert [name for name, _, _ in rows] == [
        "CONV_2D", "CONV_2D", "CONV_2D", "ADD", "CONV_2D", "CONV_2D", "CONV_2D", "ADD", "CONV_2D", "CONV_2D", "CONV_2D",
        "ADD", "AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]
    assert sum(macs for _, _, macs in rows) == 12_501_632


@needs_references
def test_every_layer_is_the_references() -> None:
    import tf_keras as keras

    reference = keras.models.load_model(REFERENCES / "pretrainedResnet.h5", compile=False)
    built = build((32, 32, 3), 10)
    ours, theirs = (sorted(str(described(layer)) for layer in model.get_config()["layers"])
                    for model in (built, reference))
    assert ours == theirs
    shapes = [sorted(str(variable.shape) for variable in model.weights) for model in (built, reference)]
    assert shapes[0] == shapes[1]


@needs_references
def test_the_references_weights_give_the_references_outputs() -> None:
    import numpy as np
    import tf_keras as keras

    reference = keras.models.load_model(REFERENCES / "pretrainedResnet.h5", compile=False)
    built = build((32, 32, 3), 10)
    kinds = {type(layer).__name__ for layer in reference.layers if layer.weights}
    for kind in kinds:  # within a kind, both list the layers in the order of the graph, shortcuts after the main path
        ours, theirs = (_of_kind(model, kind) for model in (built, reference))
        for target, source in zip(ours, theirs, strict=True):
            target.set_weights(source.get_weights())
    x = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype(np.float32)
    assert np.array_equal(built(x).numpy(), reference(x).numpy())


def _of_kind(model: object, kind: str) -> list[object]:
    """Layers of a kind; convolutions ordered by where they stand in both: size of kernel, then the graph."""
    layers = [layer for layer in model.layers if type(layer).__name__ == kind]  # type: ignore[attr-defined]
    return sorted(layers, key=lambda layer: layer.kernel_size, reverse=True) if kind == "Conv2D" else layers


@pytest.mark.parametrize("shape", [(4, 4, 1), (8, 20, 3), (33, 17, 3)])
def test_other_images_fit(shape: tuple[int, ...]) -> None:
    model = build(shape, 7)
    assert model.output_shape == (None, 7)
    assert model.get_layer("flatten").output_shape == (None, 64)


@pytest.mark.parametrize("shape", [(3, 32, 3), (32, 3, 3), (32, 32), (1024,), (32, 32, 0)])
def test_samples_that_are_too_small_or_no_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="resnet8 cannot take samples of the shape") as caught:
        build(shape, 10)
    assert caught.value.allowed == "(height, width, channels) of at least (4, 4, 1)"


def test_pruning_and_quantization_aware_training_take_every_layer() -> None:
    pruned, floats = take_pruning_and_qat(build((8, 8, 1), 3))
    assert len(pruned) == 10
    assert floats == {}
