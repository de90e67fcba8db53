"""Which profiles there are, and reading one: a shipped name or the path of a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from device_profiles import strictyaml
from device_profiles.completing import complete
from device_profiles.errors import ConfigError, UsageError, near_miss, with_near_miss
from device_profiles.schema import Limits, Profile
from device_profiles.strictyaml_tree import Tree

SUFFIXES = (".yaml", ".yml")
_SHORTEST_HINT = 4


def names() -> tuple[str, ...]:
    """The names of the shipped profiles: cpu, mobile, iot first, then the others by name."""
    folder = resources.files("device_profiles").joinpath("profiles")
    found = sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    first = [name for name in ("cpu", "mobile", "iot") if name in found]
    return (*first, *(name for name in found if name not in first))


def load_profile(name_or_path: str | Path) -> Profile:
    """Read a profile.

    Args:
        name_or_path: a shipped name ("iot"), or the path of a file that ends in .yaml or .yml.

    Raises:
        UsageError: no shipped profile has that name.
        ConfigError: the file cannot be read or breaks the schema.
    """
    text = str(name_or_path)
    if text in names():
        folder = resources.files("device_profiles").joinpath("profiles")
        profile = strictyaml.loads(folder.joinpath(f"{text}.yaml").read_text(encoding="utf-8"), Profile,
                                   f"profile '{text}'", _complete)
        return _with_ini(profile, folder, f"profile '{text}'")
    if isinstance(name_or_path, Path) or text.endswith(SUFFIXES) or "/" in text:
        return _with_ini(strictyaml.load(Path(text), Profile, _complete), Path(text).parent, text)
    hint = _hint(text)
    raise UsageError(f"no profile is called '{text}'" + (f"; {hint}" if hint else ""),
                     f"{', '.join(names())}, or the path of a .yaml file", "litesmith profiles list")


def validate(path: str | Path) -> Profile:
    """Read a profile from a file and say what is wrong with it; the same as `load_profile` for that path."""
    return load_profile(Path(path))


def _hint(text: str) -> str:
    """The profile that was meant: by its name, or by the chip or device behind it ("rp2040")."""
    meant = near_miss(text, names())
    if meant or len(text) < _SHORTEST_HINT:
        return meant
    held = [name for name in names() if text.lower() in load_profile(name).device.lower()]
    return f"did you mean '{held[0]}'?" if held else ""


def _complete(tree: Tree) -> dict[str, Any]:
    """A profile's data with what its file leaves to a shipped profile and to its engine."""
    return complete(tree, names())


def _with_ini(profile: Profile, folder: Traversable, where: str) -> Profile:
    """The profile with the text of its NPU's Vela ini file in place of the file's name.

    Raises:
        ConfigError: the file cannot be read.
    """
    if profile.npu is None or profile.npu.ini is None or "\n" in profile.npu.ini.value:
        return profile
    file = folder.joinpath(profile.npu.ini.value)
    try:
        text = file.read_text(encoding="utf-8").strip() + "\n"
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise ConfigError(f"npu.ini: {file} cannot be read: {why}", "a Vela ini file beside the profile, or its text",
                          "leave npu.ini out for the configurations that come with Vela", path=where) from error
    ini = profile.npu.ini.model_copy(update={"value": text})
    return profile.model_copy(update={"npu": profile.npu.model_copy(update={"ini": ini})})


def with_limits(profile: Profile, limits: Mapping[str, float | None]) -> Profile:
    """The profile with some limits of its own replaced; None takes a limit away.

    Raises:
        UsageError: an unknown limit (with the near miss), or a value that cannot be.
    """
    known = tuple(Limits.model_fields)
    for name in limits:
        if name not in known:
            raise UsageError(with_near_miss(f"profile '{profile.name}': unknown limit '{name}'", name, known),
                             ", ".join(known))
    try:
        merged = Limits.model_validate({**profile.limits.model_dump(), **limits})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "limits"
        raise UsageError(f"profile '{profile.name}': {where}: {first['msg']}",
                         "a positive number; ..._share from 0 to 1, ..._points from 0 to 100") from error
    return profile.model_copy(update={"limits": merged})
