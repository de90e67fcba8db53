"""Run tflite models in one engine: `python worker.py ENGINE [MODULE]`, spoken to in frames over stdin and stdout.

This file stands alone: it needs the standard library, numpy and one runtime, and is started unchanged on this host, on
another machine over ssh and under an emulator (Python 3.9 or later). It imports neither TensorFlow nor anything of
ours. That is why it is one file, longer than others here.

A frame is 16 bytes (magic `LSW1`, header length as uint32, payload length as uint64, little endian), a JSON header, and
the arrays that the header's `arrays` lists as [dtype, shape], one after the other, C order. A request gets one reply,
with `ok` true, or false with `kind` ("refused", "unavailable" or "usage") and `message` in the runtime's own words.
A runtime may print to stdout from C++, so stdout is moved to a private descriptor and descriptor 1 points at stderr.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import gc
import importlib
import json
import math
import os
import platform
import re
import signal
import struct
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

PROTOCOL = 2
MAGIC = b"LSW1"
PREFIX = struct.Struct("<4sIQ")
Header = dict  # of str to what JSON can hold
Arrays = list  # of numpy arrays

MODULES = {"litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter",
           "tflm": "tflite_micro"}
DISTRIBUTIONS = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime", "tflm": "tflite-micro"}
BLOCK_SAMPLES = 32  # quantized at a time: numpy's calls cost as much as quantizing an image does
BLOCK_BYTES = 4 << 20  # and no more than so many of float32: large samples are to leave the resident set alone
ARENA_STEP_BYTES = 16
ARENA_LIMIT_BYTES = 256 << 20  # reserved, not touched: the resident set grows only by what the model uses
# What the runtimes raise over a model that they cannot take, and the FlatBuffer code over one that is damaged.
REFUSALS = (ValueError, RuntimeError, MemoryError)
DAMAGED = (struct.error, IndexError, TypeError, AttributeError)
BATCH_TOLERANCE = 1e-3  # of the largest output: float kernels may sum in another order for another batch
_PR_SET_PDEATHSIG = 1
_ARENA_PARTS = re.compile(r"Arena allocation (total|head|tail) (\d+) bytes")


class UsageError(Exception):
    """A request that breaks the protocol or does not fit the loaded model."""


# -- frames --------------------------------------------------------------------------------------------------------


def pack_frame(header: dict[str, Any], arrays: list[Any] | None = None) -> list[Any]:
    """Buffers to write one after the other: prefix and JSON header, then each array's bytes."""
    arrays = [np.asarray(array, order="C") for array in arrays or []]
    described = dict(header, arrays=[[array.dtype.str, list(array.shape)] for array in arrays])
    text = json.dumps(described).encode()
    size = sum(array.nbytes for array in arrays)
    return [PREFIX.pack(MAGIC, len(text), size) + text, *(array.reshape(-1).view(np.uint8) for array in arrays)]


def unpack_prefix(data: Any) -> tuple[int, int]:
    """(header length, payload length) of a frame's first 16 bytes.

    Raises:
        UsageError: the bytes are no frame of this protocol.
    """
    magic, header_bytes, payload_bytes = PREFIX.unpack(data)
    if magic != MAGIC:
        raise UsageError(f"not a frame of protocol {PROTOCOL}: starts with {magic!r}")
    return header_bytes, payload_bytes


def unpack_frame(header: Any, payload: Any) -> tuple[dict[str, Any], list[Any]]:
    """(header, arrays) from the two parts of a frame; the arrays share the payload's memory."""
    fields = json.loads(bytes(header))
    arrays, offset = [], 0
    for dtype, shape in fields.pop("arrays", []):
        count = math.prod(shape)
        arrays.append(np.frombuffer(payload, dtype, count, offset).reshape(shape))
        offset += count * np.dtype(dtype).itemsize
    return fields, arrays


def read_frame(stream: BinaryIO) -> tuple[dict[str, Any], list[Any]] | None:
    """The next frame, or None at the end of the stream."""
    prefix = stream.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        return None
    header_bytes, payload_bytes = unpack_prefix(prefix)
    header, payload = stream.read(header_bytes), stream.read(payload_bytes)
    if len(header) < header_bytes or len(payload) < payload_bytes:
        return None
    return unpack_frame(header, payload)


