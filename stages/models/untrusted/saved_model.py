"""Findings in a SavedModel folder: operators that do more than compute, and paths that lead out of the folder.

The graph is read from the protobuf's bytes by field number (saved_model.proto, meta_graph.proto, graph.proto,
function.proto, node_def.proto, attr_value.proto of TensorFlow); TensorFlow is not imported.

Every SavedModel holds operators that write and read checkpoints: its saver's. They are let be where the saver alone
reaches them, and are a finding where a signature, an initializer or a function of the model does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from stages.models.untrusted import operators
from stages.models.untrusted.protobuf import Message, WireError
from stages.models.untrusted.records import Finding, ScanLimits

SAVED_MODEL_FILE = "saved_model.pb"
_OTHER_GRAPHS = ("saved_model.pbtxt", "saved_model.cpb")
_NESTING = 8
_OUTSIDE = "it leads out of the folder"


@dataclass
class _Vertex:
    """A node of the top graph, or a function: the operators in it, and the vertices that it leads to."""

    operators: list[tuple[str, str]] = field(default_factory=list)  # (node, operator)
    leads_to: set[str] = field(default_factory=set)


def scan_saved_model(folder: Path, limits: ScanLimits) -> list[Finding]:
    """Findings in a SavedModel folder.

    Args:
        folder: with `saved_model.pb`.
        limits: on operators.
    """
    found = list(_files(folder))
    try:
        graphs = list(Message(memoryview((folder / SAVED_MODEL_FILE).read_bytes())).messages(2))
        budget = limits.graph_nodes
        for graph in graphs:
            findings, spent = _graph(graph, budget)
            found += findings
            budget -= spent
    except _TooManyError:
        found.append(Finding(what=f"more than {limits.graph_nodes:,} operators", where=SAVED_MODEL_FILE,
                             why="loading them would take the machine's memory and hours"))
    except (OSError, WireError) as error:
        found.append(Finding(what="a protobuf that is damaged", where=SAVED_MODEL_FILE,
                             why=f"it cannot be looked into: {error}"))
    return found


class _TooManyError(Exception):
    """The budget of operators is spent."""


def written_by(folder: Path) -> str:
    """The TensorFlow that wrote a SavedModel, or nothing."""
    try:
        graphs = Message(memoryview((folder / SAVED_MODEL_FILE).read_bytes())).messages(2)
        versions = (info.text(5) for graph in graphs for info in graph.messages(1))
        return next((f"TensorFlow {version}" for version in versions if version), "")
    except (OSError, WireError):
        return ""


def _files(folder: Path) -> Iterator[Finding]:
    """Symbolic links, and a second graph that a loader might prefer."""
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            shown = path.relative_to(folder).as_posix()
            if path.is_symlink():
                yield Finding(what=f"a symbolic link to {str(path.readlink())!r}", where=shown, why=_OUTSIDE)
            elif shown in _OTHER_GRAPHS:
                yield Finding(what="a second graph", where=shown, why="what is looked at may not be what is loaded")
            elif not (path.is_dir() or path.is_file()):
                yield Finding(what="a file that is none (a pipe, a socket, a device)", where=shown, why=_OUTSIDE)


def _graph(graph: Message, budget: int) -> tuple[list[Finding], int]:
    """Findings in one meta graph, and how many operators it has."""
    vertices = _vertices(graph, budget)
    saver = next(graph.messages(3), None)
    saved = _reached(vertices, [_node(saver.text(2))] if saver else [])
    restored = _reached(vertices, [_node(saver.text(3))] if saver else [])
    used = _reached(vertices, _roots(graph))
    found = [*_assets(graph)]
    count = 0
    for name, vertex in vertices.items():
        allowed = operators.SAVING if name in saved - used else (
            operators.RESTORING if name in restored - used else frozenset())
        count += len(vertex.operators)
        found += [_finding(name, node, operator) for node, operator in vertex.operators
                  if operator not in operators.COMPUTING and operator not in allowed
                  and f"function:{operator}" not in vertices]
    return found, count


def _finding(vertex: str, node: str, operator: str) -> Finding:
    """An operator that is not known to compute only."""
    why = next((why for part, why in operators.DANGERS if part in operator), operators.OTHER_DANGER)
    function = vertex.removeprefix("function:")
    place = f", function '{function}'" if vertex.startswith("function:") else ""
    return Finding(what=f"the operator {operator[:80]}", where=f"{SAVED_MODEL_FILE}{place}, node '{node[:80]}'",
                   why=why)


def _vertices(graph: Message, budget: int) -> dict[str, _Vertex]:
    """Every top node by name, every function as "function:<name>"."""
    vertices: dict[str, _Vertex] = {}
    for definition in graph.messages(2):
        for node in definition.messages(1):
            budget = _spend(budget)
            vertex = vertices.setdefault(node.text(1), _Vertex())
            _add(vertex, node)
            vertex.leads_to |= {_node(each) for each in node.texts(3)}
        for library in definition.messages(2):
            for function in library.messages(1):
                name = next((signature.text(1) for signature in function.messages(1)), "")
                vertex = vertices.setdefault(f"function:{name}", _Vertex())
                for node in function.messages(3):
                    budget = _spend(budget)
                    _add(vertex, node)
    return vertices


def _spend(budget: int) -> int:
    """One operator less."""
    if budget <= 0:
        raise _TooManyError
    return budget - 1


def _add(vertex: _Vertex, node: Message) -> None:
    """Put a node's operator into a vertex, and the functions that it calls: by its operator, or by an attribute."""
    operator = node.text(2)
    vertex.operators.append((node.text(1), operator))
    vertex.leads_to.add(f"function:{operator}")
    vertex.leads_to |= {f"function:{name}" for entry in node.messages(5) for name in _functions(entry, _NESTING)}


