"""What docs/formats.md and docs/mixed.md say of the engines, held against the engines themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from device_profiles.errors import EngineRefusal
from stages.converting.quantizing import PostTraining
from stages.converting.weights import Editor, Integers, read_layers
from stages.engines.client import EngineWorker
from stages.mixing.layout import read_layout, recipe_parts
from stages.recipes import mixed_rules, rules_for
from stages.records.sensitivity import LayerFormat
from tests.stages.test_weights import low

Engines = Callable[[str], EngineWorker]
ENGINES = ("litert", "tflite-runtime", "tflm")
ALL: tuple[LayerFormat, ...] = ("float32", "dynamic", "int8", "int16x8", "int4")


def in_engine(engine: str, content: bytes, samples: np.ndarray, engines: Engines) -> np.ndarray:
    modules = {"litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime", "tflm": "tflite_micro"}
    pytest.importorskip(modules[engine])
    worker = engines(engine)
    worker.load(content)
    return worker.predict(samples, batch=1)[0]


def mixed(content: bytes, samples: np.ndarray, chosen: Mapping[int, LayerFormat]) -> bytes:
    """The tiny model's nodes: 0 the input, 1 conv, 2 depthwise, 3 mean, 4 dense, 5 softmax."""
    domains, _ = recipe_parts(read_layout(content, ALL), chosen)
    work = PostTraining(content, mixed_rules(domains))
    ranges = PostTraining(content, rules_for("int8")).calibrate(samples)
    return work.quantize(ranges if work.needs_calibration else None)


def four_bits(content: bytes, samples: np.ndarray, base: str, operator: str, *, one: bool) -> tuple[bytes, bytes]:
    """The tiny model with 4-bit weights in one kind of operator, and the float model with the same weights."""
    work = PostTraining(content, rules_for(base))
    made, floats = Editor(work.quantize(work.calibrate(samples) if work.needs_calibration else None)), Editor(content)
    for layer in read_layers(content):
        if layer.operator != operator:
            continue
        found = low(layer)
        if not one and len(found.scales) == 1:
            found = Integers(found.values, np.repeat(found.scales, layer.channels), 4)
        made.set_integers(layer.ordinal, found, layer.bias)
        floats.set_floats(layer.ordinal, found.floats(layer.axis), None)
    return made.content(), floats.content()


@pytest.mark.parametrize("operator", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
@pytest.mark.parametrize("engine", ENGINES)
def test_4_bit_weights_with_int8_activations_run_rightly_in_every_engine(
        engine: str, operator: str, tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray, engines: Engines) -> None:
    made, floats = four_bits(tiny_tflites["float32"], tiny_samples, "int8", operator, one=True)
    wanted = in_engine("litert", floats, tiny_samples[:8], engines)
    assert in_engine(engine, made, tiny_samples[:8], engines) == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize("engine", ["tflite-runtime", "tflm"])
def test_connected_4_bit_weights_with_a_scale_for_each_channel_are_refused(
        engine: str, tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray, engines: Engines) -> None:
    made, _ = four_bits(tiny_tflites["float32"], tiny_samples, "int8", "FULLY_CONNECTED", one=False)
    with pytest.raises(EngineRefusal):
        in_engine(engine, made, tiny_samples[:1], engines)


@pytest.mark.parametrize(("chosen", "refuse"), [
    ({1: "int8", 4: "int8", 5: "int8"}, ()),
    ({1: "int16x8", 3: "int16x8", 5: "int8"}, ()),
    ({0: "int16x8", 1: "int16x8", 2: "int8", 3: "int8"}, ()),
    ({1: "int8", 2: "int16x8", 3: "int8"}, ("tflite-runtime",)),
    ({1: "int8", 4: "dynamic"}, ("tflm",)),
])
@pytest.mark.parametrize("engine", ENGINES)
def test_mixed_formats_run_where_the_page_says(engine: str, chosen: dict[int, LayerFormat], refuse: tuple[str, ...],
                                               tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray,
                                               engines: Engines) -> None:
    content = tiny_tflites["float32"]
    made = mixed(content, tiny_samples, chosen)
    if engine in refuse:
        with pytest.raises(EngineRefusal):
            in_engine(engine, made, tiny_samples[:1], engines)
        return
    wanted = in_engine("litert", content, tiny_samples[:8], engines)
    assert in_engine(engine, made, tiny_samples[:8], engines) == pytest.approx(wanted, abs=0.03)
