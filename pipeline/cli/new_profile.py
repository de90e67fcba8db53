"""`litesmith profiles new`: a profile from options, and at a terminal from questions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import output_options, print_result

if TYPE_CHECKING:
    from device_profiles.new_profile import Draft, Question
    from device_profiles.schema import Profile

_EPILOG = ("At a terminal, what was not given is asked for. Without one, an error names every option that is missing. "
           "Units are read: '240 MHz', '512 KiB', '41 mW'.")
_SOURCE = "--source (where the facts are from)"


@click.command("new", epilog=_EPILOG)
@click.argument("name", required=False)
@click.option("--like", metavar="PROFILE", help="Take what is not given from this profile.")
@click.option("--device", metavar="TEXT", help="The device, for people.")
@click.option("--core", metavar="TEXT", help="Core that runs the model: Cortex-M7. A '!' at its end takes any.")
@click.option("--class", "class_", metavar="CLASS", help="cpu, mobile or iot. Default: by the core.")
@click.option("--cores", metavar="N", help="How many of these cores. Default on microcontrollers: 1.")
@click.option("--clock", metavar="CLOCK", help="Of the core: '480 MHz'.")
@click.option("--ram", metavar="SIZE", help="Of the device: '512 KiB'.")
@click.option("--arena", metavar="SIZE", help="RAM that is free for the model. Default: a share of the RAM.")
@click.option("--flash", metavar="SIZE", help="Where the model is kept; 'none' where there is a file system.")
@click.option("--instruction-set", metavar="WORDS", help="Features that kernels use: 'neon, dotprod'.")
@click.option("--engine", metavar="ENGINE", help="litert, tflite-runtime or tflm. Default: by the core.")
@click.option("--threads", metavar="N", help="Of the engine. Default: 1.")
@click.option("--power", metavar="POWER", help="While an inference runs: '41 mW'.")
@click.option("--published", metavar="DEVICE", help="The same device among the published measurements.")
@click.option("--source", "sources", multiple=True, metavar="[KEY=]TEXT",
              help="Where the facts are from, or one of them: clock='ST DS12110'. Repeatable.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE",
              help="Anything else: --set limits.latency_median_ms=20. Repeatable.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Default: NAME.yaml here.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@output_options
def new(like: str | None, sources: tuple[str, ...], changes: tuple[str, ...], output: Path | None, force: bool,
        as_json: bool, **answers: str | None) -> None:
    """Write the profile of a device: what it is, with the source of each fact."""
    from device_profiles.loader import load_profile
    from device_profiles.new_profile import Draft, changed
    from pipeline.profile_files import write_profile

    given = {key.rstrip("_").replace("_", "-"): text for key, text in answers.items() if text is not None}
    told = dict(_pair(text) for text in sources)
    draft = Draft(given, told, load_profile(like) if like else None)
    _settle(draft, asking=not as_json and _at_terminal())
    data = changed(draft.profile(), dict(_change(text) for text in changes))
    path = output or Path(f"{draft.value('name')}.yaml")
    profile = write_profile(data, path, force, [f"{draft.value('device')}: written by 'litesmith profiles new'."])
    _show(profile, path, draft.defaulted, as_json)


def _at_terminal() -> bool:
    """Whether somebody can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _pair(text: str) -> tuple[str, str]:
    """A source's key ("" for all facts) and text.

    Raises:
        UsageError: nothing in the profile has that key.
    """
    from device_profiles.errors import UsageError, near_miss
    from device_profiles.new_profile import QUESTIONS

    key, mark, rest = text.partition("=")
    if not mark or not key.replace("-", "").isalpha():
        return "", text
    facts = [each.key for each in QUESTIONS if each.fact]
    if key not in facts:
        raise UsageError(f"--source {text}: '{key}' is no fact of a profile", ", ".join(facts), near_miss(key, facts))
    return key, rest


