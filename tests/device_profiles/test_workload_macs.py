"""MACs and element operations of single operators, worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from device_profiles.workload import OperatorWork, read_workload
from tests.device_profiles.handmade import Handmade


def single(name: str, inputs: Sequence[Sequence[int] | np.ndarray], output: Sequence[int], options: str = "",
           values: dict[str, Any] | None = None, dtype: str = "FLOAT32") -> OperatorWork:
    """The work of one operator; arrays are constants, shapes are activations."""
    made = Handmade()
    tensors = [made.constant(x) if isinstance(x, np.ndarray) else made.activation(x, dtype) for x in inputs]
    out = made.activation(output, dtype)
    made.operator(name, tensors, [out], options, values)
    first = next(t for t, x in zip(tensors, inputs, strict=True) if not isinstance(x, np.ndarray))
    return read_workload(made.bytes([first], [out])).operators[0]


def weights(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(("work", "macs", "kernel"), [
    # 5x5 outputs x 4 channels x 3x3x2 = 100 x 18
    (lambda: single("CONV_2D", [(1, 5, 5, 2), weights(4, 3, 3, 2)], (1, 5, 5, 4)), 1_800, "conv"),
    # stride 2: 2x2 outputs x 4 channels x 18
    (lambda: single("CONV_2D", [(1, 5, 5, 2), weights(4, 3, 3, 2)], (1, 2, 2, 4)), 288, "conv"),
    # 1x1: 25 x 4 x 2
    (lambda: single("CONV_2D", [(1, 5, 5, 2), weights(4, 1, 1, 2)], (1, 5, 5, 4)), 200, "conv_1x1"),
    # grouped: the filter holds 2 of 8 input channels: 25 x 4 x 9 x 2
    (lambda: single("CONV_2D", [(1, 5, 5, 8), weights(4, 3, 3, 2)], (1, 5, 5, 4)), 1_800, "conv"),
    # 3x3 outputs x 6 channels x 3x3, depth multiplier 2
    (lambda: single("DEPTHWISE_CONV_2D", [(1, 5, 5, 3), weights(1, 3, 3, 6)], (1, 3, 3, 6)), 486, "depthwise"),
    # 10 inputs x 7 units
    (lambda: single("FULLY_CONNECTED", [(1, 10), weights(7, 10)], (1, 7)), 70, "fully_connected"),
    # the same over 6 rows
    (lambda: single("FULLY_CONNECTED", [(1, 6, 10), weights(7, 10)], (1, 6, 7)), 420, "fully_connected"),
    # every one of 4x4x3 inputs meets 2x2 taps of 5 channels
    (lambda: single("TRANSPOSE_CONV", [np.array([1, 8, 8, 5], np.int32), weights(5, 2, 2, 3), (1, 4, 4, 3)],
                    (1, 8, 8, 5)), 960, "conv"),
    # 2 x (3x4) (4x5)
    (lambda: single("BATCH_MATMUL", [(2, 3, 4), (2, 4, 5)], (2, 3, 5)), 120, "fully_connected"),
    (lambda: single("BATCH_MATMUL", [(2, 4, 3), (2, 4, 5)], (2, 3, 5), "BatchMatMulOptions", {"adjX": True}), 120,
     "fully_connected"),
    # 2x4x4x3 outputs x 3x3x3 taps x 2 channels
    (lambda: single("CONV_3D", [(1, 2, 4, 4, 2), weights(3, 3, 3, 2, 3)], (1, 2, 4, 4, 3)), 5_184, "conv"),
    # 2 filters over 8 inputs, then over a memory of 4
    (lambda: single("SVDF", [(1, 8), weights(2, 8), weights(2, 4)], (1, 2)), 24, "recurrent"),
    # 5 steps x (3x4 + 3x3)
    (lambda: single("UNIDIRECTIONAL_SEQUENCE_RNN", [(1, 5, 4), weights(3, 4), weights(3, 3)], (1, 5, 3)), 105,
     "recurrent"),
    # 5 steps x 4 gates x (3x4 + 3x3)
    (lambda: single("UNIDIRECTIONAL_SEQUENCE_LSTM", [(1, 5, 4), *[weights(3, 4)] * 4, *[weights(3, 3)] * 4],
                    (1, 5, 3)), 420, "recurrent"),
    # 5 steps x both ways x (3x4 + 3x3); biases and states do not multiply
    (lambda: single("BIDIRECTIONAL_SEQUENCE_RNN", [(1, 5, 4), *[weights(3, 4), weights(3, 3), weights(3), (1, 3)] * 2],
                    (1, 5, 6)), 210, "recurrent"),
    # 5 steps x both ways x (4 gates x (3x4 + 3x3) + a projection of 3x3); three peepholes, four biases, one more
    (lambda: single("BIDIRECTIONAL_SEQUENCE_LSTM", [
        (1, 5, 4), *[*[weights(3, 4)] * 4, *[weights(3, 3)] * 4, *[weights(3)] * 7, weights(3, 3), weights(3)] * 2],
                    (1, 5, 6)), 930, "recurrent"),
    # every one of 2x4x4x2 inputs meets 2x2x2 taps of 3 channels
    (lambda: single("CONV_3D_TRANSPOSE", [np.array([1, 4, 8, 8, 3], np.int32), weights(2, 2, 2, 3, 2), (1, 2, 4, 4, 2)],
                    (1, 4, 8, 8, 3)), 1_536, "conv"),
])
def test_macs_are_exact(work: Any, macs: int, kernel: str) -> None:
    found = work()
    assert (found.macs, found.kernel, found.element_ops) == (macs, kernel, 0)


@pytest.mark.parametrize(("work", "element_ops", "kernel"), [
    # 2x2 outputs x 3 channels x windows of 2x2
    (lambda: single("MAX_POOL_2D", [(1, 4, 4, 3)], (1, 2, 2, 3), "Pool2DOptions",
                    {"filterWidth": 2, "filterHeight": 2}), 48, "pooling"),
    (lambda: single("MEAN", [(1, 4, 4, 3), np.array([1, 2], np.int32)], (1, 3)), 48, "pooling"),
    (lambda: single("ADD", [(1, 4, 4, 3), (1, 4, 4, 3)], (1, 4, 4, 3)), 48, "elementwise"),
    (lambda: single("SOFTMAX", [(1, 10)], (1, 10)), 10, "softmax"),
    (lambda: single("CONCATENATION", [(1, 4), (1, 6)], (1, 10)), 10, "copy"),
    (lambda: single("CUMSUM", [(1, 4)], (1, 4)), 4, "elementwise"),
    (lambda: single("HASHTABLE", [(1, 4)], (1, 4)), 4, "other"),
])
def test_an_operator_without_macs_counts_its_elements(work: Any, element_ops: int, kernel: str) -> None:
    found = work()
    assert (found.macs, found.element_ops, found.kernel) == (0, element_ops, kernel)


def test_an_unknown_batch_counts_as_one() -> None:
    work = single("FULLY_CONNECTED", [(-1, 10), weights(7, 10)], (-1, 7))
    assert (work.macs, work.inputs[0].shape) == (70, (1, 10))
