"""The packed model against the unpacked one in TFLM: the same outputs bit for bit, and what decoding costs.

Both run in engine workers on the same core, in turns: a round measures one and then the other, and a ratio is taken
within a round, so that a machine that drifts hits both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.records import Figure
from stages.engines import host
from stages.engines.client import EngineWorker
from stages.engines.inputs import first_samples
from stages.engines.pool import Job, predict_file
from stages.records import Normalization

Array = NDArray[Any]

ENGINE = "tflm"
LEVEL = 0.95
_FED = 32
_RESAMPLES = 1000
_BLOCK = 256


@dataclass(frozen=True)
class Inputs:
    """What both models are run on.

    Attributes:
        file: stored samples, as `Job` takes them.
        normalization: as `Job` takes it.
        count: how many.
        text: what they are, for people.
    """

    file: Path
    normalization: Mapping[str, Normalization]
    count: int
    text: str


@dataclass(frozen=True)
class Costs:
    """What decoding costs on this host; figures as in `Packing`."""

    arena: Figure
    unpacked_arena: Figure
    decode: Figure
    latency_ratio: Figure


def make_inputs(split: Path, count: int, folder: Path, normalization: Mapping[str, Normalization],
                seed: int) -> Inputs:
    """The first samples of a split; where it has fewer, random ones between its smallest and largest values follow.

    Args:
        split: stored samples (samples, ...), plain or a structured array with a field for each input.
        count: how many.
        folder: where to write them.
        normalization: of the stored samples.
        seed: of the random ones.
    """
    stored = np.load(split, mmap_mode="r")
    rows = np.array(stored[:count])
    missing = count - len(rows)
    if missing:
        rows = np.concatenate([rows, _random_like(rows, missing, np.random.default_rng(seed))])
    file = folder / "proof.npy"
    np.save(file, rows)
    text = f"{count - missing:,} test samples" + (f" and {missing:,} random ones" if missing else "")
    return Inputs(file, normalization, count, text)


def first_difference(unpacked: bytes, packed: bytes, inputs: Inputs, run: Run,
                     progress: Callable[[int, int], None]) -> int | None:
    """The first sample whose outputs differ in any bit; None: all are equal.

    Raises:
        EngineError: TFLM does not take one of the models.
    """
    one = predict_file(run.job(unpacked, "the unpacked model", inputs), lambda done, all_: progress(done, 2 * all_))
    other = predict_file(run.job(packed, "the packed model", inputs),
                         lambda done, all_: progress(all_ + done, 2 * all_))
    left, right = (np.ascontiguousarray(each.outputs) for each in (one, other))
    same = left.view(np.uint8).reshape(len(left), -1) == right.view(np.uint8).reshape(len(right), -1)
    wrong = np.flatnonzero(~same.all(axis=1))
    return int(wrong[0]) if len(wrong) else None


@dataclass(frozen=True)
class Run:
    """How engine workers are run.

    Attributes:
        workers: processes at most.
        timeout_s: for a reply.
        log: file for their words.
    """

    workers: int
    timeout_s: float
    log: Path

    def job(self, tflite: bytes, name: str, inputs: Inputs) -> Job:
        """All inputs through a model in TFLM."""
        return Job(engine=ENGINE, tflite=tflite, model=name, samples=inputs.file, batch=1, workers=self.workers,
                   timeout_s=self.timeout_s, log=self.log, normalization=inputs.normalization)


def measure(unpacked: bytes, packed: bytes, inputs: Inputs, run: Run, rounds: int, round_s: float) -> Costs:
    """Arena and latency of both models.

    Args:
        unpacked: tflite model.
        packed: tflite model.
        inputs: samples that the inferences take in turn.
        run: see `Run`.
        rounds: in turn, each model once a round.
        round_s: seconds of a model in a round, at most; at least one inference is made.

    Raises:
        EngineError: TFLM does not take one of the models.
    """
    samples = first_samples(inputs.file, _FED, inputs.normalization)
    with contextlib.ExitStack() as stack:
        workers = []
        for content, name in ((unpacked, "the unpacked model"), (packed, "the packed model")):
            worker = stack.enter_context(EngineWorker(ENGINE, log=run.log, model=name, timeout_s=run.timeout_s))
            worker.load(content, cpus=host.cores()[-1:])
            worker.feed(*worker.in_order(samples))
            workers.append(worker)
        arenas = [worker.arena().least_bytes for worker in workers]
        medians = _take(workers, rounds, round_s)
    count = int(medians[:, 2].sum())
    return Costs(arena=_arena(arenas[1]), unpacked_arena=_arena(arenas[0]),
                 decode=_over_rounds(medians[:, 1] - medians[:, 0], "ms", count, "packed less unpacked"),
                 latency_ratio=_over_rounds(medians[:, 1] / medians[:, 0], "ratio", count, "packed over unpacked"))


def _take(workers: Sequence[EngineWorker], rounds: int, round_s: float) -> Array:
    """(rounds, 3): median latency in ms of each model, and how many inferences; every other round in turned order."""
    for worker in workers:
        worker.measure(10**6, round_s)
    rows = []
    for number in range(rounds):
        taken = {}
        for which in (0, 1) if number % 2 else (1, 0):
            taken[which] = workers[which].measure(10**6, round_s)
        rows.append([float(np.median(taken[0])) / 1e6, float(np.median(taken[1])) / 1e6,
                     len(taken[0]) + len(taken[1])])
    return np.array(rows)


def _over_rounds(values: Array, unit: str, count: int, what: str) -> Figure:
    """The median over rounds, with a bootstrap interval over rounds."""
    draws = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    spread = np.median(values[draws], axis=1)
    low, high = np.quantile(spread, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    middle = float(np.median(values))
    return Figure(value=middle, unit=unit, provenance="measured", samples=count, level=LEVEL,
                  interval=(min(float(low), middle), max(float(high), middle)),
                  method=f"{what}, medians within {len(values)} rounds in turn on this host; median over rounds, "
                         f"bootstrap of {_RESAMPLES:,} resamples")


def _arena(least_bytes: int) -> Figure:
    return Figure(value=least_bytes, unit="bytes", provenance="measured",
                  method="exact: the least that the model loads into in TFLM on this host")


def _random_like(rows: Array, count: int, random: np.random.Generator) -> Array:
    """Random samples, each input between the smallest and the largest value that it has."""
    made = np.empty((count, *rows.shape[1:]), rows.dtype)
    for name in rows.dtype.names or (None,):
        source, target = (rows, made) if name is None else (rows[name], made[name])
        low, high = (float(source.min()), float(source.max())) if source.size else (0.0, 1.0)
        for start in range(0, count, _BLOCK):
            part = target[start:start + _BLOCK]
            drawn = random.uniform(low, high, part.shape)
            part[...] = np.rint(drawn) if source.dtype.kind in "iu" else drawn
    return made
