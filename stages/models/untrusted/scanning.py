"""The look into a model file of any kind, and the refusal that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from device_profiles.errors import ModelError, TfliteError
from device_profiles.tflite import read_tflite
from stages.models.origin import Origin
from stages.models.untrusted.archive import scan_archive
from stages.models.untrusted.hdf5 import scan_hdf5
from stages.models.untrusted.records import Finding, ScanLimits
from stages.models.untrusted.saved_model import scan_saved_model

_LISTED = 3


def scan(origin: Origin, allowed_objects: Sequence[str] = (), limits: ScanLimits | None = None) -> tuple[Finding, ...]:
    """What in a model's file could do more than compute; empty for what is no file.

    Nothing of the file is run, and neither TensorFlow nor Keras is imported.

    Args:
        origin: of any kind.
        allowed_objects: classes and functions of the user's own that the file may name, as `package.module:Class`.
        limits: on sizes; without them the defaults.
    """
    limits = limits or ScanLimits()
    if origin.path is None:
        return ()
    size = _bytes(origin.path)
    if size > limits.file_bytes:
        return (Finding(what=f"{size:,} bytes", where=origin.text, why=f"the limit is {limits.file_bytes:,} bytes"),)
    if origin.kind == "saved_model":
        return tuple(scan_saved_model(origin.path, limits))
    if origin.kind == "tflite":
        return tuple(_scan_tflite(origin.path, limits))
    if origin.kind == "h5":
        return tuple(scan_hdf5(origin.path, origin.path.name, allowed_objects, limits))
    return tuple(scan_archive(origin.path, allowed_objects, limits))


def refuse_untrusted(origin: Origin, allowed_objects: Sequence[str] = (), limits: ScanLimits | None = None) -> None:
    """Refuse a model file in which something was found.

    Raises:
        ModelError: names the first findings, where they are, and how many more there are.
    """
    findings = scan(origin, allowed_objects, limits)
    if findings:
        raise refuse(origin, findings)


def refuse(origin: Origin, findings: Sequence[Finding]) -> ModelError:
    """The error for a file with findings."""
    listed = "; ".join(str(finding) for finding in findings[:_LISTED])
    more = len(findings) - _LISTED
    rest = f"; and {more:,} more" if more > 0 else ""
    return ModelError(f"{origin.text} is not safe to load: it has {listed}{rest}",
                      "a model of layers and operators that only compute, and your own classes in custom_objects",
                      "--trust-model, if you trust who made the file as you would trust a program of theirs")


def _scan_tflite(path: Path, limits: ScanLimits) -> list[Finding]:
    """Custom operators: native code under a name of its own, and TensorFlow's operators by way of Flex."""
    try:
        model = read_tflite(path.read_bytes())
    except TfliteError as error:
        return [Finding(what="a tflite model that is damaged", where=path.name,
                        why=f"it cannot be looked into: {error.found}")]
    count = sum(len(graph.operators) for graph in model.graphs)
    if count > limits.nodes:
        return [Finding(what=f"{count:,} operators", where=path.name, why=f"the limit is {limits.nodes:,}")]
    return [Finding(what=f"the custom operator {operator.custom_code[:80]!r}",
                    where=f"graph {number}, operator {operator.index}",
                    why="it is native code that an engine looks up by name")
            for number, graph in enumerate(model.graphs) for operator in graph.operators if operator.name == "CUSTOM"]


def _bytes(path: Path) -> int:
    """Bytes of a file, or of the files below a folder; links are not followed."""
    files = [path] if not path.is_dir() else [each for each in path.rglob("*") if not each.is_symlink()]
    return sum(each.stat().st_size for each in files if each.is_file())
