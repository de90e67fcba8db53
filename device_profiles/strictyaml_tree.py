"""YAML text to plain data, with the place of every key and value. The first half of `strictyaml`.

Only what JSON can hold is taken: no tags, no aliases, no merge keys, no doubled keys, no NaN. The nodes are read from
ruamel.yaml's composer (YAML 1.2), so nothing in a file can make an object.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from device_profiles.errors import ConfigError

LARGEST_FILE_BYTES = 1 << 20
LONGEST_NUMBER = 40
DEEPEST = 1000
LONGEST_EXCERPT = 160
Path = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_SCALARS = ("null", "bool", "int", "float", "str", "timestamp", "merge", "value")
_LINE_BREAK = re.compile(r"\r\n|[\r\n]")


@dataclass(frozen=True)
class Spot:
    """A place in a file, both numbers from 1; line 0 means the whole file."""

    line: int = 0
    column: int = 0


@dataclass
class Tree:
    """A YAML file as plain data.

    Attributes:
        path: what the file is called in messages.
        lines: the text, line by line.
        data: the root mapping: dict, list, str, int, float, bool and None only; every key is a str.
        keys: place of each key, by key path.
        values: place of each value, by key path; `()` is the root.
    """

    path: str
    lines: list[str]
    data: dict[str, Any] = field(default_factory=dict)
    keys: dict[Path, Spot] = field(default_factory=dict)
    values: dict[Path, Spot] = field(default_factory=dict)

    def error(self, spot: Spot, found: str, allowed: str = "", next_step: str = "") -> ConfigError:
        """The error for one place, with the line itself as the excerpt."""
        excerpt = self.lines[spot.line - 1] if 0 < spot.line <= len(self.lines) else ""
        excerpt = excerpt[:LONGEST_EXCERPT].replace("\t", " ") if spot.column <= LONGEST_EXCERPT else ""
        return ConfigError(found, allowed, next_step, path=self.path, line=spot.line, column=spot.column,
                           excerpt=excerpt)


def read_tree(text: str, path: str) -> Tree:
    """Parse YAML text.

    Raises:
        ConfigError: it is empty, too large, no YAML, no mapping, or uses what is not taken.
    """
    tree = Tree(path, _LINE_BREAK.split(text))
    if len(text) > LARGEST_FILE_BYTES:
        raise tree.error(Spot(), f"the file is too large ({len(text):,} characters)", f"{LARGEST_FILE_BYTES:,}")
    # The scanner's time grows with the square of the depth, and it ends in a RecursionError anyway.
    deepest = max(accumulate((line.count("[") + line.count("{") - line.count("]") - line.count("}")
                              for line in tree.lines), initial=0))
    try:
        if deepest > DEEPEST:
            raise RecursionError
        root = _compose(tree, text)
        if root is None:
            raise tree.error(Spot(), "the file is empty", "a YAML mapping: lines of `key: value`")
        data = _plain(tree, root, ())
    except RecursionError as error:
        raise tree.error(Spot(), "the file is nested too deeply to be read") from error
    if not isinstance(data, dict):
        raise tree.error(tree.values[()], f"the file holds {describe(data)}, not a mapping",
                         "a YAML mapping: lines of `key: value`")
    tree.data = data
    return tree


def key_path(path: Path) -> str:
    """A key path as people write it: `variants[2].name`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def describe(value: object) -> str:
    """A value for people: "the text 'abc'", "a list"."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f"the text '{value if len(value) <= 60 else value[:57] + '...'}'"
    return f"the number {value}"


def _compose(tree: Tree, text: str) -> Any:
    """The root node, or None for an empty file."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        return YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        raise _syntax_error(tree, error) from error
    except ReaderError as error:
        raise _character_error(tree, text, error.position) from error
    except (YAMLError, ValueError) as error:
        raise tree.error(Spot(), f"not YAML: {str(error).splitlines()[0]}") from error


