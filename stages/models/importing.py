"""Taking in a user's model: looked into, loaded and rewritten by a child process under limits of time and memory.

Whatever the file does while it is read - hang, crash, eat memory, print - ends in one `ModelError` and leaves no file.
The child (`import_worker.py`) works on a private copy, so that what is loaded is what was looked into.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from device_profiles.errors import ModelError
from device_profiles.records import Record
from stages.context import Progress, no_progress
from stages.models.origin import Origin
from stages.models.untrusted.records import GIB, Finding, ScanLimits

Samples = Mapping[str, NDArray[Any]] | NDArray[Any]

ROOT = Path(__file__).resolve().parents[2]
WORKER = "stages.models.import_worker"
IMPORTED_KINDS = ("keras3", "keras2", "h5", "saved_model", "tflite", "function")
PROOF_SAMPLES = 32
_POLL_S = 0.1
_LAST_WORDS = 3
# What a child needs of the surroundings; keys, tokens and whatever else stands there is kept from it.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT", "VIRTUAL_ENV", "TZ")
_KEPT_PREFIXES = ("TF_", "OMP_")
_NO_PROXY = "http://127.0.0.1:9"  # the discard port: what asks for the network is refused at once


class ImportSettings(Record):
    """How a model file is taken in.

    Attributes:
        seed: of the weights that a function's model starts from, and of random samples.
    """

    trust: bool = Field(False, description="take the file although it could run code of whoever made it")
    custom_objects: tuple[str, ...] = Field((), description="classes and functions of your own that the file may name, "
                                            "as package.module:Class")
    timeout_s: float = Field(300.0, gt=0, description="seconds that loading may take")
    memory_bytes: int = Field(8 * GIB, gt=0, description="bytes of memory that loading may take")
    limits: ScanLimits = ScanLimits()
    seed: int = Field(0, ge=0)


class ImportProof(Record):
    """How far what was written is from what was read, on the same samples.

    Attributes:
        largest_difference: of any output element, in units of the output.
        scale: the largest absolute output, or 1 where that is less.
        samples: how many.
        on: "32 real samples" or "32 random samples".
    """

    largest_difference: float
    scale: float
    samples: int
    on: str


class Imported(Record):
    """A user's model, taken in.

    Attributes:
        kind: of the origin.
        artifact: the file in the folder: "model.keras", or "model.tflite" where no Keras model could be had.
        parameters: number of weights; for a tflite model the elements of its float constants.
        layers: of the Keras model, nested ones counted; operators of a tflite model.
        inputs, outputs: shape by name; None for an open axis.
        changed: by layer name, what the bridge from Keras 3 wrote another way.
        proof: None where nothing was rewritten.
        findings: what would have been refused had the file not been trusted.
        library: that wrote the file: "Keras 2.3.0-tf"; empty where it does not say.
        warnings: for the user.
    """

    kind: str
    artifact: str
    parameters: int
    layers: int
    inputs: dict[str, tuple[int | None, ...]]
    outputs: dict[str, tuple[int | None, ...]]
    changed: dict[str, str] = Field(default_factory=dict)
    proof: ImportProof | None = None
    findings: tuple[Finding, ...] = ()
    library: str = ""
    warnings: tuple[str, ...] = ()


def import_model(origin: Origin, settings: ImportSettings, out: Path, *, log: Path, samples: Samples | None = None,
                 input_shape: tuple[int, ...] | None = None, classes: int | None = None,
                 progress: Progress = no_progress) -> Imported:
    """Take a model in.

    Args:
        origin: of a kind in `IMPORTED_KINDS`.
        settings: trust and limits.
        out: where `model.keras` or `model.tflite` is written; nothing is written on failure.
        log: what the libraries say is appended here.
        samples: model inputs to prove the result on, (samples, ...) in one array, or one by input name; without them
            random ones are drawn.
        input_shape: of one sample, for a function.
        classes: for a function.
        progress: told what is done.

    Raises:
        ModelError: the file was refused, is damaged, cannot be loaded or rewritten, or took too long or too much.
    """
    if origin.kind not in IMPORTED_KINDS:
        raise ModelError(f"{origin.text} is no model file but a {origin.kind}", ", ".join(IMPORTED_KINDS))
    with tempfile.TemporaryDirectory(prefix="import-", dir=out) as name:
        folder = Path(name)
        progress(0, 0, f"reading {origin.text}")
        request = {
            "origin": _private_copy(origin, folder, settings.limits).model_dump(mode="json"),
            "settings": settings.model_dump(mode="json"),
            "samples": _write_samples(samples, folder), "input_shape": input_shape, "classes": classes,
        }
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        answer = _run_child(origin, settings, folder, log)
        if "error" in answer:
            raise _failed(origin, answer["error"], log)
        imported = Imported.model_validate(answer["imported"])
        (folder / "out" / imported.artifact).replace(out / imported.artifact)
    progress(1, 1, f"took in {origin.text}")
    return imported


# -- what the child is given --------------------------------------------------------------------------------------


def _private_copy(origin: Origin, folder: Path, limits: ScanLimits) -> Origin:
    """The origin with its file copied into our folder under a name that the loaders know by its suffix."""
    (folder / "out").mkdir()
    if origin.path is None:
        return origin
    size = _size(origin.path)
    if size > limits.file_bytes:
        raise ModelError(f"{origin.text} has {size:,} bytes", f"{limits.file_bytes:,} bytes",
                         "raise limits.file_bytes if the model is really that large")
    suffix = {"keras3": ".keras", "keras2": ".keras", "h5": ".h5", "tflite": ".tflite"}.get(origin.kind, "")
    copy = folder / f"given{suffix}"
    try:
        if origin.path.is_dir():
            shutil.copytree(origin.path, copy, symlinks=True, ignore=_only_files_and_folders)
        else:
            shutil.copyfile(origin.path, copy)
    except (OSError, shutil.Error) as error:
        raise ModelError(f"{origin.text} cannot be copied: {error}") from error
    return origin.model_copy(update={"path": copy})


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; links are not followed."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if not each.is_symlink()]
    return sum(each.stat().st_size for each in files if each.is_file())


def _only_files_and_folders(folder: str, names: list[str]) -> list[str]:
    """Names that are pipes, sockets or devices: a copy would wait on them for ever."""
    paths = [Path(folder, name) for name in names]
    return [path.name for path in paths if not (path.is_symlink() or path.is_dir() or path.is_file())]


def _write_samples(samples: Samples | None, folder: Path) -> str | None:
    """The first samples in an `.npz`; a single unnamed array goes by the name ""."""
    if samples is None:
        return None
    named = samples if isinstance(samples, Mapping) else {"": samples}
    arrays = {f"input:{name}": np.ascontiguousarray(array[:PROOF_SAMPLES]) for name, array in named.items()}
    path = folder / "samples.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type, unused-ignore]
    return str(path)


def _environment(origin: Origin, folder: Path) -> dict[str, str]:
    """The child's environment: no GPU, no secrets; a file's loading has no business in the network, a builder may."""
    kept = {name: value for name, value in os.environ.items()
            if name in _KEPT or name.startswith(_KEPT_PREFIXES)
            or (origin.kind == "function" and name.lower().endswith("_proxy"))}
    if origin.kind != "function":
        kept |= {"http_proxy": _NO_PROXY, "https_proxy": _NO_PROXY, "HTTP_PROXY": _NO_PROXY, "HTTPS_PROXY": _NO_PROXY}
    # `-P` keeps the working folder off the module path, so a file there cannot stand in for one of ours.
    theirs = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    path = os.pathsep.join([str(ROOT), *theirs])
    return kept | {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2",
                   "KERAS_BACKEND": "tensorflow", "PYTHONDONTWRITEBYTECODE": "1",
                   "HDF5_PLUGIN_PRELOAD": "::", "KERAS_HOME": str(folder / "keras")}


# -- running the child --------------------------------------------------------------------------------------------


def _run_child(origin: Origin, settings: ImportSettings, folder: Path, log: Path) -> dict[str, Any]:
    """Start the worker, watch it, and read its answer."""
    command = [sys.executable, "-P", "-m", WORKER, str(folder)]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as words, _ended(subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=words, stderr=words, env=_environment(origin, folder),
            start_new_session=True)) as child:
        _watch(child, origin, settings)
    answer = folder / "answer.json"
    if not answer.is_file():
        raise _died(origin, child.returncode, log)
    read: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return read


@contextmanager
def _ended(child: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The child, and whatever it started, ended at the end, whatever happens."""
    try:
        yield child
    finally:
        if child.stdin:
            child.stdin.close()  # the worker ends itself when this pipe closes: also when we are killed
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            child.kill()
        child.wait()