def write_all(descriptor: int, buffers: list[Any]) -> None:
    """Write every byte of every buffer, however small the pipe's steps."""
    for buffer in buffers:
        view = memoryview(buffer)
        while view:
            view = view[os.write(descriptor, view):]


# -- tensors -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tensor:
    """An input or output: shape with the batch axis, numpy dtype name, and quantization (`scale` 0: none).

    `free` lists the axes that the model leaves open (-1 in its signature); an engine that can resize may fill them in.
    """

    name: str
    shape: list[int]
    dtype: str
    scale: float
    zero_point: int
    free: tuple[int, ...] = ()


def describe(details: dict[str, Any]) -> Tensor:
    """A runtime's tensor details, which all three spell alike, as a record."""
    parameters = details["quantization_parameters"]
    scales, zero_points = parameters["scales"], parameters["zero_points"]
    signature = details.get("shape_signature", ())
    return Tensor(name=str(details.get("name", "")), shape=[int(size) for size in details["shape"]],
                  dtype=np.dtype(details["dtype"]).name, scale=float(scales[0]) if len(scales) else 0.0,
                  zero_point=int(zero_points[0]) if len(zero_points) else 0,
                  free=tuple(axis for axis, size in enumerate(signature) if size == -1))


def quantize(samples: Any, tensor: Tensor) -> Any:
    """The equation: q = clip(round(x / scale) + zero_point, the dtype's range); a tensor without scale is only cast.

    Args:
        samples: any shape, float32.
        tensor: of an input.
    """
    dtype = np.dtype(tensor.dtype)
    if not tensor.scale or dtype.kind == "f":
        return np.ascontiguousarray(samples, dtype)
    limits = np.iinfo(dtype)
    steps = np.divide(samples, np.float32(tensor.scale), dtype=np.float32)
    np.rint(steps, out=steps)
    if tensor.zero_point:
        steps += np.float32(tensor.zero_point)
    if not (steps.min() >= limits.min and steps.max() <= limits.max):  # asking is four times faster than clipping
        np.clip(steps, limits.min, limits.max, out=steps)
    return steps.astype(dtype)


def dequantize(values: Any, tensor: Tensor) -> Any:
    """The equation: x = scale * (q - zero_point) as float32; a tensor without scale is only cast."""
    if not tensor.scale or np.dtype(tensor.dtype).kind == "f":
        return values.astype(np.float32)
    return (values.astype(np.float32) - np.float32(tensor.zero_point)) * np.float32(tensor.scale)


def normalize(samples: Any, normalization: Any) -> Any:
    """The equation: x = (stored - offset) / scale in float32, over the last axis.

    Args:
        samples: any shape, uint8 or float32.
        normalization: [offsets, scales], one value each or one a channel.
    """
    offset, scale = (np.array(values, np.float32) for values in normalization)
    if not offset.any() and (scale == 1).all():
        return np.asarray(samples, np.float32)
    return np.asarray((samples - offset) / scale, np.float32)


def as_stored(samples: Any, tensor: Tensor) -> Any:
    """Stored values as a model takes them that has its preprocessing inside.

    A byte is a byte: uint8 goes as it is, and into an int8 input as q = byte - 128, which only flips its highest bit.
    Anything else is quantized by the input's own parameters.
    """
    if samples.dtype == np.dtype(tensor.dtype):
        return np.ascontiguousarray(samples)
    if samples.dtype == np.uint8 and tensor.dtype == "int8":
        return np.bitwise_xor(samples, np.uint8(128)).view(np.int8)
    return quantize(np.asarray(samples, np.float32), tensor)


# -- samples -------------------------------------------------------------------------------------------------------


