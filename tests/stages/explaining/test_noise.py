"""Which tensors are measured, and whose share of the noise is whose."""

from __future__ import annotations

import numpy as np

from device_profiles.tflite import read_tflite
from stages.explaining.noise import Noise, _plan
from stages.explaining.pairs import pair_up
from stages.explaining.reach import Reach
from tests.device_profiles.handmade import conv_model
from tests.stages.explaining.evidence import tally


def test_inputs_come_first_and_then_every_pair_in_the_variant_s_order() -> None:
    graph = read_tflite(conv_model()).graphs[0]
    found = _plan(pair_up(graph, graph))
    assert [(one.operator, one.original) for one in found] == [
        ("INPUT", ""), ("CONV_2D", "0:CONV_2D t3"), ("SOFTMAX", "1:SOFTMAX t4")]


def test_a_share_is_of_the_noise_at_the_outputs_where_that_was_measured() -> None:
    loud, quiet = tally(), tally(index=1, distance=np.full(4, 0.25), local_error=1.0)
    plain = Noise((loud, quiet), 0.0125)  # 0.01 and 0.0025
    assert (round(plain.share(loud), 9), round(plain.share(quiet), 9)) == (0.8, 0.2)
    reached = Noise((loud, quiet), 0.0125, Reach(0.4, {1: 0.1, 2: 0.3}, {1: 0.04}))
    assert (reached.share(loud), round(reached.share(quiet), 9)) == (0.25, 0.75)
    assert (round(reached.shift_share(loud), 9), reached.shift_share(quiet)) == (0.1, 0.0)
    loud.shift = np.full(4, 3.0)  # 0.9 of its noise
    assert round(plain.shift_share(loud), 9) == 0.72
