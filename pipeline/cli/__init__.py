"""The command line: one command a stage, `run` for all of them, and what looks at runs, profiles and tflite models."""

from __future__ import annotations

import json
import sys
from types import TracebackType

import click

from device_profiles.errors import LitesmithError
from pipeline import stopping
from pipeline.cli import comparing, explaining, inspection, profiles, running, setup
from pipeline.version import VERSION

EXIT_CODES = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 does not fit a required profile, 130 stopped by Ctrl-C."


@click.group(cls=running.OrderedGroup, epilog=EXIT_CODES,
             context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="litesmith")
def main() -> None:
    """Take a Keras model to the smallest, fastest TFLite model that provably fits a device.

    `litesmith run` does everything: train, prune, quantize, convert, evaluate, benchmark, check against profiles,
    report. Without a run file it takes the built-in one, on scikit-learn's digits.
    """


for _command in (running.run, *running.STAGE_COMMANDS, running.status, setup.init, setup.variants, setup.doctor,
                 profiles.profiles, inspection.inspect, explaining.explain,
                 comparing.compare):
    main.add_command(_command)


def entry() -> int:
    """The process entry point: runs a command and turns the project's errors into exit codes."""
    debug = "--debug" in sys.argv
    as_json = "--json" in sys.argv
    stopping.listen()
    if not debug:
        sys.excepthook = _unexpected
    sys.exit(carry_out(debug, as_json))


def carry_out(debug: bool, as_json: bool) -> int:
    """Run the command line; its exit code."""
    try:
        code = main(standalone_mode=False)
    except click.ClickException as error:
        error.show(sys.stderr)
        return 2 if isinstance(error, click.UsageError) else 1
    except (KeyboardInterrupt, click.Abort):
        click.echo(f"stopped. What is done is kept; to go on: {' '.join(['litesmith', *sys.argv[1:]])}", err=True)
        return 130
    except LitesmithError as error:
        if debug:
            raise
        return _show(error, as_json)
    return code if isinstance(code, int) else 0


def _show(error: LitesmithError, as_json: bool) -> int:
    """Print an error for people, and with --json for programs; its exit code."""
    click.echo(f"litesmith: {error}", err=True)
    if as_json:
        click.echo(json.dumps({"error": {"found": f"{error.place()}{error.found}", "allowed": error.allowed,
                                         "next": error.next_step}, "exit_code": error.exit_code}))
    return error.exit_code


def _unexpected(kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """What a user sees of a fault in litesmith itself."""
    click.echo(f"litesmith: a fault in litesmith itself: {kind.__name__}: {error}\n"
               "  next: run the same command with --debug and report what it prints", err=True)
