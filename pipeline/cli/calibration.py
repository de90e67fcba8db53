"""`litesmith profiles calibration`: how far the calibrated predictor is off, on rows that its fit had not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import output_options, print_result
from pipeline.text import columns

if TYPE_CHECKING:
    from device_profiles.prediction.fit_file import DeviceError

SCHEMES = {"family": "a network family left out, one board at a time",
           "family_all": "a network family left out on all boards at once",
           "device": "a whole board left out, predicted from its core and clock",
           "energy": "energy of one inference, a network family left out, one board at a time"}
CLASSES = {"cpu": "application processors", "mcu": "microcontrollers"}


@click.command()
@click.option("--device", metavar="NAME", help="Only this board.")
@output_options
def calibration(device: str | None, as_json: bool) -> None:
    """Print the error of predicted latencies: each published row, predicted without it.

    Next to it stands the rule "milliseconds per MAC" on the same rows. docs/prediction.md explains the table.
    """
    from device_profiles.errors import UsageError, with_near_miss
    from device_profiles.prediction.fit_file import load_fit

    lines = load_fit().errors
    boards = sorted({line.device for line in lines} - {"all"})
    if device is not None and device not in boards:
        raise UsageError(with_near_miss(f"no board is called '{device}'", device, boards), ", ".join(boards),
                         "litesmith profiles calibration")
    chosen = [line for line in lines if device in (None, line.device)]
    print_result([line.model_dump(mode="json") for line in chosen], _text(chosen), as_json)


def _text(lines: list[DeviceError]) -> list[str]:
    """A table for each class and way of leaving out."""
    text = []
    for core_class, people in CLASSES.items():
        for scheme, meaning in SCHEMES.items():
            own = [line for line in lines if (line.device_class, line.scheme) == (core_class, scheme)]
            if own:
                text += ["", f"{people}: {meaning}", *columns(_HEAD, [_row(line) for line in own], _RIGHT)]
    return text[1:]


_HEAD = ["device", "rows", "median error", "90 % within", "in 80 % interval", "in 95 % interval", "ms per MAC: median",
         "90 % within"]
_RIGHT = frozenset(range(1, len(_HEAD)))


def _row(line: DeviceError) -> list[Any]:
    shares = (line.median_error, line.p90_error, line.coverage_80, line.coverage_95, line.naive_median_error,
              line.naive_p90_error)
    return [line.device, line.rows, *(f"{100 * share:.1f} %" for share in shares)]
