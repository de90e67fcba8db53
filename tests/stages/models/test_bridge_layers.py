"""Which layers are known at all."""

from __future__ import annotations

from stages.models.bridge.layers import LAYERS


def over(shape, *layers):
    """A Sequential model."""
    import keras

    return keras.Sequential([keras.Input(shape), *layers])


def test_every_layer_of_keras_is_either_known_or_refused_with_its_name():
    import keras

    classes = {kind.__name__ for kind in vars(keras.layers).values() if isinstance(kind, type)}
    unknown = set(LAYERS) - classes - {"LayerScale", "StochasticDepth", "CustomScaleLayer"}
    assert unknown == set()
    assert classes - set(LAYERS) >= {"StringLookup", "MelSpectrogram", "TFSMLayer", "JaxLayer", "RandomCrop"}
