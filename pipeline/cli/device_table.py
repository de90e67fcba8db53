"""`litesmith profiles compare`: one tflite model on every device."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.options import output_options, print_json

_SORTS = ("latency", "verdict", "energy", "ram", "name", "class")
_EPILOG = ("Verdicts are those of 'litesmith check' as far as the file can tell: accuracy needs data. Exit code 0 "
           "whatever they are.")


@click.command("compare", epilog=_EPILOG)
@click.argument("path", type=click.Path(path_type=Path), metavar="MODEL.tflite")
@click.option("--profiles", "wanted", metavar="A,B,...", help="Only these: names, or paths of profile files.")
@click.option("--all", "everything", is_flag=True, help="All shipped ones besides those of --profiles.")
@click.option("--sort", type=click.Choice(_SORTS), default="latency", show_default=True, help="Order of the rows.")
@click.option("--tflm/--no-tflm", default=True, show_default=True,
              help="Load it in TFLM, where a profile runs that, for the exact arena.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with units in the columns' names.")
@output_options
def compare_devices(path: Path, wanted: str | None, everything: bool, sort: str, tflm: bool, as_csv: bool,
                    as_json: bool) -> None:
    """Show a tflite model on every device side by side: latency, energy, memory, and whether it fits."""
    from typing import cast

    from device_profiles.errors import UsageError
    from pipeline.side_by_side import Sort, chosen_profiles, side_by_side

    if as_csv and as_json:
        raise UsageError("--csv and --json together", "one of them")
    words = [word.strip() for word in wanted.split(",")] if wanted is not None else []
    if wanted is not None and not all(words):
        raise UsageError(f"--profiles '{wanted}' has an empty name", "names or paths with commas between them")
    found = side_by_side(path, chosen_profiles(words, everything), cast(Sort, sort), tflm)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    from pipeline.side_by_side_text import csv_text, show

    if as_csv:
        click.echo(csv_text(found), nl=False)
        return
    from rich.console import Console

    show(found, Console(highlight=False, emoji=False))
