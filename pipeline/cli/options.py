"""Options that many commands share."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline import DEFAULT_RUNS, DEFAULT_STORE

if TYPE_CHECKING:
    from pipeline.session import Session

F = TypeVar("F", bound=Callable[..., Any])


def output_options(command: F) -> F:
    """--json and --debug, which every command takes."""
    command = click.option("--debug", is_flag=True, help="Show the traceback of an error.", expose_value=False)(command)
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")(command)


def run_options(command: F) -> F:
    """What names a run: its file, changes to it, its variants, where things are."""
    for option in reversed([
        click.option("-c", "--config", "config_path", type=click.Path(path_type=Path), metavar="FILE",
                     help="Run file. Default: litesmith.yaml here, else the built-in one."),
        click.option("-s", "--set", "changes", multiple=True, metavar="KEY=VALUE",
                     help="Change one key of the run file: --set train.epochs=10. Repeatable."),
        click.option("--model", "model", metavar="MODEL",
                     help="A .keras, .h5 or .tflite file, a SavedModel folder, package.module:function, or a model "
                          "by name; stands over the run file's."),
        click.option("--trust-model", is_flag=True,
                     help="Take a model file although it could run code of whoever made it."),
        click.option("--variant", "wanted", multiple=True, metavar="NAME",
                     help="Only this variant. Repeatable. 'litesmith variants' explains names."),
        click.option("--runs", type=click.Path(path_type=Path), default=Path(DEFAULT_RUNS), show_default=True,
                     metavar="FOLDER", help="Where run folders are."),
        click.option("--store", type=click.Path(path_type=Path), default=Path(DEFAULT_STORE), show_default=True,
                     envvar="LITESMITH_STORE", show_envvar=True, metavar="FOLDER", help="Where artifacts are kept."),
    ]):
        command = option(command)
    return output_options(command)


def talk_options(command: F) -> F:
    """-v and -q."""
    command = click.option("-q", "--quiet", is_flag=True, help="Print errors only.")(command)
    return click.option("-v", "--verbose", is_flag=True, help="A line for each call, not for each stage.")(command)


def open_session(config_path: Path | None, changes: tuple[str, ...], wanted: tuple[str, ...], model: str | None,
                 trust_model: bool, runs: Path, store: Path) -> tuple[Session, str]:
    """The session that `run_options` name, and where its config comes from."""
    from pipeline import config
    from pipeline.session import Session

    loaded, origin = config.load(config_path, changes)
    loaded = config.with_model(loaded, model, trust_model)
    return Session(loaded.only(wanted), runs, store, ("litesmith", *sys.argv[1:])), origin


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_result(value: Any, lines: Iterable[str], as_json: bool) -> None:
    """One JSON document, or lines for people."""
    if as_json:
        print_json(value)
        return
    for line in lines:
        click.echo(line)
