"""One tflite model on every device, as a table for a terminal of any width, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from device_profiles import quantities
from device_profiles.records import Figure
from pipeline.side_by_side import BASES, DeviceRow, SideBySide
from stages.records import LimitVerdict
from stages.reporting.text import kib, plain_number, plural

if TYPE_CHECKING:
    from rich.console import Console

_Cell = Callable[[DeviceRow], str]
_STYLES = {"pass": "green", "fail": "red", "undecided": "yellow", "unknown": "dim"}
_MOST_TEXT = 200
_LONGEST_NAME = 48
_WIDE, _WITH_ENERGY, _WITH_FREE, _WITH_DEVICE = 96, 110, 135, 180  # columns of the terminal


def show(found: SideBySide, console: Console) -> None:
    """Print it."""
    from rich.table import Table
    from rich.text import Text

    console.print(Text(f"{found.path}: {found.tflite_bytes:,} bytes, {found.number_format}, {found.macs:,} MACs"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    cells = _columns(console.width)
    for title in cells:
        table.add_column(title, justify="left" if title in _LEFT else "right", overflow="ellipsis",
                         no_wrap=True, max_width=_LONGEST_NAME if title == "device" else None)
    for row in found.devices:
        table.add_row(*(Text(cell(row), style=_STYLES[row.verdict] if title == "verdict" else "")
                        for title, cell in cells.items()))
    console.print(table)
    for line in notes(found):
        console.print(Text(line), soft_wrap=False)


def _columns(width: int) -> dict[str, _Cell]:
    """Titles and cells; a wider terminal shows more."""
    cells: dict[str, _Cell] = {"profile": lambda row: row.profile}
    if width >= _WITH_DEVICE:
        cells["device"] = lambda row: row.device
    cells |= {"latency, ms": _latency, "by": lambda row: row.latency_basis if row.latency else "-"}
    if width >= _WIDE:
        cells["a second"] = lambda row: _value(row.throughput)
    if width >= _WITH_ENERGY:
        cells["energy, µJ"] = lambda row: _value(row.energy)
    cells["RAM"] = _ram if width >= _WITH_FREE else _ram_alone
    if width >= _WIDE:
        cells["flash"] = _flash if width >= _WITH_FREE else lambda row: kib(row.flash.value)
    return cells | {"verdict": lambda row: row.verdict}


_LEFT = ("profile", "device", "by", "verdict")


def _latency(row: DeviceRow) -> str:
    """`12.4 [10.1 to 15.2]`."""
    if row.latency is None:
        return "-"
    if row.latency.interval is None:
        return plain_number(row.latency.value, "ms")
    low, high = (plain_number(end, "ms") for end in row.latency.interval)
    return f"{plain_number(row.latency.value, 'ms')} [{low} to {high}]"


def _value(figure: Figure | None) -> str:
    return "-" if figure is None else plain_number(figure.value, figure.unit)


def _ram(row: DeviceRow) -> str:
    """`≥ 24.0 KiB of 512 KiB`; where it is exact without the sign."""
    return _ram_alone(row) + (_of(row.ram_free_bytes) if row.ram else "")


def _ram_alone(row: DeviceRow) -> str:
    """`≥ 24.0 KiB`."""
    return "-" if row.ram is None else f"{'' if row.ram_exact else '≥ '}{kib(row.ram.value)}"


def _flash(row: DeviceRow) -> str:
    return kib(row.flash.value) + _of(row.flash_free_bytes)


def _of(free: int | None) -> str:
    return "" if free is None else f" of {quantities.bytes_text(free)}"


def notes(found: SideBySide) -> list[str]:
    """What the letters mean, and why a device does not pass: the worst limit of each, equal reasons once."""
    bases = {row.latency_basis for row in found.devices if row.latency}
    lines = ["", *(f"by {basis}: {meaning}" for basis, meaning in BASES.items() if basis in bases)]
    levels = sorted({row.latency.level for row in found.devices if row.latency and row.latency.interval})
    if levels:
        lines.append(f"[ ]: interval of {' or '.join(f'{100 * level:.0f} %' for level in levels)}; ≥: no arena can be "
                     "smaller, how large it is was not found out")
    if found.tflm:
        lines.append(f"tflm refuses it: {found.tflm}")
    lines += _reasons(found.devices)
    opened = sorted({name for row in found.devices for name in row.open})
    if opened:
        lines += ["", f"not judged from a file alone: {', '.join(opened)} (litesmith check)"]
    return lines


def _reasons(rows: Iterable[DeviceRow]) -> list[str]:
    """Why devices do not pass, equal reasons once."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.verdict != "pass":
            found.setdefault(_why(row), []).append(row.profile)
    return ["", *(f"{', '.join(profiles)}: {why}" for why, profiles in found.items())] if found else []


def _why(row: DeviceRow) -> str:
    """The worst limit's reason, and how many more there are."""
    worst = next(limit for limit in row.limits if limit.verdict == row.verdict)
    more = sum(limit.verdict == row.verdict for limit in row.limits) - 1
    rest = f" (and {plural(more, 'limit')} more)" if more else ""
    return f"{row.verdict}, {worst.limit}: {_short(_reason(worst, row))}{rest}"


def _reason(limit: LimitVerdict, row: DeviceRow) -> str:
    text = limit.why or limit.found_text
    if limit.limit.startswith("latency") and limit.verdict == "unknown" and row.latency_reason:
        text = row.latency_reason
    return text.replace(f" on {row.device}", "").replace(f"{row.device} ", "the device ")


def _short(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT].rsplit(' ', 1)[0]} ..."


def csv_text(found: SideBySide) -> str:
    """A line a device, with units in the columns' names."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_CSV)
    writer.writerows(_csv_row(row) for row in found.devices)
    return out.getvalue()


_CSV = ("profile", "device", "class", "engine", "threads", "verdict", "runs", "latency_ms", "latency_low_ms",
        "latency_high_ms", "interval_level", "latency_by", "throughput_per_s", "energy_uj", "ram_bytes", "ram_exact",
        "ram_free_bytes", "flash_bytes", "flash_free_bytes", "reason")


def _csv_row(row: DeviceRow) -> Iterable[object]:
    latency = row.latency
    low, high = latency.interval if latency and latency.interval else ("", "")
    return (row.profile, row.device, row.device_class, row.engine, row.threads, row.verdict, str(row.runs).lower(),
            _plain(latency), low, high, latency.level if latency and latency.interval else "", row.latency_basis,
            _plain(row.throughput), _plain(row.energy), _plain(row.ram), str(row.ram_exact).lower(),
            _none(row.ram_free_bytes), _plain(row.flash), _none(row.flash_free_bytes),
            "" if row.verdict == "pass" else _why(row))


def _plain(figure: Figure | None) -> object:
    if figure is None:
        return ""
    return int(figure.value) if figure.unit == "bytes" else float(f"{figure.value:.6g}")


def _none(value: int | None) -> object:
    return "" if value is None else value
