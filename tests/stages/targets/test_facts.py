"""What a device prints, and what is read from it. The texts are in the form that Linux's documentation gives."""

from __future__ import annotations

import subprocess

import pytest

from stages.engines.targets import facts
from stages.records.targets import CoreGroup, Device, DeviceState

CPU = "/sys/devices/system/cpu"
CORE = "processor\t: {0}\nBogoMIPS\t: 108.00\nCPU implementer\t: 0x41\nCPU part\t: {1}\n"


def printed(**changes: str) -> str:
    """A Raspberry Pi's words; a section per file."""
    found = {
        "/proc/cpuinfo": "\n".join(CORE.format(i, "0xd08") for i in range(4)) + "\nModel\t: Raspberry Pi 4 Model B",
        "/proc/meminfo": "MemTotal:        3884360 kB\nMemFree:          100 kB\nMemAvailable:    3000000 kB\n",
        "/proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0", "/proc/loadavg": "0.25 0.10 0.09 1/170 990",
        "/proc/sys/kernel/random/boot_id": "11111111-2222",
        f"{CPU}/cpufreq/policy0/affected_cpus": "0 1 2 3", f"{CPU}/cpufreq/policy0/scaling_governor": "ondemand",
        f"{CPU}/cpufreq/policy0/scaling_cur_freq": "600000", f"{CPU}/cpufreq/policy0/scaling_min_freq": "600000",
        f"{CPU}/cpufreq/policy0/scaling_max_freq": "1500000", f"{CPU}/cpufreq/policy0/cpuinfo_max_freq": "1500000",
        "/sys/class/thermal/thermal_zone0/type": "cpu-thermal", "/sys/class/thermal/thermal_zone0/temp": "48199",
        "!uname -s": "Linux", "!uname -r": "6.1.21-v8+", "!uname -m": "aarch64",
        "!grep Cpus_allowed_list /proc/self/status": "Cpus_allowed_list:\t0-3",
        "!vcgencmd get_throttled": "throttled=0x0", **changes}
    return "".join(f"@{name}\n{text}\n" for name, text in found.items() if text)


def test_a_board_says_its_name_cores_memory_and_kernel() -> None:
    found = facts.read_device(printed(), "ssh:pi@pi", python="3.11.2")
    assert (found.target, found.board) == ("ssh:pi@pi", "Raspberry Pi 4 Model B Rev 1.4")
    assert found.core_names == ("4 Cortex-A72",)
    assert (found.host.cores, found.host.memory_bytes) == (4, 3884360 * 1024)
    assert (found.host.system, found.host.architecture, found.host.python) == ("Linux 6.1.21-v8+", "aarch64", "3.11.2")
    assert found.host.cpu == "Raspberry Pi 4 Model B, Arm implementer 0x41 part 0xd08"


def test_a_phone_says_its_model_and_both_kinds_of_core() -> None:
    cores = "\n".join(CORE.format(i, "0xd05" if i < 4 else "0xd41") for i in range(8))
    found = facts.read_device(printed(**{
        "/proc/cpuinfo": cores, "/proc/device-tree/model": "", "!getprop ro.product.manufacturer": "Google",
        "!getprop ro.product.model": "Pixel 6"}), "adb")
    assert found.board == "Google Pixel 6"
    assert found.core_names == ("4 Cortex-A55", "4 Cortex-A78")


def test_a_device_that_says_nothing_gives_empty_facts_and_one_core() -> None:
    found = facts.read_device("", "adb")
    assert (found.board, found.core_names, found.host.cores, found.host.memory_bytes) == ("", (), 1, 0)
    assert facts.read_state("sh: grep: not found\n") == DeviceState()


def test_a_state_has_clock_temperature_load_memory_and_start() -> None:
    found = facts.read_state(printed())
    assert found == DeviceState(
        groups=(CoreGroup(cores=(0, 1, 2, 3), governor="ondemand", frequency_hz=600e6, lowest_hz=600e6,
                          highest_hz=1500e6, hardware_hz=1500e6),),
        temperatures_c={"cpu-thermal": 48.199}, throttle={"get_throttled": 0}, load_1min=0.25,
        memory_free_bytes=3_000_000 * 1024, boot_id="11111111-2222")


