"""The chain from all devices to one setup."""

from __future__ import annotations

import pytest

from device_profiles.prediction.effects import LEVELS, Setup, board, effects_of, expected, runtime_family

PI = Setup(device="raspberry-pi-4-1800", core="cortex-a72", clock_hz=1.8e9, threads=4, runtime="tflite-2.7.1",
           kernels="ruy")


def test_a_measured_setup_has_every_level_from_the_most_shared_on() -> None:
    effects = effects_of(PI, "int8")
    assert tuple(level for level, _ in effects) == LEVELS
    assert dict(effects) == {
        "all": "cpu int8", "kernels": "ruy plain int8", "engine": "tflite", "runtime": "tflite-2.7.1 plain int8",
        "core": "cortex-a72 int8", "runtime_core": "tflite cortex-a72 int8", "board": "raspberry-pi-4",
        "device": "raspberry-pi-4 int8", "setup": "raspberry-pi-4-1800/tflite-2.7.1/4 int8"}


def test_a_device_that_was_never_measured_ends_at_its_core() -> None:
    levels = [level for level, _ in effects_of(PI.model_copy(update={"device": ""}), "int8")]
    assert levels == list(LEVELS[:6])


def test_runtimes_differ_by_dot_products() -> None:
    newer = PI.model_copy(update={"core": "cortex-a76"})
    assert dict(effects_of(newer, "int8"))["runtime"] == "tflite-2.7.1 dotprod int8"


@pytest.mark.parametrize(("number_format", "kernels"), [("int8", "tflm"), ("float32", "tflm-reference")])
def test_float_on_a_microcontroller_runs_the_plain_kernels(number_format: str, kernels: str) -> None:
    board_setup = Setup(device="nucleo-l4r5zi", core="cortex-m4", clock_hz=120e6, threads=1, runtime="edge-impulse",
                        kernels="vendor")
    assert dict(effects_of(board_setup, number_format))["kernels"].startswith(f"{kernels} plain")  # type: ignore[arg-type]


MICRO = Setup(device="nucleo-h7a3zi-q", core="cortex-m7", clock_hz=280e6, threads=1, runtime="hale", kernels="vendor")


@pytest.mark.parametrize(("changes", "kernels"), [
    ({}, "hale"), ({"runtime": "plumerai-2023"}, "plumerai"), ({"runtime": "x-cube-ai-7.3", "kernels": "x-cube-ai"},
                                                               "x-cube-ai"),
    ({"runtime": "tflm-cmsis-nn", "kernels": "tflm"}, "tflm"),
    ({"runtime": "tflm-cmsis-nn", "kernels": "tflm", "core": "cortex-m85"}, "tflm-helium"),
    ({"runtime": "microtvm-cmsis-nn", "kernels": "tflm", "core": "cortex-m33"}, "tflm")],
    ids=["hale", "plumerai", "x-cube-ai", "dsp", "helium", "microtvm"])
def test_a_microcontroller_s_kernels_are_the_vendor_s_own_and_shared_by_all_cores_of_a_kind(
        changes: dict[str, str], kernels: str) -> None:
    setup = MICRO.model_copy(update=changes)
    found = dict(effects_of(setup, "int8"))
    assert (found["kernels"], found["runtime_core"]) == (f"{kernels} plain int8", f"{kernels} {setup.core} int8")


def test_vendors_of_application_processors_share_their_kernels() -> None:
    assert dict(effects_of(PI.model_copy(update={"runtime": "leip", "kernels": "vendor"}), "int8"))["kernels"] == (
        "vendor plain int8")


def test_a_network_translated_to_code_is_expected_to_call_its_kernels_for_less() -> None:
    assert dict(expected(("engine", "hale"))) == {"inference": -2.5, "operator": -2.5}
    assert [dict(expected(effect)) for effect in (("engine", "tflm-cmsis-nn"), ("kernels", "hale"))] == [{}, {}]


@pytest.mark.parametrize(("device", "name"), [
    ("raspberry-pi-4-1500", "raspberry-pi-4"), ("raspberry-pi-4-arm32", "raspberry-pi-4"), ("pixel-4", "pixel-4"),
    ("nucleo-l4r5zi-p", "nucleo-l4r5zi"), ("spacemit-k1-614", "spacemit-k1"), ("imx8m-plus", "imx8m-plus")])
def test_one_board_with_two_clocks_is_left_out_together(device: str, name: str) -> None:
    assert board(device) == name


@pytest.mark.parametrize(("runtime", "family"), [
    ("tflite-2.11.0", "tflite"), ("x-cube-ai-10.2", "x-cube-ai"), ("tflm-2.3.1-cmsis-nn", "tflm-cmsis-nn"),
    ("xnnpack-2022", "xnnpack"), ("plumerai", "plumerai")])
def test_a_runtime_family_has_no_version(runtime: str, family: str) -> None:
    assert runtime_family(runtime) == family
