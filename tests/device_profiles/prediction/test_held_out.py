"""What is left out together, and the error of rows that the fit has not seen."""

from __future__ import annotations

import math

import pytest

from device_profiles.networks import PublishedRow
from device_profiles.prediction.cores import priors
from device_profiles.prediction.dataset import Sample, as_rows
from device_profiles.prediction.effects import Setup
from device_profiles.prediction.fitting import Fitted, Options, fit
from device_profiles.prediction.held_out import LeftOut, Scheme, left_out, naive_log_error
from device_profiles.prediction.terms import TERMS, Amounts

OPTIONS = Options({"all": (1.0, 1.0), "kernels": (0.3, 0.3), "engine": (0.3, 0.3), "runtime": (0.2, 0.2),
                   "core": (0.3, 0.3), "runtime_core": (0.2, 0.2), "board": (0.2, 0.1), "device": (0.3, 0.2),
                   "setup": (0.2, 0.1)}, loose=(1.0,) * len(TERMS))
SPEED = {"board-one": 1.0, "board-two": 2.0}
FAMILIES: dict[str, Amounts] = {
    "wide": {"inference": 1, "operator": 10, "conv_1x1": 1e6},
    "deep": {"inference": 1, "operator": 60, "conv_1x1": 2e6},
    "plain": {"inference": 1, "operator": 5, "conv_1x1": 8e6}}


def sample(device: str, family: str, size: float = 1.0) -> Sample:
    """A network of a family at a size, on a board that is so many times slower than the prior says."""
    setup = Setup(device=device, core="cortex-m4", clock_hz=1e8, threads=1, runtime="tflm-cmsis-nn", kernels="tflm")
    amounts = {**FAMILIES[family], "conv_1x1": FAMILIES[family]["conv_1x1"] * size}
    prior = priors(setup.known_core(), "int8", 1e8, 1)
    latency_ms = SPEED[device] * 1e3 * sum(amount * prior[term] for term, amount in amounts.items())
    row = PublishedRow(
        device=device, core="cortex-m4", clock_hz=1e8, clock="stated", threads=1, runtime="tflm-cmsis-nn",
        kernels="tflm", network=f"{family} size={size}", number_format="int8", dtype="int8", latency_ms=latency_ms,
        energy_uj=None, energy_of="", ram_kib=None, flash_kib=None, source="made", family=family)
    return Sample(row, setup, "int8", amounts, int(amounts["conv_1x1"]))


ALL = [sample(device, family, size) for device in SPEED for family in FAMILIES for size in (0.5, 1.0, 2.0)]


@pytest.fixture(scope="module")
def full() -> Fitted:
    """The fit to all rows."""
    return fit(as_rows(ALL), OPTIONS)


def errors(scheme: Scheme, full: Fitted) -> list[LeftOut]:
    return left_out(ALL, OPTIONS, scheme, full)


@pytest.mark.parametrize("scheme", ["family", "family_all", "device", "network"])
def test_every_row_is_predicted_once_without_itself(scheme: Scheme, full: Fitted) -> None:
    found = errors(scheme, full)
    assert sorted(x.sample.row.network + x.sample.row.device for x in found) == sorted(
        s.row.network + s.row.device for s in ALL)
    assert {x.scheme for x in found} == {scheme}


def test_a_family_that_follows_the_prices_of_the_others_is_predicted(full: Fitted) -> None:
    assert max(abs(x.log_error) for x in errors("family", full)) < 0.05


def test_a_board_left_out_takes_the_speed_of_the_other_one(full: Fitted) -> None:
    found = {x.sample.board: x for x in errors("device", full)}
    # the other board is twice as slow or twice as fast; shared effects take most of that over
    assert 0.3 < found["board-one"].log_error < math.log(2) + 0.1
    assert -math.log(2) - 0.1 < found["board-two"].log_error < -0.3


def test_a_board_left_out_is_doubted_more_than_a_family(full: Fitted) -> None:
    family = max(x.variance for x in errors("family", full))
    assert min(x.variance for x in errors("device", full)) > family


def test_a_board_with_one_family_has_none_to_leave_out() -> None:
    lone = [s for s in ALL if s.board == "board-one" or s.row.family == "wide"]
    found = left_out(lone, OPTIONS, "family", fit(as_rows(lone), OPTIONS))
    assert {x.sample.board for x in found} == {"board-one"}


def test_one_board_alone_can_be_asked_for(full: Fitted) -> None:
    found = left_out(ALL, OPTIONS, "network", full, only="board-two")
    assert len(found) == len(ALL) // 2
    assert {x.sample.board for x in found} == {"board-two"}


def test_the_naive_rule_takes_the_cycles_per_mac_of_the_nearest_rows() -> None:
    held, same, other = sample("board-one", "wide"), sample("board-one", "plain"), sample("board-two", "plain")
    rate = {s.board: s.row.latency_ms / s.macs for s in (same, other)}
    truth = held.row.latency_ms / held.macs
    assert naive_log_error([same, other], held) == pytest.approx(math.log(rate["board-one"] / truth))
    assert naive_log_error([other], held) == pytest.approx(math.log(rate["board-two"] / truth))
    assert math.isnan(naive_log_error([], held))
