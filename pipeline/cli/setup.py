"""`litesmith init`, `variants` and `doctor`: to get started, and to find out what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import output_options, print_json, print_result

if TYPE_CHECKING:
    from pipeline.doctor import Check


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("litesmith.yaml"))
@click.option("-f", "--force", is_flag=True, help="Write over a file that is there.")
@output_options
def init(path: Path, force: bool, as_json: bool) -> None:
    """Write a commented run file: the default run, spelled out."""
    from device_profiles.errors import UsageError
    from pipeline.config import default_text
    from pipeline.store import write_text

    if path.exists() and not force:
        raise UsageError(f"{path} is there already", next_step=f"another name, or litesmith init --force {path}")
    write_text(path, default_text())
    told = f"wrote {path}; next: litesmith run" + ("" if path.name == "litesmith.yaml" else f" -c {path}")
    print_result({"written": str(path)}, [told], as_json)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@output_options
def variants(names: tuple[str, ...], as_json: bool) -> None:
    """Explain the variant grammar, or what the given names mean."""
    from stages.variants import FORMATS, ORDER, TOKENS, parse_variant

    read = {name: parse_variant(name).describe() for name in names}
    if as_json:
        print_json({name: dict(tokens) for name, tokens in read.items()} if names else
                   {"order": ORDER, "tokens": TOKENS, "formats": FORMATS})
        return
    if not names:
        click.echo(f"A variant's name is tokens joined by '-', in this order: {ORDER}.\n"
                   "Only the format must be there.\n")
        _two_columns({**TOKENS, **FORMATS})
        click.echo("\nfor example: litesmith variants pruned75-int8qat")
    for name, tokens in read.items():
        click.echo(f"{name}")
        _two_columns(dict(tokens), indent="  ")


def _two_columns(rows: dict[str, str], indent: str = "") -> None:
    width = max(len(name) for name in rows)
    for name, text in rows.items():
        click.echo(f"{indent}{name:<{width}}  {text}")


@click.command()
@click.option("--target", metavar="TARGET", help="Look at another place: ssh:user@host, adb:serial, emulated.")
@click.option("--clear", is_flag=True, help="With --target: take away the files that were sent there.")
@click.option("--install", type=click.Choice(["arm-emulator"]),
              help="Set up the emulated Arm core, without root; with --target emulated,folder=PATH there.")
@click.option("-f", "--force", is_flag=True, help="With --install: set it up anew.")
@output_options
def doctor(target: str | None, clear: bool, install: str | None, force: bool, as_json: bool) -> int:
    """Show versions, engines and the machine; what is missing, and the command that mends it."""
    from pipeline.doctor import examine, examine_target

    if install:
        return _install(target or "emulated", force, as_json)
    if clear:
        return _clear(target, as_json)
    found = examine_target(target) if target else examine()
    if as_json:
        print_json([check.__dict__ for check in found])
    else:
        _show(found)
    return int(any(check.needed and not check.good for check in found))


def _show(found: list[Check]) -> None:
    """A line for each thing that was looked at, and the command that mends it."""
    for check in found:
        word = "ok" if check.good else "note" if check.remark else "MISSING" if check.needed else "absent"
        click.echo(f"{word:<7} {check.name:<32} {check.found}")
        if check.mend:
            click.echo(f"        next: {check.mend}")


def _install(target: str, force: bool, as_json: bool) -> int:
    """Set the Arm emulator up, where the target says or in the user's cache, and say what it is."""
    from device_profiles.errors import UsageError
    from stages.engines.targets.emulator import default_folder
    from stages.engines.targets.installing import install_arm_emulator
    from stages.engines.targets.names import parse

    parts = parse(target)
    if parts.kind != "emulated":
        raise UsageError(f"the Arm emulator is not installed in {target}", "emulated,folder=PATH, or no --target",
                         "litesmith doctor --install arm-emulator")
    folder = Path(parts.options["folder"]) if "folder" in parts.options else default_folder()
    about = install_arm_emulator(folder, lambda step: click.echo(f"  {step}", err=True), force=force)
    packages = ", ".join(f"{name} {version}" for name, version in about.packages.items())
    told = f"arm-emulator in {folder}: QEMU {about.qemu}, Python {about.python}, {packages}"
    told += "" if about.counts else "; without gcc there is no counting of instructions"
    print_result({"folder": str(folder), **about.model_dump()}, [told], as_json)
    return 0


def _clear(target: str | None, as_json: bool) -> int:
    """Take away what was sent to a target."""
    from device_profiles.errors import UsageError
    from stages.engines.targets.opening import open_target

    if not target:
        raise UsageError("--clear without a target", "--clear with --target",
                         "litesmith doctor --target ssh:user@host --clear")
    with open_target(target) as place:
        place.clear()
    print_result({"cleared": target}, [f"{target}: the files that were sent there are gone"], as_json)
    return 0
