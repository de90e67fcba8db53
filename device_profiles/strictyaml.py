"""Strict YAML to a frozen pydantic model: device profiles and run files are read by this and nothing else.

Every fault becomes a `ConfigError` with file, line, column, the line itself, the key path, what was found, what is
allowed and the near miss. Where a file has several faults, the first one in the file is reported with the number of
the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from device_profiles.errors import ConfigError
from device_profiles.strictyaml_faults import Fault, faults_of
from device_profiles.strictyaml_tree import LARGEST_FILE_BYTES, Tree, read_tree

T = TypeVar("T", bound=BaseModel)
Complete = Callable[[Tree], dict[str, Any]]


def load(path: Path, model: type[T], complete: Complete | None = None) -> T:
    """Read a YAML file as a model; `complete` as in `loads`.

    Raises:
        ConfigError: the file cannot be read, is no YAML, or breaks the model.
    """
    return loads(_read_text(path), model, str(path), complete)


def loads(text: str, model: type[T], path: str, complete: Complete | None = None) -> T:
    """Read YAML text as a model.

    Args:
        text: the YAML.
        model: a pydantic model. It is validated in strict mode: "1" is no number and 1 is no text.
        path: what the text is called in messages.
        complete: gives the data with what the file leaves to others; a fault keeps its place in this file.

    Raises:
        ConfigError: it is no YAML, or breaks the model.
    """
    tree = read_tree(text, path)
    data = tree.data if complete is None else complete(tree)
    try:
        # By way of JSON, because strict mode takes a list for a tuple and text for a path there, and only there.
        return model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        raise _config_error(tree, model, error) from error


def with_tuples(value: Any) -> Any:
    """The same data with tuples for lists, for a validator that runs before a model's own.

    What such a validator returns is no longer JSON to pydantic, and in strict mode a list is then no tuple.
    """
    if isinstance(value, list):
        return tuple(with_tuples(item) for item in value)
    return {key: with_tuples(item) for key, item in value.items()} if isinstance(value, dict) else value


def refusal(found: str, allowed: str = "", next_step: str = "", at: tuple[str, ...] = ()) -> PydanticCustomError:
    """What a model's validator raises, so that its words reach the user with line and column.

    Args:
        found: what was found, without the key's name: "120 looks like MHz".
        allowed: what would have been right.
        next_step: the edit that mends it.
        at: keys from the validated value down to the one that is meant.
    """
    context: dict[str, Any] = {"found": found, "allowed": allowed, "next_step": next_step, "at": at}
    return PydanticCustomError("refusal", "{found}", context)


def _read_text(path: Path) -> str:
    """The file as text; a missing file, a folder and other encodings have their own words."""
    try:
        with path.open("rb") as file:
            data = file.read(4 * LARGEST_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError("there is no such file", "a YAML file", path=path) from error
    except IsADirectoryError as error:
        raise ConfigError("this is a folder", "a YAML file", path=path) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot be read: {getattr(error, 'strerror', None) or error}", "a YAML file",
                          path=path) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"not UTF-8 text: byte 0x{data[error.start]:02x} at offset {error.start}",
                          "UTF-8", "save the file as UTF-8", path=path, line=line) from error


def _config_error(tree: Tree, model: type[BaseModel], error: ValidationError) -> ConfigError:
    """The first fault of the file, and how many more there are."""
    faults = faults_of(tree, model, error)
    first, more = faults[0], len(faults) - 1
    found = first.found
    if more:
        found += f" (and {more} more fault{'s' if more > 1 else ''} in this file)"
    return tree.error(first.spot, found, first.allowed, first.next_step)


__all__ = ["Fault", "load", "loads", "refusal", "with_tuples"]
