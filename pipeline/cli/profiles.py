"""`litesmith profiles`: list, show, validate; new, calibrate and compare have modules of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.calibrating import calibrate
from pipeline.cli.calibration import calibration
from pipeline.cli.device_table import compare_devices
from pipeline.cli.new_profile import new
from pipeline.cli.options import output_options, print_result
from pipeline.text import columns

if TYPE_CHECKING:
    from device_profiles.schema import Profile


_MOST_NUMBERS = 12
"""A longer list of numbers is counted, not shown; --json has it."""


@click.group()
def profiles() -> None:
    """Look at device profiles: shipped ones by name, others by path."""


for _command in (calibration, new, calibrate, compare_devices):
    profiles.add_command(_command)


@profiles.command("list")
@output_options
def list_profiles(as_json: bool) -> None:
    """List the shipped profiles."""
    from device_profiles.loader import load_profile, names
    from device_profiles.stated_error import stated_error

    found = [(profile, stated_error(profile)) for profile in map(load_profile, names())]
    rows: list[list[Any]] = [
        [p.name, p.device_class, p.engine.name, p.latency.kind,
         "" if error.median_error is None else f"{100 * error.median_error:.1f} %", error.basis, p.device]
        for p, error in found]
    print_result([{"name": p.name, "class": p.device_class, "device": p.device, "engine": p.engine.name,
                   "latency": p.latency.kind, "median_error": error.median_error, "error_of": error.basis}
                  for p, error in found],
                 columns(["name", "class", "engine", "latency", "median error", "error of", "device"], rows), as_json)


@profiles.command()
@click.argument("name")
@output_options
def show(name: str, as_json: bool) -> None:
    """Show a profile: every fact with its source. NAME is a shipped name or a path."""
    from device_profiles.loader import load_profile
    from device_profiles.stated_error import stated_error

    profile = load_profile(name)
    error = stated_error(profile)
    lines = [*_lines(profile.model_dump(mode="json", by_alias=True, exclude_none=True)),
             f"error of the latency: {error.text}"]
    print_result(profile.model_dump(mode="json", by_alias=True) | {"stated_error": error.model_dump(mode="json")},
                 lines, as_json)


@profiles.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@output_options
def validate(paths: tuple[Path, ...], as_json: bool) -> None:
    """Check profile files against the schema."""
    from device_profiles.loader import validate as read

    found: list[Profile] = [read(path) for path in paths]
    valid = list(zip(paths, found, strict=True))
    print_result([{"path": str(path), "name": profile.name} for path, profile in valid],
                 [f"{path}: a valid profile: {profile.name}, {profile.device}" for path, profile in valid], as_json)


def _lines(value: Any, indent: str = "") -> list[str]:
    """A mapping as indented lines; a fact on one line with its source under it."""
    lines = []
    for key, inner in value.items():
        if isinstance(inner, dict) and set(inner) == {"value", "source"}:
            lines += _fact_lines(key, inner, indent)
        elif isinstance(inner, dict):
            lines += [f"{indent}{key}:", *_lines(inner, indent + "  ")]
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            lines += [f"{indent}{key}:", *(f"{indent}  {_row(each)}" for each in inner)]
        else:
            lines.append(f"{indent}{key}: {_plain(inner)}")
    return lines


def _row(value: dict[str, Any]) -> str:
    """A small mapping on one line, what is empty left out."""
    return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items() if inner != "")


def _fact_lines(key: str, fact: dict[str, Any], indent: str) -> list[str]:
    """One fact."""
    if isinstance(fact["value"], dict):
        return [f"{indent}{key}:", *_lines(fact["value"], indent + "  "), f"{indent}    source: {fact['source']}"]
    return [f"{indent}{key}: {_plain(fact['value'])}", f"{indent}    source: {fact['source']}"]


def _plain(value: Any) -> str:
    """Numbers with thousands separators, lists with commas."""
    if isinstance(value, list):
        numbers = len(value) > _MOST_NUMBERS and all(isinstance(each, int | float) for each in value)
        return f"{len(value)} numbers" if numbers else ", ".join(map(str, value)) or "none"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{int(value):,}" if value.is_integer() and abs(value) < 1e15 else f"{value:g}"
    return str(value)
