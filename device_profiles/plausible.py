"""What a fact of a device can be, so that a slip of the unit is caught where it was written.

A range is no judgement on a device: it is set where another unit begins. A clock of 1,800,000 is 1.8 MHz as written and
1.8 GHz in the kHz that Linux prints; no application processor has the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from device_profiles.strictyaml import refusal

_KIB, _MIB, _GIB = 1 << 10, 1 << 20, 1 << 30
_CLOCK_SLIPS = (("GHz", 1e9), ("MHz", 1e6), ("kHz", 1e3))
_BYTE_SLIPS = (("KiB", _KIB), ("MiB", _MIB), ("GiB", _GIB))
_RATE_SLIPS = (("millions", 1e6), ("thousand millions", 1e9))
_SECOND_SLIPS = (("us", 1e-6), ("ms", 1e-3))
_POWER_SLIPS = (("mW", 1e-3), ("uW", 1e-6))
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Range:
    """Which values a fact can have.

    Attributes:
        low, high: both included.
        what: what a value outside is not: "no clock of a device".
        unit: that the value is in.
        allowed: the range, for people.
        slips: other units and how many of `unit` one of them is; the first that leads into the range is the hint.
    """

    low: float
    high: float
    what: str
    unit: str
    allowed: str
    slips: tuple[tuple[str, float], ...]

    def hint(self, value: float) -> str:
        """What was meant, where another unit leads into the range."""
        for unit, factor in self.slips:
            if value > 0 and self.low <= value * factor <= self.high:
                return f"if it is in {unit}, write {value * factor:.10g}"
        return f"write it in {self.unit}"


CLOCK_HZ = Range(1e6, 8e9, "no clock of a device", "Hz", "1e6 to 8e9 (1 MHz to 8 GHz)", _CLOCK_SLIPS)
MEMORY_BYTES = Range(2 * _KIB, 1 << 50, "no memory of a device", "bytes", "2,048 bytes to 1 PiB", _BYTE_SLIPS)
FLASH_BYTES = Range(8 * _KIB + 1, 1 << 50, "no flash that holds a runtime and a model", "bytes",
                    "more than 8 KiB, to 1 PiB", _BYTE_SLIPS)
POWER_W = Range(1e-6, 1e3, "no power of a device", "W", "1e-6 to 1,000 W", _POWER_SLIPS)
RATE_PER_S = Range(1e3, 1e15, "no rate of a device", "units a second", "1e3 to 1e15 a second", _RATE_SLIPS)
BANDWIDTH_BYTES_PER_S = Range(1e4, 1e14, "no bandwidth of a device", "bytes a second", "1e4 to 1e14 bytes a second",
                              (("GB/s", 1e9), ("MB/s", 1e6)))
OVERHEAD_S = Range(0, 0.05, "no overhead of a call", "seconds", "0 to 0.05 s", _SECOND_SLIPS)

_APPLICATION = {
    "clock_hz": Range(1e8, 8e9, "no clock of an application processor", "Hz", "1e8 to 8e9 (100 MHz to 8 GHz)",
                      _CLOCK_SLIPS),
    "ram_bytes": Range(64 * _MIB, 1 << 50, "no RAM of a device with an application processor", "bytes",
                       "64 MiB to 1 PiB", _BYTE_SLIPS),
    "arena_bytes": Range(_MIB, 1 << 50, "no budget on a device with an application processor", "bytes",
                         "1 MiB to 1 PiB", _BYTE_SLIPS),
}
BY_CLASS: Mapping[str, Mapping[str, Range]] = {
    "cpu": _APPLICATION,
    "mobile": {**_APPLICATION, "active_power_w": Range(0.01, 50, "no power of a phone", "W", "0.01 to 50 W",
                                                       _POWER_SLIPS)},
    "iot": {
        "clock_hz": Range(1e6, 2e9, "no clock of a microcontroller", "Hz", "1e6 to 2e9 (1 MHz to 2 GHz)", _CLOCK_SLIPS),
        "ram_bytes": Range(2 * _KIB, _GIB, "no RAM of a microcontroller", "bytes", "2,048 bytes to 1 GiB", _BYTE_SLIPS),
        "flash_bytes": Range(8 * _KIB + 1, 4 * _GIB, "no flash of a microcontroller", "bytes",
                             "more than 8 KiB, to 4 GiB", _BYTE_SLIPS),
        "active_power_w": Range(1e-6, 10, "no power of a microcontroller", "W", "1e-6 to 10 W", _POWER_SLIPS),
    },
}
"""Narrower ranges of a class of devices, by the key of the fact."""


def check(value: Number, allowed: Range, at: tuple[str, ...] = ()) -> Number:
    """The value, if it can be.

    Args:
        value: in the range's unit.
        allowed: what it can be.
        at: keys from what is validated down to the value.

    Raises:
        PydanticCustomError: it cannot; with the value that was meant, where another unit explains it.
    """
    if allowed.low <= value <= allowed.high:
        return value
    written = f"{value:,}" if isinstance(value, int) else f"{value:g}"
    raise refusal(f"{written} {allowed.unit} is {allowed.what}", allowed.allowed, allowed.hint(value), at)