class Given:
    """Samples that came with a request: one array per input, float32 in the model's units, or uint8 as stored."""

    def __init__(self, arrays: list[Any]) -> None:
        self._arrays = arrays
        self.count = len(arrays[0]) if arrays and arrays[0].ndim else 0
        self.shapes = [list(array.shape[1:]) for array in arrays]
        self.even = len({array.shape[:1] for array in arrays}) == 1

    def read(self, start: int, count: int, tensors: list[Tensor]) -> list[Any]:
        """Up to `count` samples from `start`, in the types of the inputs."""
        return [as_stored(array[start:start + count], tensor)
                for array, tensor in zip(self._arrays, tensors)]  # noqa: B905 (Python 3.9)


class Stored:
    """Samples in an `.npy` file: a plain array for a model with one input, else a structured one with a field for each.

    Rows are read, not mapped: a mapped file's pages would count as the worker's memory.

    Args:
        path: the file, in C order.
        fields: the field of each input in the model's order; None where the array is plain.
        normalization: of each input as for `normalize`; None for a model that takes what is stored.
    """

    even = True

    def __init__(self, path: str, fields: list[str | None], normalization: list[Any]) -> None:
        mapped = np.load(path, mmap_mode="r")  # for its header: no page is touched
        if not mapped.ndim or not mapped.flags.c_contiguous:
            raise UsageError(f"{path} is no array of samples in C order")
        self._file = Path(path).open("rb")  # noqa: SIM115 (shared by every part, closed with the last)
        self.dtype, self._start = mapped.dtype, int(mapped.offset)
        self.count, self._row = len(mapped), list(mapped.shape[1:])
        self._fields, self._normalization = fields, normalization
        plain = self.dtype.names is None
        if fields != [None] if plain else not set(fields) <= set(self.dtype.names):
            raise UsageError(f"{path} has the fields {self.dtype.names}, wanted are {fields}")
        self.shapes = [self._row if plain else list(self.dtype[name].shape) for name in fields]

    def part(self, start: int, stop: int) -> Stored:
        """Rows start to stop - 1 alone."""
        part = copy.copy(self)
        part._start = self._start + start * self._row_bytes
        part.count = max(0, min(stop, self.count) - start)
        return part

    @property
    def _row_bytes(self) -> int:
        return int(self.dtype.itemsize * math.prod(self._row))

    def read(self, start: int, count: int, tensors: list[Tensor]) -> list[Any]:
        """Up to `count` samples from `start`, in the types of the inputs."""
        count = min(count, self.count - start)
        raw: Any = np.empty(count * self._row_bytes, np.uint8)
        if os.preadv(self._file.fileno(), [memoryview(raw)], self._start + start * self._row_bytes) < len(raw):
            raise UsageError(f"{self._file.name} ends before sample {start + count}")
        values = raw.view(self.dtype).reshape(count, *self._row)
        taken = []
        for field, normalization, tensor in zip(self._fields, self._normalization, tensors):  # noqa: B905
            stored = values if field is None else values[field]
            taken.append(as_stored(stored, tensor) if normalization is None else
                         quantize(normalize(stored, normalization), tensor))
        return taken


# -- runtimes ------------------------------------------------------------------------------------------------------


