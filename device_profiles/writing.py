"""A profile as commented YAML that the strict loader takes.

What is left at its default is left out. Text is written plain where YAML reads it back as the same text, else in
double quotes.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from device_profiles import strictyaml
from device_profiles.completing import complete
from device_profiles.errors import ConfigError
from device_profiles.loader import names
from device_profiles.schema import Profile

WIDTH = 120
COMMENTS: Mapping[str, str] = MappingProxyType({
    "hardware": "Each fact has a value and its source: what a reader looks at when a verdict surprises.",
    "hardware.arena_bytes": "What is free for the tensor arena; the rest of the application needs some too.",
    "engine": "What executes the tflite model on the device.",
    "threads": "How many the engine uses. Latency holds for this number.",
    "target": "Where the device is to be reached; what is measured there stands over what is predicted.",
    "limits": "What you allow; 'litesmith check' holds each variant against them. docs/verdicts.md defines each.",
    "latency": "docs/prediction.md says how it is predicted, and how far off that was.",
    "latency.own": "Written by 'litesmith profiles calibrate'; to change it, measure and calibrate again.",
    "active_power_w": "Drawn while an inference runs; energy is this times the latency.",
})
_PLAIN = re.compile(r"[A-Za-z(/](?:[^\n\t#:\[\]{},\"'&*!|>%@`]|(?<=\S)#|:(?=\S))*")
_BLOCK = re.compile(_PLAIN.pattern.replace("},", "}"))  # where no list is around, a comma is a comma
_LARGEST_SHORT = 0xFFFF
_NOT_TEXT = re.compile(r"(?i)(true|false|null|nan|inf|y|n|yes|no|on|off|0x[0-9a-f]+|~)")


def profile_yaml(profile: Profile, head: Sequence[str] = ()) -> str:
    """The file's text.

    Args:
        profile: to write.
        head: comment lines that stand first.
    """
    plain = profile.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True, exclude={"like"})
    short = {key: value for key, value in plain.items() if key not in ("formats", "operators")}
    short["engine"] = {"name": profile.engine.name}
    for data in (short, plain):  # the engine's own formats and operators need not be written
        text = data_yaml(data, head)
        if _reads_as(text, profile):
            return text
    return text


def _reads_as(text: str, profile: Profile) -> bool:
    try:
        return checked(text, Path("profile.yaml")).model_copy(update={"like": profile.like}) == profile
    except ConfigError:
        return False


def data_yaml(data: Mapping[str, Any], head: Sequence[str] = ()) -> str:
    """The same of a profile's data that nothing has checked yet."""
    return "\n".join([*(f"# {line}".rstrip() for line in head), *_mapping(data, (), 0)]) + "\n"


def latency_yaml(profile: Profile) -> str:
    """The section `latency` alone."""
    plain = profile.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True,
                               include={"latency"})
    return "\n".join(_mapping(plain, (), 0)) + "\n"


def with_latency(text: str, profile: Profile) -> str:
    """A profile's own text with its name and its section `latency` written anew; all else stays, comments too.

    Args:
        text: of a valid profile.
        profile: whose name and latency are written.
    """
    lines = [f"name: {profile.name}" if re.match(r"name\s*:", line) else line for line in text.splitlines()]
    start = next((i for i, line in enumerate(lines) if re.match(r"latency\s*:", line)), None)
    if start is None:  # it stands in the profile that this one is like
        return "\n".join([*lines, latency_yaml(profile)])
    end = next((i for i, line in enumerate(lines[start + 1:], start + 1) if re.match(r"[^\s#}\]]", line)), len(lines))
    while end > start + 1 and re.match(r"\s*(#|$)", lines[end - 1]):
        end -= 1  # a comment above the next section is that section's
    section = [line for line in latency_yaml(profile).splitlines() if line not in lines[:start]]
    return "\n".join([*lines[:start], *section, *lines[end:]]) + "\n"


def checked(text: str, path: Path) -> Profile:
    """The profile that the text holds, as the strict loader reads it.

    Raises:
        ConfigError: it would not be taken.
    """
    try:
        return strictyaml.loads(text, Profile, str(path), lambda tree: complete(tree, names()))
    except ConfigError as error:
        raise ConfigError(error.found, error.allowed, error.next_step or "nothing was written", path=path,
                          line=error.line, column=error.column, excerpt=error.excerpt) from error


def _mapping(value: Mapping[str, Any], path: tuple[str, ...], indent: int) -> Iterator[str]:
    """A mapping, a line or a block a key."""
    blank = " " * indent
    for key, inner in value.items():
        here = (*path, key)
        comment = COMMENTS.get(".".join(here))
        if comment:
            yield f"{blank}# {comment}"
        head = f"{blank}{key}:"
        if isinstance(inner, dict) and inner:
            yield head
            yield from _mapping(inner, here, indent + 2)
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            yield head
            yield from (f"{blank}  - {_flow(item)}" for item in inner)
        else:
            text = _text(inner, _BLOCK) if isinstance(inner, str) else _flow(inner)
            yield from _wrapped(head, text, isinstance(inner, list))


def _wrapped(head: str, text: str, is_list: bool) -> Iterator[str]:
    """A key and its value, folded where it is long and may be folded: plain text and lists."""
    if len(head) + 1 + len(text) <= WIDTH or not (is_list or not text.startswith(('"', "{"))):
        yield f"{head} {text}"
        return
    indent = " " * (len(head) - len(head.lstrip()) + 2)
    yield from textwrap.wrap(f"{head} {text}", WIDTH, subsequent_indent=indent, break_long_words=False,
                             break_on_hyphens=False)


def _flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value)


def _text(value: str, plain_text: re.Pattern[str] = _PLAIN) -> str:
    """Text that reads back as the same text."""
    plain = (plain_text.fullmatch(value) and not _NOT_TEXT.fullmatch(value) and value == value.strip()
             and "  " not in value and value.isprintable())
    return value if plain else "".join(map(_escaped, json.dumps(value, ensure_ascii=False)))


def _escaped(char: str) -> str:
    """A character in double quotes; YAML would read some control characters as breaks of the line."""
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) <= _LARGEST_SHORT else f"\\U{ord(char):08x}"


def _number(value: float) -> str:
    """A number that reads back as the same number, without an exponent where it is a plain one."""
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(value)
