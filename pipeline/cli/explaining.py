"""`litesmith explain`: why a variant fell, and why it is not faster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import open_session, print_json, run_options, talk_options

if TYPE_CHECKING:
    from stages.records import ExplainResult


@click.command()
@click.argument("name", metavar="VARIANT|FILE.tflite")
@click.option("--try", "trying", is_flag=True, help="Make the changes that settings can make, and measure them.")
@click.option("--train", "costly", is_flag=True, help="With --try, also those that train a model.")
@click.option("--float", "plain", type=click.Path(path_type=Path), metavar="FILE.tflite",
              help="The float32 tflite model that FILE.tflite was made from.")
@click.option("--samples", metavar="N|FILE.npy",
              help="Validation samples to look at (default 256); with FILE.tflite the file that holds them.")
@run_options
@talk_options
def explain(name: str, samples: str | None, plain: Path | None, as_json: bool, **named: Any) -> None:
    """Say why a variant fell and why it is not faster: layer by layer, each cause with what mends it."""
    is_file = name.endswith(".tflite") or plain is not None
    _check_trying(is_file, named["trying"], named["costly"])
    result = _files(name, plain, samples) if is_file else _variant(name, samples, as_json=as_json, **named)
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        _show(result, trying=named["trying"])


def _check_trying(is_file: bool, trying: bool, costly: bool) -> None:
    """Refuse options that would do nothing."""
    from device_profiles.errors import UsageError

    if costly and not trying:
        raise UsageError("--train says which changes --try makes, and --try is not there", "--try --train")
    if is_file and trying:
        raise UsageError("--try makes changes through a run", "a variant of a run", "litesmith explain VARIANT --try")


def _files(name: str, plain: Path | None, samples: str | None) -> ExplainResult:
    """Two files, held against each other."""
    from device_profiles.errors import UsageError
    from pipeline.explaining import explain_files

    if plain is None:
        raise UsageError(f"{name} has no float model to be held against", "--float FLOAT.tflite",
                         "litesmith explain VARIANT finds both in a run")
    if samples is None or samples.isdigit():
        raise UsageError(f"{name} needs samples to run on", "--samples FILE.npy, as the model takes them")
    return explain_files(Path(name), plain, Path(samples))


def _variant(name: str, samples: str | None, *, as_json: bool, trying: bool, costly: bool, verbose: bool, quiet: bool,
             **named: Any) -> ExplainResult:
    """A variant of the run."""
    from pipeline.chatter import kept_out
    from pipeline.console import Console
    from pipeline.explaining import SAMPLES, Asked, explain_variant

    session, origin = open_session(**named)
    asked = Asked(_count(samples, SAMPLES), trying, costly)
    with (kept_out(session.folder.log) as (_, err),
          Console(err, verbose=verbose, quiet=quiet or as_json) as console):
        console.header(session.config.name, origin)
        return explain_variant(session, name, asked, console)


def _count(samples: str | None, usual: int) -> int:
    """How many samples."""
    from device_profiles.errors import UsageError

    if samples is None:
        return usual
    if not samples.isdigit() or not int(samples):
        raise UsageError(f"--samples {samples}", "a number of validation samples, 1 or more",
                         "a file of samples goes with a FILE.tflite and --float")
    return int(samples)


def _show(result: ExplainResult, *, trying: bool) -> None:
    """For people, no wider than the terminal."""
    from rich.console import Console

    from pipeline.explanation import render

    console = Console(file=sys.stdout, highlight=False)
    for part in render(result, console.width, trying=trying):
        console.print(part)
