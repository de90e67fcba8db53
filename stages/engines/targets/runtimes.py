"""Which Python on a device has which runtime: found by asking each for its packages, without importing any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stages.engines import worker

MODULES: dict[str, tuple[str, ...]] = {
    engine: (module,) for engine, module in worker.MODULES.items()}
MODULES["tflite-runtime"] += ("tensorflow.lite.python.interpreter",)  # the same interpreter, inside TensorFlow
"""By engine, the modules that a worker can run it with, the best first."""
_DISTRIBUTIONS = {worker.MODULES[engine]: name for engine, name in worker.DISTRIBUTIONS.items()} | {
    "tensorflow.lite.python.interpreter": "tensorflow"}
_OLDEST_PYTHON = (3, 9)

PROBE = """
import importlib.util, json, sys
try:
    from importlib import metadata
except ImportError:
    sys.exit(0)
found = {}
for module, name in %r.items():
    if importlib.util.find_spec(module.partition(".")[0]) and importlib.util.find_spec("numpy"):
        try:
            found[module] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[module] = ""
print(json.dumps({"python": sys.executable, "version": "%%d.%%d.%%d" %% sys.version_info[:3], "found": found}))
""".strip() % (_DISTRIBUTIONS,)
"""Python code that prints one line of JSON: who it is, and the version of each runtime that it has (with numpy)."""


@dataclass(frozen=True)
class Runtime:
    """A Python on a device.

    Attributes:
        python: its path there.
        version: its own.
        modules: by engine, what the worker is to import.
        versions: by engine.
    """

    python: str
    version: str
    modules: dict[str, str]
    versions: dict[str, str]


def pythons(folder: str, wanted: str) -> list[str]:
    """The interpreters to ask: the one that is wanted, else an environment in our folder, then the system's."""
    if wanted:
        return [wanted]
    return [f"{folder}/venv/bin/python", "python3", *(f"python3.{minor}" for minor in range(14, 8, -1))]


def read_runtimes(answers: Iterable[Mapping[str, Any]]) -> list[Runtime]:
    """What the interpreters answered, each once, without those that are too old for the worker."""
    found: dict[str, Runtime] = {}
    for answer in answers:
        version = str(answer["version"])
        if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_PYTHON:
            continue
        chosen = {engine: next(each for each in modules if each in answer["found"])
                  for engine, modules in MODULES.items() if set(modules) & set(answer["found"])}
        found.setdefault(str(answer["python"]), Runtime(
            str(answer["python"]), version, chosen, {engine: answer["found"][each] for engine, each in chosen.items()}))
    return list(found.values())


def choose(runtimes: Iterable[Runtime], engine: str) -> Runtime | None:
    """The first that has the engine itself, else the first that has what stands in for it, else None."""
    having = [each for each in runtimes if engine in each.modules]
    return min(having, key=lambda each: MODULES[engine].index(each.modules[engine]), default=None)
