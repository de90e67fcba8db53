"""The prior: cores by many spellings, and prices from clock, vector width and threads."""

from __future__ import annotations

import pytest

from device_profiles.errors import UsageError
from device_profiles.networks import published_rows
from device_profiles.prediction.cores import core_names, find_core, priors
from device_profiles.prediction.terms import TERMS


@pytest.mark.parametrize(("written", "core"), [
    ("Cortex-M4F", "cortex-m4"), ("Arm Cortex-A72 (BCM2711)", "cortex-a72"), ("Cortex-M0+", "cortex-m0plus"),
    ("cortex-a78ae", "cortex-a78"), ("Cortex-M33", "cortex-m33"), ("kryo-485-gold", "cortex-a76"),
    ("Xtensa LX7", "xtensa-lx7"), ("Cortex-M3", "cortex-m3")])
def test_a_core_is_found_as_profiles_and_publications_write_it(written: str, core: str) -> None:
    assert find_core(written).name == core


def test_every_core_of_the_published_rows_is_known() -> None:
    assert {row.core for row in published_rows()} <= set(core_names())


def test_an_unknown_core_is_refused_with_the_near_miss() -> None:
    with pytest.raises(UsageError, match=r"nothing is known of a core 'cortex-a7x'; did you mean 'cortex-a7"):
        find_core("cortex-a7x")


def test_dot_products_are_where_the_compiler_lists_them() -> None:
    assert [find_core(name).dotprod for name in ("cortex-a72", "cortex-a73", "cortex-a76", "cortex-a55")] == [
        False, False, True, True]


def test_a_price_is_cycles_over_clock() -> None:
    core = find_core("cortex-m4")
    slow, fast = (priors(core, "int8", clock_hz, 1) for clock_hz in (60e6, 120e6))
    assert set(slow) == set(TERMS)
    assert all(slow[term] == pytest.approx(2 * fast[term]) for term in TERMS)
    assert fast["inference"] == pytest.approx(2500 / 120e6)
    assert fast["conv"] == pytest.approx(1.2 / 0.5 / 120e6)  # 1.2 over half a MAC a cycle


def test_an_int8_mac_is_cheaper_than_a_float_one_and_cheapest_with_dot_products() -> None:
    prices = {(name, kind): priors(find_core(name), kind, 1e9, 1)["conv"]
              for name in ("cortex-a72", "cortex-a76") for kind in ("float32", "int8")}
    assert prices["cortex-a72", "float32"] == pytest.approx(2 * prices["cortex-a72", "int8"])
    assert prices["cortex-a76", "float32"] == pytest.approx(4 * prices["cortex-a76", "int8"])


def test_four_threads_share_the_work_but_not_the_calls_and_cost_handing_over() -> None:
    core = find_core("cortex-a72")
    one, four = priors(core, "float32", 1e9, 1), priors(core, "float32", 1e9, 4)
    assert one["conv"] / four["conv"] == pytest.approx(4 / 1.3)  # 4 / (1 + 0.1 * 3)
    assert one["operator"] == four["operator"]
    assert one["parallel"] == 0
    assert four["parallel"] == pytest.approx(3 * 2000 / 1e9)


def test_threads_on_small_cores_do_less() -> None:
    core = find_core("cortex-a72")
    one, six = priors(core, "float32", 1e9, 1), priors(core, "float32", 1e9, 6, small_threads=4)
    assert one["conv"] / six["conv"] == pytest.approx(3.6 / 1.26)  # 2 + 4 * 0.4 = 3.6


def test_plain_code_takes_fewer_cycles_on_a_faster_core_and_macs_go_by_their_own_rate() -> None:
    m4, m7 = (priors(find_core(name), "int8", 100e6, 1) for name in ("cortex-m4", "cortex-m7"))
    assert m7["operator"] == pytest.approx(m4["operator"] / 1.45)
    assert m7["conv"] == pytest.approx(m4["conv"] * 0.5)  # 1 MAC a cycle in place of a half
    assert find_core("cortex-a76").scalar == 1


def test_bytes_are_no_terms_of_their_own_on_microcontrollers() -> None:
    micro, large = priors(find_core("cortex-m4"), "int8", 1e8, 1), priors(find_core("cortex-a72"), "int8", 1e9, 4)
    assert (micro["weights"], micro["activations"]) == (0, 0)
    assert min(large.values()) > 0
