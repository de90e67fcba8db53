"""Quantities as people write them, and the slips of units that are caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from device_profiles import quantities
from device_profiles.errors import UsageError


@pytest.mark.parametrize(("text", "hertz"), [
    ("240 MHz", 240e6), ("1.8GHz", 1.8e9), ("240000000", 240e6), ("64e6 Hz", 64e6), ("32_768 kHz", 32.768e6)])
def test_a_clock_is_read_with_its_unit(text: str, hertz: float) -> None:
    assert quantities.clock_hz(text) == pytest.approx(hertz)


@pytest.mark.parametrize(("text", "size"), [
    ("512 KiB", 524_288), ("512KB", 524_288), ("512 kB", 524_288), ("2 MiB", 2_097_152), ("4 GB", 4_294_967_296),
    ("1.5 MiB", 1_572_864), ("655,360 bytes", 655_360), ("655360", 655_360)])
def test_a_memory_is_read_in_units_of_1024(text: str, size: int) -> None:
    assert quantities.memory_bytes(text) == size


@pytest.mark.parametrize(("text", "watts"), [("41 mW", 0.041), ("2.5 W", 2.5), ("2.5", 2.5), ("900 µW", 0.0009)])
def test_a_power_is_read_with_its_unit(text: str, watts: float) -> None:
    assert quantities.power_w(text) == pytest.approx(watts)


@pytest.mark.parametrize(("read", "text", "found", "next_step"), [
    (quantities.clock_hz, "240", "'240' is 240 Hz, and no device has that clock", "write '240 MHz' if that is meant"),
    (quantities.clock_hz, "240 mhz", "unknown unit 'mhz'", "did you mean 'MHz'?"),
    (quantities.clock_hz, "fast", "no number with a unit", ""),
    (quantities.clock_hz, "90 GHz", "no device has that clock", ""),
    (quantities.memory_bytes, "640", "'640' is 640 bytes", "write '640 KiB' if that is meant"),
    (quantities.memory_bytes, "640 Kib", "unknown unit 'Kib'", "did you mean 'KiB'?"),
    (quantities.memory_bytes, "2048.5", "no whole number of bytes", ""),
    (quantities.power_w, "0 W", "no power of a device", ""),
    (quantities.power_w, "2000 W", "no power of a device", "")])
def test_a_slip_is_refused_with_what_was_meant(read: Callable[[str], Any], text: str, found: str,
                                               next_step: str) -> None:
    with pytest.raises(UsageError) as raised:
        read(text)
    assert found in raised.value.found
    assert raised.value.next_step == next_step


def test_a_count_is_a_whole_number_within_bounds() -> None:
    assert quantities.whole(" 4 ", 8) == 4
    for text in ("0", "9", "2.5", "four", "-1"):
        with pytest.raises(UsageError, match="no whole number from 1 to 8"):
            quantities.whole(text, 8)


@pytest.mark.parametrize("hertz", [64e6, 1.8e9, 32_768e3])
def test_a_clock_reads_back_as_it_is_written(hertz: float) -> None:
    assert quantities.clock_hz(quantities.hertz_text(hertz)) == hertz


@pytest.mark.parametrize(("size", "text"), [(655_360, "640 KiB"), (2_097_152, "2 MiB"), (1_610_612_736, "1.5 GiB"),
                                            (50_001, "50,001 bytes")])
def test_a_memory_is_written_short_and_reads_back(size: int, text: str) -> None:
    assert quantities.bytes_text(size) == text
    assert quantities.memory_bytes(text) == size