class LiteModel:
    """A tflite model in LiteRT or tflite-runtime, which share their Python interface."""

    arena_bytes = arena_persistent_bytes = arena_non_persistent_bytes = 0

    def __init__(self, module: Any, content: bytes, threads: int) -> None:
        self._make: Any = lambda: module.Interpreter(model_content=content, num_threads=threads)
        self._shapes: list[list[int]] = []
        self.rebuild()

    def rebuild(self) -> None:
        """Start afresh: tflite-runtime segfaults when it is used after a size that it could not allocate."""
        self._interpreter = self._make()
        if self._shapes:
            self._resize(1)
        self._interpreter.allocate_tensors()
        self._read_details()
        self.invoke, self.reset = self._interpreter.invoke, self._interpreter.reset_all_variables

    def _read_details(self) -> None:
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self.inputs, self.outputs = [describe(each) for each in inputs], [describe(each) for each in outputs]
        self._input_ids, self._output_ids = [each["index"] for each in inputs], [each["index"] for each in outputs]

    def resize(self, rows: int) -> None:
        """Give every input `rows` in its batch axis."""
        self._shapes = self._shapes or [tensor.shape[1:] for tensor in self.inputs]
        self._resize(rows)
        self._interpreter.allocate_tensors()
        self._read_details()

    def fill_in(self, shapes: list[list[int]]) -> None:
        """Give the axes that the model leaves open the sizes of the samples, given without the batch axis."""
        self._shapes = shapes
        self.resize(self.inputs[0].shape[0])

    def _resize(self, rows: int) -> None:
        for index, shape in zip(self._input_ids, self._shapes):  # noqa: B905
            self._interpreter.resize_tensor_input(index, [rows, *shape])

    def put(self, inputs: list[Any]) -> None:
        """Set the inputs, in the model's own types."""
        for position, values in enumerate(inputs):
            self._interpreter.set_tensor(self._input_ids[position], values)

    def get(self) -> list[Any]:
        """Copies of the outputs, in the model's own types."""
        return [self._interpreter.get_tensor(index) for index in self._output_ids]

    def delegation(self) -> dict[str, Any]:
        """How many delegates took operators over, and which operators none took, once it has been invoked.

        A delegate is a node of its own behind the model's operators. What it computes for itself alone has no memory
        in the interpreter; what it hands on is among its outputs. All other operators run by themselves.
        """
        nodes = self._interpreter._get_ops_details()
        delegates = [node for node in nodes if node["op_name"] == "DELEGATE"]
        given = {int(index) for node in delegates for index in node["outputs"]}
        alone = [int(node["index"]) for node in nodes if node["op_name"] != "DELEGATE"
                 and not any(int(index) in given or not self._has_memory(int(index)) for index in node["outputs"])]
        return {"delegates": len(delegates), "operators": len(nodes) - len(delegates), "alone": alone}

    def _has_memory(self, tensor: int) -> bool:
        try:
            self._interpreter.get_tensor(tensor)
        except ValueError:
            return False
        return True


