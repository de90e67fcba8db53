"""`litesmith compare`: which of two tflite models is faster, and what else differs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import output_options, print_json

if TYPE_CHECKING:
    from pipeline.comparison import Asked, Watch
    from stages.comparing.records import ComparisonResult

_FILE = click.Path(path_type=Path)
_EPILOG = ("Exit codes: 0 measured, whatever came of it; 1 proven slower with --fail-if-slower or --baseline, or a "
           "pair could not be measured; 2 wrong usage; 130 stopped by Ctrl-C. Undecided is 0: noise fails nothing.")


@click.command(epilog=_EPILOG)
@click.argument("reference", type=_FILE, metavar="A")
@click.argument("candidate", type=_FILE, metavar="[B]", required=False)
@click.option("--engine", help="Engine that runs both. Default: the baseline's, else litert.")
@click.option("--threads", type=click.IntRange(1, 256), help="Threads of the engine. Default: the baseline's, else 1.")
@click.option("--margin", type=click.FloatRange(0, 100), default=2.0, show_default=True, metavar="PERCENT",
              help="Difference that does not matter; 0: any that is proven does.")
@click.option("--budget", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True,
              metavar="SECONDS", help="Most time for a pair; it ends as soon as the claim is clear.")
@click.option("--variant", "variants", multiple=True, metavar="NAME", help="Of run folders, only this one. Repeatable.")
@click.option("--samples", type=_FILE, metavar="FILE.npy", help="Inputs as the models take them. Default: random ones.")
@click.option("--baseline", type=_FILE, metavar="FILE",
              help="Compare A with a baseline; exit 1 where it is proven slower.")
@click.option("--write-baseline", "target", type=_FILE, metavar="FILE",
              help="Measure A and write it, with its tflite models beside it.")
@click.option("--keep/--no-keep", default=True, show_default=True, help="Keep tflite models with a baseline.")
@click.option("--fail-if-slower", is_flag=True, help="Exit 1 where B is proven slower than A.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@output_options
def compare(reference: Path, candidate: Path | None, baseline: Path | None, target: Path | None, keep: bool,
            fail_if_slower: bool, quiet: bool, as_json: bool, **named: Any) -> int:
    """Say whether B is faster or slower than A, the same within a margin, or undecided; and what else differs.

    A and B are tflite models, or run folders that are compared variant by variant. Both run in turns, in fresh
    processes again and again, until the answer is proven or the budget is spent. With --baseline A is held against a
    file that --write-baseline wrote: for CI, where a pull request should fail on a regression and not on noise.
    """
    from pipeline import comparison
    from pipeline.comparing_text import baseline_lines, result_lines

    _check_usage(candidate, baseline, target)
    asked = _asked(**named)
    with _progress(quiet or as_json) as watch:
        if target is not None:
            written = comparison.make_baseline(reference, target, asked, keep, watch)
            _show(written.model_dump(mode="json"), baseline_lines(written, target), as_json)
            return 0
        result = _compared(reference, candidate, baseline, asked, watch)
    slower, missing = comparison.slower(result), comparison.unmeasured(result)
    code = 1 if missing or (slower and (fail_if_slower or baseline is not None)) else 0
    _show(_data(result, code), result_lines(result), as_json)
    if code:
        click.echo(f"litesmith: {comparison.failure(result)}", err=True)
    return code


def _check_usage(candidate: Path | None, baseline: Path | None, target: Path | None) -> None:
    """Exactly one of B, --baseline and --write-baseline.

    Raises:
        UsageError: none, or several.
    """
    from device_profiles.errors import UsageError

    given = [name for name, value in (("B", candidate), ("--baseline", baseline), ("--write-baseline", target))
             if value is not None]
    if len(given) != 1:
        raise UsageError("A is to be compared with " + (" and with ".join(given) or "nothing"),
                         "one of B, --baseline FILE and --write-baseline FILE", "litesmith compare --help")


def _asked(margin: float, budget: float, **named: Any) -> Asked:
    """The options as the pipeline takes them; percent as a share."""
    from pipeline.comparison import Asked
    from stages.comparing.trial import Rule

    return Asked(rule=Rule(margin=margin / 100, budget_s=budget), **named)


def _compared(reference: Path, candidate: Path | None, baseline: Path | None, asked: Asked,
              watch: Watch) -> ComparisonResult:
    """Against B, or against the baseline."""
    from pipeline import comparison

    if baseline is not None:
        return comparison.compare_with_baseline(reference, baseline, asked, watch)
    if candidate is None:
        raise click.UsageError("B is missing")
    return comparison.compare(reference, candidate, asked, watch)


def _show(data: dict[str, Any], lines: list[str], as_json: bool) -> None:
    """One JSON document, or lines for people."""
    if as_json:
        print_json(data)
        return
    for line in lines:
        click.echo(line)


def hold(folder: Path, baseline: Path, *, quiet: bool, as_json: bool) -> tuple[int, dict[str, Any]]:
    """A run's tflite models against a baseline, for `litesmith check --baseline`: exit code, and what JSON says."""
    from pipeline import comparison
    from pipeline.comparing_text import result_lines

    with _progress(quiet or as_json) as watch:
        result = comparison.compare_with_baseline(folder, baseline, comparison.Asked(), watch)
    code = 1 if comparison.slower(result) or comparison.unmeasured(result) else 0
    if not (quiet or as_json):
        for line in ("", *result_lines(result)):
            click.echo(line)
    if code:
        click.echo(f"litesmith: {comparison.failure(result)}", err=True)
    return code, _data(result, code)


def _data(result: ComparisonResult, code: int) -> dict[str, Any]:
    """What `--json` prints."""
    from pipeline import comparison

    return {**result.model_dump(mode="json"), "slower": list(comparison.slower(result)),
            "unmeasured": comparison.unmeasured(result), "exit_code": code}


@contextmanager
def _progress(silent: bool) -> Iterator[Watch]:
    """A bar on standard error where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(file=sys.stderr, highlight=False)
    bars = Progress(TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[text]}"),
                    console=console, transient=True, disable=silent or not console.is_terminal)
    with bars:
        bar = bars.add_task("starting", total=None, text="")

        def watch(name: str, phase: str, spent_s: float, budget_s: float, text: str) -> None:
            """Move the bar."""
            bars.update(bar, description=f"{name}: {phase}", completed=min(spent_s, budget_s), total=budget_s,
                        text=text)

        yield watch
