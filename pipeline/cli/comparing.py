"""`litesmith compare`: which of two tflite models is faster, and what else differs; or takes more instructions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import output_options, print_json

if TYPE_CHECKING:
    from pipeline import instructions
    from pipeline.comparison import Asked, Watch
    from stages.comparing.instructions import CountedResult
    from stages.comparing.records import ComparisonResult

_FILE = click.Path(path_type=Path)
_EPILOG = ("Exit codes: 0 measured, whatever came of it; 1 proven slower (or more instructions) with --fail-if-slower "
           "or --baseline, or a pair could not be measured; 2 wrong usage; 130 stopped by Ctrl-C. Undecided is 0: "
           "noise fails nothing.")


@click.command(epilog=_EPILOG)
@click.argument("reference", type=_FILE, metavar="A")
@click.argument("candidate", type=_FILE, metavar="[B]", required=False)
@click.option("--engine", help="Engine that runs both. Default: the baseline's, else litert.")
@click.option("--threads", type=click.IntRange(1, 256), help="Threads of the engine. Default: the baseline's, else 1.")
@click.option("--margin", type=click.FloatRange(0, 100), metavar="PERCENT",
              help="Difference that does not matter; 0: any that is proven does. Default: 2, of instructions 1.")
@click.option("--budget", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True,
              metavar="SECONDS", help="Most time for a pair; it ends as soon as the claim is clear.")
@click.option("--variant", "variants", multiple=True, metavar="NAME", help="Of run folders, only this one. Repeatable.")
@click.option("--samples", type=_FILE, metavar="FILE.npy", help="Inputs as the models take them. Default: random ones.")
@click.option("--target", "place", metavar="TARGET", help="emulated, emulated:cortex-a76, ...: count instructions on "
              "an emulated Arm core instead of timing both here.")
@click.option("--baseline", type=_FILE, metavar="FILE",
              help="Compare A with a baseline; exit 1 where it is proven slower.")
@click.option("--write-baseline", "target", type=_FILE, metavar="FILE",
              help="Measure A and write it, with its tflite models beside it.")
@click.option("--keep/--no-keep", default=True, show_default=True, help="Keep tflite models with a baseline.")
@click.option("--fail-if-slower", is_flag=True, help="Exit 1 where B is proven slower than A.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@output_options
def compare(reference: Path, candidate: Path | None, place: str | None, baseline: Path | None, target: Path | None,
            keep: bool, fail_if_slower: bool, quiet: bool, as_json: bool, **named: Any) -> int:
    """Say whether B is faster or slower than A, the same within a margin, or undecided; and what else differs.

    A and B are tflite models, or run folders that are compared variant by variant. Both run in turns, in fresh
    processes again and again, until the answer is proven or the budget is spent. With --baseline A is held against a
    file that --write-baseline wrote: for CI, where a pull request should fail on a regression and not on noise.
    """
    from pipeline import comparison
    from pipeline.comparing_text import baseline_lines

    _check_usage(candidate, baseline, target)
    if place is not None or _counts(baseline):
        files = (reference, candidate, baseline, target)
        return _count(files, place, keep, fail_if_slower or baseline is not None, quiet or as_json, as_json, **named)
    asked = _asked(**named)
    with _progress(quiet or as_json) as watch:
        if target is not None:
            written = comparison.make_baseline(reference, target, asked, keep, watch)
            _show(written.model_dump(mode="json"), baseline_lines(written, target), as_json)
            return 0
        result = _compared(reference, candidate, baseline, asked, watch)
    return _judged(result, fail_if_slower or baseline is not None, as_json)


def _judged(result: ComparisonResult, gate: bool, as_json: bool) -> int:
    """Show a comparison; its exit code."""
    from pipeline import comparison
    from pipeline.comparing_text import result_lines

    missing = comparison.unmeasured(result)
    code = 1 if missing or (gate and comparison.slower(result)) else 0
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


def _asked(margin: float | None, budget: float, **named: Any) -> Asked:
    """The options as the pipeline takes them; percent as a share."""
    from pipeline.comparison import Asked
    from stages.comparing.trial import Rule

    rule = Rule(budget_s=budget) if margin is None else Rule(margin=margin / 100, budget_s=budget)
    return Asked(rule=rule, **named)


# -- instructions -----------------------------------------------------------------------------------------------------


def _counts(baseline: Path | None) -> bool:
    """Whether there is a baseline, of instructions."""
    from pipeline.baseline import INSTRUCTIONS, kind_of

    return baseline is not None and kind_of(baseline) == INSTRUCTIONS


def _count(files: tuple[Path, Path | None, Path | None, Path | None], place: str | None, keep: bool, gate: bool,
           silent: bool, as_json: bool, **named: Any) -> int:
    """`compare` on an emulated core; `files` are A, B, --baseline and --write-baseline."""
    from pipeline import instructions
    from pipeline.comparing_text import instruction_lines

    (reference, candidate, baseline, target), asked = files, _counting(place, **named)
    watch = _said(silent)
    if target is not None:
        written = instructions.make_baseline(reference, target, asked, keep, watch)
        _show(written.model_dump(mode="json"), instruction_lines(written, target), as_json)
        return 0
    if baseline is not None:
        result = instructions.compare_with_baseline(reference, baseline, asked, watch)
    elif candidate is not None:
        result = instructions.compare(reference, candidate, asked, watch)
    else:
        raise click.UsageError("B is missing")
    return _told(result, gate, as_json)


def _counting(place: str | None, margin: float | None = None, engine: str | None = None, threads: int | None = None,
              budget: float = 0, **named: Any) -> instructions.Asked:
    """The options as counting takes them; a budget is of no use to it."""
    from device_profiles.errors import UsageError
    from pipeline import instructions
    from stages.comparing.instructions import THRESHOLD

    del budget
    if threads not in (None, 1):
        raise UsageError(f"instructions are counted with {threads} threads", "1", "leave --threads out")
    return instructions.Asked(target=place, engine=engine, threshold=THRESHOLD if margin is None else margin / 100,
                              **named)


def _told(result: CountedResult, gate: bool, as_json: bool) -> int:
    """Show a count; its exit code."""
    from pipeline.comparing_text import counted_lines

    data, code = _counted(result, gate)
    _show(data, counted_lines(result), as_json)
    return code


def _counted(result: CountedResult, gate: bool) -> tuple[dict[str, Any], int]:
    """What `--json` prints, and the exit code; what fails is said on standard error."""
    from pipeline import instructions

    more, missing = instructions.more(result), instructions.uncounted(result)
    code = 1 if missing or (more and gate) else 0
    if code:
        click.echo(f"litesmith: {instructions.failure(result)}", err=True)
    return {**result.model_dump(mode="json"), "more": list(more), "uncounted": missing, "exit_code": code}, code


def _said(silent: bool) -> instructions.Watch:
    """Says on a terminal which tflite model is counted: that takes some seconds each."""

    def watch(name: str) -> None:
        """A line."""
        if not silent and sys.stderr.isatty():
            click.echo(f"counting {name}", err=True)

    return watch


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


def hold(folder: Path, baselines: tuple[Path, ...], *, quiet: bool, as_json: bool) -> tuple[int, dict[str, Any]]:
    """A run's tflite models against baselines, for `litesmith check --baseline`: exit code, and what JSON says.

    Raises:
        UsageError: two of one kind, or one that cannot be read.
    """
    from device_profiles.errors import UsageError
    from pipeline.baseline import kind_of

    kinds = [kind_of(baseline) for baseline in baselines]
    if len(set(kinds)) < len(kinds):
        raise UsageError(f"several baselines of one kind: {', '.join(map(str, baselines))}",
                         "one of milliseconds and one of instructions", "litesmith check --help")
    code, data = 0, {}
    for kind, baseline in zip(kinds, baselines, strict=True):
        one = _hold_instructions if _counts(baseline) else _hold_latency
        found, data[kind] = one(folder, baseline, quiet, as_json)
        code = code or found
    return code, data


def _hold_instructions(folder: Path, baseline: Path, quiet: bool, as_json: bool) -> tuple[int, dict[str, Any]]:
    """Against counts."""
    from pipeline import instructions
    from pipeline.comparing_text import counted_lines

    result = instructions.compare_with_baseline(folder, baseline, instructions.Asked(), _said(quiet or as_json))
    if not (quiet or as_json):
        _show({}, ["", *counted_lines(result)], as_json=False)
    data, code = _counted(result, gate=True)
    return code, data


def _hold_latency(folder: Path, baseline: Path, quiet: bool, as_json: bool) -> tuple[int, dict[str, Any]]:
    """Against milliseconds."""
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
