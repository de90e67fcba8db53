"""What a profile's file may leave out, because it stands elsewhere.

`like: NAME` takes everything that the file does not state from a shipped profile, `hardware` and `limits` key by key.
An engine without formats and operators takes those of `data/engines.yaml`, at the version that stands there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

from device_profiles.errors import with_near_miss
from device_profiles.strictyaml_tree import Spot, Tree, read_tree

_BY_KEY = ("hardware", "limits")
"""Sections of which a file may replace single keys."""
_OF_ENGINE = ("formats", "operators")


def complete(tree: Tree, shipped: Sequence[str]) -> dict[str, Any]:
    """A profile's data with what its file leaves to another profile and to its engine.

    Args:
        tree: the file as it is.
        shipped: names that `like` may have.

    Raises:
        ConfigError: `like` names no shipped profile.
    """
    return _with_engine(_with_like(tree, shipped))


def resource(*path: str) -> str:
    """The text of a file of this package."""
    return resources.files("device_profiles").joinpath(*path).read_text(encoding="utf-8")


def _with_like(tree: Tree, shipped: Sequence[str]) -> dict[str, Any]:
    """The file's own data over those of the profile that it names."""
    own, other = tree.data, tree.data.get("like")
    if other is None:
        return own
    if other not in shipped:
        found = with_near_miss(f"no shipped profile is called '{other}'", str(other), shipped)
        raise tree.error(tree.values.get(("like",), Spot()), found, ", ".join(shipped), "litesmith profiles list")
    base = _shipped(str(other), tuple(shipped))
    if _engine_name(own) not in ("", _engine_name(base)):  # what another engine takes says nothing of this one
        base = {key: value for key, value in base.items() if key not in _OF_ENGINE}
    merged = {key: {**base[key], **own[key]} for key in _BY_KEY
              if isinstance(own.get(key), dict) and isinstance(base.get(key), dict)}
    return {**base, **own, **merged}


def _with_engine(data: dict[str, Any]) -> dict[str, Any]:
    """With the engine's version, formats and operators, where the file states none and the engine is known."""
    known = _engines().get(_engine_name(data))
    if known is None:
        return data
    engine = {"version": known["version"], "source": known["source"], **data["engine"]}
    taken = {key: known[key] for key in _OF_ENGINE} if engine["version"] == known["version"] else {}
    return {**taken, **data, "engine": engine}


def _engine_name(data: Mapping[str, Any]) -> str:
    """As the file writes it; empty where it writes none."""
    engine = data.get("engine")
    return str(engine.get("name", "")) if isinstance(engine, dict) else ""


@lru_cache(maxsize=64)
def _shipped(name: str, shipped: tuple[str, ...]) -> dict[str, Any]:
    """The data of a shipped profile, with the text of its NPU's ini file: it stands beside that profile only."""
    data = dict(_with_like(read_tree(resource("profiles", f"{name}.yaml"), f"profile '{name}'"), shipped))
    ini = data.get("npu", {}).get("ini")
    if ini is not None and "\n" not in ini["value"]:
        data["npu"] = {**data["npu"], "ini": {**ini, "value": resource("profiles", ini["value"])}}
    return data


@lru_cache(maxsize=1)
def _engines() -> dict[str, dict[str, Any]]:
    """What engines take: name -> version, source, formats, operators."""
    return read_tree(resource("data", "engines.yaml"), "data/engines.yaml").data
