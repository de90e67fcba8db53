"""A slip of the unit is caught in every kind of fact, at its line, with the value that was meant."""

from __future__ import annotations

import pytest
from pydantic_core import PydanticCustomError

from device_profiles.errors import ConfigError
from device_profiles.plausible import CLOCK_HZ, MEMORY_BYTES, POWER_W, check
from device_profiles.schema import Profile
from device_profiles.strictyaml import loads
from tests.device_profiles.test_schema import GOOD

FLASH = "  flash_bytes: {value: 2097152, source: the datasheet}\n"
POWER = "active_power_w: {value: 0.041, source: the datasheet}\n"
LOOPS = "  loops_per_s:\n    int8: {value: {outputs: 1e6}, source: the datasheet}\n"
BOARD = (GOOD.replace("  arena_bytes:", FLASH + "  arena_bytes:").replace("threads: 1\n", "threads: 1\n" + POWER)
         .replace("  parallel_", LOOPS + "  parallel_"))
COMPUTER = (BOARD.replace("class: iot", "class: cpu").replace("tflm", "litert").replace("120e6", "1.5e9")
            .replace("655360", "4294967296").replace("524288", "1073741824"))
PHONE = COMPUTER.replace("class: cpu", "class: mobile").replace("0.041", "3.5")


def refused(text: str, old: str, new: str) -> ConfigError:
    """The fault of the text with a slip in it."""
    loads(text, Profile, "device.yaml")
    assert text.count(old) == 1, old
    with pytest.raises(ConfigError) as caught:
        loads(text.replace(old, new), Profile, "device.yaml")
    wrong = text.replace(old, new).splitlines()
    assert wrong[caught.value.line - 1] not in text.splitlines()
    return caught.value


@pytest.mark.parametrize(("text", "old", "new", "found", "next_step"), [
    (BOARD, "value: 120e6", "value: 120", "120 Hz is no clock of a device", "in MHz, write 120000000"),
    (BOARD, "value: 120e6", "value: 120e9", "1.2e+11 Hz is no clock of a device", "write it in Hz"),
    (COMPUTER, "value: 1.5e9", "value: 1.5", "1.5 Hz is no clock of a device", "in GHz, write 1500000000"),
    (COMPUTER, "value: 1.5e9", "value: 1500000", "1.5e+06 Hz is no clock of an application",
     "in kHz, write 1500000000"),
    (BOARD, "value: 120e6", "value: 4e9", "4e+09 Hz is no clock of a microcontroller", "write it in Hz"),
    (BOARD, "value: 655360", "value: 640", "640 bytes is no memory of a device", "in KiB, write 655360"),
    (COMPUTER, "value: 4294967296", "value: 4194304", "4,194,304 bytes is no RAM of a device with an application",
     "in KiB, write 4294967296"),
    (COMPUTER, "value: 4294967296", "value: 4096", "4,096 bytes is no RAM of a device with an application",
     "in MiB, write 4294967296"),
    (BOARD, "value: 655360", "value: 4294967296", "4,294,967,296 bytes is no RAM of a microcontroller",
     "write it in bytes"),
    (BOARD, "value: 524288", "value: 512", "512 bytes is no memory of a device", "in KiB, write 524288"),
    (COMPUTER, "value: 1073741824", "value: 524288", "524,288 bytes is no budget on a device",
     "in KiB, write 536870912"),
    (BOARD, "value: 2097152", "value: 2048", "2,048 bytes is no flash that holds", "in KiB, write 2097152"),
    (BOARD, "value: 0.041", "value: 41", "41 W is no power of a microcontroller", "in mW, write 0.041"),
    (BOARD, "value: 0.041", "value: 41000", "41000 W is no power of a device", "in mW, write 41"),
    (PHONE, "value: 3.5", "value: 350", "350 W is no power of a phone", "in mW, write 0.35"),
    (BOARD, "{conv: 1e8}", "{conv: 100}", "100 units a second is no rate", "in millions, write 100000000"),
    (BOARD, "{outputs: 1e6}", "{outputs: 1}", "1 units a second is no rate", "in millions, write 1000000"),
    (BOARD, "value: 4e8", "value: 0.4", "0.4 bytes a second is no bandwidth", "in GB/s, write 400000000"),
    (BOARD, "value: 1e-5", "value: 10", "10 seconds is no overhead", "in us, write 1e-05"),
    (BOARD, "operator_overhead_s: {value: 1e-5", "operator_overhead_s: {value: 0.1", "0.1 seconds is no overhead",
     "in us, write 1e-07"),
    (BOARD, "inference_overhead_s: {value: 0,", "inference_overhead_s: {value: 20,", "20 seconds is no overhead",
     "in us, write 2e-05"),
    (BOARD, "value: 2, source", "value: 80, source", "uncertainty_factor.value' is the number 80", ""),
    (BOARD, "level: 0.9", "level: 90", "'latency.level' is the number 90", ""),
    (BOARD, "parallel_efficiency: {value: 0", "parallel_efficiency: {value: 87", "'latency.parallel_efficiency", ""),
    (BOARD, "cores: {value: 1", "cores: {value: 0", "'hardware.cores.value' is the number 0", ""),
])
def test_a_slip_of_the_unit_is_caught_where_it_is_written(text: str, old: str, new: str, found: str,
                                                          next_step: str) -> None:
    error = refused(text, old, new)
    assert found in error.found
    assert next_step in error.next_step


def test_a_value_in_the_range_is_given_back_and_its_ends_are_in_it() -> None:
    assert [check(value, CLOCK_HZ) for value in (1e6, 2.4e9, 8e9)] == [1e6, 2.4e9, 8e9]
    assert check(2048, MEMORY_BYTES) == 2048


@pytest.mark.parametrize("value", [0, -5, 1e16])
def test_where_no_unit_explains_a_value_there_is_no_guess(value: float) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        check(value, MEMORY_BYTES)
    assert (caught.value.context or {})["next_step"] == "write it in bytes"


def test_the_first_unit_that_leads_into_the_range_is_the_hint() -> None:
    assert POWER_W.hint(5e4) == "if it is in mW, write 50"
    assert POWER_W.hint(5e6) == "if it is in uW, write 5"
