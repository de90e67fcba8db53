"""What differs besides time, on tiny tflite models in real engines, against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import StageError
from stages.comparing import differences
from stages.comparing.differences import arena_bytes, loaded, predictions, random_samples, static_difference
from stages.comparing.launching import Contender, Place
from stages.engines import registry
from stages.engines.client import Loaded, TensorInfo
from tests.stages.comparing_models import IDENTITY, LONGER, SWAPPED, WIDER

ROWS = np.array([[3, 1, 0], [1, 3, 0], [0, 1, 3], [2, 1, 9]], np.float32)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place("litert", tmp_path / "log.txt")


def takes(*inputs: TensorInfo) -> Loaded:
    """What an engine says of a model with these inputs."""
    return Loaded(inputs=inputs, outputs=(), input_names=(), output_names=(), load_ms=1.0, arena_bytes=0, cpus=())


def info(dtype: str, scale: float = 0.0, zero_point: int = 0, shape: tuple[int, ...] = (1, 4)) -> TensorInfo:
    return TensorInfo(name="x", shape=shape, dtype=dtype, scale=scale, zero_point=zero_point)


def test_bytes_macs_and_operators_are_those_of_the_files(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differences, "arena_bytes", lambda content, log: len(content))
    found = static_difference(IDENTITY, LONGER, place.log)
    assert found.tflite_bytes == (len(IDENTITY), len(LONGER))
    assert found.macs == (9, 9)
    assert found.operator_count == (1, 2)
    assert [(each.operator, each.reference, each.candidate) for each in found.operators] == [("RELU float32", 0, 1)]
    assert found.arena_bytes == found.tflite_bytes  # each side its own
    assert not found.identical
    assert static_difference(WIDER, WIDER, place.log).identical
    assert static_difference(IDENTITY, WIDER, place.log).macs == (9, 15)


def test_the_arena_is_tflm_s_or_none(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    arena = arena_bytes(IDENTITY, place.log)
    assert arena is not None
    assert 100 < arena < 5000
    assert arena % 16 == 0
    gone = registry.Engine("tflm", "no-such-distribution", "x", "x", False, "nowhere")
    monkeypatch.setitem(registry.ENGINES, "tflm", gone)
    assert arena_bytes(IDENTITY, place.log) is None


def test_outputs_on_the_same_inputs_are_compared_value_by_value_and_decision_by_decision(place: Place) -> None:
    """Swapping the first two outputs changes the decision of two of the four rows, by 2 each in two of three values."""
    pair = (Contender("one", IDENTITY, (ROWS,)), Contender("other", SWAPPED, (ROWS,)))
    found = predictions(pair, place, "four rows")
    assert (found.samples, found.inputs, found.reason) == (4, "four rows", "")
    output = found.outputs[0]
    assert output.largest == 2.0
    assert output.mean == pytest.approx((4 + 4 + 2 + 2) / 12)  # |3-1|*2, |1-3|*2, |0-1|*2, |2-1|*2 over 12 values
    assert output.range == 9.0
    assert output.decisions_changed is not None
    assert output.decisions_changed.value == 0.5


def test_equal_models_have_equal_outputs(place: Place) -> None:
    pair = (Contender("one", IDENTITY, (ROWS,)), Contender("other", LONGER, (ROWS,)))
    output = predictions(pair, place, "").outputs[0]
    assert (output.largest, output.mean) == (0.0, 0.0)


def test_models_that_cannot_take_the_same_inputs_are_not_compared(place: Place) -> None:
    pair = (Contender("one", IDENTITY, (ROWS,)), Contender("other", WIDER, (ROWS,)))
    found = predictions(pair, place, "")
    assert found.outputs == ()
    assert "wants samples of shape [[5]]" in found.reason


def test_random_samples_are_seeded_and_have_the_models_shape(place: Place) -> None:
    loads = [loaded(Contender("one", content, ()), place) for content in (IDENTITY, LONGER)]
    one, other = random_samples(loads), random_samples(loads)
    assert one[0].shape == (64, 3)
    assert one[0].dtype == np.float32
    assert np.array_equal(one[0], other[0])
    with pytest.raises(StageError, match="other shapes"):
        random_samples([loads[0], loaded(Contender("wide", WIDER, ()), place)])


def test_random_samples_stay_in_the_range_that_quantized_inputs_can_hold() -> None:
    """int8 with scale 0.5 and zero point -28 holds -50 to 77.5; uint8 with scale 0.1 holds 0 to 25.5."""
    one, other = takes(info("int8", 0.5, -28)), takes(info("uint8", 0.1))
    alone, both = random_samples([one], 2000)[0], random_samples([takes(info("float32")), one, other], 2000)[0]
    assert (alone.min() >= -50, alone.max() <= 77.5) == (True, True)
    assert (alone.min() < -49, alone.max() > 77) == (True, True)
    assert (both.min() >= 0, both.max() <= 25.5, both.max() > 25) == (True, True, True)


def test_token_numbers_are_zeros_and_ones_and_open_axes_have_size_one() -> None:
    drawn = random_samples([takes(info("int32", shape=(1, -1, 2)))], 50)[0]
    assert drawn.shape == (50, 1, 2)
    assert set(np.unique(drawn)) == {0.0, 1.0}
