"""Run a file of samples through a tflite model on several worker processes, one thread each.

Small models leave the threads of one interpreter little to share, so the samples are shared out instead. A process
takes a fifth of a second to start: a second one is started only where that pays. Batches start at multiples of the
batch size, whoever runs them: the outputs do not depend on the number of workers.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.errors import EngineCrash
from stages.engines.client import EngineWorker, TensorInfo
from stages.engines.targets.target import Target
from stages.records import Normalization

Array = npt.NDArray[Any]
Sink = Callable[[int, Mapping[str, Array]], None]
"""Called as `sink(start, outputs)` with the outputs of samples `start` on, by output name; in any order, one by one."""

_CHUNK_S = 0.25  # time of one request: short enough for a progress bar, long enough for its overhead not to count
_MANY_SAMPLES = 2000  # from here on every worker starts at once
_NEWS_S = 0.05
_BATCH_BYTES = 96 << 10


@dataclass(frozen=True)
class Job:
    """What to run.

    Attributes:
        engine: its name.
        tflite: the tflite model's bytes.
        model: what to call it in messages.
        samples: a `.npy` file of stored samples: (samples, ...) uint8 or float32; for several inputs a structured array
            with a field for each.
        normalization: what is done to them, by input name ("input" for the only one); an input without is given what
            is stored, as a model with its preprocessing inside wants it.
        batch: samples per invocation where the engine can; 0: `fitting_batch`.
        workers: processes at most.
        timeout_s: for a reply: the start, the load, and one batch or a quarter of a second's work.
        log: file for the workers' stderr.
        command, target: see `EngineWorker`.
    """

    engine: str
    tflite: bytes
    model: str
    samples: Path
    batch: int
    workers: int
    timeout_s: float
    log: Path
    normalization: Mapping[str, Normalization] = field(default_factory=dict)
    command: Sequence[str] = ()
    target: Target | None = None


@dataclass(frozen=True)
class Predictions:
    """What came out.

    Attributes:
        outputs: (samples, ...) float32; for a model with several outputs a structured array with a float32 field for
            each, in the order of the tflite model. Empty where a sink took them.
        output_names: the same names; of a model with one output, its name.
        engine_version: of the engine that ran.
        workers: processes that took part.
        cpu_s: processor time of the workers over the samples.
        running_s: from the moment the first worker was ready to the last sample.
    """

    outputs: Array
    output_names: tuple[str, ...]
    engine_version: str
    workers: int
    running_s: float
    cpu_s: float


def predict_file(job: Job, progress: Callable[[int, int], None], sink: Sink | None = None) -> Predictions:
    """Run every sample of a file.

    Args:
        job: what to run.
        progress: called with (samples done, samples), from the calling thread.
        sink: takes the outputs as they come, so that they need not fit into memory. Where a crash is tried again, all
            of them come again.

    Raises:
        EngineError: what the first worker that failed raised; the others are ended. A crash is tried once more, one
            sample at a time: a runtime may survive a model alone and not its batches.
    """
    try:
        return _Pool(job, progress, sink).run()
    except EngineCrash:
        if job.batch == 1:
            raise
        return _Pool(replace(job, batch=1), progress, sink).run()


def fitting_batch(inputs: Sequence[TensorInfo]) -> int:
    """A batch whose inputs, in the model's own type, take up to 96 KiB: 1 to 64 samples.

    What passes between the layers of a convolutional network is larger than its input, and should stay in a core's
    second-level cache: ResNet-8 in float32 (12 KiB a sample) loses 15 % at a batch of 32 and nothing at 8. In int8
    (3 KiB) it loses nothing at 32, and the calls around each invocation are shared by more samples.
    """
    sample_bytes = sum(np.dtype(each.dtype).itemsize * math.prod(each.shape[1:]) for each in inputs)
    return max(1, min(64, _BATCH_BYTES // max(1, sample_bytes)))


class _Pool:
    """Hands out samples to lanes, each a thread with a worker process, and takes the outputs back."""

    def __init__(self, job: Job, progress: Callable[[int, int], None], sink: Sink | None) -> None:
        self._job, self._progress, self._sink = job, progress, sink or self._keep
        self._samples = len(np.load(job.samples, mmap_mode="r"))
        self._lock = threading.Lock()
        self._next, self._done, self._stopped = 0, 0, False
        self._outputs: Array | None = None
        self._names: tuple[str, ...] = ()
        self._batch = job.batch
        self._cpu_s = 0.0
        self._workers: list[EngineWorker] = []
        self._version = ""
        self._begun = self._ended = self._start_s = 0.0

    def run(self) -> Predictions:
        """All samples, in order."""
        with ThreadPoolExecutor(self._job.workers) as executor:
            try:
                lanes = [executor.submit(self._lane)]
                if self._samples >= _MANY_SAMPLES:
                    lanes += [executor.submit(self._lane) for _ in range(self._job.workers - 1)]
                while pending := [lane for lane in lanes if not lane.done()]:
                    wait(pending, timeout=_NEWS_S, return_when=FIRST_COMPLETED)
                    self._progress(self._done, self._samples)
                    if len(lanes) < self._job.workers and self._another_pays():
                        lanes.append(executor.submit(self._lane))
                for lane in lanes:
                    lane.result()
            finally:
                self._stop()
        outputs = np.empty(0, np.float32) if self._outputs is None else self._outputs
        return Predictions(outputs, self._names, self._version, len(self._workers), self._ended - self._begun,
                           self._cpu_s)

    def _another_pays(self) -> bool:
        """Whether what is left takes longer than starting one more worker, twice over."""
        if not self._done or self._stopped:
            return False
        rate = self._done / (time.monotonic() - self._begun)
        return (self._samples - self._done) / rate > 2 * self._start_s

    def _stop(self) -> None:
        """Hand out nothing more, and end the workers of lanes that an error or an interruption has left behind."""
        self._stopped = True
        for worker in list(self._workers):
            worker.kill()

    def _lane(self) -> None:
        """A worker's life: start, load, and take samples until there are none left."""
        job, start = self._job, time.monotonic()
        worker = EngineWorker(job.engine, log=job.log, model=job.model, timeout_s=job.timeout_s, command=job.command,
                              target=job.target)
        try:
            with worker:
                self._workers.append(worker)
                loaded = worker.load(job.tflite)
                self._batch = job.batch or fitting_batch(loaded.inputs)
                self._version = worker.hello.version
                self._names = loaded.output_names
                worker.open(job.samples, job.normalization)
                self._start_s = time.monotonic() - start
                self._begun = self._begun or time.monotonic()
                self._work(worker)
        finally:
            if self._next < self._samples:
                self._stopped = True  # nobody will finish what this lane had taken

    def _work(self, worker: EngineWorker) -> None:
        """Take samples, run them, give the outputs back."""
        rate = 0.0
        while (rows := self._take(rate)) is not None:
            start = time.monotonic()
            self._give(*rows, worker.predict_rows(*rows, batch=self._batch), worker.cpu_s)
            rate = (rows[1] - rows[0]) / max(1e-6, time.monotonic() - start)

    def _take(self, rate: float) -> tuple[int, int] | None:
        """The next samples [start, stop), or None when there are none left.

        Args:
            rate: samples a second of the lane that asks; 0 before it knows.
        """
        with self._lock:
            left = self._samples - self._next
            if self._stopped or left <= 0:
                return None
            fair = left / (2 * self._job.workers)  # smaller towards the end, so that the lanes finish together
            batches = max(1, int(min(rate * _CHUNK_S, fair) / self._batch))
            start, self._next = self._next, min(self._samples, self._next + batches * self._batch)
            return start, self._next

    def _give(self, start: int, stop: int, outputs: Sequence[Array], cpu_s: float) -> None:
        """Hand on the outputs of samples start to stop - 1, which took `cpu_s` of processor time."""
        with self._lock:
            self._sink(start, dict(zip(self._names, outputs, strict=True)))
            self._done += stop - start
            self._cpu_s += cpu_s
            self._ended = time.monotonic()

    def _keep(self, start: int, outputs: Mapping[str, Array]) -> None:
        """The sink of a caller who wants all outputs in one array."""
        if self._outputs is None:
            self._outputs = _room(self._samples, outputs)
        for name, part in outputs.items():
            whole = self._outputs if len(outputs) == 1 else self._outputs[name]
            whole[start:start + len(part)] = part


def _room(samples: int, outputs: Mapping[str, Array]) -> Array:
    """An array for the outputs of all samples: structured where there are several."""
    if len(outputs) == 1:
        return np.empty((samples, *next(iter(outputs.values())).shape[1:]), np.float32)
    return np.empty(samples, [(name, np.float32, values.shape[1:]) for name, values in outputs.items()])
