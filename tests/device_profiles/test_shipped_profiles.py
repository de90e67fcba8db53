"""The shipped devices: whole, with sources, predicted in time, and in agreement with the predictor and the page."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from device_profiles.loader import load_profile, names
from device_profiles.networks import network_workload
from device_profiles.prediction.calibrated import setup_of
from device_profiles.prediction.cores import find_core
from device_profiles.prediction.fit_file import load_fit
from device_profiles.predictor import predict_latency
from device_profiles.schema import Calibrated, Profile
from device_profiles.stated_error import stated_error
from device_profiles.strictyaml_tree import read_tree
from device_profiles.workload import Workload

ROOT = Path(__file__).parents[2]
DEVICES = tuple(name for name in names() if name != "cpu")
DEMANDED = {
    "cpu": {"cpu", "raspberry-pi-zero-2-w", "raspberry-pi-3b-plus", "raspberry-pi-4", "raspberry-pi-5",
            "firefly-rk3588s", "imx8m-plus", "imx93"},
    "mobile": {"mobile", "pixel-3", "pixel-4", "pixel-6", "pixel-8", "oneplus-12"},
    "iot": {"iot", "nucleo-l4r5zi", "nucleo-h7a3zi-q", "nucleo-u575zi-q", "stm32f746-disco", "stm32h747i-disco",
            "nrf5340-dk", "arduino-nano-33-ble", "esp32-s3", "esp32-p4", "raspberry-pi-pico"},
}
SMALL_SET = {"iot": (("autoencoder", "float32"), ("autoencoder", "int8"), ("ds_cnn", "int8"),
                     ("resnet_cifar blocks=1", "int8")),
             "cpu": (("mobilenet_v1", "float32"), ("mobilenet_v1", "int8"), ("mobilenet_v2 width=0.35 size=96", "int8"),
                     ("resnet_cifar blocks=1", "float32"))}
NOT_SOURCES = ("todo", "to be replaced", "/work/", "guess", "wikipedia", "from memory")


@pytest.fixture(scope="module")
def profiles() -> dict[str, Profile]:
    """Every shipped profile by name."""
    return {name: load_profile(name) for name in names()}


@pytest.fixture(scope="module")
def workloads() -> dict[str, list[Workload]]:
    """The small set by class of devices."""
    made = {key: [network_workload(name, kind) for name, kind in of] for key, of in SMALL_SET.items()}
    return made | {"mobile": made["cpu"]}


def calibrated(profile: Profile) -> Calibrated:
    assert isinstance(profile.latency, Calibrated)
    return profile.latency


def facts(value: Any, path: str = "") -> list[tuple[str, str]]:
    """(key path, source) of every fact in a profile's data."""
    if isinstance(value, dict):
        own = [(path, value["source"])] if "source" in value else []
        return own + [found for key, child in value.items() for found in facts(child, f"{path}.{key}")]
    return []


def test_the_devices_that_users_ask_for_are_shipped_in_their_class(profiles: dict[str, Profile]) -> None:
    found: dict[str, set[str]] = {}
    for name, profile in profiles.items():
        found.setdefault(profile.device_class, set()).add(name)
        assert profile.name == name
    for device_class, demanded in DEMANDED.items():
        assert demanded - found[device_class] == set(), device_class
    assert names()[:3] == ("cpu", "mobile", "iot")
    assert len(Counter(p.device for p in profiles.values() if p.like is None)) >= 24


@pytest.mark.parametrize("name", names())
def test_every_fact_of_a_shipped_profile_says_where_it_comes_from(profiles: dict[str, Profile], name: str) -> None:
    found = facts(profiles[name].model_dump())
    assert len(found) >= (3 if name == "cpu" else 9)
    for path, source in found:
        assert len(source) > 20, path
        assert not any(word in source.lower() for word in NOT_SOURCES), path
        assert "a choice of this profile" in source or path != ".hardware.arena_bytes", path


@pytest.mark.parametrize("name", DEVICES)
def test_the_small_set_is_predicted_within_50_ms_a_network_and_with_an_interval(
        profiles: dict[str, Profile], workloads: dict[str, list[Workload]], name: str) -> None:
    profile = profiles[name]
    for workload in workloads[profile.device_class]:
        setup_of(profile, calibrated(profile))  # the fit is read once, not once a prediction
        started = time.process_time()
        found = predict_latency(workload, profile)
        assert time.process_time() - started < 0.05
        if found.figure is None:
            assert "the 80 % interval would reach a factor" in found.reason
            continue
        assert found.figure.interval is not None
        assert 0 < found.figure.interval[0] < found.figure.value < found.figure.interval[1]
        assert found.held_out is not None


def test_nearly_all_of_the_small_set_is_predicted(profiles: dict[str, Profile],
                                                  workloads: dict[str, list[Workload]]) -> None:
    answers = [predict_latency(each, profiles[name]).figure for name in DEVICES
               for each in workloads[profiles[name].device_class]]
    assert sum(answer is None for answer in answers) <= len(answers) // 20


