"""Operations that move values."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.bridge import bridge
from tests.stages.models.test_bridge_operations import kinds


@pytest.mark.parametrize(("shape", "function", "expected"), [
    ((4, 2), lambda o, x: o.transpose(x, (0, 2, 1)), ["Permute"]),
    ((4, 2), lambda o, x: o.swapaxes(x, 1, 2), ["Permute"]),
    ((4, 2), lambda o, x: o.reshape(x, (-1, 8)), ["Reshape"]),
    ((4, 2), lambda o, x: o.expand_dims(x, -1), ["Reshape"]),
    ((4, 1, 2), lambda o, x: o.squeeze(x, 2), ["Reshape"]),
    ((4, 4, 2), lambda o, x: o.pad(x, ((0, 0), (1, 1), (2, 0), (0, 0))), ["ZeroPadding2D"]),
    ((4, 2), lambda o, x: o.concatenate([x, x], axis=-1), ["Concatenate"]),
    ((4, 4, 2), lambda o, x: o.max_pool(x, 2), ["MaxPooling2D"]),
])
def test_a_move_of_values_becomes_layers_where_keras_2_has_them(shape, function, expected):
    assert kinds(shape, function) == expected


@pytest.mark.parametrize(("function", "message"), [
    (lambda o, x: o.take(x, [1]), "takes from a constant or from all axes"),
    (lambda o, x: o.repeat(x, [1, 2, 1, 1], axis=1), "different counts"),
    (lambda o, x: o.pad(x, ((0, 0), (1, 1), (0, 0)), mode="edge"), "pads in the mode 'edge'"),
    (lambda o, x: o.tile(x, (1, 1, 1, 2)), "adds axes while tiling"),
])
def test_a_move_of_values_that_cannot_be_written_is_refused_by_name(function, message):
    import keras

    inputs = keras.Input((4, 6))
    model = keras.Model(inputs, function(keras.ops, inputs))
    with pytest.raises(ModelError, match=message):
        bridge(model)


def test_slices_are_those_of_numpy():
    import keras

    x = np.arange(2 * 5 * 6, dtype=np.float32).reshape(2, 5, 6)
    inputs = keras.Input((5, 6))
    for key in ((slice(None), 1), (slice(None), -1), (slice(None), slice(1, -1), slice(None, None, 2)),
                (Ellipsis, 2), (slice(None), slice(None, None, -1)), (slice(None), None, slice(3, None), -2)):
        np.testing.assert_array_equal(bridge(keras.Model(inputs, inputs[key])).model(x), x[key])
