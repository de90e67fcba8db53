from __future__ import annotations

from pipeline import doctor


def by_name():
    return {check.name: check for check in doctor.examine()}


def test_a_missing_requirement_is_named_with_the_command_that_mends_it(monkeypatch):
    real = doctor.installed_version
    monkeypatch.setattr(doctor, "installed_version", lambda name: "absent" if name == "tf-keras" else real(name))
    check = by_name()["tf-keras"]
    assert (check.needed, check.good) == (True, False)
    assert check.mend == "pip install 'tf-keras==2.21.0'"


def test_a_wrong_version_is_told_from_the_right_one(monkeypatch):
    real = doctor.installed_version
    monkeypatch.setattr(doctor, "installed_version", lambda name: "1.0" if name == "tensorflow" else real(name))
    check = by_name()["tensorflow"]
    assert not check.good
    assert "1.0, ==2.21.0 is needed" in check.found
    assert by_name()["tf-keras"].good


def test_an_old_python_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setattr(doctor.sys, "version_info", (3, 10, 0))
    check = doctor._python()
    assert not check.good
    assert "3.11" in check.mend


def test_tflite_runtime_has_no_mend_where_it_has_no_wheel(monkeypatch):
    monkeypatch.setattr(doctor.sys, "version_info", (3, 12, 0))
    assert not doctor._is_for_here("tflite-runtime")
    assert doctor._is_for_here("litert")


def test_a_nearly_full_disk_is_said(monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage(10, 9, 2**20))
    assert not by_name()["disk"].good


def test_a_target_is_examined_without_starting_an_engine_there(monkeypatch):
    found = {check.name: check for check in doctor.examine_target("host")}
    assert found["engine litert"].good
    assert "cores" in found["cores"].found or "Cortex" in found["cores"].found
    assert found["device"].found


def test_a_target_without_any_engine_is_not_good_and_says_what_to_install(monkeypatch):
    from stages.engines.registry import EngineInfo
    from stages.engines.targets.host import HostTarget

    monkeypatch.setattr(HostTarget, "engine_info", lambda self, name: EngineInfo(
        name=name, version=None, available=False, reason=f"pip install {name}"))
    found = {check.name: check for check in doctor.examine_target("host")}
    assert (found["engine litert"].needed, found["engine litert"].good) == (True, False)
    assert found["engine litert"].found == "pip install litert"
    assert not found["engine tflm"].needed


def test_an_emulator_that_is_not_installed_comes_with_the_command_that_installs_it(monkeypatch, tmp_path):
    from stages.engines.targets import emulator

    monkeypatch.setattr(emulator, "default_folder", lambda: tmp_path / "none")
    check = doctor._emulator()
    assert (check.needed, check.good) == (False, False)
    assert check.mend == "litesmith doctor --install arm-emulator"


def test_a_board_s_clock_and_heat_are_told_and_throttling_is_a_remark(monkeypatch):
    from stages.engines.targets.host import HostTarget
    from stages.records.targets import CoreGroup, DeviceState

    group = CoreGroup(cores=(0, 1), governor="ondemand", frequency_hz=6e8, highest_hz=1e9, hardware_hz=1.5e9)
    monkeypatch.setattr(HostTarget, "state", lambda self: DeviceState(
        groups=(group,), temperatures_c={"cpu-thermal": 81.25}, load_1min=0))
    found = {check.name: check for check in doctor.examine_target("host")}
    assert found["clock of core 0,1"].found == "600 of 1500 MHz, governor ondemand"
    assert found["heat cpu-thermal"].found == "81.2 C"
    assert found["state"].remark
    assert "governor of host is ondemand" in found["state"].found  # the later of the two remarks
