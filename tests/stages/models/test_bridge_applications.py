"""The layers that `keras.applications` brings along."""

from __future__ import annotations

import numpy as np

from stages.models.bridge import bridge, prove


def test_a_layer_of_keras_applications_is_trainable_in_keras_2():
    import keras
    from keras.src.applications.convnext import LayerScale, StochasticDepth
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

    inputs = keras.Input((4, 4, 3))
    x = LayerScale(0.3, 3, name="gamma")(inputs)
    x = StochasticDepth(0.25, name="drop")(x)
    model = keras.Model(inputs, CustomScaleLayer(0.17, name="sum")([x, inputs]))
    model.get_layer("gamma").gamma.assign([1.0, -2.0, 0.5])
    made = bridge(model)
    np.testing.assert_allclose(made.model(np.ones((1, 4, 4, 3)))[0, 0, 0], [1.17, -1.83, 0.67], rtol=1e-6)
    assert made.model.get_layer("gamma").trainable_weights[0].shape == (1, 1, 3, 1)
    assert made.model.get_layer("drop").noise_shape == (None, 1, 1, 1)
    assert sorted(made.changed) == ["drop", "gamma", "sum"]
    prove(model, made.model, np.random.default_rng(0).normal(size=(3, 4, 4, 3)))
