"""Findings in the description of a Keras model: the JSON that says which classes to build from which settings.

Keras builds an object for every mapping with `class_name` and `config`, wherever it stands, and tf_keras imports the
module that it names, whatever that is (CVE-2024-3660, CVE-2025-1550, CVE-2025-8747 and their kin). So every such
mapping must be on the list of `known.py`, in a module where Keras keeps such an object, or on the user's own list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from stages.models.untrusted import known
from stages.models.untrusted.records import Finding, ScanLimits

Json = dict[str, Any]
_ACTIVATIONS = ("activation", "recurrent_activation")
_CODE = "it can run any code"
_SHOWN = 80


def scan_config(text: str | bytes, member: str, allowed: Sequence[str], limits: ScanLimits) -> list[Finding]:
    """Findings in a model's description.

    Args:
        text: JSON.
        member: where it stands, for messages: "config.json".
        allowed: classes and functions of the user's list, as `package.module:Class`.
        limits: on the number of layers.
    """
    too_many = Finding(what=f"more than {limits.nodes:,} layers and settings objects", where=member,
                       why="building them would take the machine's memory and hours")
    if (text.count(b'"class_name"') if isinstance(text, bytes) else text.count('"class_name"')) > limits.nodes:
        return [too_many]
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        return [Finding(what="a description that is no JSON", where=member, why=f"it cannot be looked into: {error}")]
    found: list[Finding] = []
    for objects, (node, path) in enumerate(_objects(config), 1):
        if objects > limits.nodes:
            return [*found, too_many]
        where = f"{member}: {path}" if path else member
        found += [finding.model_copy(update={"where": where}) for finding in _findings(node, allowed)]
    return found


def _objects(config: Any) -> Iterator[tuple[Json, str]]:
    """Every mapping in the JSON that names a class or an activation, with the layer that it belongs to."""
    stack: list[tuple[Any, str]] = [(config, "")]
    while stack:
        node, path = stack.pop()
        if isinstance(node, list):
            stack += [(each, path) for each in node if isinstance(each, dict | list)]
        elif isinstance(node, dict):
            path = _named(node) or path
            if "class_name" in node or any(isinstance(node.get(key), str) for key in _ACTIVATIONS):
                yield node, path
            stack += [(each, path) for each in node.values() if isinstance(each, dict | list)]


def _named(node: Json) -> str:
    """The words `layer 'dense'` for a mapping that describes something with a name."""
    config = node.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    return f"layer {_short(name)}" if isinstance(name, str) and "class_name" in node else ""


def _findings(node: Json, allowed: Sequence[str]) -> Iterator[Finding]:
    """Findings in one mapping itself; those inside it are looked at on their own."""
    for key in _ACTIVATIONS:
        name = node.get(key)
        if isinstance(name, str) and not _is_function(name, allowed) and name not in known.LAYERS:
            yield _finding(f"the activation {_short(name)}", "it is none of Keras")
    if "class_name" not in node:
        return
    name = node["class_name"]
    if not isinstance(name, str):
        yield _finding(f"a class name that is no text: {_short(name)}", "it cannot be looked into")
        return
    check = _SPECIAL.get(name, _class)
    finding = check(node, allowed)
    if finding:
        yield finding


def _finding(what: str, why: str) -> Finding:
    return Finding(what=what, where="", why=why)


def _short(value: Any) -> str:
    """A value of the file for a message, cut to a line's length and without control characters."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _class(node: Json, allowed: Sequence[str]) -> Finding | None:
    """A class must be one of Keras that computes, where Keras keeps it, or on the user's list."""
    name, module = node["class_name"], node.get("module")
    if name in known.REFUSED:
        kind = "a lambda" if name == "__lambda__" else f"a {name} layer"
        return _finding(kind, known.REFUSED[name])
    if name in known.VALUES or _is_allowed(node, name, allowed):
        return None
    if not isinstance(module, str | None) or not any(
            name in names and (not module or re.fullmatch(home, module)) for names, home in known.HOMES):
        return _finding(f"the class {_dotted(module, name)}",
                        f"it is no layer or other object of Keras that only computes; {_CODE}")
    return _foreign_registration(node, name)