def _watch(child: subprocess.Popen[bytes], origin: Origin, settings: ImportSettings) -> None:
    """Wait for the child to end, within the limits."""
    end = time.monotonic() + settings.timeout_s
    while child.poll() is None:
        if time.monotonic() > end:
            raise ModelError(f"loading {origin.text} took longer than {settings.timeout_s:g} s", "",
                             "raise timeout_s if the model is really that large")
        resident = _resident_bytes(child.pid)
        if resident > settings.memory_bytes:
            raise ModelError(f"loading {origin.text} took {resident:,} bytes of memory",
                             f"{settings.memory_bytes:,} bytes", "raise memory_bytes if the model is really that large")
        time.sleep(_POLL_S)


def _resident_bytes(pid: int) -> int:
    """Resident memory of a process and its children; 0 once it is gone."""
    import psutil

    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(each.memory_info().rss for each in family)
    except psutil.Error:
        return 0


# -- what is said of a failure -------------------------------------------------------------------------------------


def _died(origin: Origin, status: int | None, log: Path) -> ModelError:
    """The error for a child that ended without an answer."""
    how = f"ended with status {status}"
    if status is not None and status < 0:
        how = f"was ended by {signal.Signals(-status).name}"
    words = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_WORDS:]
    return ModelError(f"{origin.text} cannot be loaded: the process that loaded it {how}", "",
                      f"see {log}" + (f"; its last words: {' | '.join(words)}" if words else ""))


def _failed(origin: Origin, error: dict[str, Any], log: Path) -> ModelError:
    """The error for an exception in the child."""
    if error["ours"]:
        return ModelError(error["found"], error["allowed"], error["next_step"])
    what = "failed" if origin.kind == "function" else "cannot be loaded"
    place = f" ({error['place']})" if error["place"] else ""
    return ModelError(f"{origin.text} {what}: {error['type']}: {error['message']}{place}", "", f"see {log}")


