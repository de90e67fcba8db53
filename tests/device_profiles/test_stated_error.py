"""The error of a profile's latency is the fit's, and says of what."""

from __future__ import annotations

import pytest

from device_profiles import stated_error as module
from device_profiles.loader import load_profile, names
from device_profiles.prediction import calibrated
from device_profiles.prediction.fit_file import DeviceError, load_fit
from device_profiles.schema import Profile
from device_profiles.stated_error import stated_error
from device_profiles.strictyaml import loads
from tests.device_profiles.prediction.handmade_fit import error, handmade_fit
from tests.device_profiles.test_schema import GOOD

HEAD = GOOD[:GOOD.index("latency:")]


def board(latency: str = "{kind: calibrated, device: board}", core: str = "Cortex-M4F") -> Profile:
    return loads(f"{HEAD}latency: {latency}\n".replace("Cortex-M4F", core), Profile, "board.yaml")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> list[DeviceError]:
    """A fit with round numbers instead of the shipped one; its lines."""
    fit = handmade_fit()
    for each in (calibrated, module):
        monkeypatch.setattr(each, "load_fit", lambda: fit)
    return list(fit.errors)


@pytest.mark.usefixtures("small")
def test_a_measured_board_has_the_error_of_its_own_rows() -> None:
    found = stated_error(board())
    assert (found.basis, found.rows, found.median_error, found.p90_error) == ("this board", 40, 0.1, 0.25)
    assert found.text == ("median 10.0 %, nine of ten rows within 25.0 % (40 rows; each network family of this board "
                          "left out in turn)")


@pytest.mark.usefixtures("small")
def test_a_device_without_rows_has_the_error_of_boards_left_out() -> None:
    found = stated_error(board("{kind: calibrated}"))
    assert (found.basis, found.rows) == ("core and clock", 300)
    assert "not measured, predicted from core and clock; microcontrollers, each board left out whole" in found.text


def test_a_measured_board_with_too_few_families_has_that_of_its_class(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = handmade_fit()
    fit = fit.model_copy(update={"errors": fit.errors[:2]})
    for each in (calibrated, module):
        monkeypatch.setattr(each, "load_fit", lambda: fit)
    found = stated_error(board())
    assert (found.basis, found.rows) == ("boards of its class", 400)
    assert "of this board itself too few families were published" in found.text


def test_a_board_with_rows_of_other_engines_has_that_of_itself_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = handmade_fit()
    setups = {key: setup.model_copy(update={"kernels": "x-cube-ai", "runtime": "x-cube-ai-7.1"})
              for key, setup in fit.setups.items()}
    fit = fit.model_copy(update={"setups": setups, "errors": (*fit.errors, error("board", "device", 28))})
    for each in (calibrated, module):
        monkeypatch.setattr(each, "load_fit", lambda: fit)
    found = stated_error(board())
    assert (found.basis, found.rows) == ("other engines", 28)
    assert "its rows are of other engines; this board left out whole" in found.text


def test_a_fit_without_such_a_line_says_that_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = handmade_fit().model_copy(update={"errors": ()})
    for each in (calibrated, module):
        monkeypatch.setattr(each, "load_fit", lambda: fit)
    found = stated_error(board())
    assert (found.basis, found.rows, found.median_error) == ("nothing", 0, None)
    assert found.text.startswith("not known: ")


@pytest.mark.usefixtures("small")
def test_a_core_that_nobody_knows_has_no_error_and_the_reason() -> None:
    found = stated_error(board("{kind: calibrated}", core="Frobnicator 9000"))
    assert (found.basis, found.median_error) == ("nothing", None)
    assert found.text.startswith("unknown, as is the latency: nothing is known of a core 'Frobnicator 9000'")


def test_a_profile_with_rates_of_its_own_states_its_factor() -> None:
    found = stated_error(loads(GOOD, Profile, "board.yaml"))
    assert found.basis == "own rates"
    assert found.text == "the profile's own statement: a factor of 2 at 90 % (the datasheet)"


def test_this_host_is_measured() -> None:
    assert stated_error(load_profile("cpu")).text == "measured on this host, not predicted"


def test_the_error_of_a_device_with_an_npu_is_of_its_core() -> None:
    assert stated_error(load_profile("corstone-300")).text.endswith(
        "; of operators on the core, Vela states none for the NPU")


def test_rows_without_todays_kernels_are_told() -> None:
    assert "the rows are of tflite-2020, without XNNPACK" in stated_error(load_profile("pixel-4")).text
    assert "XNNPACK" not in stated_error(load_profile("raspberry-pi-4")).text


def test_the_figures_are_those_of_the_shipped_fit() -> None:
    known = {(line.rows, line.median_error, line.p90_error) for line in load_fit().errors}
    found = [stated_error(load_profile(name)) for name in names()]
    assert sum(each.rows > 0 for each in found) >= len(found) - 1
    assert all((each.rows, each.median_error, each.p90_error) in known for each in found if each.rows)
