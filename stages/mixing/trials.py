"""Many tflite models on the same samples: one engine worker a core, each kept for as long as there are models.

Starting a worker takes longer than a small model takes on a few hundred samples, so here the workers stay and the
models are shared out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

import numpy as np

from stages import calibration
from stages.bench import Array, Bench, whole_split
from stages.datasets.records import VALIDATION
from stages.datasets.rows import Rows
from stages.engines.client import EngineWorker
from stages.engines.pool import fitting_batch
from stages.records.sensitivity import Divergence
from stages.tasks import Task
from stages.tasks.classification import probabilities
from stages.tasks.matching import arrange
from stages.tasks.settings import TaskSettings

Maker = Callable[[], bytes]
_AHEAD = 2
"""Models that are made before a worker is free: enough that none waits, few enough for memory."""


def make_bench(data: Path, task: TaskSettings, *, samples: int, seed: int, engine: str, workers: int, timeout_s: float,
               log: Path, folder: Path) -> Bench:
    """Some of the validation samples of a prepare artifact.

    Args:
        data: the artifact.
        task: what is predicted.
        samples: how many at most, balanced over the classes; an anomaly task takes all, as clips must stay whole.
        seed: of their choice.
        engine: that is to run.
        workers: at most.
        timeout_s: for a reply.
        log: for what the workers say.
        folder: where the chosen samples are written.
    """
    bench = whole_split(data, VALIDATION, task, engine=engine, workers=workers, timeout_s=timeout_s, log=log)
    if bench.task.kind == "anomaly" or bench.count <= samples:
        return bench
    rows = np.sort(calibration.draw(bench.truth.y, seed, kind=bench.task.kind)[:samples])
    file = folder / "samples.npy"
    np.save(file, Rows(bench.samples)[rows])
    return replace(bench, samples=file, truth=bench.truth.part(rows))


@dataclass
class Runner:
    """Runs models on a bench; a context manager, whose workers live as long as it does."""

    bench: Bench
    _workers: ExitStack = field(default_factory=ExitStack)
    _idle: list[EngineWorker] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._workers.close()

    def outputs(self, content: bytes, name: str) -> Array:
        """Outputs of one model.

        Raises:
            EngineError: the engine cannot run it.
            StageError: the data or the task does not fit it.
        """
        bench, worker = self.bench, self._take()
        worker.model = name
        loaded = worker.load(content)
        worker.open(bench.samples, bench.normalization)
        found = worker.predict_rows(0, bench.count, batch=fitting_batch(loaded.inputs))
        with self._lock:
            self._idle.append(worker)
        named = dict(zip(loaded.output_names, found, strict=True))
        arranged = arrange(named, bench.shapes, f"{name} in {bench.engine}")
        bench.task.check_outputs(arranged, bench.truth, name)
        return arranged

    def many(self, models: Iterable[tuple[str, Maker]]) -> Iterator[Array]:
        """Outputs of models in their order; each is made here while the workers run those before it."""
        waiting: list[Future[Array]] = []
        with ThreadPoolExecutor(max(1, self.bench.workers)) as executor:
            try:
                for name, make in models:
                    waiting.append(executor.submit(self.outputs, make(), name))
                    if len(waiting) >= self.bench.workers + _AHEAD:
                        yield waiting.pop(0).result()
                while waiting:
                    yield waiting.pop(0).result()
            finally:
                for each in waiting:
                    each.cancel()

    def _take(self) -> EngineWorker:
        """A worker that is free, or a new one; one that failed never comes back."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        bench = self.bench
        worker = EngineWorker(bench.engine, log=bench.log, timeout_s=bench.timeout_s)
        worker.__enter__()
        with self._lock:
            self._workers.callback(worker.close)
        return worker


def divergence_kind(task: Task, reference: Array) -> Divergence:
    """What two models' outputs are compared by."""
    return "kl" if task.kind == "classification" and reference.dtype.names is None else "noise"


def divergence(kind: Divergence, reference: Array, outputs: Array, bench: Bench) -> float:
    """How far outputs are from the float model's; 0: they are equal.

    Args:
        kind: "kl": the mean over samples of `sum over classes of p log(p / q)`, in nats; "noise": energy of the
            difference over energy of the reference.
        reference: (samples, ...) of the float model.
        outputs: of the other.
        bench: that they come from.
    """
    if kind == "noise":
        return noise_share(reference, outputs)
    logits = bench.task.is_logits(reference, bench.truth)
    p, q = (np.clip(probabilities(each, logits), 1e-6, 1.0) for each in (reference, outputs))
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    return max(0.0, float((p * np.log(p / q)).sum(axis=1).mean()))


def noise_share(reference: Array, outputs: Array) -> float:
    """Energy of the difference over that of the reference; of several outputs, the mean."""
    if reference.dtype.names is not None:
        return float(np.mean([noise_share(reference[name], outputs[name]) for name in reference.dtype.names]))
    first, second = reference.astype(np.float64), outputs.astype(np.float64)
    return float(((second - first) ** 2).sum() / max(float((first ** 2).sum()), 1e-30))
