"""A board's own corrections: the update worked out by hand where one term is all there is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from device_profiles.prediction.effects import effects_of
from device_profiles.prediction.fit_file import load_fit, log_prices, variance
from device_profiles.prediction.own_fit import (
    NOISE,
    Key,
    OwnFit,
    OwnRow,
    Prior,
    Spreads,
    left_out_rows,
    published_prior,
    published_spreads,
)
from device_profiles.prediction.terms import TERMS, Term

SIZE = len(TERMS)
NONE = (0.0, 0.0)
INT8: Key = ("int8", 1)


def prior(spread: float = 0.0) -> Prior:
    """A second a unit of each term; each log price is open by `spread`, for itself."""
    return Prior(np.ones(SIZE), np.zeros(SIZE), spread ** 2 * np.eye(SIZE))


def spreads(board: tuple[float, float] = NONE) -> Spreads:
    return Spreads(board, NONE, NONE, (1.0,) * SIZE)


def row(seconds: float, term: Term = "conv", amount: float = 1.0, network: str = "a", threads: int = 1,
        variance: float = 0.0) -> OwnRow:
    return OwnRow({"int8": {term: amount}}, threads, seconds, variance, network)


def own(fitted: OwnFit, term: Term, key: Key = INT8) -> float:
    return float(fitted.own[fitted.at[key]][TERMS.index(term)])


def test_one_measurement_moves_a_price_by_the_share_that_its_noise_leaves() -> None:
    # posterior mean of a normal: y * s^2 / (s^2 + noise^2), y = log 2, s = 0.3
    fitted = OwnFit([row(2.0)], {INT8: prior(0.3)}, spreads())
    assert own(fitted, "conv") == pytest.approx(math.log(2) * 0.09 / (0.09 + NOISE ** 2), rel=1e-6)
    assert own(fitted, "depthwise") == 0
    log_s, open_by = fitted.predict(row(1.0))
    assert log_s == pytest.approx(own(fitted, "conv"))
    assert open_by == pytest.approx(0.09 * NOISE ** 2 / (0.09 + NOISE ** 2))


def test_a_measurement_with_much_spread_of_its_own_moves_less() -> None:
    fitted = OwnFit([row(2.0, variance=0.09 - NOISE ** 2)], {INT8: prior(0.3)}, spreads())
    assert own(fitted, "conv") == pytest.approx(math.log(2) / 2, rel=1e-6)


def test_what_is_common_to_a_board_moves_prices_that_were_not_measured() -> None:
    fitted = OwnFit([row(2.0)], {INT8: prior()}, spreads(board=(0.3, 0.0)))
    assert own(fitted, "depthwise") == pytest.approx(own(fitted, "conv"))
    assert own(fitted, "depthwise") == pytest.approx(math.log(2) * 0.09 / (0.09 + NOISE ** 2), rel=1e-6)


def test_a_board_s_speed_is_shared_by_formats_and_threads_and_the_rest_is_not() -> None:
    known: dict[Key, Prior] = {INT8: prior(0.3), ("int8", 4): prior(0.3), ("float32", 1): prior(0.3)}
    fitted = OwnFit([row(2.0)], known, Spreads((0.1, 0.0), NONE, (0.2, 0.0), (1.0,) * SIZE))
    # covariances of the conv price with itself: 0.01 + 0.09 + 0.04; with four threads 0.01 + 0.09; with float32 0.01
    gain = math.log(2) / (0.14 + NOISE ** 2)
    found = [own(fitted, "conv", key) for key in known]
    assert found == pytest.approx([0.14 * gain, 0.10 * gain, 0.01 * gain], rel=1e-6)


def test_without_a_measurement_the_published_fit_stands() -> None:
    fitted = OwnFit([], {INT8: prior(0.3)}, spreads())
    assert not fitted.own.any()
    assert fitted.predict(row(1.0, amount=3.0)) == pytest.approx((math.log(3), 0.09))


def test_the_corrections_are_the_published_ones_and_the_board_s_own() -> None:
    base = Prior(np.ones(SIZE), np.full(SIZE, 0.5), 0.09 * np.eye(SIZE))
    fitted = OwnFit([row(math.exp(0.5))], {INT8: base}, spreads())
    assert fitted.corrections(INT8) == pytest.approx(np.full(SIZE, 0.5))


def test_sums_of_terms_are_met_where_the_prior_is_wide() -> None:
    rows = [OwnRow({"int8": {"conv": 1.0, "depthwise": 1.0}}, 1, 5.0, network="a"), row(3.0, network="b")]
    fitted = OwnFit(rows, {INT8: prior(3.0)}, spreads())
    assert math.exp(fitted.predict(rows[0])[0]) == pytest.approx(5, rel=0.01)
    assert math.exp(fitted.predict(rows[1])[0]) == pytest.approx(3, rel=0.01)
    assert math.exp(own(fitted, "depthwise")) == pytest.approx(2, rel=0.02)


def test_a_network_is_left_out_with_all_its_rows() -> None:
    rows = [row(2.0, network="a"), row(2.0, amount=2.0, network="a"), row(4.0, network="b")]
    first, second, third = left_out_rows(rows, {INT8: prior(0.3)}, spreads())
    gain = 0.09 / (0.09 + NOISE ** 2)
    assert [each.before for each in (first, second, third)] == pytest.approx([-math.log(2), 0.0, -math.log(4)])
    # a and its double are predicted from b alone, whose price is four times the prior's
    assert first.after == pytest.approx(math.log(4) * gain - math.log(2), rel=1e-6)
    assert second.after == pytest.approx(math.log(4) * gain, rel=1e-6)


def test_the_prior_is_what_the_shipped_fit_says_of_a_setup() -> None:
    setup = next(each for each in load_fit().setups.values() if each.device == "nucleo-l4r5zi")
    stored, effects = load_fit().fits["mcu"]["int8"], effects_of(setup, "int8")
    found, shares = published_prior(setup, "int8"), np.linspace(0, 1, SIZE) / np.linspace(0, 1, SIZE).sum()
    assert found.mean == pytest.approx(log_prices(stored, effects))
    assert float(shares @ found.covariance @ shares) == pytest.approx(variance(stored, effects, shares.tolist()))


def test_a_device_that_nobody_published_may_differ_by_more() -> None:
    setup = next(each for each in load_fit().setups.values() if each.device == "nucleo-l4r5zi")
    stored = load_fit().fits["mcu"]["int8"]
    known, strange = (published_spreads(each, stored) for each in (setup, setup.model_copy(update={"device": ""})))
    assert known.per_format == NONE
    assert strange.board > known.board
    assert strange.per_format > known.per_format
    assert known.loose == stored.loose
