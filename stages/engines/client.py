"""Talk to an engine worker: requests with a time limit, and every way that a worker can fail as an error of ours."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.decoding import tflm_alone
from device_profiles.errors import (
    EngineCrash,
    EngineError,
    EngineRefusal,
    EngineTimeout,
    EngineUnavailable,
    StageError,
)
from device_profiles.records import Record
from device_profiles.schema import MICRO_ENGINE
from stages.datasets.prepared import ONLY_INPUT
from stages.engines import inputs, registry, worker
from stages.engines.channel import Channel, ChannelClosed, ChannelTimeout
from stages.engines.signature import keeps_state, names_or_numbers
from stages.engines.targets.host import HostTarget
from stages.engines.targets.target import WORKER, Target
from stages.records import Normalization

Array = npt.NDArray[Any]

__all__ = ["WORKER", "EngineWorker"]
_PATIENCE_S = 2.0  # for the exit status of a process that has closed its pipes
_MISSING = (  # how litert, tflite-runtime and TFLM name what they lack
    re.compile(r"Didn't find op for builtin opcode '(\w+)'(?: version '(\d+)')?"),
    re.compile(r"unresolved custom op: (\w+)"),
)


class Hello(Record):
    """Who a worker is: its engine with version, and the machine that it runs on."""

    protocol: int
    engine: str
    version: str
    import_ms: float
    machine: str
    system: str
    python: str
    numpy: str
    pid: int


class TensorInfo(Record):
    """An input or output of a loaded tflite model; `scale` 0 means not quantized, `free` lists its open axes."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    free: tuple[int, ...] = ()


