"""The tables of shipped devices in docs/devices.md, from the profiles and the fit.

    python benchmarks/device_table.py [--write]

Prints a table a class: the facts that a reader chooses by, what the latency is predicted from, and the error that the
fit had on rows left out. With --write it replaces them in docs/devices.md; a test holds the page against the profiles.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from device_profiles.loader import load_profile, names
from device_profiles.prediction.calibrated import setup_of
from device_profiles.prediction.energy import published_power
from device_profiles.schema import Calibrated, Hardware, Profile
from device_profiles.stated_error import StatedError, stated_error

PAGE = Path(__file__).parent.parent / "docs" / "devices.md"
CLASSES = {"cpu": "Boards and computers", "mobile": "Phones", "iot": "Microcontrollers"}
_HEAD = ("profile", "device", "core", "RAM", "for one model", "flash", "threads", "rows of", "median error",
         "9 of 10 within", "of")
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="replace the tables in docs/devices.md")
    found = tables()
    if parser.parse_args().write:
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    print("\n\n".join(found.values()))


def tables() -> dict[str, str]:
    """Heading -> table, for each class of devices; a profile that is like another stands with that one's facts."""
    profiles = [load_profile(name) for name in names()]
    return {heading: "\n".join([f"| {' | '.join(_HEAD)} |", "|" + "---|" * len(_HEAD),
                                *(row(p) for p in profiles if p.device_class == key)])
            for key, heading in CLASSES.items()}


def replaced(page: str, found: dict[str, str]) -> str:
    """The page with these tables under their headings."""
    for heading, table in found.items():
        old = re.findall(rf"## {heading}\n\n(\|.*?)(?=\n\n|\Z)", page, re.DOTALL)
        if len(old) != 1:
            raise SystemExit(f"{PAGE.name} has no heading '## {heading}' with a table under it")
        page = page.replace(old[0], table)
    return page


def row(profile: Profile) -> str:
    """A line of the table."""
    hardware, error = profile.hardware, stated_error(profile)
    facts = _facts(hardware) if hardware is not None else ["as it is", "", "", ""]
    energy = isinstance(profile.latency, Calibrated) and published_power(profile.latency.device) is not None
    cells = [f"`{profile.name}`", profile.device + (f": `{profile.like}`" if profile.like else ""), *facts,
             str(profile.threads), _runtime(profile) + (", energy" if energy else ""), _share(error.median_error),
             _share(error.p90_error), _basis(error) + (", operators on the core" if profile.npu else "")]
    return f"| {' | '.join(cells)} |"


def _facts(hardware: Hardware) -> list[str]:
    """Core with clock, RAM, what one model may have of it, flash."""
    small = f" + {hardware.small_cores.value} small" if hardware.small_cores else ""
    clock = hardware.clock_hz.value
    speed = f"{clock / 1e9:g} GHz" if clock >= 1e9 else f"{clock / 1e6:g} MHz"
    flash = size(hardware.flash_bytes.value) if hardware.flash_bytes else ""
    return [f"{hardware.cores.value} x {hardware.core.value}{small}, {speed}", size(hardware.ram_bytes.value),
            size(hardware.arena_bytes.value), flash]


def size(count: int) -> str:
    """Bytes in the largest unit that needs no more than two decimals."""
    for unit, name in _UNITS:
        if count >= unit:
            return f"{count / unit:.4g} {name}"
    return f"{count:,} bytes"


def _runtime(profile: Profile) -> str:
    """The published runtime that stands for the engine."""
    model = profile.latency
    if not isinstance(model, Calibrated):
        return "measured here"
    return f"`{setup_of(profile, model).runtime}`"


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _basis(error: StatedError) -> str:
    return f"{error.basis}, {error.rows:,} rows" if error.rows else error.basis


if __name__ == "__main__":
    main()
