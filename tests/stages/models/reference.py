"""Helpers that hold a built model against what it was built after."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

REFERENCES = Path(os.environ.get("LITESMITH_MLPERF_TINY", "mlperf_tiny"))
"""The folder of MLPerf Tiny's trained reference models; see `needs_references`."""

needs_references = pytest.mark.skipif(
    not REFERENCES.is_dir(), reason="set LITESMITH_MLPERF_TINY to the folder of MLPerf Tiny's trained reference models")

_COMPARED = ("filters", "units", "kernel_size", "strides", "padding", "use_bias", "activation", "momentum", "epsilon",
             "rate", "pool_size", "depth_multiplier", "dilation_rate")
_NESTED = ("kernel_initializer", "depthwise_initializer", "kernel_regularizer", "depthwise_regularizer",
           "bias_regularizer", "activity_regularizer")


def described(layer: dict[str, Any]) -> tuple[Any, ...]:
    """What a layer's entry in a config says about it, without names, and without what did not matter to a Keras."""
    config = layer["config"]
    plain = {key: _plain(config[key]) for key in _COMPARED if key in config}
    nested = {key: _nested(config[key]) for key in _NESTED if config.get(key)}
    if layer["class_name"] == "DepthwiseConv2D":  # its kernel_* entries are read by nobody
        nested = {key: value for key, value in nested.items() if not key.startswith("kernel_")}
    return layer["class_name"], plain, nested


def _plain(value: Any) -> Any:
    """Tuples as they were before JSON."""
    if isinstance(value, dict):
        value = value["items"]
    return tuple(value) if isinstance(value, list | tuple) else value


def _nested(value: dict[str, Any]) -> tuple[str, Any]:
    """An initializer or regularizer: its class, and its strength as a 32-bit float keeps it."""
    return value["class_name"], round(value["config"].get("l2", 0), 9)


def take_pruning_and_qat(model: Any) -> tuple[set[str], dict[str, str]]:
    """Wrap a model for pruning, strip it again, and make it quantization-aware.

    Returns:
        The layers that pruning wrapped, and those that stay in float.
    """
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    from stages.models.folding import fold
    from stages.models.qat import quantize_aware

    api, wrapped = tfmot.sparsity.keras, set()

    def wrap(layer: Any) -> Any:
        """Prune what the prune stage prunes."""
        if type(layer).__name__ not in ("Conv2D", "Dense"):
            return layer
        wrapped.add(layer.name)
        return api.prune_low_magnitude(layer)

    pruned = api.strip_pruning(keras.models.clone_model(model, clone_function=wrap))
    if pruned.count_params() != model.count_params():
        raise ValueError("pruning changed the number of parameters")
    return wrapped, quantize_aware(fold(model).model)[1]


def tflite_rows(model: Any) -> list[tuple[str, tuple[int, ...], int]]:
    """(operator, output shape, MACs) of each operator after a conversion to float32."""
    import tensorflow as tf

    from device_profiles.workload import read_workload

    return [(work.name, work.outputs[0].shape, work.macs)
            for work in read_workload(bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())).operators]