class MicroModel:
    """A tflite model in TFLM: no batches, an arena of fixed size, status codes for errors."""

    def __init__(self, module: Any, content: bytes, threads: int) -> None:
        if threads != 1:
            raise UsageError("tflm has one thread")
        if content[4:8] != b"TFL3":
            raise ValueError("not a tflite model: its bytes 4 to 8 are not 'TFL3'")
        try:
            graph = module.runtime.schema_fb.Model.GetRootAsModel(content, 0).Subgraphs(0)
            self._make: Any = lambda size: module.runtime.Interpreter.from_bytes(content, arena_size=size)
            self._interpreter = self._make(ARENA_LIMIT_BYTES)
        except DAMAGED as error:
            raise ValueError(f"not a whole tflite model: {error}") from error
        interpreter = self._interpreter
        self.inputs = [describe(interpreter.get_input_details(i)) for i in range(graph.InputsLength())]
        self.outputs = [describe(interpreter.get_output_details(i)) for i in range(graph.OutputsLength())]
        self.invoke, self.reset = interpreter.invoke, interpreter.reset
        # What is in use once the model is ready. Head: the plan of activations and scratch; tail: what stays.
        parts = dict(_ARENA_PARTS.findall(captured_stderr(interpreter.print_allocations)))
        self.arena_bytes = int(parts.get("total", 0))
        self.arena_persistent_bytes = int(parts.get("tail", 0))
        self.arena_non_persistent_bytes = int(parts.get("head", 0))

    def least_arena_bytes(self) -> int:
        """The smallest arena that the model can be loaded into, in steps of TFLM's alignment of 16 bytes.

        Preparing the operators takes scratch memory that is given back and not reported: a small model may need more
        to become ready than it uses then.
        """
        low = -(-self.arena_bytes // ARENA_STEP_BYTES)
        if self._fits(low):
            return low * ARENA_STEP_BYTES
        high = low + 1
        while not self._fits(high):
            low, high = high, 2 * high - low + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._fits(middle) else (middle, high)
        return high * ARENA_STEP_BYTES

    def fill_in(self, shapes: list[list[int]]) -> None:
        """TFLM plans its arena once."""
        raise ValueError(f"its input shapes are left open, and tflm cannot set them to {shapes}")

    def _fits(self, steps: int) -> bool:
        """Whether it loads, tried in a process of its own: TFLM may segfault over an arena that is too small."""
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            try:
                self._make(steps * ARENA_STEP_BYTES)
            except RuntimeError:
                os._exit(1)
            os._exit(0)
        return os.waitpid(child, 0)[1] == 0

    def put(self, inputs: list[Any]) -> None:
        """Set the inputs, in the model's own types."""
        for position, values in enumerate(inputs):
            self._interpreter.set_input(values, position)

    def get(self) -> list[Any]:
        """Copies of the outputs, in the model's own types."""
        return [np.array(self._interpreter.get_output(i)) for i in range(len(self.outputs))]


def captured_stderr(call: Any) -> str:
    """What `call` prints to descriptor 2 from C++; it still reaches stderr afterwards."""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            call()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        text = file.read()
    write_all(2, [text])
    return text.decode(errors="replace")


# -- operations ----------------------------------------------------------------------------------------------------


class Session:
    """The worker's state: the engine, the loaded model, and the requests that it answers."""

    def __init__(self, engine: str, module: str = "") -> None:
        self.engine, self._name = engine, module or MODULES.get(engine, "")
        self._module: Any = None
        self._model: Any = None
        self._fed: list[Any] = []  # [sample][input], quantized, batch axis 1
        self._opened: Stored | None = None
        self._batches = self._reset = False
        self._proven: set[int] = set()
        self._baseline_bytes = 0

    def answer(self, request: dict[str, Any], arrays: list[Any]) -> tuple[dict[str, Any], list[Any]]:
        """Carry out one request.

        Raises:
            UsageError: there is no such operation, or it does not fit what is loaded.
            ImportError: the engine cannot be imported.
        """
        operations: dict[str, Any] = {
            "hello": self.hello, "load": self.load, "open": self.open, "predict": self.predict, "feed": self.feed,
            "measure": self.measure, "memory": self.memory, "arena": self.arena, "delegation": self.delegation}
        name = request.pop("op", "")
        if name not in operations:
            raise UsageError(f"unknown operation {name!r}")
        if name in ("predict", "feed", "measure", "arena", "delegation") and self._model is None:
            raise UsageError(f"{name}: no model is loaded")
        result = operations[name](arrays, **request)
        return result if isinstance(result, tuple) else (result, [])

    def hello(self, arrays: list[Any]) -> dict[str, Any]:  # noqa: ARG002
        """Import the engine; who is speaking, and on what machine."""
        if self.engine not in MODULES:
            raise UsageError(f"unknown engine {self.engine!r}")
        start = time.perf_counter()
        self._module = importlib.import_module(self._name)
        import_ms = 1e3 * (time.perf_counter() - start)
        from importlib import metadata

        try:
            own = self._name == MODULES[self.engine]
            version = metadata.version(DISTRIBUTIONS[self.engine] if own else self._name.partition(".")[0])
        except metadata.PackageNotFoundError:
            version = ""
        self._baseline_bytes = memory_bytes("VmRSS")
        return {"protocol": PROTOCOL, "engine": self.engine, "version": version, "import_ms": import_ms,
                "machine": platform.machine(), "system": platform.system(), "python": platform.python_version(),
                "numpy": np.__version__, "pid": os.getpid()}

    def load(self, arrays: list[Any], threads: int = 1, cpus: list[int] | None = None, reset: bool = False,
             path: str = "") -> dict[str, Any]:
        """Make the model ready to be invoked; `cpus` pins this process and the threads that it will start.

        The model comes along, or is the file `path` here. With `reset` the model's variables are set back before every
        inference: each sample stands alone.
        """
        if self._module is None:
            raise UsageError("load: say hello first")
        if cpus and hasattr(os, "sched_setaffinity"):
            pin(cpus)
        reset_peak()
        self._model, self._fed, self._proven = None, [], set()
        content = self._content(arrays, path)
        make = MicroModel if self.engine == "tflm" else LiteModel
        start = time.perf_counter_ns()
        self._model = make(self._module, content, threads)
        load_ms = 1e-6 * (time.perf_counter_ns() - start)
        self._reset = reset
        self._single = [tensor.shape for tensor in self._model.outputs]
        self._batches = self.engine != "tflm" and all(t.shape[:1] == [1] for t in self._model.inputs)
        pinned = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        return {"inputs": [asdict(t) for t in self._model.inputs], "outputs": [asdict(t) for t in self._model.outputs],
                "load_ms": load_ms, "arena_bytes": self._model.arena_bytes, "cpus": pinned,
                "arena_persistent_bytes": self._model.arena_persistent_bytes,
                "arena_non_persistent_bytes": self._model.arena_non_persistent_bytes}

    def _content(self, arrays: list[Any], path: str) -> bytes:
        """The model's bytes: those that came along, or a file's."""
        try:
            return Path(path).read_bytes() if path else bytes(arrays[0].tobytes())
        except OSError as error:
            raise UsageError(f"load: {error}") from error

    def open(self, arrays: list[Any], path: str, fields: list[str | None],  # noqa: ARG002
             normalization: list[Any]) -> dict[str, Any]:
        """Take a `.npy` file's samples for `predict`, which is then told rows: no sample goes through a pipe."""
        try:
            self._opened = Stored(path, fields, normalization)
        except (OSError, ValueError) as error:
            raise UsageError(f"open: {error}") from error
        return {"samples": self._opened.count}

    def predict(self, arrays: list[Any], batch: int = 1,
                rows: list[int] | None = None) -> tuple[dict[str, Any], list[Any]]:
        """Inputs (samples, ...) to float32 outputs (samples, ...), `batch` at a time where the model allows.

        The samples are those that came along, or `rows` [start, stop) of the file that was opened.
        """
        inputs = self._samples(arrays, rows)
        self._check(inputs)
        samples, model, begun = inputs.count, self._model, time.process_time()
        size = self._batch(inputs, min(batch, samples))
        outputs = [np.empty((samples, *tensor.shape[1:]), np.float32) for tensor in model.outputs]
        block = size * max(1, self._block_samples() // size)
        for first in range(0, samples, block):
            quantized = inputs.read(first, block, model.inputs)
            for start in range(first, min(first + block, samples), size):
                self._put([padded(values[start - first:start - first + size], size) for values in quantized])
                model.invoke()
                stop = min(start + size, samples)
                for position, values in enumerate(model.get()):
                    outputs[position][start:stop] = dequantize(values[:stop - start], model.outputs[position])
        return {"batch": size, "cpu_s": time.process_time() - begun}, outputs

    def feed(self, arrays: list[Any]) -> dict[str, Any]:
        """Keep samples for `measure`, which takes them in turn."""
        inputs = Given(arrays)
        self._check(inputs)
        self._resize(1)
        size = self._model.inputs[0].shape[0]
        self._fed = [[padded(values, size) for values in inputs.read(row, 1, self._model.inputs)]
                     for row in range(inputs.count)]
        return {"samples": len(self._fed)}

    def measure(self, arrays: list[Any], count: int,  # noqa: ARG002
                seconds: float | None = None) -> tuple[dict[str, Any], list[Any]]:
        """Nanoseconds of up to `count` invocations, or as many as fit in `seconds` (at least one).

        Setting the input, and variables back, is outside the clock. The garbage collector is off meanwhile.
        """
        if not self._fed:
            raise UsageError("measure: feed samples first")
        clock, invoke = time.perf_counter_ns, self._model.invoke
        taken: list[int] = []
        enabled = gc.isenabled()
        gc.disable()
        try:
            end = clock() + int((seconds or 1e6) * 1e9)
            while len(taken) < count and (not taken or clock() < end):
                self._put(self._fed[len(taken) % len(self._fed)])
                start = clock()
                invoke()
                taken.append(clock() - start)
        finally:
            if enabled:
                gc.enable()
        return {"count": len(taken)}, [np.array(taken, np.int64)]

    def memory(self, arrays: list[Any]) -> dict[str, Any]:  # noqa: ARG002
        """Resident set: before the model was loaded, now, and at its highest since."""
        return {"baseline_bytes": self._baseline_bytes, "resident_bytes": memory_bytes("VmRSS"),
                "peak_bytes": memory_bytes("VmHWM")}

    def arena(self, arrays: list[Any]) -> dict[str, Any]:  # noqa: ARG002
        """The tensor arena: in use once the model is ready, and the least that it can be loaded into (tflm alone)."""
        if self.engine != "tflm":
            raise UsageError(f"{self.engine} has no arena")
        return {"used_bytes": self._model.arena_bytes, "least_bytes": self._model.least_arena_bytes()}

    def delegation(self, arrays: list[Any]) -> dict[str, Any]:  # noqa: ARG002
        """Which operators run outside of every delegate (not in tflm, which has none)."""
        if self.engine == "tflm":
            raise UsageError("tflm has no delegates")
        self._model.invoke()
        found: dict[str, Any] = self._model.delegation()
        return found

    def _samples(self, arrays: list[Any], rows: list[int] | None) -> Given | Stored:
        """The samples of a request."""
        if arrays:
            return Given(arrays)
        if self._opened is None:
            raise UsageError("predict: give samples, or open a file first")
        return self._opened.part(*rows) if rows else self._opened

    def _check(self, inputs: Given | Stored) -> None:
        """Refuse samples that are not the model's; fill in what the model leaves open."""
        wanted = sample_shapes(self._model.inputs)
        if inputs.shapes != wanted and fits(inputs.shapes, self._model.inputs):
            self._model.fill_in(inputs.shapes)
            self._single = [[1, *tensor.shape[1:]] for tensor in self._model.outputs]
            wanted = inputs.shapes
        if inputs.shapes != wanted or not inputs.even or not inputs.count:
            raise UsageError(f"the model wants samples of shape {wanted}, and got {inputs.count} of {inputs.shapes}")

    def _block_samples(self) -> int:
        """How many samples to read and quantize at a time."""
        sample_bytes = 4 * sum(math.prod(tensor.shape[1:]) for tensor in self._model.inputs)
        return int(max(1, min(BLOCK_SAMPLES, BLOCK_BYTES // max(1, sample_bytes))))

    def _batch(self, inputs: Given | Stored, size: int) -> int:
        """Set the batch to `size` if the model gives the same then as one at a time; the batch that is set.

        An output may not follow the batch axis (a reshape to a fixed shape), or may mix the samples of a batch (a mean
        over axis 0). So the first time, the first and the last row are held against themselves run alone.
        """
        size = max(size, self._model.inputs[0].shape[0])  # a batch that is set is padded, not made smaller
        if size == 1 or not self._batches:
            return int(self._model.inputs[0].shape[0])
        if size not in self._proven and not self._prove(inputs, size):
            self._model.rebuild()
            self._batches = False
            return 1
        self._proven.add(size)
        self._resize(size)
        return size

    def _prove(self, inputs: Given | Stored, size: int) -> bool:
        """Whether the batch's first and last row come out as they do alone."""
        rows, tensors = (0, min(size, inputs.count) - 1), self._model.inputs
        alone = [self._run(1, inputs.read(row, 1, tensors)) for row in rows]
        try:
            together = self._run(size, [padded(values, size) for values in inputs.read(0, size, tensors)])
        except REFUSALS:
            return False
        if [list(values.shape) for values in together] != [[size, *shape[1:]] for shape in self._single]:
            return False
        return all(close(alone[which][position][0], values[row])
                   for which, row in enumerate(rows) for position, values in enumerate(together))

    def _run(self, size: int, inputs: list[Any]) -> list[Any]:
        """Raw outputs of one batch."""
        self._resize(size)
        self._put(inputs)
        self._model.invoke()
        outputs: list[Any] = self._model.get()
        return outputs

    def _put(self, inputs: list[Any]) -> None:
        """Set the inputs of an inference that knows nothing of the one before."""
        if self._reset:
            self._model.reset()
        self._model.put(inputs)

    def _resize(self, size: int) -> None:
        if self._model.inputs[0].shape[0] != size and self._batches:
            self._model.resize(size)


def sample_shapes(tensors: list[Tensor]) -> list[list[int]]:
    """Shape of one sample of each input.

    Raises:
        UsageError: the inputs have no batch axis, or not the same.
    """
    if len({tuple(tensor.shape[:1]) for tensor in tensors}) != 1 or not tensors[0].shape:
        raise UsageError(f"its inputs {[tensor.shape for tensor in tensors]} have no batch axis in common")
    return [tensor.shape[1:] for tensor in tensors]


def fits(shapes: list[list[int]], tensors: list[Tensor]) -> bool:
    """Whether sample shapes differ from the inputs' in axes alone that the model leaves open."""
    if len(shapes) != len(tensors):
        return False
    for shape, tensor in zip(shapes, tensors):  # noqa: B905 (Python 3.9)
        pairs = enumerate(zip(shape, tensor.shape[1:]), start=1)  # noqa: B905
        if len(shape) != len(tensor.shape) - 1 or not all(a == b or axis in tensor.free for axis, (a, b) in pairs):
            return False
    return True


def padded(values: Any, rows: int) -> Any:
    """`values` with zeros below, up to `rows` rows."""
    if len(values) == rows:
        return values
    full = np.zeros((rows, *values.shape[1:]), values.dtype)
    full[:len(values)] = values
    return full


def close(one: Any, other: Any) -> bool:
    """Equal to one step of an integer type, or to `BATCH_TOLERANCE` of the largest value of a float type."""
    floats = one.dtype.kind == "f"
    one, other = one.astype(np.float64), other.astype(np.float64)
    limit = max(1e-6, BATCH_TOLERANCE * float(abs(one).max(initial=0.0))) if floats else 1.0
    return bool((abs(one - other) <= limit).all())


# -- the process ---------------------------------------------------------------------------------------------------


def memory_bytes(field: str) -> int:
    """`VmRSS` or `VmHWM` of this process; elsewhere than on Linux the peak, which is all there is."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return int(peak) if sys.platform == "darwin" else int(peak) * 1024
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(field + ":")), 0)


def pin(cpus: list[int]) -> None:
    """Run this process, and the threads that it will start, on these cores alone.

    Raises:
        UsageError: none of them is there.
    """
    try:
        os.sched_setaffinity(0, cpus)
    except OSError as error:
        raise UsageError(f"cores {cpus} cannot be had ({error.strerror}); here are "
                         f"{sorted(os.sched_getaffinity(0))}") from error


def reset_peak() -> None:
    """Let VmHWM start again from the present resident set (proc(5), clear_refs); not everywhere allowed."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def die_with_parent() -> None:
    """Ask Linux for SIGKILL when the thread that started this process ends; the end of stdin covers the rest."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def respond(session: Session, request: dict[str, Any], arrays: list[Any]) -> list[Any]:
    """The frame that answers a request: its result, or the error in the runtime's words."""
    try:
        header, results = session.answer(request, arrays)
    except UsageError as error:
        return pack_frame({"ok": False, "kind": "usage", "message": str(error)})
    except ImportError as error:
        return pack_frame({"ok": False, "kind": "unavailable", "message": str(error)})
    except REFUSALS as error:
        return pack_frame({"ok": False, "kind": "refused", "message": f"{error}" or type(error).__name__})
    return pack_frame(dict(header, ok=True), results)


def main(arguments: list[str]) -> int:
    """Answer requests until stdin ends."""
    if len(arguments) not in (1, 2):
        sys.stderr.write("usage: python worker.py ENGINE [MODULE]\n")
        return 2
    answers = os.dup(1)
    os.dup2(2, 1)
    die_with_parent()
    session = Session(*arguments)
    while True:
        frame = read_frame(sys.stdin.buffer)
        if frame is None:
            return 0
        write_all(answers, respond(session, *frame))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
