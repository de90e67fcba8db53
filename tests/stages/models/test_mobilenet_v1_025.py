"""`mobilenet_v1_025` against what MLPerf Tiny's reference script makes."""

from __future__ import annotations

import pytest

from device_profiles.errors import ModelError
from stages.models.mobilenet_v1_025 import build
from tests.stages.models.reference import described, take_pruning_and_qat, tflite_rows

# output side, input channels, output channels of the 13 separable convolutions at 96x96
LAYERS = [(48, 8, 16), (24, 16, 32), (24, 32, 32), (12, 32, 64), (12, 64, 64), (6, 64, 128), (6, 128, 128),
          (6, 128, 128), (6, 128, 128), (6, 128, 128), (6, 128, 128), (3, 128, 256), (3, 256, 256)]


def test_it_has_the_parameters_that_its_layers_add_up_to() -> None:
    stem = 27 * 8 + 8 + 4 * 8
    blocks = sum(9 * i + i + 4 * i + i * o + o + 4 * o for _, i, o in LAYERS)
    assert build((96, 96, 3), 2).count_params() == stem + blocks + 256 * 2 + 2 == 221_794


def test_the_tflite_model_has_the_macs_of_its_layers() -> None:
    rows = tflite_rows(build((96, 96, 3), 2))
    assert [name for name, _, _ in rows] == ["CONV_2D", *["DEPTHWISE_CONV_2D", "CONV_2D"] * 13, "AVERAGE_POOL_2D",
                                             "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]
    by_hand = [48 * 48 * 8 * 27]
    for side, i, o in LAYERS:
        by_hand += [side * side * i * 9, side * side * i * o]
    assert [macs for _, _, macs in rows] == [*by_hand, 0, 0, 256 * 2, 0]


def test_kernels_start_as_in_the_reference() -> None:
    entries = {layer["name"]: described(layer) for layer in build((32, 32, 3), 2).get_config()["layers"]}
    _, plain, nested = entries["stem"]
    assert plain | {"strides": (2, 2), "padding": "same", "use_bias": True} == plain
    assert nested == {"kernel_initializer": ("HeNormal", 0), "kernel_regularizer": ("L2", 1e-4)}
    assert entries["block3_depthwise"][2] == {"depthwise_initializer": ("GlorotUniform", 0)}
    assert entries["scores"][2] == {"kernel_initializer": ("GlorotUniform", 0)}
    assert entries["stem_norm"][1] == {"momentum": 0.99, "epsilon": 0.001}


@pytest.mark.parametrize("shape", [(31, 32, 3), (96, 31, 3), (96, 96), (96, 96, 3, 1)])
def test_samples_that_five_halvings_leave_nothing_of_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="mobilenet_v1_025 cannot take samples of the shape") as caught:
        build(shape, 2)
    assert caught.value.allowed == "(height, width, channels) of at least (32, 32, 1)"


def test_pruning_and_quantization_aware_training_take_every_layer() -> None:
    pruned, floats = take_pruning_and_qat(build((32, 32, 1), 3))
    assert len(pruned) == 1 + 13 + 1
    assert floats == {}
