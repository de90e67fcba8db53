"""`litesmith compare`: which of two tflite models is faster, and what else differs; or takes more instructions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import output_options, print_result

if TYPE_CHECKING:
    from pipeline.gate import Gate, Watch

    AnyGate = Gate[Any, Any, Any]

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
    from pipeline.comparing_text import baseline_lines, result_lines

    _check_usage(candidate, baseline, target)
    gate = _gate(place, baseline, **named)
    with _watching(gate, quiet or as_json) as watch:
        if target is not None:
            written = gate.make_baseline(reference, target, keep, watch)
            print_result(written.model_dump(mode="json"), baseline_lines(written, target), as_json)
            return 0
        result = _compared(gate, reference, candidate, baseline, watch)
    code, data = _judged(gate, result, fails=fail_if_slower or baseline is not None)
    print_result(data, result_lines(result), as_json)
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


def _gate(place: str | None, baseline: Path | None, margin: float | None = None, threads: int | None = None,
          budget: float | None = None, **named: Any) -> AnyGate:
    """The options as a gate takes them: of instructions where an emulated core or a baseline of them is named.

    Args:
        place: the emulated core.
        baseline: to compare with.
        margin: percent.
        threads: of the engine; a count has one.
        budget: seconds; a count takes as long as it takes.
        **named: the options that both kinds have.
    """
    from device_profiles.errors import UsageError
    from pipeline.instructions import InstructionGate
    from pipeline.latency import LatencyGate
    from stages.comparing.instructions import THRESHOLD
    from stages.comparing.trial import Rule

    if place is None and not _counts(baseline):
        rule = Rule() if budget is None else Rule(budget_s=budget)
        rule = rule if margin is None else replace(rule, margin=margin / 100)
        return LatencyGate(threads=threads, rule=rule, **named)
    if threads not in (None, 1):
        raise UsageError(f"instructions are counted with {threads} threads", "1", "leave --threads out")
    return InstructionGate(target=place, threshold=THRESHOLD if margin is None else margin / 100, **named)


def _counts(baseline: Path | None) -> bool:
    """Whether there is a baseline, of instructions."""
    from pipeline.baseline import INSTRUCTIONS, kind_of

    return baseline is not None and kind_of(baseline) == INSTRUCTIONS


def _compared(gate: AnyGate, reference: Path, candidate: Path | None, baseline: Path | None, watch: Watch) -> Any:
    """Against B, or against the baseline."""
    if baseline is not None:
        return gate.compare_with_baseline(reference, baseline, watch)
    if candidate is None:
        raise click.UsageError("B is missing")
    return gate.compare(reference, candidate, watch)


def _judged(gate: AnyGate, result: Any, *, fails: bool) -> tuple[int, dict[str, Any]]:
    """The exit code, and what `--json` prints; what fails is said on standard error."""
    judgement = gate.judged(result)
    code = judgement.exit_code(fails)
    if code:
        click.echo(f"litesmith: {judgement.failure}", err=True)
    return code, {**result.model_dump(mode="json"), **judgement.data(), "exit_code": code}


def hold(folder: Path, baselines: tuple[Path, ...], *, quiet: bool, as_json: bool) -> tuple[int, dict[str, Any]]:
    """A run's tflite models against baselines, for `litesmith check --baseline`: exit code, and what JSON says.

    Raises:
        UsageError: two of one kind, or one that cannot be read.
    """
    from device_profiles.errors import UsageError
    from pipeline.baseline import kind_of
    from pipeline.comparing_text import result_lines

    kinds = [kind_of(baseline) for baseline in baselines]
    if len(set(kinds)) < len(kinds):
        raise UsageError(f"several baselines of one kind: {', '.join(map(str, baselines))}",
                         "one of milliseconds and one of instructions", "litesmith check --help")
    code, data = 0, {}
    for kind, baseline in zip(kinds, baselines, strict=True):
        gate = _gate(None, baseline)
        with _watching(gate, quiet or as_json) as watch:
            result = gate.compare_with_baseline(folder, baseline, watch)
        if not (quiet or as_json):
            print_result({}, ["", *result_lines(result)], as_json=False)
        found, data[kind] = _judged(gate, result, fails=True)
        code = code or found
    return code, data


@contextmanager
def _watching(gate: AnyGate, silent: bool) -> Iterator[Watch]:
    """What a terminal shows meanwhile: a bar while it is timed, a line for each tflite model that is counted."""
    from pipeline.instructions import InstructionGate

    if isinstance(gate, InstructionGate):
        yield _said(silent)
        return
    with _progress(silent) as watch:
        yield watch


def _said(silent: bool) -> Watch:
    """Says on a terminal which tflite model is counted: that takes some seconds each."""

    def watch(name: str, phase: str, *_: object) -> None:
        """A line."""
        if not silent and sys.stderr.isatty():
            click.echo(f"{phase} {name}", err=True)

    return watch


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
