"""A phone over adb, with a stand-in for adb that answers as adb does."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import EngineCrash, TargetError, TargetLost
from stages.engines.client import EngineWorker
from stages.engines.targets.adb import AdbTarget
from stages.engines.targets.opening import open_target
from tests.stages.engine_stubs import stub
from tests.stages.targets.adb_stand_in import StandIn


@pytest.fixture
def phone(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path)


def refusal(target: AdbTarget) -> TargetError:
    with pytest.raises(TargetError) as caught:
        target.open()
    return caught.value


def test_the_only_device_is_taken_and_says_what_it_is(phone: StandIn) -> None:
    with phone.target() as target:
        assert target.device().board == "Google Pixel 6"
        assert target.is_up()
        assert target.carry("true")[1:] == ["-s", "PIXEL6", "shell", "-T", "true"]
    assert not target.is_up()


def test_open_target_knows_adb() -> None:
    assert isinstance(open_target("adb:PIXEL6"), AdbTarget)


@pytest.mark.parametrize(("devices", "serial", "found"), [
    ("", "", "adb sees 0 devices: none"),
    ("A\tdevice\nB\tdevice\n", "", r"adb sees 2 devices: A (device), B (device)"),
    ("A\tdevice\n", "B", "adb does not see B; it sees: A (device)"),
    ("A\tunauthorized\n", "", "it does not trust this machine yet"),
    ("A\toffline\n", "A", "it is offline"),
    ("A\tauthorizing\n", "", "has not answered yet whether it trusts this machine"),
    ("A\tconnecting\n", "", "it is still being connected"),
    ("A\trecovery\n", "", "it has not started Android"),
    ("A\tsideload\n", "A", "it has not started Android"),
    ("* daemon not running; starting now at tcp:5037\n* daemon started successfully\n", "", "adb sees 0 devices: none"),
    ("A\tno permissions (user in plugdev group); see [http://...]\n", "", "may not open its USB port"),
])
def test_a_device_that_is_not_to_be_had_is_named(phone: StandIn, devices: str, serial: str, found: str) -> None:
    phone.plug(devices)
    error = refusal(phone.target(serial))
    assert found in error.found
    assert error.next_step


def test_one_of_several_devices_is_taken_by_its_serial_number(phone: StandIn) -> None:
    phone.plug("A\tdevice\nB\tdevice\n")
    with phone.target("B") as target:
        assert target.carry("true")[2] == "B"


def test_adb_that_is_not_installed_is_named_with_its_package(phone: StandIn) -> None:
    phone.program.unlink()
    error = refusal(phone.target())
    assert "cannot be started" in error.found
    assert error.next_step == "apt-get install adb"


def test_a_worker_runs_there_where_there_is_a_python(phone: StandIn, tmp_path: Path) -> None:
    samples = np.random.default_rng(1).random((9, 4), dtype=np.float32)
    np.save(tmp_path / "x.npy", samples)
    with phone.target(python=sys.executable) as target:
        assert target.engine_info("litert").available
        command = target.carry(f"exec {' '.join(stub(tmp_path))}")
        with EngineWorker("litert", log=tmp_path / "log.txt", command=command, target=target) as worker:
            worker.load(b"model")
            worker.open(tmp_path / "x.npy")
            np.testing.assert_array_equal(worker.predict_rows(0, 9)[0], samples + 1)


def test_a_phone_without_a_python_says_what_there_is_instead(phone: StandIn) -> None:
    with phone.target(python="/nowhere/python") as target:
        reason = target.engine_info("litert").reason
    assert "Android brings none" in reason
    assert "run a Debian in Termux and reach it over ssh" in reason


def test_a_crash_there_has_the_signal_of_the_shell_s_status(phone: StandIn, tmp_path: Path) -> None:
    with phone.target() as target:
        command = target.carry(f"exec {' '.join(stub(tmp_path, 'def on_init(content): os.abort()'))}")
        with EngineWorker("litert", log=tmp_path / "log.txt", command=command, target=target) as worker, \
                pytest.raises(EngineCrash, match="its process was ended by SIGABRT in load"):
            worker.load(b"model")


@pytest.mark.parametrize("words", [
    "adb: device 'PIXEL6' not found", "error: device offline", "error: closed", "adb: no devices/emulators found",
    "adb: error: failed to get feature set: device 'PIXEL6' not found",
    "error: device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set", "error: device 'PIXEL6' offline",
    "adb: insufficient permissions for device", "error: protocol fault (couldn't read status): Success",
    "* cannot start server on remote host\nadb: cannot connect to daemon at tcp:5037: Connection refused"])
def test_a_phone_that_is_unplugged_is_a_lost_connection(phone: StandIn, words: str) -> None:
    with phone.target() as target:
        phone.fail(words)
        with pytest.raises(TargetLost, match="the connection was lost: "):
            target.state()
        phone.fail("")
        target.open()
        assert target.is_up()


def test_a_phone_that_started_anew_in_between_is_named_and_a_second_try_goes_on(phone: StandIn) -> None:
    with phone.target() as target:
        phone.restart()
        with pytest.raises(TargetLost, match="the device has started anew since"):
            target.run("exit 3")
        target.open()
        assert target.run("exit 3").status == 3


def test_a_phone_that_starts_anew_under_a_worker_is_no_crash_of_the_model(phone: StandIn, tmp_path: Path) -> None:
    with phone.target() as target:
        command = target.carry(f"exec {' '.join(stub(tmp_path, 'def on_init(content): os._exit(0)'))}")
        with EngineWorker("litert", log=tmp_path / "log.txt", command=command, target=target) as worker:
            phone.restart()
            with pytest.raises(TargetLost, match="the device has started anew since"):
                worker.load(b"model")


def test_a_phone_that_is_unplugged_under_a_worker_is_no_crash_of_the_model(phone: StandIn, tmp_path: Path) -> None:
    with phone.target() as target:
        command = target.carry(f"exec {' '.join(stub(tmp_path, 'def on_init(content): os._exit(1)'))}")
        with EngineWorker("litert", log=tmp_path / "log.txt", command=command, target=target) as worker:
            phone.fail("adb: device 'PIXEL6' not found")
            with pytest.raises(TargetLost, match="not found"):
                worker.load(b"model")


def test_a_phone_whose_shell_gives_no_status_is_refused(phone: StandIn) -> None:
    (phone.state / "old").touch()
    error = refusal(phone.target())
    assert "gives no exit status" in error.found
    assert error.allowed == "Android 7 or later and a current adb"


def test_a_full_disk_is_named_and_nothing_is_half_kept(phone: StandIn, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"model" * 100)
    (phone.state / "full").touch()
    with phone.target() as target:
        with pytest.raises(TargetError, match=r"m\.tflite \(500 bytes\) could not be sent: its disk is full"):
            target.send(tmp_path / "m.tflite")
        assert phone.files() == []
        (phone.state / "full").unlink()
        target.send(tmp_path / "m.tflite")
        assert len(phone.files()) == 1
