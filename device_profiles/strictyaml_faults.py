"""What pydantic found wrong, in words and at its place in the file. The second half of `strictyaml`.

Pydantic's error locations may hold the names of union branches between the keys; they are told from keys by walking
the data and the model side by side.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from device_profiles.errors import near_miss
from device_profiles.strictyaml_tree import Path, Spot, Tree, describe, key_path

_KINDS = {
    "int": "a whole number", "float": "a number", "string": "text", "bool": "true or false", "list": "a list",
    "tuple": "a list", "set": "a list", "frozen_set": "a list", "dict": "a mapping", "model": "a mapping",
    "model_attributes": "a mapping", "path": "a path", "none_required": "nothing",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"), "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"), "less_than_equal": ("le", "at most"),
    "multiple_of": ("multiple_of", "multiples of"),
}
_LENGTHS = {
    "too_short": ("min_length", "at least", "items"), "too_long": ("max_length", "at most", "items"),
    "string_too_short": ("min_length", "at least", "characters"),
    "string_too_long": ("max_length", "at most", "characters"),
}


@dataclass(frozen=True)
class Fault:
    """One fault: its key path, its place, and the three parts of a message."""

    path: Path
    spot: Spot
    found: str
    allowed: str = ""
    next_step: str = ""


def faults_of(tree: Tree, model: type[BaseModel], error: ValidationError) -> list[Fault]:
    """Every fault of a file, in the order of the file; at least one."""
    details = error.errors(include_url=False)
    unknown = [_unknown_key(tree, model, d) for d in details if d["type"] == "extra_forbidden"]
    # A misspelt key is one fault, not an unknown and a missing one.
    mended = {(*fault.path[:-1], _suggested(fault)) for fault in unknown}
    others = [_fault(tree, model, d) for d in details if d["type"] != "extra_forbidden"]
    faults = unknown + [f for f in others if not (f.path in mended and f.path not in tree.values)]
    return sorted(_merge_branches(faults), key=lambda f: (f.spot.line, f.spot.column))


def _suggested(fault: Fault) -> str:
    """The known key that an unknown-key fault suggests."""
    return fault.next_step.partition("'")[2].partition("'")[0]


def _merge_branches(faults: list[Fault]) -> list[Fault]:
    """One fault a key path: the branches of a union each have their own opinion of the same value."""
    by_path: dict[Path, Fault] = {}
    for fault in faults:
        known = by_path.get(fault.path)
        if known is None:
            by_path[fault.path] = fault
        elif fault.allowed and fault.allowed not in known.allowed:
            joined = f"{known.allowed}, or {fault.allowed}"
            by_path[fault.path] = Fault(known.path, known.spot, known.found, joined, known.next_step)
    # A fault inside a value is closer to the cause than one of the whole value (its length, or another branch).
    return [f for f in by_path.values() if not any(_inside(other, f.path) for other in by_path)]


def _inside(path: Path, outer: Path) -> bool:
    """Whether a path leads on from another one."""
    return len(path) > len(outer) and path[: len(outer)] == outer


def _resolve(tree: Tree, loc: tuple[str | int, ...], missing: bool) -> Path:
    """The key path in the file of a pydantic location; the names of union branches on the way drop out."""
    path: Path = ()
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        if (*path, part) in tree.values or (last and missing):
            path = (*path, part)
    return path


def _place(tree: Tree, path: Path) -> Spot:
    """Where a path stands: its value, or for a missing key the mapping that lacks it."""
    while path not in tree.values and path:
        path = path[:-1]
        if path in tree.keys:
            return tree.keys[path]
    return tree.values.get(path, Spot())


def _fault(tree: Tree, model: type[BaseModel], detail: ErrorDetails) -> Fault:
    """One of pydantic's errors, but an unknown key."""
    kind, context = detail["type"], detail.get("ctx", {})
    missing = kind == "missing"
    path = _resolve(tree, (*detail["loc"], *context.get("at", ())), missing)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _tag_fault(tree, path, kind, context)
    name = key_path(path) or "the file"
    if missing:
        return Fault(path, _place(tree, path), f"the key '{name}' is missing", _missing_allowed(model, detail["loc"]))
    value = _value(tree, path)
    if kind == "refusal":
        return Fault(path, _place(tree, path), f"'{name}': {context['found']}" if path else str(context["found"]),
                     str(context["allowed"]), str(context["next_step"]))
    if kind in ("value_error", "assertion_error"):
        found, _, allowed = detail["msg"].partition(", ")[2].partition("; allowed: ")
        return Fault(path, _place(tree, path), f"'{name}': {found}" if path else found, allowed)
    allowed, hint = _allowed(kind, context, detail["msg"], value)
    return Fault(path, _place(tree, path), f"'{name}' is {describe(value)}", allowed, hint)


def _value(tree: Tree, path: Path) -> Any:
    """The value in the file at a key path."""
    value: Any = tree.data
    for part in path:
        value = value[part]
    return value