def _foreign_registration(node: Json, name: str) -> Finding | None:
    """A class of Keras's name that was registered by somebody else under a package of theirs."""
    registered = node.get("registered_name")
    if registered in (None, name) or (isinstance(registered, str) and registered == f"keras>{name}"):
        return None
    return _finding(f"the registered class {_short(registered)}", f"it is a class of the model's author; {_CODE}")


def _dotted(module: Any, name: str) -> str:
    return _short(f"{module}.{name}" if module else name)


def _is_allowed(node: Json, name: str, allowed: Sequence[str]) -> bool:
    """Whether the user's list has the object, in that module or in the module that saved it as a script."""
    registered = node.get("registered_name")
    if registered is not None and str(registered).rpartition(">")[2] != name:
        return False
    for reference in allowed:
        module, _, attribute = reference.partition(":")
        if attribute == name and node.get("module") in (module, None, "__main__"):
            return True
    return False


def _is_function(name: str, allowed: Sequence[str]) -> bool:
    """Whether a function's name is one of Keras or on the user's list."""
    return name in known.FUNCTIONS or any(name == reference.partition(":")[2] for reference in allowed)


def _function(node: Json, allowed: Sequence[str]) -> Finding | None:
    """A function must be an activation, loss or metric of Keras, or on the user's list."""
    name, module = node.get("config"), node.get("module")
    if isinstance(name, str) and _is_allowed(node | {"registered_name": None}, name, allowed):
        return None
    if (isinstance(name, str) and name in known.FUNCTIONS
            and (module is None or (isinstance(module, str) and re.fullmatch(known.FUNCTION_HOMES, module)))):
        return None
    return _finding(f"the function {_dotted(module, name) if isinstance(name, str) else _short(name)}",
                    f"it is no activation, loss or metric of Keras; {_CODE}")


def _tensorflow_call(node: Json, allowed: Sequence[str]) -> Finding | None:
    """A layer of Keras 2 that calls a function of TensorFlow by name."""
    del allowed
    config = node.get("config")
    function = config.get("function") if isinstance(config, dict) else None
    if isinstance(function, str) and re.fullmatch(known.TENSORFLOW_FUNCTIONS, function):
        return None
    return _finding(f"a call of the TensorFlow function {_short(function)}",
                    "it is not among those that only compute; it may read or write files or call Python")


def _vocabulary(node: Json, allowed: Sequence[str]) -> Finding | None:
    """A lookup layer must carry its vocabulary; as text it is the path of a file that would be read."""
    config = node.get("config")
    paths = [config[key] for key in ("vocabulary", "idf_weights") if isinstance(config.get(key), str)] if isinstance(
        config, dict) else []
    if paths:
        return _finding(f"a {node['class_name']} layer with the vocabulary file {_short(paths[0])}",
                        "loading the model reads that file, whichever it is")
    return _class(node, allowed)


def _type_spec(node: Json, allowed: Sequence[str]) -> Finding | None:
    """The type of a tensor, of TensorFlow itself."""
    del allowed
    name, module = node.get("spec_name"), node.get("module")
    registered = node.get("registered_name")
    if (name in known.TYPE_SPECS and isinstance(module, str | None) and registered in (None, name)
            and (module or "tensorflow").split(".")[0] == "tensorflow"):
        return None
    return _finding(f"the type {_dotted(module, str(name))}", f"it is none of TensorFlow; {_CODE}")


_SPECIAL: dict[str, Callable[[Json, Sequence[str]], Finding | None]] = {
    "function": _function, "__typespec__": _type_spec, "TFOpLambda": _tensorflow_call,
    "SlicingOpLambda": _tensorflow_call, "TensorFlowOpLayer": _tensorflow_call,
    **dict.fromkeys(known.VOCABULARY_LAYERS, _vocabulary),
}
