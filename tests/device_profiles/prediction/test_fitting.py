"""The fit: prices that are known come back, doubt grows away from the rows, a few odd rows do not pull it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from device_profiles.prediction.fitting import Fitted, Options, Rows, fit

SPREADS = {"all": (1.0, 1.0), "device": (0.5, 0.3)}
OPTIONS = Options(SPREADS, loose=(1.0, 1.0, 1.0))
PRICES = {"a": (2.0, 0.5, 3.0), "b": (4.0, 1.0, 6.0)}


def rows(devices: Sequence[str] = ("a", "b"), count: int = 40, seed: int = 1, noise: float = 0.0) -> Rows:
    """Rows whose prices are known: `count` networks on each device, three terms."""
    generator = np.random.default_rng(seed)
    amounts = generator.lognormal(0, 1.5, (count, 3))
    seconds = np.concatenate([amounts for _ in devices])
    observed = np.concatenate([amounts @ np.array(PRICES[device]) for device in devices])
    observed = observed * np.exp(generator.normal(0, noise, len(observed))) if noise else observed
    effects = [(("all", "cpu"), ("device", device)) for device in devices for _ in range(count)]
    return Rows(seconds, observed, effects, np.ones(len(observed)))


def prices(fitted: Fitted, device: str) -> Any:
    """Of a device by the fit."""
    return np.exp(fitted.log_prices([("all", "cpu"), ("device", device)]))


def test_prices_that_made_the_rows_come_back() -> None:
    found = fit(rows(), OPTIONS)
    assert prices(found, "a") == pytest.approx(PRICES["a"], rel=0.02)
    assert prices(found, "b") == pytest.approx(PRICES["b"], rel=0.02)


def test_every_price_is_positive_even_where_least_squares_would_want_a_negative_one() -> None:
    made = rows(("a",))
    falling = Rows(made.seconds, made.observed / (1 + made.seconds[:, 2]), made.effects, made.weights)
    found = prices(fit(falling, OPTIONS), "a")
    assert (found > 0).all()


def test_a_few_odd_rows_do_not_pull_the_fit() -> None:
    made = rows(("a",), noise=0.02)
    made.observed[:3] *= 8
    assert prices(fit(made, OPTIONS), "a") == pytest.approx(PRICES["a"], rel=0.15)


def test_a_device_without_rows_has_the_prices_that_all_share() -> None:
    found = fit(rows(("a",)), OPTIONS)
    shared = found.log_prices([("all", "cpu")])
    assert found.log_prices([("all", "cpu"), ("device", "z")]) == pytest.approx(shared)
    assert found.log_prices([("all", "mcu")]) == pytest.approx([0, 0, 0])


def test_a_device_with_two_rows_leans_on_the_others() -> None:
    many = rows(("a",))
    few = rows(("b",), count=2)
    both = Rows(np.concatenate([many.seconds, few.seconds]), np.concatenate([many.observed, few.observed]),
                [*many.effects, *few.effects], np.ones(42))
    alone, leaning = fit(few, OPTIONS), fit(both, OPTIONS)
    truth = np.log(PRICES["b"])
    together = np.abs(np.log(prices(leaning, "b")) - truth).max()
    assert together < np.abs(np.log(prices(alone, "b")) - truth).max()
    assert together < 0.25


def test_doubt_shrinks_with_rows_and_is_the_prior_s_without_any() -> None:
    effects = [("all", "cpu"), ("device", "a")]
    few, many = (fit(rows(("a",), count=count), OPTIONS).setup_covariance(effects) for count in (4, 40))
    assert np.trace(many) < np.trace(few)
    unseen = fit(rows(("a",)), OPTIONS).setup_covariance([("all", "mcu"), ("device", "z")])
    assert np.diag(unseen) == pytest.approx([1.0 + 1.0 + 0.25 + 0.09] * 3)
    assert unseen[0, 1] == pytest.approx(1.25)  # what all terms share


def test_a_term_that_no_row_has_keeps_its_prior_doubt() -> None:
    made = rows(("a",))
    without = Rows(made.seconds * [1, 1, 0], made.seconds[:, :2] @ np.array([2.0, 0.5]), made.effects, made.weights)
    doubt = np.diag(fit(without, OPTIONS).setup_covariance([("all", "cpu"), ("device", "a")]))
    assert doubt[2] > 1.0  # own spreads of both effects: 1.0 + 0.09
    assert doubt[0] < 0.05


def test_a_loose_term_may_stray_further_from_its_prior() -> None:
    made = rows(("a",), count=2)  # too few to say all three prices
    tight, free = (fit(made, Options(SPREADS, loose=(loose, 1.0, 1.0))).beta for loose in (0.1, 4.0))
    apart = [abs(beta[:, 0].sum() - beta[:, 1:].sum(axis=0).mean()) for beta in (tight, free)]
    assert apart[0] < apart[1]


def test_beginning_at_another_fit_ends_at_the_same_prices() -> None:
    full = fit(rows(), OPTIONS)
    kept = rows().take(np.arange(10, 80))
    assert fit(kept, OPTIONS, full).beta == pytest.approx(fit(kept, OPTIONS).beta, abs=0.02)


def test_the_same_rows_give_the_same_fit() -> None:
    assert np.array_equal(fit(rows(), OPTIONS).beta, fit(rows(), OPTIONS).beta)


def test_predicted_seconds_are_amounts_times_prices() -> None:
    made = rows()
    assert fit(made, OPTIONS).predict(made) == pytest.approx(made.observed, rel=0.02)


def two_runtimes() -> Rows:
    """Runtime "b" has kernels four times as slow; only its first row tells what the third term, its calls, costs."""
    generator = np.random.default_rng(3)
    amounts = generator.lognormal(0, 1.0, (60, 3))
    amounts[30:, 2] *= 0.001  # of b, rows in which calls are nothing
    price = np.where(np.arange(60)[:, None] < 30, (1.0, 1.0, 1.0), (4.0, 4.0, 1.0))
    effects = [(("all", "mcu"), ("device", "a" if row < 30 else "b")) for row in range(60)]
    return Rows(amounts, (amounts * price).sum(axis=1), effects, np.ones(60))


def test_a_term_that_does_not_share_stays_where_the_others_are_moved() -> None:
    made, chain = two_runtimes(), [("all", "mcu"), ("device", "b")]
    together = fit(made, Options(SPREADS, OPTIONS.loose)).log_prices(chain)
    apart = fit(made, Options(SPREADS, OPTIONS.loose, shared={"device": (1.0, 1.0, 0.0)})).log_prices(chain)
    assert np.exp(apart[:2]) == pytest.approx([4, 4], rel=0.05)
    assert np.exp(apart[2]) == pytest.approx(1, rel=0.05)
    assert np.exp(together[2]) > 2  # slow kernels made the calls slow as well


def test_a_bound_term_is_left_to_the_other_levels() -> None:
    made = rows()
    free = fit(made, OPTIONS)
    bound = fit(made, Options(SPREADS, OPTIONS.loose, bound={"device": (0.01, 1.0, 1.0)}))
    own = [abs(fitted.beta[fitted.index["device", "a"], 0] - fitted.beta[fitted.index["device", "a"], 1:].mean())
           for fitted in (free, bound)]
    assert own[1] < own[0]


def test_doubt_of_a_level_without_rows_follows_what_its_terms_share() -> None:
    options = Options(SPREADS, OPTIONS.loose, shared={"device": (1.0, 1.0, 0.0)}, bound={"device": (1.0, 1.0, 0.5)})
    unseen = fit(rows(("a",)), options).setup_covariance([("all", "mcu"), ("device", "z")])
    # all: 1 + 1; device: common 0.5 squared where it is shared, own 0.3 squared, a quarter of it where it is bound
    assert np.diag(unseen) == pytest.approx([2 + 0.25 + 0.09, 2 + 0.25 + 0.09, 2 + 0.0225])
    assert (unseen[0, 1], unseen[0, 2]) == pytest.approx((1.25, 1.0))
