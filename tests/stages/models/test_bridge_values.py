"""What an operation is given."""

from __future__ import annotations

import numpy as np

from stages.models.bridge.values import constant, tensor_first


def test_constants_become_plain_numbers():
    import keras

    assert constant(None) is None
    assert constant(2.5) == 2.5
    assert constant(np.float32(2)) == 2.0
    assert constant(keras.ops.convert_to_tensor([1, 2])) == [1, 2]
    assert tensor_first([3, 4]) == [3, 4]
