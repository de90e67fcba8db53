"""`litesmith profiles calibrate`: fit a profile to one's own measurements."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import output_options, print_result

if TYPE_CHECKING:
    from device_profiles.prediction.calibrating import CalibratedProfile
    from device_profiles.schema import Profile

_NAME = "[a-z0-9][a-z0-9-]*"
_PATH = click.Path(path_type=Path)
_EPILOG = ("FILE is a .csv with the columns model, latency_ms and perhaps format, threads, samples, spread_ms, "
           "runtime, note; or a run folder whose benchmark ran on the device. docs/add-a-device.md has both.")


@click.command(epilog=_EPILOG)
@click.argument("profile")
@click.option("-m", "--measurements", type=_PATH, required=True, metavar="FILE", help="A .csv file or a run folder.")
@click.option("-o", "--output", type=_PATH, metavar="FILE", help="Default: PROFILE-calibrated.yaml here.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--units-are-right", is_flag=True, help="Take latencies that look like microseconds or seconds.")
@click.option("--on-device", is_flag=True, help="The run was made on the device itself.")
@output_options
def calibrate(profile: str, measurements: Path, output: Path | None, force: bool, units_are_right: bool,
              on_device: bool, as_json: bool) -> None:
    """Fit PROFILE (a name or a file) to measurements of your own device, and say how far off it is then.

    The published measurements are the prior; yours correct it. One measurement is enough to begin with, three networks
    prove an error.
    """
    from datetime import UTC, datetime

    from device_profiles.loader import load_profile
    from device_profiles.prediction.calibrating import calibrate as fit
    from pipeline.calibrating_text import lines
    from pipeline.measured_runs import load_measurements
    from pipeline.profile_files import refuse_existing

    loaded = load_profile(profile)
    path = output or Path(f"{loaded.name}-calibrated.yaml")
    refuse_existing(path, force)
    measured = load_measurements(measurements, loaded, on_device)
    source = f"{measured.source}, {datetime.now(UTC).date().isoformat()}"
    found = fit(_named(loaded, path), measured.rows, source, units_are_right)
    _write(profile, found, path)
    data = {"path": str(path), "own": found.own.model_dump(mode="json"),
            "prices": [each.model_dump(mode="json") for each in found.prices],
            "unseen": found.unseen, "unused": [each.model_dump(mode="json") for each in found.unused],
            "left_out": measured.left_out, "warnings": measured.warnings}
    print_result(data, lines(found, measured, path), as_json)


def _named(profile: Profile, path: Path) -> Profile:
    """The profile under the name of its new file, so that both can stand side by side."""
    return profile.model_copy(update={"name": path.stem}) if re.fullmatch(_NAME, path.stem) else profile


def _write(profile: str, found: CalibratedProfile, path: Path) -> None:
    """The profile with its new name and latency; a user's own file keeps its comments."""
    from device_profiles.loader import SUFFIXES
    from device_profiles.writing import profile_yaml, with_latency
    from pipeline.profile_files import write_checked

    head = [f"{found.profile.device}: '{profile}', calibrated by 'litesmith profiles calibrate'."]
    if profile.endswith(SUFFIXES):
        text = with_latency(Path(profile).read_text(encoding="utf-8-sig"), found.profile)
    else:
        text = profile_yaml(found.profile, head)
    write_checked(text, path)
