"""`litesmith run`, a command for each stage, and `litesmith status`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from device_profiles.errors import DoesNotFit, LitesmithError
from pipeline.cli import compiling
from pipeline.cli.comparing import hold
from pipeline.cli.options import open_session, print_json, run_options, talk_options
from pipeline.stage_order import STAGES

if TYPE_CHECKING:
    from pipeline.session import RunResult


class OrderedGroup(click.Group):
    """Lists commands in the order in which they were added: the order of the work."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (Click's signature)
        """Names in order."""
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or an error with the near miss."""
        found = super().get_command(ctx, cmd_name)
        if found is None and not cmd_name.startswith("-"):
            from device_profiles.errors import UsageError, with_near_miss

            raise UsageError(with_near_miss(f"no command is called '{cmd_name}'", cmd_name, self.commands),
                             ", ".join(self.commands), "litesmith --help")
        return found


@click.command()
@run_options
@talk_options
def run(**options: Any) -> int:
    """Run every stage: what is up to date is kept, the rest is made."""
    return _go(None, **options)


def _stage_command(name: str, text: str) -> click.Command:
    """The command of one stage: makes its artifacts, and first those that they need."""

    @click.command(name, help=f"{text} Stages that this one needs run first, where they are not up to date.",
                   short_help=text)
    @run_options
    @talk_options
    def command(calibration_study: bool = False, target: str | None = None, **options: Any) -> int:
        """Run as far as this stage."""
        if target:
            options["changes"] = (*options["changes"], f"{name}.target={target}")
        if calibration_study or name == "calibrate":
            options["changes"] = (*options["changes"], "calibration_study=true")
        return _go(name, **options)

    if name == "compile":
        return compiling.with_file(command)
    if name == "quantize":
        return click.option("--calibration-study", is_flag=True,
                            help="Also measure how many calibration samples are enough.")(command)
    if name in ("evaluate", "benchmark"):
        return click.option("--target", metavar="TARGET", help="Where the engines run: host, ssh:user@host, "
                            "adb:serial, emulated. 'litesmith doctor --target TARGET' says what is there.")(command)
    if name == "check":
        return click.option("--baseline", "baselines", type=click.Path(path_type=Path), metavar="FILE", multiple=True,
                            help="Also hold every tflite model against what `litesmith compare --write-baseline FILE` "
                                 "kept, in milliseconds or instructions; exit 1 where one is worse. Repeatable.",
                            )(command)
    return command


STAGE_COMMANDS = [_stage_command(stage.name, stage.help) for stage in STAGES.values()]


@click.command()
@run_options
def status(as_json: bool, **named: Any) -> None:
    """Show what is up to date, what would run, and why."""
    session, origin = open_session(**named)
    found = session.statuses()
    if as_json:
        print_json({"config": origin, "calls": [{"call": s.label, "stage": s.stage, "up_to_date": s.up_to_date,
                                                 "why": s.why} for s in found]})
        return
    width = max(len(s.label) for s in found)
    click.echo(f"run file: {origin}")
    for one in found:
        click.echo(f"{'ok  ' if one.up_to_date else 'run '} {one.label:<{width}}  {one.why}")
    waiting = sum(not s.up_to_date for s in found)
    click.echo(f"{len(found) - waiting} of {len(found)} calls are up to date; {waiting} would run")


def _go(stage: str | None, as_json: bool, verbose: bool, quiet: bool, baselines: tuple[Path, ...] = (),
        **named: Any) -> int:
    """Run as far as a stage, show what came of it, and give the exit code."""
    from pipeline.chatter import kept_out
    from pipeline.console import Console

    session, origin = open_session(**named)
    with kept_out(session.folder.log) as (out, err), Console(err, verbose=verbose, quiet=quiet or as_json) as console:
        console.header(session.config.name, origin)
        try:
            result = session.run(stage, console)
        except LitesmithError as error:
            if error in console.shown and not as_json and "--debug" not in sys.argv:
                return error.exit_code
            raise
        console.footer(result, stage, out)
    misfit = _misfit(result, stage)
    code = 1 if result.failed else misfit.exit_code if misfit else 0
    code, held = _hold(result, baselines, code, quiet=quiet, as_json=as_json)
    if as_json:
        print_json({**_as_data(result, code), **held})
    _step_summary(result)
    if misfit:
        click.echo(f"litesmith: {misfit}", err=True)
    return code


def _hold(result: RunResult, baselines: tuple[Path, ...], code: int, *, quiet: bool,
          as_json: bool) -> tuple[int, dict[str, Any]]:
    """The exit code, and what JSON says by kind, once the run is held against the baselines that are named."""
    if not baselines:
        return code, {}
    worse, held = hold(result.folder, baselines, quiet=quiet, as_json=as_json)
    return code or worse, held


def _misfit(result: RunResult, stage: str | None) -> DoesNotFit | None:
    """Why a required profile has no variant that passes, where the command is to say so."""
    if stage in (None, "check"):
        try:
            result.require_fit()
        except DoesNotFit as error:
            return error
    return None


def _as_data(result: RunResult, code: int) -> dict[str, Any]:
    """What `--json` prints."""
    check = result.result("check")
    return {
        "folder": str(result.folder), "seconds": round(result.seconds, 2), "fits": result.fits,
        "exit_code": code,
        "calls": {label: {"status": o.status, "summary": o.summary, "seconds": round(o.seconds, 2),
                          "key": o.call.key, "error": str(o.error) if o.error else None}
                  for label, o in result.outcomes.items()},
        "winners": {name: p["winner"] for name, p in check["profiles"].items()} if check else None,
        "report": str(result.folder / "report" / "report.json") if "report" in result.outcomes else None,
    }


def _step_summary(result: RunResult) -> None:
    """Append the verdicts to GitHub Actions' step summary, where there is one."""
    target, check = os.environ.get("GITHUB_STEP_SUMMARY"), result.result("check")
    if target and check:
        from pipeline.store import explained
        from stages.records import CheckResult
        from stages.reporting.markdown import check_summary

        with explained(Path(target)), Path(target).open("a", encoding="utf-8") as file:
            file.write(check_summary(CheckResult.model_validate(check)))