def _syntax_error(tree: Tree, error: Any) -> ConfigError:
    """The parser's own finding, at its place; a tab in the indentation gets its own words."""
    mark = error.problem_mark or error.context_mark
    spot = Spot(mark.line + 1, mark.column + 1) if mark else Spot()
    line = tree.lines[spot.line - 1] if 0 < spot.line <= len(tree.lines) else ""
    indentation = line[: len(line) - len(line.lstrip())]
    if "\t" in indentation:
        at = Spot(spot.line, indentation.index("\t") + 1)
        return tree.error(at, "a tab in the indentation", "spaces; YAML takes no tabs there")
    problem = str(error.problem or "not YAML").replace("\t", "\\t")
    return tree.error(spot, f"not YAML: {problem}" + (f" {error.context}" if error.context else ""))


def _character_error(tree: Tree, text: str, position: int) -> ConfigError:
    """A control character that YAML does not take."""
    before = _LINE_BREAK.split(text[:position])
    found = f"not YAML: the character U+{ord(text[position]):04X}" if position < len(text) else "not YAML"
    return tree.error(Spot(len(before), len(before[-1]) + 1), found, "printable text")


def _spot(node: Any) -> Spot:
    return Spot(node.start_mark.line + 1, node.start_mark.column + 1)


def _plain(tree: Tree, node: Any, path: Path) -> Any:
    """The value of a node; notes its place in `tree`."""
    from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

    spot = _spot(node)
    tree.values[path] = spot
    _refuse_extras(tree, node, spot, path)
    if isinstance(node, MappingNode):
        return _mapping(tree, node, path)
    if isinstance(node, SequenceNode):
        return [_plain(tree, item, (*path, index)) for index, item in enumerate(node.value)]
    return _scalar(tree, node, path) if isinstance(node, ScalarNode) else None


def _refuse_extras(tree: Tree, node: Any, spot: Spot, path: Path) -> None:
    """Refuse tags and anchors: they are the ways in which YAML stops being plain data."""
    where = f" in '{key_path(path)}'" if path else ""
    if node.anchor:
        raise tree.error(spot, f"an anchor (&{node.anchor}){where}", "plain values; write it out where it is needed")
    tag = str(node.tag)
    kinds = (*_SCALARS, "map", "seq")
    if not tag.startswith(_TAG) or tag.removeprefix(_TAG) not in kinds:
        raise tree.error(spot, f"a tag ({tag.replace(_TAG, '!!')}){where}", "plain values, without tags")


def _mapping(tree: Tree, node: Any, path: Path) -> dict[str, Any]:
    """A mapping whose keys are text and differ."""
    from ruamel.yaml.nodes import ScalarNode

    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        spot = _spot(key_node)
        if not isinstance(key_node, ScalarNode):
            raise tree.error(spot, "a key that is a list or a mapping", "a key that is a word")
        key = str(key_node.value)
        here = (*path, key)
        _refuse_extras(tree, key_node, spot, here)
        if key in result:
            first = tree.keys[here]
            raise tree.error(spot, f"the key '{key_path(here)}' stands twice (first in line {first.line})",
                             "each key once")
        tree.keys[here] = spot
        result[key] = _plain(tree, value_node, here)
    return result


def _scalar(tree: Tree, node: Any, path: Path) -> Any:
    """A scalar in YAML 1.2's core schema; a date stays text."""
    kind, text = str(node.tag).removeprefix(_TAG), str(node.value)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("true", "yes", "on")
    if kind not in ("int", "float"):
        return text
    where = f"'{key_path(path)}' is {text if len(text) <= LONGEST_NUMBER else text[:LONGEST_NUMBER] + '...'}"
    if len(text) > LONGEST_NUMBER:
        raise tree.error(_spot(node), f"{where}, a number of {len(text)} digits", f"at most {LONGEST_NUMBER}")
    try:
        number = _number(kind, text)
    except (ValueError, OverflowError) as error:
        raise tree.error(_spot(node), where, "a number") from error
    if not math.isfinite(number):
        raise tree.error(_spot(node), where, "a finite number")
    return number


def _number(kind: str, text: str) -> int | float:
    """The number a scalar spells: `0x`, `0o` and `_` between digits are taken, a leading 0 is decimal (YAML 1.2)."""
    digits = text.replace("_", "")
    if kind == "float":
        return float(digits.lower().replace(".inf", "inf").replace(".nan", "nan"))
    body = digits.lstrip("+-").lower()
    base = {"0x": 16, "0o": 8, "0b": 2}.get(body[:2], 10)
    return int(digits, base)
