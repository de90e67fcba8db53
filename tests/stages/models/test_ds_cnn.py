"""`ds_cnn` against MLPerf Tiny's reference."""

from __future__ import annotations

import json
from typing import Any

import pytest

from device_profiles.errors import ModelError
from device_profiles.workload import read_workload
from stages.models.ds_cnn import build
from tests.stages.models.reference import (
    REFERENCES,
    described,
    needs_references,
    take_pruning_and_qat,
    tflite_rows,
)


def test_it_has_the_parameters_that_its_layers_add_up_to() -> None:
    stem = 10 * 4 * 64 + 64
    block = (9 * 64 + 64) + (64 * 64 + 64)
    assert build((49, 10, 1), 12).count_params() == stem + 4 * block + 9 * 4 * 64 + 64 * 12 + 12 == 24_908


def test_the_tflite_model_has_the_macs_of_its_layers() -> None:
    rows = tflite_rows(build((49, 10, 1), 12))
    assert [name for name, _, _ in rows] == ["CONV_2D", *["DEPTHWISE_CONV_2D", "CONV_2D"] * 4, "AVERAGE_POOL_2D",
                                             "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]
    assert sum(macs for _, _, macs in rows) == 25 * 5 * 64 * (40 + 4 * (9 + 64)) + 64 * 12 == 2_656_768


def saved_layers() -> list[dict[str, Any]]:
    """The layers' entries in the reference SavedModel, read without running it."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel()
    saved.ParseFromString((REFERENCES / "kws_ref_model" / "saved_model.pb").read_bytes())
    nodes = saved.meta_graphs[0].object_graph_def.nodes
    objects = [json.loads(node.user_object.metadata) for node in nodes if node.user_object.metadata
               and node.user_object.identifier in ("_tf_keras_layer", "_tf_keras_input_layer")]
    return [{"class_name": each["class_name"], "config": each["config"]} for each in objects]


@needs_references
def test_every_layer_is_the_references_in_the_same_order() -> None:
    ours = [described(layer) for layer in build((49, 10, 1), 12).get_config()["layers"]]
    assert ours == [described(layer) for layer in saved_layers()]


@needs_references
def test_the_float_tflite_model_has_the_references_operators_shapes_and_macs() -> None:
    reference = read_workload((REFERENCES / "kws_ref_model_float32.tflite").read_bytes())
    assert tflite_rows(build((49, 10, 1), 12)) == [(work.name, work.outputs[0].shape, work.macs)
                                                   for work in reference.operators]


def test_the_pooling_takes_the_whole_map_of_other_inputs() -> None:
    model = build((98, 40, 1), 10)
    assert model.get_layer("pool").pool_size == (49, 20)
    assert model.output_shape == (None, 10)


@pytest.mark.parametrize("shape", [(9, 10, 1), (49, 3, 1), (49, 10), (490,)])
def test_samples_smaller_than_the_first_kernel_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="ds_cnn cannot take samples of the shape") as caught:
        build(shape, 12)
    assert caught.value.allowed == "(frames, features, channels) of at least (10, 4, 1)"


def test_pruning_and_quantization_aware_training_take_every_layer() -> None:
    pruned, floats = take_pruning_and_qat(build((10, 4, 1), 3))
    assert len(pruned) == 6
    assert floats == {}
