"""Quantities as people write them: "240 MHz", "512 KiB", "41 mW" to plain numbers in Hz, bytes and watts.

A number without a unit is refused where it could be a slip: 240 is no clock in Hz. Decimal and binary prefixes of bytes
mean the same here (1 KB = 1 KiB = 1,024 bytes), because datasheets of memories write KB and mean 1,024.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from device_profiles.errors import UsageError, near_miss

_KIB = 1024
HERTZ: Mapping[str, float] = MappingProxyType({"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9})
BYTES: Mapping[str, float] = MappingProxyType({
    "B": 1, "bytes": 1, "KiB": _KIB, "MiB": _KIB ** 2, "GiB": _KIB ** 3, "KB": _KIB, "kB": _KIB, "MB": _KIB ** 2,
    "GB": _KIB ** 3})
WATTS: Mapping[str, float] = MappingProxyType({"W": 1.0, "mW": 1e-3, "uW": 1e-6, "µW": 1e-6})
_QUANTITY = re.compile(r"([0-9][0-9_,']*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*([A-Za-zµ]*)")


def clock_hz(text: str) -> float:
    """A clock in Hz.

    Raises:
        UsageError: it is none, or no clock of a device.
    """
    value = _quantity(text, HERTZ, "a clock such as '240 MHz' or '1.8 GHz'")
    if not 1e6 <= value <= 8e9:
        raise UsageError(f"'{text}' is {value:,.10g} Hz, and no device has that clock", "1 MHz to 8 GHz",
                         f"write '{text.strip()} MHz' if that is meant" if 1 <= value <= 8000 else "")
    return value


def memory_bytes(text: str) -> int:
    """A size of memory in bytes.

    Raises:
        UsageError: it is none, no whole number of bytes, or no memory of a device.
    """
    value = _quantity(text, BYTES, "a size such as '512 KiB', '2 MiB' or '4 GiB'")
    if not 2 * _KIB <= value <= 1 << 50:
        raise UsageError(f"'{text}' is {value:,.10g} bytes, and no device has so little or so much", "2 KiB to 1 PiB",
                         f"write '{text.strip()} KiB' if that is meant" if 1 <= value < 2 * _KIB else "")
    if value != int(value):
        raise UsageError(f"'{text}' is no whole number of bytes", "a size such as '512 KiB'")
    return int(value)


def power_w(text: str) -> float:
    """A power in watts.

    Raises:
        UsageError: it is none, or no power of a device.
    """
    value = _quantity(text, WATTS, "a power such as '41 mW' or '2.5 W'")
    if not 0 < value <= 1000:
        raise UsageError(f"'{text}' is no power of a device", "more than 0, at most 1000 W")
    return value


def whole(text: str, most: int) -> int:
    """A whole number from 1 on.

    Raises:
        UsageError: it is none.
    """
    if not (text.strip().isascii() and text.strip().isdigit() and 1 <= int(text) <= most):
        raise UsageError(f"'{text}' is no whole number from 1 to {most}", f"1 to {most}")
    return int(text)


def hertz_text(value: float) -> str:
    """`240 MHz`."""
    unit = next(unit for unit in ("GHz", "MHz", "kHz", "Hz") if value >= HERTZ[unit] or unit == "Hz")
    return f"{value / HERTZ[unit]:.6g} {unit}"


def bytes_text(value: int) -> str:
    """`640 KiB`: the largest unit in which it is a short number."""
    unit = next((unit for unit in ("GiB", "MiB", "KiB") if value >= BYTES[unit] and value % (BYTES[unit] / 4) == 0),
                "bytes")
    return f"{value / BYTES[unit]:.10g} {unit}" if unit != "bytes" else f"{value:,} bytes"


def _quantity(text: str, units: Mapping[str, float], allowed: str) -> float:
    """A number and its unit.

    Raises:
        UsageError: it is none.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"'{text}' is no number with a unit", allowed)
    number, unit = match.groups()
    factor = units.get(unit or next(iter(units)))
    if factor is None:
        same = [each for each in units if each.lower() == unit.lower()]
        hint = f"did you mean '{same[0]}'?" if same else near_miss(unit, units)
        raise UsageError(f"'{text}': unknown unit '{unit}'", allowed, hint)
    return float(re.sub(r"[_,']", "", number)) * factor
