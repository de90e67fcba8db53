"""The fit as data: effects summed, covariances by the longest known part of a chain."""

from __future__ import annotations

import time
from importlib.resources import files
from pathlib import Path

import pytest

from device_profiles.prediction.cores import find_core
from device_profiles.prediction.effects import effects_of
from device_profiles.prediction.fit_file import FIT_FILE, chain_key, load_fit, log_prices, variance
from device_profiles.prediction.terms import TERMS
from tests.device_profiles.prediction.handmade_fit import BOARD, LN2, format_fit, handmade_fit

CHAIN = effects_of(BOARD, "int8")
ALONE = (1.0, *(0.0,) * (len(TERMS) - 1))


def test_corrections_of_known_effects_are_summed_and_unknown_ones_correct_nothing() -> None:
    fit = format_fit("int8")
    assert log_prices(fit, CHAIN) == pytest.approx([LN2] * len(TERMS))
    assert log_prices(fit, CHAIN[:3]) == pytest.approx([0.0] * len(TERMS))
    assert log_prices(fit, [("device", "unheard of")]) == [0.0] * len(TERMS)


def test_the_variance_of_a_measured_setup_is_the_stored_covariance_s() -> None:
    assert variance(format_fit("int8", 0.04), CHAIN, ALONE) == pytest.approx(0.04)
    half = (0.5, 0.5, *(0.0,) * (len(TERMS) - 2))
    assert variance(format_fit("int8", 0.04), CHAIN, half) == pytest.approx(0.04)  # 0.01 + 2 * 0.01 + 0.01


def test_a_setup_without_rows_adds_the_prior_of_every_effect_it_lacks() -> None:
    elsewhere = effects_of(BOARD.model_copy(update={"device": "another"}), "int8")
    # the stored part of the chain is ("all",): 0.01; eight effects more, each 0.1^2 common and 0.1^2 its own
    assert variance(format_fit("int8", 0.04), elsewhere, ALONE) == pytest.approx(0.01 + 8 * 0.02)


def test_an_error_is_the_device_s_own_or_its_class_s() -> None:
    fit = handmade_fit()
    own, other = fit.error("mcu", "board", "family"), fit.error("mcu", "elsewhere", "family")
    assert own is not None
    assert other is not None
    assert (own.rows, other.rows) == (40, 400)
    assert fit.error("cpu", "board", "family") is None


def test_a_chain_is_named_by_its_effects() -> None:
    assert chain_key([("all", "mcu int8"), ("core", "cortex-m4 int8")]) == "all:mcu int8|core:cortex-m4 int8"


def test_the_shipped_fit_has_the_terms_of_the_code_and_cores_that_are_known() -> None:
    fit = load_fit()
    assert fit.terms == TERMS
    assert all(find_core(setup.core) for setup in fit.setups.values())
    for by_format in fit.fits.values():
        for each in by_format.values():
            assert all(len(vector) == len(TERMS) for vector in each.effects.values())
            assert all(len(triangle) == len(TERMS) * (len(TERMS) + 1) // 2 for triangle in each.covariances.values())
            assert all(scales.level_80 < scales.level_95 for scales in each.scales.values())


def test_the_documented_error_is_that_of_the_shipped_fit() -> None:
    text = (Path(__file__).parents[3] / "docs" / "prediction.md").read_text(encoding="utf-8")
    lines = [line for line in load_fit().errors if line.device == "all"]
    assert len(lines) >= 6
    for line in lines:
        shares = (line.median_error, line.p90_error, line.coverage_80, line.coverage_95, line.naive_median_error,
                  line.naive_p90_error)
        assert f"| {line.rows:,} | " + " | ".join(f"{100 * share:.1f} %" for share in shares) + " |" in text


def test_the_shipped_fit_is_small_and_read_in_less_than_half_a_second() -> None:
    text = (files("device_profiles") / FIT_FILE).read_text(encoding="utf-8")
    load_fit.cache_clear()
    started = time.process_time()
    load_fit()
    assert time.process_time() - started < 0.5
    assert len(text) < 1_000_000
