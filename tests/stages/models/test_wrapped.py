"""Names inside TFMOT's wrappers."""

from __future__ import annotations

from typing import Any

import pytest

from stages.models import qat
from stages.models.wrapped import name_outputs_plainly, plain_name


def model() -> Any:
    import tf_keras as keras

    inputs = keras.layers.Input((4, 4))
    steps = keras.layers.TimeDistributed(keras.layers.Dense(2, name="inner"), name="steps")(inputs)
    flat = keras.layers.Flatten()(inputs)
    outputs = [keras.layers.Dense(2, name="quant_kind")(flat), keras.layers.Dense(1, name="size")(flat), steps]
    return keras.Model(inputs, outputs)


def test_a_keras_wrapper_keeps_its_name_and_so_does_a_layer_that_is_called_like_one_of_tfmots() -> None:
    found = model()
    name_outputs_plainly(found)
    assert found.output_names == ["quant_kind", "size", "steps"]
    assert plain_name(found.get_layer("steps")) == "steps"


@pytest.mark.parametrize("technique", ["qat", "prune", "cluster"])
def test_outputs_of_a_wrapped_model_are_called_as_before(technique: str) -> None:
    import tf_keras as keras

    from stages import clustering
    from stages.pruning.masks import Ramp, wrap_pruning

    inputs = keras.layers.Input((4,))
    outputs = [keras.layers.Dense(6, name="kind")(inputs), keras.layers.Dense(5, name="size")(inputs)]
    source = keras.Model(inputs, outputs)
    if technique == "qat":
        wrapped, _ = qat.quantize_aware(source)
    elif technique == "prune":
        wrapped = wrap_pruning(source, {"kind": 0.5, "size": 0.5}, Ramp(0.0, 1, 4), pattern=False)
    else:
        wrapped, _ = clustering.wrap_clustering(source, {"kind": 4, "size": 4}, False, frozenset())
    assert wrapped.output_names != ["kind", "size"]
    name_outputs_plainly(wrapped)
    assert wrapped.output_names == ["kind", "size"]
