"""`litesmith inspect FILE.tflite`: what is in a tflite model, and which engines accept it."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.options import output_options, print_json


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE.tflite")
@click.option("--engines/--no-engines", default=True, show_default=True, help="Load it in every engine.")
@output_options
def inspect(path: Path, engines: bool, as_json: bool) -> None:
    """Show operators, MACs, parameters, sparsity, types, bytes, arena, and which engines accept the file."""
    from pipeline.inspection import describe, inspect_file

    found = inspect_file(path, engines)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    for line in describe(found):
        click.echo(line)
