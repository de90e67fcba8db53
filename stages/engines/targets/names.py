"""How a target is written: `host`, `ssh:user@host:port`, `adb:serial`, `emulated:cpu`; `,key=value` may follow."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator

from device_profiles.errors import UsageError, with_near_miss

HOST = "host"
DEFAULT_CPU = "cortex-a72"
KINDS = {HOST: "host", "ssh": "ssh:user@host[:port]", "adb": "adb[:serial]", "emulated": f"emulated[:{DEFAULT_CPU}]"}
"""By kind, how it is written."""
_KEYS = {HOST: (), "ssh": ("python", "folder"), "adb": ("python", "folder", "benchmark_model"), "emulated": ("folder",)}
# No part may begin with a dash: ssh and adb would take it for an option.
_SSH = re.compile(r"(?P<login>(?:\w[\w.-]*@)?(?:\w[\w.-]*|\[[0-9a-fA-F:.]+\]))(?::(?P<port>\d{1,5}))?")
_SERIAL = re.compile(r"\w[\w.:-]*")
_CPU = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True)
class TargetName:
    """A target in its parts.

    Attributes:
        kind: one of `KINDS`.
        where: login, serial number or CPU; "" where the kind has a default.
        port: of ssh; 0: what ssh's own settings say.
        options: `python` (an interpreter there), `folder` (where files are kept there), `benchmark_model` (adb: the
            program of that name, on this host).
    """

    kind: str
    where: str = ""
    port: int = 0
    options: dict[str, str] = field(default_factory=dict)


def parse(text: str) -> TargetName:
    """The target that a user wrote.

    Raises:
        UsageError: it is none.
    """
    head, *tail = text.split(",")
    kind, mark, where = head.partition(":")
    if kind not in KINDS:
        raise _wrong(text, with_near_miss(f"there is no target '{kind}'", kind, KINDS))
    if mark and not where:
        raise _wrong(text, f"nothing stands after '{kind}:'")
    place, port = _login(text, where) if kind == "ssh" else (_place(text, kind, where), 0)
    return TargetName(kind, place, port, _options(text, kind, tail))


def _login(text: str, where: str) -> tuple[str, int]:
    """Login and port of ssh."""
    match = _SSH.fullmatch(where)
    if not match or int(match["port"] or 0) >= 1 << 16:
        raise _wrong(text, f"'{where}' is no login for ssh")
    return match["login"], int(match["port"] or 0)


def _place(text: str, kind: str, where: str) -> str:
    """Serial number or CPU, or what stands for none."""
    pattern = {"adb": _SERIAL, "emulated": _CPU}.get(kind)
    if where and not (pattern and pattern.fullmatch(where)):
        raise _wrong(text, f"'{where}' cannot stand after '{kind}:'")
    return where or (DEFAULT_CPU if kind == "emulated" else "")


def checked(text: str) -> str:
    """The text, if it is a target; what a settings field validates with.

    Raises:
        ValueError: it is none.
    """
    try:
        parse(text)
    except UsageError as error:
        raise ValueError(f"{error.found}; allowed: {error.allowed}") from error
    return text


TargetText = Annotated[str, AfterValidator(checked)]
"""A settings field that names one target."""


def _options(text: str, kind: str, parts: list[str]) -> dict[str, str]:
    """`{"python": "/opt/venv/bin/python"}` from `python=/opt/venv/bin/python`."""
    options: dict[str, str] = {}
    for part in parts:
        key, mark, value = part.partition("=")
        if key not in _KEYS[kind] or not mark or not value or key in options:
            allowed = ", ".join(f"{name}=..." for name in _KEYS[kind]) or "nothing"
            raise _wrong(text, f"'{part}' cannot stand in a target of kind {kind}, which takes {allowed}")
        options[key] = value
    return options


def _wrong(text: str, found: str) -> UsageError:
    return UsageError(f"target '{text}': {found}", ", ".join(KINDS.values()), "see docs/targets.md")
