"""Products of tensors."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.bridge import bridge


@pytest.mark.parametrize(("function", "message"), [
    (lambda o, x: o.einsum("bij->b", x), "computes 'bij->b'"),
    (lambda o, x: o.einsum("bij,bik->bj", x, x), "computes 'bij,bik->bj'"),
    (lambda o, x: o.matmul(x, np.ones(6, np.float32)), "multiplies by a vector"),
])
def test_a_product_that_cannot_be_written_is_refused_by_name(function, message):
    import keras

    inputs = keras.Input((4, 6))
    model = keras.Model(inputs, function(keras.ops, inputs))
    with pytest.raises(ModelError, match=message):
        bridge(model)


def test_a_product_with_a_constant_needs_no_function_for_the_constant():
    import keras

    x = keras.Input((2, 3))
    model = keras.Model(x, keras.ops.einsum("bij,jk->bki", x, np.arange(6, dtype=np.float32).reshape(3, 2)))
    twin = bridge(model).model
    found = twin(np.array([[[1.0, 0, 0], [0, 2.0, 1.0]]]))
    np.testing.assert_allclose(found[0], [[0, 8], [1, 11]])  # [1,0,0] @ W = [0,1]; [0,2,1] @ W = [8,11]
