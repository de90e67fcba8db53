"""Tiny tflite models made by hand, and the contenders that they are."""

from __future__ import annotations

import numpy as np

from tests.device_profiles.handmade import Handmade


def dense_model(weights: np.ndarray, extra: bool = False) -> bytes:
    """(1, inputs) float32 in, times the weights, (1, outputs) out; with `extra` also a RELU that changes nothing below.

    Args:
        weights: (outputs, inputs) float32.
        extra: whether a RELU follows.
    """
    made = Handmade()
    data = made.activation((1, weights.shape[1]), name="input")
    constants = [made.constant(np.asarray(weights, np.float32)), made.constant(np.zeros(len(weights), np.float32))]
    out = made.activation((1, len(weights)), name="output")
    made.operator("FULLY_CONNECTED", [data, *constants], [out], "FullyConnectedOptions")
    if extra:
        middle, out = out, made.activation((1, len(weights)), name="output")
        made.operator("RELU", [middle], [out])
    return made.bytes([data], [out])


IDENTITY = dense_model(np.eye(3))
SWAPPED = dense_model(np.eye(3)[[1, 0, 2]])
LONGER = dense_model(np.eye(3), extra=True)
WIDER = dense_model(np.ones((3, 5)))