def _allowed(kind: str, context: Mapping[str, Any], message: str, value: Any) -> tuple[str, str]:
    """(what is allowed, near miss) of a value that is there and wrong."""
    if kind in ("literal_error", "enum"):
        expected = str(context["expected"]).replace(" or ", ", ")
        words = [word.strip().strip("'") for word in expected.split(",")]
        return ", ".join(words), near_miss(str(value), words) if isinstance(value, str) else ""
    if kind in _BOUNDS:
        key, word = _BOUNDS[kind]
        return f"{word} {context[key]:,}" if isinstance(context[key], int) else f"{word} {context[key]}", ""
    if kind in _LENGTHS:
        key, word, unit = _LENGTHS[kind]
        return f"{word} {context[key]} {unit}", ""
    if kind == "string_pattern_mismatch":
        return f"text of the form {context['pattern']}", ""
    stem = kind.removesuffix("_type").removesuffix("_parsing").removesuffix("_from_float")
    return _KINDS.get(stem, message), ""


def _tag_fault(tree: Tree, path: Path, kind: str, context: Mapping[str, Any]) -> Fault:
    """A discriminated union whose discriminator is wrong or not there."""
    key = str(context["discriminator"]).strip("'")
    here = (*path, key)
    if kind == "union_tag_not_found":
        return Fault(here, _place(tree, here), f"the key '{key_path(here)}' is missing", "a key that says which kind")
    words = [word.strip().strip("'") for word in str(context["expected_tags"]).split(",")]
    hint = near_miss(str(context["tag"]), words)
    if here not in tree.values:  # a validator has spelt out a short form: the file's value is the discriminator's
        here = path
    found = f"'{key_path(here)}' is {describe(_value(tree, here))}"
    return Fault(here, _place(tree, here), found, ", ".join(words), hint)


def _unknown_key(tree: Tree, model: type[BaseModel], detail: ErrorDetails) -> Fault:
    """A key that the model does not know, with the near miss among those that it does at that nesting."""
    path = _resolve(tree, detail["loc"], missing=False)
    fields = sorted({name for m in _models_at(model, detail["loc"][:-1]) for name in _keys_of(m)})
    hint = near_miss(str(path[-1]), fields)
    spot = tree.keys.get(path, Spot())
    return Fault(path, spot, f"unknown key '{key_path(path)}'", ", ".join(fields), hint)


def _missing_allowed(model: type[BaseModel], loc: tuple[str | int, ...]) -> str:
    """The description of a missing key, or the keys of its mapping."""
    for owner in _models_at(model, loc[:-1]):
        field = _keys_of(owner).get(str(loc[-1]))
        if field is not None and field.description:
            return str(field.description)
    return ""


def _keys_of(model: type[BaseModel]) -> dict[str, Any]:
    """Field infos by the name that a file uses."""
    return {str(info.alias or name): info for name, info in model.model_fields.items()}


def _models_at(model: type[BaseModel], loc: Iterable[str | int]) -> list[type[BaseModel]]:
    """The models that may stand at a location, union branches resolved where the location names them."""
    current: list[Any] = [model]
    for part in loc:
        stepped = [kind for owner in current for kind in _step(owner, part)]
        # A part that is no key names a branch of a union: keep the branches it can mean.
        current = stepped or [m for m in current if _is_branch(m, str(part))] or current
    return [m for m in current if _is_model(m)]


def _step(owner: Any, part: str | int) -> list[Any]:
    """The types behind one key or index of a type."""
    if _is_model(owner):
        field = _keys_of(owner).get(str(part))
        return _branches(field.annotation) if field is not None else []
    origin, arguments = get_origin(owner), get_args(owner)
    if isinstance(part, int) and origin in (list, tuple, set, frozenset):
        kinds = [a for a in arguments if a is not Ellipsis]
        return _branches(kinds[0] if len(kinds) == 1 else kinds[min(part, len(kinds) - 1)]) if kinds else []
    if origin is dict and len(arguments) == 2:
        return _branches(arguments[1])
    return []


def _branches(annotation: Any) -> list[Any]:
    """The alternatives of a type: unions and Annotated taken apart."""
    if isinstance(annotation, typing.TypeAliasType if hasattr(typing, "TypeAliasType") else ()):
        return _branches(annotation.__value__)
    origin = get_origin(annotation)
    if origin is Annotated:
        return _branches(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [kind for argument in get_args(annotation) for kind in _branches(argument)]
    return [annotation]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_branch(kind: Any, name: str) -> bool:
    """Whether pydantic would call this branch of a union by that name: its class, or a discriminator's value."""
    if not _is_model(kind):
        return False
    literals = [f.annotation for f in kind.model_fields.values() if get_origin(f.annotation) is Literal]
    return kind.__name__ == name or any(name in map(str, get_args(literal)) for literal in literals)
