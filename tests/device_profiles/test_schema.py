"""What a profile may say: unit slips are caught, contradictions refused, and every fact needs a source."""

from __future__ import annotations

import pytest

from device_profiles.errors import ConfigError
from device_profiles.schema import Calibrated, Measured, Predicted, Profile
from device_profiles.strictyaml import loads

GOOD = """\
name: board
device: a board
class: iot
hardware:
  core: {value: Cortex-M4F, source: the datasheet}
  cores: {value: 1, source: the datasheet}
  clock_hz: {value: 120e6, source: the datasheet}
  instruction_set: {value: [dsp], source: the datasheet}
  ram_bytes: {value: 655360, source: the datasheet}
  arena_bytes: {value: 524288, source: the datasheet}
engine: {name: tflm, version: any, source: the repository}
formats: {value: [int8], source: the repository}
operators: {value: [CONV_2D], source: the repository}
threads: 1
limits: {latency_median_ms: 5}
latency:
  kind: predicted
  throughput_per_s:
    int8: {value: {conv: 1e8}, source: the datasheet}
  bandwidth_bytes_per_s: {value: 4e8, source: the datasheet}
  operator_overhead_s: {value: 1e-5, source: the datasheet}
  inference_overhead_s: {value: 0, source: the datasheet}
  parallel_efficiency: {value: 0, source: the datasheet}
  uncertainty_factor: {value: 2, source: the datasheet}
  validated_macs: {value: [1, 1000000], source: the datasheet}
  level: 0.9
"""


def read(old: str = "", new: str = "") -> Profile:
    assert old in GOOD
    return loads(GOOD.replace(old, new) if old else GOOD, Profile, "board.yaml")


def test_a_whole_profile_is_read_with_its_sources() -> None:
    profile = read()
    assert profile.hardware is not None
    assert (profile.hardware.clock_hz.value, profile.hardware.clock_hz.source) == (120e6, "the datasheet")
    assert isinstance(profile.latency, Predicted)
    assert profile.latency.throughput_per_s["int8"].value == {"conv": 1e8}
    assert (profile.device_class, profile.limits.latency_median_ms, profile.limits.energy_uj) == ("iot", 5.0, None)


@pytest.mark.parametrize(("old", "new", "line", "found", "next_step"), [
    ("120e6", "120", 7, "120 Hz is no clock", "if it is in MHz, write 120000000"),
    ("120e6", "1.8", 7, "1.8 Hz is no clock", "if it is in GHz, write 1800000000"),
    ("120e6", "120000", 7, "120000 Hz is no clock", "if it is in kHz, write 120000000"),
    ("120e6", "120e9", 7, "1.2e+11 Hz is no clock", "write it in Hz"),
    ("655360", "640", 9, "640 bytes is no memory", "if it is in KiB, write 655360"),
    ("655360", "0", 9, "0 bytes is no memory", "write it in bytes"),
    ("655360", "262144", 5, "arena_bytes 524,288 is more than ram_bytes 262,144", "check the units"),
    ("threads: 1", "threads: 2", 1, "threads 2 is more than the device's 1 cores", ""),
])
def test_a_unit_slip_or_a_contradiction_is_caught(old: str, new: str, line: int, found: str, next_step: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(old, new)
    assert caught.value.line == line
    assert found in caught.value.found
    assert next_step in caught.value.next_step


@pytest.mark.parametrize(("old", "new", "words", "allowed"), [
    ("Cortex-M4F, source: the datasheet", "Cortex-M4F", "'hardware.core.source' is missing", "where the value"),
    ("Cortex-M4F, source: the datasheet", "Cortex-M4F, source: ''", "'hardware.core.source' is the text ''",
     "at least 8 characters"),
    ("{value: Cortex-M4F, source: the datasheet}", "Cortex-M4F", "'hardware.core' is the text", "a mapping"),
    ("value: [int8]", "value: [int8qat]", "'formats.value[0]' is the text 'int8qat'", "int8"),
    ("value: [int8]", "value: []", "'formats.value'", "at least 1"),
    ("value: [CONV_2D]", "value: some", "'operators.value' is the text 'some'", "all, or a list"),
    ("class: iot", "class: phone", "'class' is the text 'phone'", "cpu, mobile, iot"),
    ("name: tflm", "name: tflmicro", "'engine.name' is the text 'tflmicro'", "tflm"),
    ("kind: predicted", "kind: guessed", "'latency.kind' is the text 'guessed'", "measured, predicted"),
    ("int8: {value: {conv: 1e8}", "int8: {value: {convolution: 1e8}", "'latency.throughput_per_s.int8.value", "conv"),
    ("{conv: 1e8}", "{conv: -1}", "'latency.throughput_per_s.int8.value.conv' is the number -1", "more than 0"),
    ("uncertainty_factor: {value: 2,", "uncertainty_factor: {value: 1,", "uncertainty_factor.value' is the number 1",
     "more than 1"),
    ("{latency_median_ms: 5}", "{latency_ms: 5}", "unknown key 'limits.latency_ms'", "latency_median_ms"),
    ("{latency_median_ms: 5}", "{latency_median_ms: 0}", "'limits.latency_median_ms' is the number 0", "more than 0"),
    ("{latency_median_ms: 5}", "{latency_median_ms: 5, latency_p90_ms: 4}", "latency_p90_ms 4 is below", "90th"),
])
def test_a_broken_profile_names_the_key_and_what_is_allowed(old: str, new: str, words: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(old, new)
    assert words in caught.value.found
    assert allowed in caught.value.allowed
    assert caught.value.line > 0


def test_an_engine_without_threads_refuses_more_than_one() -> None:
    text = GOOD.replace("cores: {value: 1", "cores: {value: 4").replace("threads: 1", "threads: 2")
    with pytest.raises(ConfigError, match="threads 2 with engine tflm"):
        loads(text, Profile, "f")


def test_only_a_measured_profile_may_leave_its_hardware_out() -> None:
    head, tail = GOOD[: GOOD.index("hardware:")], GOOD[GOOD.index("engine:"):]
    with pytest.raises(ConfigError, match="latency is predicted but there is no hardware"):
        loads(head + tail, Profile, "f")
    measured = loads(head + tail.split("latency:\n")[0] + "latency: {kind: measured}\n", Profile, "f")
    assert measured.latency == Measured(kind="measured")
    assert measured.hardware is None


@pytest.mark.parametrize(("keys", "device", "runtime"), [
    ("", "", ""), (", device: raspberry-pi-4-1800", "raspberry-pi-4-1800", ""),
    (", device: pixel-4, runtime: xnnpack-2020", "pixel-4", "xnnpack-2020")], ids=["neither", "device", "both"])
def test_a_calibrated_profile_may_name_its_device_and_runtime(keys: str, device: str, runtime: str) -> None:
    text = GOOD[:GOOD.index("latency:")] + f"latency: {{kind: calibrated{keys}}}\n"
    latency = loads(text, Profile, "board.yaml").latency
    assert isinstance(latency, Calibrated)
    assert (latency.device, latency.runtime) == (device, runtime)


def test_a_calibrated_profile_needs_its_hardware() -> None:
    text = GOOD[:GOOD.index("hardware:")] + GOOD[GOOD.index("engine:"):GOOD.index("latency:")]
    with pytest.raises(ConfigError, match="latency is calibrated but there is no hardware"):
        loads(text + "latency: {kind: calibrated}\n", Profile, "board.yaml")