class Loaded(Record):
    """What `load` found: inputs and outputs, the time from bytes to a model that can be invoked, and the exact arena.

    Attributes:
        input_names, output_names: in the order of `inputs` and `outputs`; those of the model's signature where it has
            one.
        arena_bytes: in use, as TFLM reports it; 0 where the engine has no arena.
        arena_persistent_bytes: of it what stays: TFLM's structures and the kernels' parameters.
        arena_non_persistent_bytes: of it the plan of activations and scratch buffers.
        cpus: the cores that the worker may run on; empty where the system does not say.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    load_ms: float
    arena_bytes: int
    arena_persistent_bytes: int = 0
    arena_non_persistent_bytes: int = 0
    cpus: tuple[int, ...]


class Memory(Record):
    """Resident set of the worker: with the engine but before the model, now, and at its highest since."""

    baseline_bytes: int
    resident_bytes: int
    peak_bytes: int


class Arena(Record):
    """TFLM's tensor arena: bytes in use once the model is ready, and the least that it can be loaded into.

    Preparing the operators takes scratch memory that is given back, so a small model may need more than it uses.
    """

    used_bytes: int
    least_bytes: int


class Delegation(Record):
    """Who computes the loaded model: how many delegates, of how many operators, and which operators none took over."""

    delegates: int
    operators: int
    alone: tuple[int, ...]


class EngineWorker:
    """One engine in a process of its own, for one thread at a time; a context manager.

    The process is in a session of its own, so Ctrl-C in the terminal reaches the caller alone, which then ends the
    worker. It dies with the thread that started it (Linux), and when its stdin ends. After a crash or a time limit it
    is gone; after a refusal it lives and takes another model.

    Args:
        engine: a name in `registry.ENGINES`.
        log: the file to which the worker's stderr is appended.
        model: what to call the tflite model in messages.
        timeout_s: how long a reply may take.
        command: what to start instead of the target's own command.
        target: where it runs, opened; None: on this host.
    """

    def __init__(self, engine: str, *, log: Path, model: str = "", timeout_s: float = 60.0,
                 command: Sequence[str] = (), target: Target | None = None) -> None:
        self.engine, self.model, self.timeout_s = engine, model, timeout_s
        self._log = log
        self._target = target or HostTarget()
        self._command = list(command)
        self._channel: Channel | None = None
        self.cpu_s = 0.0  # processor time of the last `predict_rows`
        self._loaded: Loaded | None = None
        self._there = 0  # process id of the worker itself, at its target
        self.hello: Hello

    def __enter__(self) -> EngineWorker:
        """Start the process and let it import the engine.

        Raises:
            EngineUnavailable: it is not installed, or cannot be imported.
            EngineError: it crashed or did not answer, as in every request.
            TargetError: the place cannot be reached, or was lost; this too holds for every request.
        """
        registry.engine(self.engine)
        command = self._command or self._target.command(self.engine)
        try:
            self._channel = Channel(command, self._log)
        except OSError as error:
            raise self._error(EngineUnavailable, f"{command[0]} cannot be started: {error.strerror}") from error
        with contextlib.ExitStack() as on_error:
            on_error.callback(self.close)
            header, _ = self._ask("hello", {})
            if header.get("protocol") != worker.PROTOCOL:
                raise self._error(EngineUnavailable, f"its worker speaks protocol {header.get('protocol')}",
                                  f"protocol {worker.PROTOCOL}")
            self.hello = Hello.model_validate(header)
            self._there = self.hello.pid
            on_error.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process and wait for it; may be called twice."""
        channel, self._channel = self._channel, None
        if channel:
            channel.close()
            self._target.end(self._there)
            self._there = 0

    def kill(self) -> None:
        """End the process from another thread; the thread that waits for it gets an `EngineCrash`."""
        channel = self._channel
        if channel:
            channel.kill()

    @property
    def pid(self) -> int:
        """Process id of what was started, 0 when nothing runs."""
        return self._channel.pid if self._channel else 0

    def load(self, tflite: bytes, *, threads: int = 1, cpus: Sequence[int] | None = None) -> Loaded:
        """Load a tflite model; one that was loaded before is let go.

        Args:
            tflite: the file's bytes.
            threads: of the engine; tflm has one.
            cpus: cores to pin the worker to; None leaves it free.

        Raises:
            EngineRefusal: the engine does not accept the model; the message has its own words.
        """
        reason = tflm_alone(tflite) if self.engine != MICRO_ENGINE else ""
        if reason:
            raise self._error(EngineRefusal, f"packed models run in tflm: {reason}",
                              next_step=f"run the variant without -packed in {self.engine}: its outputs are the same")
        request = {"threads": threads, "cpus": list(cpus) if cpus else None, "reset": keeps_state(tflite)}
        if self._target.is_remote:  # once by digest: many workers and rounds load the same model
            header, _ = self._ask("load", {**request, "path": self._target.send_bytes(tflite, ".tflite")})
        else:
            header, _ = self._ask("load", request, [np.frombuffer(tflite, np.uint8)])
        names = names_or_numbers(tflite, len(header["inputs"]), len(header["outputs"]))
        self._loaded = Loaded.model_validate({**header, "input_names": names.inputs, "output_names": names.outputs})
        return self._loaded

    def match(self, data: Mapping[str, tuple[int, ...]]) -> list[str]:
        """The data's input for each input of the loaded model.

        Args:
            data: shape of one sample by input name.

        Raises:
            StageError: they do not fit.
        """
        found = self._loaded
        if found is None:
            raise StageError(f"{self.engine}: no model is loaded", next_step="load one first")
        return inputs.match(f"{self.model or 'the model'} in {self.engine}", found.input_names,
                            [each.shape[1:] for each in found.inputs], data, [each.free for each in found.inputs])

    def in_order(self, samples: Mapping[str, Array]) -> tuple[Array, ...]:
        """Samples of the data's inputs in the order of the loaded model's.

        Args:
            samples: (samples, ...) by input name.

        Raises:
            StageError: they do not fit.
        """
        return tuple(samples[name] for name in self.match({name: each.shape[1:] for name, each in samples.items()}))

    def predict(self, *samples: Array, batch: int = 32) -> list[Array]:
        """Run samples and return every output.

        Args:
            *samples: one array per input of the model, (samples, ...): float32 in the units that it was trained on, or
                uint8, which goes in as it is.
            batch: samples per invocation, where engine and model allow more than one.

        Returns:
            One array per output, (samples, ...) float32, dequantized.

        Raises:
            StageError: samples of another shape than the model's.
            EngineError: as `load`.
        """
        return self._ask("predict", {"batch": batch}, [_as_sent(each) for each in samples])[1]

    def open(self, file: Path, normalization: Mapping[str, Normalization] | None = None) -> None:
        """Let the worker read an `.npy` file of stored samples for `predict_rows`.

        Args:
            file: a plain array for a model with one input, else a structured array with a field for each.
            normalization: by input name ("input" for the only one); an input without is given what is stored.

        Raises:
            StageError: the samples do not fit the model.
            StoreError: the file cannot be read.
        """
        shapes = inputs.stored_shapes(file)
        chosen = self.match(shapes)
        plain = list(shapes) == [ONLY_INPUT]
        known = normalization or {}
        steps = [[known[name].offset, known[name].scale] if name in known else None for name in chosen]
        self._ask("open", {"path": self._target.send(file), "normalization": steps,
                           "fields": [None if plain else name for name in chosen]})

    def predict_rows(self, start: int, stop: int, *, batch: int = 32) -> list[Array]:
        """`predict` on samples start to stop - 1 of the file that was opened: no sample goes through a pipe."""
        header, outputs = self._ask("predict", {"batch": batch, "rows": [start, stop]})
        self.cpu_s = float(header["cpu_s"])
        return outputs

    def feed(self, *samples: Array) -> None:
        """Give the samples that `measure` takes in turn, one per invocation; shapes as in `predict`."""
        self._ask("feed", {}, [_as_sent(each) for each in samples])

    def measure(self, count: int, seconds: float | None = None) -> Array:
        """Time single inferences at batch 1.

        Args:
            count: how many at most.
            seconds: stop after this long; at least one is made.

        Returns:
            (inferences,) int64 nanoseconds of the engine's invoke call alone.
        """
        return self._ask("measure", {"count": count, "seconds": seconds})[1][0]

    def memory(self) -> Memory:
        """Resident set of the worker."""
        return Memory.model_validate(self._ask("memory", {})[0])

    def arena(self) -> Arena:
        """The tensor arena (tflm alone)."""
        return Arena.model_validate(self._ask("arena", {})[0])

    def delegation(self) -> Delegation:
        """Which operators of the loaded model run outside of every delegate (not in tflm)."""
        return Delegation.model_validate(self._ask("delegation", {})[0])

    # -- requests and their failures -------------------------------------------------------------------------------

    def _ask(self, operation: str, request: dict[str, Any],
             arrays: Sequence[Array] = ()) -> tuple[dict[str, Any], list[Array]]:
        """Send a request and wait for its reply; a worker that is of no more use is ended."""
        channel = self._channel
        if channel is None:
            raise self._error(EngineCrash, f"its process is not running, so it cannot {operation}")
        with contextlib.ExitStack() as on_error:
            on_error.callback(self.close)
            try:
                frame = worker.pack_frame(dict(request, op=operation), list(arrays))
                header, results = channel.exchange(frame, self.timeout_s)
            except ChannelTimeout as error:
                self._target.assure()
                raise self._error(EngineTimeout, f"did not answer to {operation} within {self.timeout_s:g} s",
                                  next_step="give a longer timeout_s, or a smaller model") from error
            except ChannelClosed as error:
                raise self._crashed(operation, channel) from error
            except worker.UsageError as error:
                raise self._error(EngineCrash, f"its process broke the protocol: {error}") from error
            on_error.pop_all()
        if not header.pop("ok"):
            raise self._refused(operation, header, channel.words())
        return header, results

    def _crashed(self, operation: str, channel: Channel) -> EngineError:
        """What to say of a process that ended: the signal or exit status, and its last words."""
        status = channel.wait(_PATIENCE_S)
        channel.close()
        ended = self._target.ending(status, channel.words())
        words = "; ".join(channel.words()[-3:])
        return self._error(EngineCrash, f"its process {ended} in {operation}" + (f": {words}" if words else ""),
                           next_step=f"see {self._log}")

    def _refused(self, operation: str, header: dict[str, Any], words: list[str]) -> EngineError | StageError:
        """The error for a reply that says no; TFLM gives its reason on stderr alone."""
        message = _once(" ".join(str(header.get("message", "")).split()))
        said = " ".join([message, *(word for word in words if word not in message)])
        if header.get("kind") == "unavailable":
            return self._error(EngineUnavailable, f"it cannot be imported: {message}",
                               next_step=f"pip install {registry.ENGINES[self.engine].distribution}")
        if header.get("kind") == "usage":
            return StageError(f"{self.engine}: {self.model or 'the model'}: cannot {operation}: {message}",
                              next_step="give the data that the model was made for")
        missing = missing_operator(said)
        found = f"it has no operator {missing}: {said}" if missing else said
        return self._error(EngineRefusal, found, next_step="another number format or engine may take it: litesmith "
                           "inspect shows the operators")

    def _error(self, kind: type[EngineError], found: str, allowed: str = "", next_step: str = "") -> EngineError:
        return kind(self.engine, self.model, found, allowed, next_step)


def _as_sent(samples: Array) -> Array:
    """Samples as they go through the pipe: bytes stay bytes."""
    given = np.asarray(samples)
    return given if given.dtype == np.uint8 else given.astype(np.float32, copy=False)


def missing_operator(text: str) -> str:
    """The operator that a runtime says it lacks, "TOPK_V2" or "CONV_2D version 9"; "" where it names none."""
    for pattern in _MISSING:
        match = pattern.search(text)
        if match:
            return " version ".join(group for group in match.groups() if group)
    return ""


def _once(text: str) -> str:
    """The text without its second half where that only repeats the first, as tflite-runtime's messages do."""
    half = len(text) // 2
    return text[:half] if text[:half] == text[half:] else text
