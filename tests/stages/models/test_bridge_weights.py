"""Weights are copied by name and shape, and what has no counterpart is refused."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.bridge import bridge, prove
from tests.stages.models.test_bridge_layers import over


def test_a_low_rank_update_is_added_into_the_kernel():
    import keras

    layer = keras.layers.Dense(4, name="d")
    model = over((5,), layer)
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.random.default_rng(0).normal(size=(2, 4)))
    made = bridge(model)
    prove(model, made.model, np.random.default_rng(1).normal(size=(4, 5)))
    assert made.changed == {"d": "low-rank (LoRA) update added into the kernel"}
    assert made.model.count_params() == 24


def test_a_layer_with_other_weights_than_its_twin_is_refused():
    import keras

    layer = keras.layers.Dense(2, name="d")
    model = over((3,), layer)
    layer._lock = False
    layer._tracker.unlock()
    layer.extra = layer.add_weight(shape=(7,), name="extra")
    with pytest.raises(ModelError, match=r"'d'.*other weights than its twin in Keras 2: extra"):
        bridge(model)
