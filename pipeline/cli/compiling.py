"""`litesmith compile`: every variant of a run for the NPUs of its profiles, or one tflite model for one of them."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import print_result


def with_file(of_a_run: click.Command) -> click.Command:
    """The stage's command, which takes a file too.

    Args:
        of_a_run: the command of the stage, for the variants of a run.
    """

    def command(path: Path | None, profiles: tuple[str, ...], output: Path | None, **options: Any) -> Any:
        """Compile a file, or the variants of a run."""
        if path is not None:
            return _compile_file(path, profiles, output, as_json=options["as_json"])
        if output is not None:
            raise click.UsageError("--output goes with a FILE.tflite; a run's files are in runs/<name>/models")
        if profiles:
            options["changes"] = (*options["changes"], f"profiles=[{', '.join(profiles)}]")
        return of_a_run.callback(**options) if of_a_run.callback else None

    own: list[click.Parameter] = [
        click.Argument(["path"], required=False, type=click.Path(path_type=Path), metavar="[FILE.tflite]"),
        click.Option(["--profile", "profiles"], multiple=True, metavar="NAME",
                     help="Profile with an NPU: a shipped name or a file. Repeatable. Stands over the run file's."),
        click.Option(["-o", "--output"], type=click.Path(path_type=Path), metavar="FILE",
                     help="Where a compiled FILE.tflite goes. Default: <model>@<profile>.tflite here."),
    ]
    return click.Command("compile", params=[*own, *of_a_run.params], callback=command, short_help=of_a_run.short_help,
                         help="Compile for the NPU of every profile that has one, with Vela: the variants of a run, "
                              "or one FILE.tflite. Shows which operators the NPU runs and why not the others, SRAM, "
                              "cycles and latency as Vela predicts it.")


def _compile_file(path: Path, profiles: tuple[str, ...], output: Path | None, *, as_json: bool) -> None:
    """One file for each profile named."""
    from pipeline.compiling import compile_file, describe

    if not profiles:
        raise click.UsageError("which NPU? Give --profile; 'litesmith profiles list' shows those there are")
    if output is not None and len(profiles) > 1:
        raise click.UsageError("--output is one file, and there are several profiles")
    found = [compile_file(path, name, output) for name in profiles]
    print_result([one.model_dump(mode="json") for one in found], chain.from_iterable(map(describe, found)), as_json)