def _change(text: str) -> tuple[str, str]:
    """Key and value of --set.

    Raises:
        UsageError: there is no '='.
    """
    from device_profiles.errors import UsageError

    key, mark, value = text.partition("=")
    if not mark or not key:
        raise UsageError(f"--set {text}: there is no '='", "KEY=VALUE, such as limits.latency_median_ms=20")
    return key.strip(), value.strip()


def _settle(draft: Draft, asking: bool) -> None:
    """Every answer: given, asked for, or by default.

    Raises:
        UsageError: something is missing and nobody can be asked; every missing option is named.
    """
    from device_profiles.errors import UsageError
    from device_profiles.new_profile import QUESTIONS, Missing

    missing: list[str] = []
    for question in QUESTIONS:
        if asking and question.key not in draft.given:
            _ask(draft, question)
        try:
            draft.settle(question)
        except Missing:
            if asking:
                _ask_source(draft, question.key)
                draft.settle(question)
                continue
            missing += _options(question, draft)
            draft.settled[question.key] = (0 if question.key == "ram" else "", "")
    if missing:
        found = sorted(dict.fromkeys(missing), key=lambda option: option == _SOURCE)
        raise UsageError(f"not given: {', '.join(found)}", "",
                         "give these, or --like a profile that has them; at a terminal they are asked for")


def _options(question: Question, draft: Draft) -> list[str]:
    """What would have answered a question; nothing where the missing core may answer it."""
    if question.key in draft.given:
        return [_SOURCE]
    if question.key in ("class", "cores", "engine", "flash") and not draft.value("core"):
        return []
    source = [_SOURCE] if question.fact and not draft.sources else []
    return ["NAME" if question.key == "name" else f"--{question.key}", *source]


def _ask(draft: Draft, question: Question) -> None:
    """Ask until an answer can be read; what stands by default is one too."""
    from device_profiles.errors import UsageError

    if question.key == "published":
        _tell_published(draft)
    proposed = draft.proposal(question)
    shown = None if proposed is None else _shown(question.key, proposed[0])
    while True:
        text = str(click.prompt(f"{question.key}: {question.what}", default=shown, err=True))
        if proposed is not None and text == shown:
            return
        try:
            question.read(draft, text)
        except UsageError as error:
            click.echo(f"  {error}", err=True)
            continue
        draft.given[question.key] = text
        if question.fact and text not in ("", "none") and not draft.sources.get(question.key):
            _ask_source(draft, question.key)
        return


def _tell_published(draft: Draft) -> None:
    """Which published devices have this core."""
    same = draft.published_alike()
    if same:
        click.echo(f"published devices with this core: {', '.join(same)}", err=True)


def _ask_source(draft: Draft, key: str) -> None:
    """Ask where a fact is from; the last answer stands by default."""
    from device_profiles.new_profile import SHORTEST_SOURCE

    last = draft.sources.get("") or None
    while True:
        said = click.prompt(f"  where is {key} from (datasheet, page, measurement)", default=last, err=True)
        text = str(said).strip()
        if len(text) >= SHORTEST_SOURCE:
            break
        click.echo(f"  a source of at least {SHORTEST_SOURCE} characters, so that others can check it", err=True)
    draft.sources[key] = draft.sources[""] = text


def _shown(key: str, value: Any) -> str:
    """A value as one would type it."""
    from device_profiles import quantities

    if value in (None, "", []):
        return "none"
    if key == "clock":
        return quantities.hertz_text(value)
    if key in ("ram", "arena", "flash"):
        return quantities.bytes_text(value)
    return ", ".join(value) if isinstance(value, list) else f"{value:g} W" if key == "power" else str(value)


def _show(profile: Profile, path: Path, defaulted: list[str], as_json: bool) -> None:
    """What was written, what it predicts, and what to do next."""
    from pipeline.profile_files import sanity, summary

    checks = sanity(profile)
    data = {"path": str(path), "profile": profile.model_dump(mode="json", by_alias=True), "by_default": defaulted,
            "predicts": [each.model_dump(mode="json") for each in checks]}
    print_result(data, summary(profile, path, defaulted, checks), as_json)