def _functions(entry: Message, depth: int) -> Iterator[str]:
    """Names of functions in an attribute (key, value), those in its lists and in their own attributes included."""
    if not depth:
        raise WireError("attributes nested too deep")
    for value in entry.messages(2):
        for holder, number in [(value, 10), *((each, 9) for each in value.messages(1))]:
            for function in holder.messages(number):
                yield function.text(1)
                for inner in function.messages(2):
                    yield from _functions(inner, depth - 1)


def _roots(graph: Message) -> Iterator[str]:
    """What is used: outputs of the signatures, initializers in collections, functions of the object graph."""
    for info in _below(graph, 5, 2, 2, 2):  # signature_def: value, outputs: value
        yield _node(info.text(1))
    for names in _below(graph, 4, 2, 1):  # collection_def: value, node_list
        yield from map(_node, names.texts(1))
    for function in _below(graph, 7, 1, 6):  # object_graph_def, nodes, function
        yield from (f"function:{name}" for name in function.texts(1))
    for bare in _below(graph, 7, 1, 8):  # object_graph_def, nodes, bare_concrete_function
        yield f"function:{bare.text(1)}"


def _below(message: Message, *path: int) -> Iterator[Message]:
    """Every message at the end of a path of field numbers."""
    if not path:
        yield message
        return
    for inner in message.messages(path[0]):
        yield from _below(inner, *path[1:])


def _node(tensor: str) -> str:
    """The node of a tensor or a control input: `name` of `name:0` and `^name`."""
    return tensor.removeprefix("^").split(":", 1)[0]


def _reached(vertices: dict[str, _Vertex], roots: Iterable[str]) -> set[str]:
    """Everything that the roots lead to, themselves included."""
    seen: set[str] = set()
    stack = [root for root in roots if root in vertices]
    while stack:
        name = stack.pop()
        if name not in seen:
            seen.add(name)
            stack += [each for each in vertices[name].leads_to if each in vertices]
    return seen


def _assets(graph: Message) -> Iterator[Finding]:
    """Files that the graph names as its own and that are not in its folder."""
    for asset in graph.messages(6):
        name = asset.text(2)
        if name.startswith("/") or "://" in name or ".." in PurePosixPath(name.replace("\\", "/")).parts:
            yield Finding(what=f"an asset that points outside, {name[:80]!r}", where=SAVED_MODEL_FILE, why=_OUTSIDE)