@pytest.mark.parametrize("name", DEVICES)
def test_core_and_clock_are_those_of_the_published_rows(profiles: dict[str, Profile], name: str) -> None:
    profile = profiles[name]
    model, hardware = calibrated(profile), profile.hardware
    assert hardware is not None
    core = find_core(hardware.core.value)
    assert core.core_class == ("mcu" if profile.device_class == "iot" else "cpu")
    setup = setup_of(profile, model)
    assert (find_core(setup.core).name, setup.clock_hz) == (core.name, hardware.clock_hz.value)
    assert core.dotprod is ("dotprod" in hardware.instruction_set.value)


@pytest.mark.parametrize("name", DEVICES)
def test_a_runtime_that_a_profile_names_was_measured_on_its_device_or_with_its_kernels(profiles: dict[str, Profile],
                                                                                     name: str) -> None:
    model = calibrated(profiles[name])
    setups = load_fit().setups.values()
    of_device = {setup.runtime for setup in setups if setup.device == model.device}
    assert model.device == "" or of_device
    assert model.runtime in {"", *of_device} or (not model.device and model.runtime in {s.runtime for s in setups})


@pytest.mark.parametrize("name", ["firefly-rk3588s", "firefly-rk3399", "odroid-n2-plus"])
def test_boards_with_big_and_small_cores_run_as_they_were_measured(profiles: dict[str, Profile], name: str) -> None:
    profile = profiles[name]
    assert profile.hardware is not None
    assert profile.hardware.small_cores is not None
    setup = setup_of(profile, calibrated(profile))
    assert setup.key in load_fit().setups
    assert (setup.threads, setup.small_threads) == (profile.hardware.all_cores, profile.hardware.small_cores.value)


@pytest.mark.parametrize(("threads", "small"), [(1, 0), (4, 0), (6, 2), (8, 4)])
def test_threads_beyond_the_big_cores_run_on_the_small_ones(tmp_path: Path, threads: int, small: int) -> None:
    text = f"name: mine\nlike: firefly-rk3588s\nthreads: {threads}\nlatency: {{kind: calibrated}}\n"
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    profile = load_profile(tmp_path / "mine.yaml")
    assert setup_of(profile, calibrated(profile)).small_threads == small


def test_a_phone_has_no_more_threads_than_big_cores(profiles: dict[str, Profile]) -> None:
    for profile in profiles.values():
        if profile.device_class == "mobile":
            assert profile.hardware is not None
            assert profile.hardware.small_cores is None
            assert profile.threads <= profile.hardware.cores.value


def test_a_model_leaves_room_for_the_rest_of_the_application(profiles: dict[str, Profile]) -> None:
    for profile in profiles.values():
        if profile.hardware is None:
            continue
        assert profile.hardware.arena_bytes.value < profile.hardware.ram_bytes.value, profile.name
        if profile.device_class == "iot":
            assert profile.limits.arena_bytes is not None
            assert profile.limits.arena_bytes <= profile.hardware.arena_bytes.value, profile.name
        if profile.device_class == "iot" and profile.npu is None:
            assert profile.hardware.flash_bytes is not None, profile.name
            assert profile.limits.tflite_bytes is not None
            assert profile.limits.tflite_bytes < profile.hardware.flash_bytes.value, profile.name


def test_facts_of_the_three_names_stand_in_one_file() -> None:
    for name, allowed in (("mobile", {"name", "like", "limits"}), ("iot", {"name", "like", "limits"})):
        text = (ROOT / "device_profiles" / "profiles" / f"{name}.yaml").read_text(encoding="utf-8")
        assert set(read_tree(text, name).data) == allowed


def test_no_shipped_file_repeats_what_its_engine_takes() -> None:
    for name in DEVICES:
        text = (ROOT / "device_profiles" / "profiles" / f"{name}.yaml").read_text(encoding="utf-8")
        assert not {"formats", "operators"} & set(read_tree(text, name).data), name


def test_the_page_of_profiles_quotes_the_error_of_the_phone() -> None:
    page = (ROOT / "docs" / "profiles.md").read_text(encoding="utf-8")
    figures, _, _ = stated_error(load_profile("mobile")).text.partition("; the rows are of")
    assert f"error of the latency: {figures}; ...)" in page


def test_the_page_of_devices_is_that_of_the_profiles_and_the_fit() -> None:
    place = importlib.util.spec_from_file_location("device_table", ROOT / "benchmarks" / "device_table.py")
    assert place is not None
    assert place.loader is not None
    script = importlib.util.module_from_spec(place)
    sys.modules["device_table"] = script
    place.loader.exec_module(script)
    page = (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")
    for heading, table in script.tables().items():
        assert f"## {heading}\n\n{table}\n" in page, "run: python benchmarks/device_table.py --write"
        assert page == script.replaced(page, {heading: table})
