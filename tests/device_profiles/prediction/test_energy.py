"""Energy is power times latency, and says whose power."""

from __future__ import annotations

import pytest

from device_profiles.prediction import energy
from device_profiles.prediction.energy import energy_by_power, published_power
from device_profiles.records import Figure
from tests.device_profiles.prediction.handmade_fit import handmade_fit

LATENCY = Figure(value=20.0, unit="ms", provenance="predicted", interval=(10.0, 40.0), level=0.8)


def test_energy_is_power_times_latency_in_microjoules() -> None:
    found = energy_by_power(0.05, "", LATENCY)
    assert (found.value, found.unit, found.level) == (1000.0, "uJ", 0.8)  # 0.05 W * 20 ms
    assert found.interval == pytest.approx((500.0, 2000.0))
    assert found.method == "0.05 W times the predicted latency"


def test_a_power_that_varies_widens_the_interval_and_is_named() -> None:
    found = energy_by_power(0.05, "the chip's rail", LATENCY, spread=1.25)
    assert found.interval == pytest.approx((400.0, 2500.0))
    assert found.method == "0.05 W (the chip's rail) times the predicted latency"


def test_a_latency_without_an_interval_gives_none() -> None:
    assert energy_by_power(0.05, "", LATENCY.model_copy(update={"interval": None})).interval is None


def test_the_published_power_of_a_board_holds_for_all_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "load_fit", handmade_fit)
    power = published_power("board-1500")
    assert power is not None
    assert (power.power_w, power.energy_of) == (0.05, "rail")
    assert published_power("unheard-of") is None
