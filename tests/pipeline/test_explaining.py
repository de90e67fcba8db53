"""What is looked up about a variant's speed, and which variants can be named."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pipeline.explaining as explaining
from device_profiles.errors import UsageError
from pipeline.config import from_mapping
from stages.engines import registry
from stages.explaining import slowness
from stages.explaining.runs import Bench, Source
from tests.device_profiles.handmade import Handmade, conv_model


def decoding() -> bytes:
    """A model with the microcontroller's DECODE operator."""
    made = Handmade()
    data, out = made.activation((1, 8), "INT8"), made.activation((1, 8), "INT8")
    made.operator("CUSTOM", [data], [out], custom="TFLM_DECODE")
    return made.bytes([data], [out])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Engines whose delegates were asked; no engine is started."""
    names: list[str] = []

    def answer(_: bytes, engine: str, *__: Any) -> slowness.Delegation:
        names.append(engine)
        return slowness.Delegation(delegates=1, operators=2, alone=())

    monkeypatch.setattr(slowness, "delegation", answer)
    monkeypatch.setattr(slowness, "latencies", lambda *_: (0.5, 1.0))
    monkeypatch.setattr(registry, "engine_info", lambda _: SimpleNamespace(available=True))
    return names


def gathered(shipped: bytes) -> slowness.Facts:
    plain = Source(conv_model(), {}, "float32")
    variant = Source(conv_model(np.zeros((3, 3, 3, 2), np.float32)), {}, "int8")
    return explaining.gather(variant, plain, Bench(Path("x.npy"), 1, Path("log.txt")), shipped, ["litert"])


def test_the_engines_that_are_asked_for_say_what_they_take_over(asked: list[str]) -> None:
    facts = gathered(conv_model())
    assert (asked, list(facts.delegations), facts.latencies_ms) == (["litert"], ["litert"], {"litert": (0.5, 1.0)})


def test_the_float32_model_is_not_timed_against_itself(asked: list[str]) -> None:
    plain = Source(conv_model(), {}, "float32")
    bench = Bench(Path("x.npy"), 1, Path("log.txt"))
    assert explaining.gather(plain, plain, bench, conv_model(), ["litert"]).latencies_ms == {}


def test_of_a_packed_model_no_engine_but_the_microcontroller_s_has_anything_to_say(asked: list[str]) -> None:
    facts = gathered(decoding())
    assert (asked, facts.delegations, facts.latencies_ms, facts.decodes) == ([], {}, {}, 1)
    assert len(facts.given.operators) == 2  # numbers in an engine's answer are those of the model before packing


def test_a_variant_that_the_run_does_not_have_is_refused_with_those_that_it_has() -> None:
    config = from_mapping({"variants": ["float32", "int8"]})
    with pytest.raises(UsageError, match="the run has no variant 'int4'") as error:
        explaining._entry(config, "int4")
    assert error.value.allowed == "float32, int8"
