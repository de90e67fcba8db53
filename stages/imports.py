"""The user's own Python by reference: `package.module:attribute`, found in the working folder or installed.

Model builders, data functions, metrics and custom objects are named this way. The working folder is on the module
path for the length of an import and no longer; a module that is found there wins over an installed one of that name.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from device_profiles.errors import UsageError, with_near_miss

FORM = "package.module:function, importable from the working folder"
_REFERENCE = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<attribute>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")


def load_function(reference: str) -> Callable[..., Any]:
    """Import a function, or a class, of the user's.

    Args:
        reference: `package.module:attribute`; the attribute may be dotted (`Class.method`).

    Returns:
        What the reference names; it can be called.

    Raises:
        UsageError: not of this form, no such module, no such attribute, not callable, or the module raises when it
            is imported.
    """
    module_name, attribute = split_reference(reference)
    found: Any = _import(reference, module_name)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise _no_attribute(reference, found, part)
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{reference} is a {type(found).__name__}, which cannot be called", FORM)
    function: Callable[..., Any] = found
    return function


def split_reference(reference: str) -> tuple[str, str]:
    """(module, attribute) of `package.module:attribute`.

    Raises:
        UsageError: the text is not of this form.
    """
    match = _REFERENCE.fullmatch(reference)
    if not match:
        is_path = ".py" in reference or "/" in reference
        hint = "a file is named without its .py, with dots for slashes" if is_path else ""
        raise UsageError(f"'{reference}' names no function", FORM, hint)
    return match["module"], match["attribute"]


@contextmanager
def working_folder_importable() -> Iterator[None]:
    """Have the working folder first on the module path; put back in any case."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(folder)


def find_source(module_name: str) -> Path | None:
    """The source file of a module, found without importing it or any package around it.

    Args:
        module_name: dotted.

    Returns:
        The file; None for a module that has none (built in, or a namespace package).

    Raises:
        UsageError: no such module.
    """
    search: list[str] | None = [str(Path.cwd()), *sys.path]
    spec: ModuleSpec | None = None
    parts = module_name.split(".")
    for depth in range(1, len(parts) + 1):
        name = ".".join(parts[:depth])
        spec = PathFinder.find_spec(name, search) if search else None
        if spec is None:
            if name in sys.builtin_module_names:
                return None
            raise _no_module(module_name, name, search or [])
        search = list(spec.submodule_search_locations or [])
    return Path(spec.origin) if spec and spec.origin and Path(spec.origin).is_file() else None


def _import(reference: str, module_name: str) -> ModuleType:
    """Import the module; a fault inside it is told apart from a module that is not there."""
    find_source(module_name)
    with working_folder_importable():
        try:
            return importlib.import_module(module_name)
        except ImportError as error:
            raise UsageError(f"{reference} cannot be imported: {error}", FORM,
                             f"pip install {error.name}" if error.name and error.name != module_name else "") from error
        except (SyntaxError, NameError, AttributeError, TypeError, ValueError, LookupError, OSError, ArithmeticError,
                RuntimeError) as error:
            raise UsageError(f"{reference} cannot be imported: {type(error).__name__}: {error}{_line(error)}", FORM,
                             f"python -c 'import {module_name}' shows where") from error


def _line(error: Exception) -> str:
    """The place in the innermost file, as " (file, line n)"; a syntax error says it already."""
    trace = error.__traceback__
    if isinstance(error, SyntaxError) or trace is None:
        return ""
    while trace.tb_next:
        trace = trace.tb_next
    return f" ({trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno})"


def _no_module(module_name: str, missing: str, search: list[str]) -> UsageError:
    """The error for a module that is nowhere, with the nearest name where it was looked for."""
    folders = search[:1] if "." not in missing else search
    beside = {path.stem for folder in folders if Path(folder).is_dir() for path in Path(folder).iterdir()
              if path.suffix == ".py" or (path.is_dir() and path.name.isidentifier())}
    where = "" if missing == module_name else f" (there is no '{missing}')"
    what = f"there is no module '{module_name}'{where}"
    return UsageError(with_near_miss(what, missing.rpartition(".")[2], sorted(beside)), FORM,
                      "run litesmith in the folder that holds it, or install it")


def _no_attribute(reference: str, owner: Any, part: str) -> UsageError:
    """The error for a name that the module does not have."""
    public = [name for name in dir(owner) if not name.startswith("_")]
    name = getattr(owner, "__name__", type(owner).__name__)
    return UsageError(with_near_miss(f"{reference}: '{name}' has no '{part}'", part, public),
                      ", ".join(public[:12]) + (", ..." if len(public) > 12 else "") or FORM)