def test_zones_of_one_type_are_kept_apart_and_unreadable_ones_left_out() -> None:
    zone = "/sys/class/thermal/thermal_zone"
    found = facts.read_state(printed(**{f"{zone}1/type": "cpu-thermal", f"{zone}1/temp": "51000",
                                        f"{zone}2/type": "modem"}))
    assert found.temperatures_c == {"cpu-thermal": 48.199, "cpu-thermal-1": 51.0}


@pytest.mark.parametrize(("text", "cores"), [
    ("0-3", (0, 1, 2, 3)), ("0-1,4", (0, 1, 4)), ("7", (7,)), ("2 3 0", (0, 2, 3)), ("", ())])
def test_lists_of_cores_are_read_in_both_of_the_kernel_s_spellings(text: str, cores: tuple[int, ...]) -> None:
    assert facts.core_list(text) == cores


def state(**changes: str) -> DeviceState:
    return facts.read_state(printed(**changes))


DEVICE: Device = facts.read_device(printed(), "ssh:pi@pi")
PI = "!vcgencmd get_throttled"


@pytest.mark.parametrize(("before", "after", "seen"), [
    ("0x0", "0x0", ()),
    ("0x0", "0x50000", ("under-voltage", "throttled")),  # bits 16 and 18: it was so since the first look
    ("0x50000", "0x50000", ()),  # long ago, and not again
    ("0x50000", "0x50008", ("soft temperature limit",)),  # bit 3: now
    ("0x2", "0x20000", ("frequency capped",)),  # it was at the first look
])
def test_a_pi_s_firmware_says_what_throttling_there_was_in_between(before: str, after: str,
                                                                  seen: tuple[str, ...]) -> None:
    found = facts.conditions(DEVICE, state(**{PI: f"throttled={before}"}), state(**{PI: f"throttled={after}"}))
    assert found.throttling == seen


def test_counters_that_rise_coolers_that_run_and_capped_clocks_are_throttling() -> None:
    count, cooler = f"{CPU}/cpu1/thermal_throttle/core_throttle_count", "/sys/class/thermal/cooling_device0"
    before = state(**{count: "5", f"{cooler}/type": "cpufreq-cpu0", f"{cooler}/cur_state": "0"})
    after = state(**{count: "9", f"{cooler}/type": "cpufreq-cpu0", f"{cooler}/cur_state": "2",
                     f"{CPU}/cpufreq/policy0/scaling_max_freq": "1000000"})
    assert facts.conditions(DEVICE, before, before).throttling == ()
    assert facts.conditions(DEVICE, before, after).throttling == (
        "core_throttle_count of cpu1 rose by 4", "cooling state of cpufreq-cpu0 (cooling_device0) is 2",
        "core 0 and those that share its clock are held at 1000 MHz of 1500 MHz")


def test_a_fan_that_runs_is_no_throttling() -> None:
    fan = {"/sys/class/thermal/cooling_device0/type": "pwm-fan", "/sys/class/thermal/cooling_device0/cur_state": "3"}
    assert facts.conditions(DEVICE, state(**fan), state(**fan)).throttling == ()


def test_remarks_name_throttling_a_moving_clock_and_other_load() -> None:
    busy = state(**{"/proc/loadavg": "3.10 1 1 1/1 1", PI: "throttled=0x4"})
    said = facts.remarks(facts.conditions(DEVICE, busy, busy))
    assert said[0] == "throttling on ssh:pi@pi: throttled"
    assert "governor of ssh:pi@pi is ondemand" in said[1]
    assert said[2] == "ssh:pi@pi had other load before the measurement: 3.1 processes for 4 cores"
    calm = state(**{f"{CPU}/cpufreq/policy0/scaling_governor": "performance"})
    assert facts.remarks(facts.conditions(DEVICE, calm, calm)) == []


def test_the_scripts_run_in_a_plain_shell_and_tell_of_this_machine() -> None:
    device, now = (subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True, timeout=10)
                   for script in (facts.DEVICE_SCRIPT, facts.STATE_SCRIPT))
    assert device.stderr == now.stderr == ""
    assert facts.read_device(device.stdout, "host").host.memory_bytes > 1 << 28
    assert len(facts.read_state(now.stdout).boot_id) == 36
