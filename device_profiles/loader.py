"""Which profiles there are, and reading one: a shipped name or the path of a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from device_profiles import strictyaml
from device_profiles.errors import UsageError, near_miss
from device_profiles.schema import Limits, Profile

SUFFIXES = (".yaml", ".yml")


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
        resource = resources.files("device_profiles").joinpath("profiles", f"{text}.yaml")
        return strictyaml.loads(resource.read_text(encoding="utf-8"), Profile, f"profile '{text}'")
    if isinstance(name_or_path, Path) or text.endswith(SUFFIXES) or "/" in text:
        return strictyaml.load(Path(text), Profile)
    hint = near_miss(text, names())
    raise UsageError(f"no profile is called '{text}'" + (f"; {hint}" if hint else ""),
                     f"{', '.join(names())}, or the path of a .yaml file", "litesmith profiles list")


def validate(path: str | Path) -> Profile:
    """Read a profile from a file and say what is wrong with it; the same as `load_profile` for that path."""
    return strictyaml.load(Path(path), Profile)


def with_limits(profile: Profile, limits: Mapping[str, float | None]) -> Profile:
    """The profile with some limits of its own replaced; None takes a limit away.

    Raises:
        UsageError: an unknown limit (with the near miss), or a value that cannot be.
    """
    known = tuple(Limits.model_fields)
    for name in limits:
        if name not in known:
            hint = near_miss(name, known)
            raise UsageError(f"profile '{profile.name}': unknown limit '{name}'" + (f"; {hint}" if hint else ""),
                             ", ".join(known))
    try:
        merged = Limits.model_validate({**profile.limits.model_dump(), **limits})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "limits"
        raise UsageError(f"profile '{profile.name}': {where}: {first['msg']}",
                         "a positive number; ..._share from 0 to 1, ..._points from 0 to 100") from error
    return profile.model_copy(update={"limits": merged})
