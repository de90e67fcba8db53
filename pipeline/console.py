"""What a user sees of a run: a bar for the call at work, a line for each stage that is done, a table at the end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from device_profiles.errors import LitesmithError
from pipeline.calls import Call, Plan
from pipeline.runner import Outcome, Watcher
from pipeline.stage_order import STAGES

if TYPE_CHECKING:
    from rich.progress import TaskID

    from pipeline.session import RunResult

WIDTH = 80


class Console(Watcher):
    """A watcher that prints. Everything but the table goes to standard error.

    Args:
        stream: the terminal's own standard error.
        verbose: a line for each call, not for each stage.
        quiet: print nothing but failures.

    Attributes:
        shown: errors that the user has seen.
    """

    def __init__(self, stream: TextIO, verbose: bool = False, quiet: bool = False) -> None:
        from rich.console import Console as RichConsole

        self.rich = RichConsole(file=stream, highlight=False, soft_wrap=not stream.isatty())
        self.verbose, self.quiet = verbose, quiet
        self._bars: dict[str, TaskID] = {}
        self._seen: dict[str, list[Outcome]] = {}
        self._open: Counter[str] = Counter()
        self._warned: set[str] = set()
        self.shown: list[LitesmithError] = []
        self._lock = threading.Lock()
        self._progress = self._new_progress()

    def _new_progress(self) -> Any:
        """Bars with time left; none without a terminal."""
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

        return Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20),
                        TextColumn("{task.fields[text]}"), TimeRemainingColumn(compact=True), console=self.rich,
                        transient=True, disable=self.quiet or not self.rich.is_terminal,
                        redirect_stdout=False, redirect_stderr=False)  # what libraries print belongs in the log

    def __enter__(self) -> Console:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._progress.stop()

    def header(self, name: str, origin: str) -> None:
        """Say what is about to run."""
        self._say(f"run [bold]{name}[/bold] from {_plain(origin)}")

    def planned(self, plan: Plan) -> None:
        """Learn how many calls each stage has, to know when a stage is done."""
        self._open = Counter(call.stage for call in plan.calls.values())

    def started(self, call: Call) -> None:
        """Show a bar."""
        with self._lock:
            self._bars[call.label] = self._progress.add_task(call.label, total=None, text="")

    def progress(self, call: Call, done: int, total: int, text: str) -> None:
        """Move the bar."""
        bar = self._bars.get(call.label)
        if bar is not None:
            self._progress.update(bar, completed=done, total=total or None, text=text[:30])

    def ended(self, outcome: Outcome) -> None:
        """Take the bar away; say so where the call's stage is done, or the call failed."""
        call = outcome.call
        with self._lock:
            bar = self._bars.pop(call.label, None)
            if bar is not None:
                self._progress.remove_task(bar)
            self._seen.setdefault(call.stage, []).append(outcome)
        if outcome.status == "failed":
            self._fail(outcome)
        elif self.verbose:
            self._line(outcome.call.label, _status_text(outcome), outcome.seconds)
        if not self.verbose and len(self._seen[call.stage]) == self._open[call.stage]:
            self._stage_line(call.stage)
        for warning in outcome.warnings:
            self._warn(f"{call.label}: {warning}")

    def note(self, text: str) -> None:
        """Something that a user should know."""
        self._warn(text)

    def footer(self, result: RunResult, stage: str | None, out: TextIO) -> None:
        """The end: what was made and where it is; after the report, the table on standard output."""
        self._progress.stop()
        report = result.report
        if not result.made and not result.failed:
            self._say(f"nothing to do: all {len(result.outcomes)} calls are up to date ({result.seconds:.1f} s)")
        elif stage is not None:
            self._say(f"{len(result.made)} made, {len(result.outcomes) - len(result.made)} up to date "
                      f"({result.seconds:.1f} s)")
        if stage in (None, "check", "report") and report is not None and not self.quiet:
            self._table(report, out)
        if stage in ("quantize", "calibrate") and result.result("calibrate") and not self.quiet:
            self._study(result, out)
        if not self.quiet:
            self._say(_where(result, report))

    def _study(self, result: RunResult, out: TextIO) -> None:
        """Score against calibration samples, and from where on it stays."""
        from rich.console import Console as RichConsole

        from pipeline.summary import study_table

        study = result.result("calibrate") or {}
        rich = RichConsole(file=out, highlight=False, width=WIDTH)
        rich.print(study_table(study))
        rich.print(str(study["summary"]), soft_wrap=not out.isatty())
        self._say(f"plot: {result.folder / 'calibrate' / 'calibration.png'}")

    def _table(self, report: Mapping[str, Any], out: TextIO) -> None:
        """Variants against profiles in 80 columns, then a winner a profile."""
        from rich.console import Console as RichConsole

        from pipeline.summary import caption, summary_table, winner_lines

        rich = RichConsole(file=out, highlight=False, width=min(WIDTH, RichConsole(file=out).width))
        rich.print(summary_table(report))
        rich.print(caption(report), style="dim", soft_wrap=not out.isatty())
        rich.print()
        for line in winner_lines(report):
            rich.print(line, soft_wrap=not out.isatty())

    def _stage_line(self, stage: str) -> None:
        """One line for a stage that is done."""
        outcomes = self._seen[stage]
        made = [outcome for outcome in outcomes if outcome.status == "made"]
        failed = sum(outcome.status in ("failed", "blocked") for outcome in outcomes)
        if not made and (not failed or len(outcomes) == 1):  # a failure has had a line of its own
            return
        if len(outcomes) == 1:
            text = _status_text(outcomes[0])
        else:
            kept = len(outcomes) - len(made) - failed
            text = ", ".join(f"{count} {word}" for count, word in (
                (len(made), "made"), (kept, "up to date"), (failed, "failed")) if count)
        self._line(stage, text, sum(outcome.seconds for outcome in made), not failed)

    def _line(self, name: str, text: str, seconds: float, good: bool = True) -> None:
        mark = "[green]✓[/green]" if good else "[red]✗[/red]"
        width = max(len(stage) for stage in STAGES) if not self.verbose else 30
        self._say(f"{mark} {name:<{width}} {seconds:6.1f} s  {_plain(text)}", one_line=True)

    def _fail(self, outcome: Outcome) -> None:
        """A failure is shown even when quiet."""
        self.rich.print(f"[red]✗ {_plain(outcome.call.label)}[/red]  {_plain(str(outcome.error))}")
        self.shown += [outcome.error] if outcome.error else []

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._say(f"[yellow]![/yellow] {_plain(text)}")

    def _say(self, text: str, one_line: bool = False) -> None:
        """Print; on a terminal one line is cut at its width, elsewhere never."""
        if not self.quiet:
            cut = one_line and self.rich.is_terminal
            self.rich.print(text, no_wrap=cut, overflow="ellipsis" if cut else "ignore")


def _plain(text: str) -> str:
    """Text in which rich sees no markup."""
    from rich.markup import escape

    return escape(text)


def _status_text(outcome: Outcome) -> str:
    return f"up to date: {outcome.summary}" if outcome.status == "kept" else outcome.summary


def _where(result: RunResult, report: Mapping[str, Any] | None) -> str:
    """Where to look next."""
    if report is not None:
        return f"report: {result.folder / 'report' / 'report.html'}  models: {result.folder / 'models'}"
    return f"run folder: {result.folder}"
