"""Evidence put together by hand: one operator that was measured, with what a test wants to be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from device_profiles.tflite import Graph, Operator, Tensor
from stages.explaining.causes import Evidence
from stages.explaining.noise import Noise
from stages.explaining.pairs import Pair, Pairing
from stages.explaining.tally import Tally
from stages.explaining.weights import WeightFacts


def tensor(index: int = 1, scale: float = 0.1, dtype: str = "int8") -> Tensor:
    return Tensor(index, f"t{index}", (1, 4), (1, 4), dtype, 8, memoryview(b""), (scale,) if scale else (), (0,))


def tally(operator: str = "CONV_2D", index: int = 0, inputs: tuple[int, ...] = (0,), **changed: Any) -> Tally:
    """4 channels, 40 values with an energy of 400 in all; its noise is 20 dB below the signal."""
    made = Operator(index, operator, "", 1, inputs, (index + 1,), {})
    one = Tally(label=f"{index}:{operator} t", operator=operator, original=f"{index}:{operator} f", matching="name",
                tensor=tensor(index + 1), pair=Pair(made, made, "name"))
    usual = {"energy": np.full(4, 100.0), "distance": np.full(4, 1.0), "local_error": 4.0, "elements": 40,
             "rounded_elements": 40, "signal": 400.0, "error": 4.0, "shift": np.zeros(4), "rows": 10,
             "lows": np.full(4, -12.0), "highs": np.full(4, 12.0), "made_lows": np.full(4, -12.0),
             "made_highs": np.full(4, 12.0)}
    for name, value in (usual | changed).items():
        setattr(one, name, value)
    return one


def facts(**changed: Any) -> WeightFacts:
    usual = {"snr_db": 30.0, "channel_snr_db": np.full(4, 30.0), "bits": 8, "per_channel": True, "peaks": np.ones(4),
             "crests": np.full(4, 3.0), "outlying_inputs": (), "zeros": 0.0, "values": 200,
             "bias_error": np.zeros(4), "bias_clipped": ()}
    return WeightFacts(**(usual | changed))


def evidence(*tallies: Tally, outputs: tuple[int, ...] = (), **given: Any) -> Evidence:
    tensors = tuple(tensor(index) for index in range(9))
    graph = Graph("", tensors, tuple(one.pair.made for one in tallies if one.pair), (0,), outputs)
    usual = {"weights": {}}
    return Evidence(pairing=Pairing(graph, graph, tuple(one.pair for one in tallies if one.pair)),
                    noise=Noise(tallies, sum(one.local for one in tallies)), **(usual | given))
