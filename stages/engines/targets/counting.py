"""Instructions and memory accesses of one inference, counted in an emulated core.

They are nearly the same on every run and on every host, so they show a change of a thousandth that no clock could, and
they tell kernels with dot products (`-cpu max`) from those without (`-cpu cortex-a72`). They are not a latency: an
instruction takes from a fraction of a cycle to hundreds.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.records import Figure, Record
from stages.engines.client import EngineWorker, Loaded
from stages.engines.targets.emulated import EmulatedTarget
from stages.engines.targets.emulator import Counts, new_counts, read_counts

Array = npt.NDArray[Any]
Draw = Callable[[Loaded], tuple[Array, ...]]
"""Makes samples for a loaded model: an array (samples, ...) for each of its inputs."""
ROUNDS = 6
"""The range of six values holds their distribution's median with a probability of 1 - 2 / 2**6 = 0.97."""
_PILOT = 3
_REQUEST = 2e7  # instructions that a request should take: then what a request itself varies by is no thousandth
_FEWEST, _MOST = 2, 100


class InstructionCounts(Record):
    """Of one inference.

    Attributes:
        instructions, accesses: executed, and reads and writes of memory among them.
        cpu: that was emulated.
        engine_version: of the Arm build.
    """

    instructions: Figure
    accesses: Figure
    cpu: str
    engine_version: str


def count_inference(target: EmulatedTarget, engine: str, tflite: bytes, samples: Mapping[str, Array] | Draw, *,
                    log: Path, model: str = "", inferences: int | None = None,
                    timeout_s: float = 300.0) -> InstructionCounts:
    """Count what one inference at batch 1 executes.

    Each round counts a request for `inferences` and one for twice as many; their difference has neither the request's
    own instructions nor the start-up's in it. What stays in is the call from Python.

    Args:
        target: an emulated core, opened.
        engine: the engine.
        tflite: the tflite model.
        samples: (samples, ...) by input name, taken in turn; or what makes them once the model is loaded.
        log: the file that takes the worker's stderr.
        model: what to call it in messages.
        inferences: in the smaller request; None: so many that it takes 20 million instructions, 2 to 100.
        timeout_s: for a request.

    Raises:
        EngineError, StageError: as for every worker.
        TargetError: there is no counter.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = new_counts(Path(folder) / "counts")
        command = target.counted_command(engine, file)
        with EngineWorker(engine, log=log, model=model, timeout_s=timeout_s, command=command, target=target) as worker:
            loaded = worker.load(tflite)
            worker.feed(*(samples(loaded) if callable(samples) else worker.in_order(samples)))
            worker.measure(1)
            inferences = inferences or _enough(_requested(worker, file, _PILOT))
            found = [_round(worker, file, inferences) for _ in range(ROUNDS)]
            version = worker.hello.version
    how = f"median of {ROUNDS} rounds of {2 * inferences} less {inferences} inferences; the interval is their range"
    return InstructionCounts(instructions=_figure([each[0] for each in found], "instructions", how, inferences),
                             accesses=_figure([each[1] for each in found], "accesses", how, inferences),
                             cpu=target.cpu, engine_version=version)


def _enough(pilot: Counts) -> int:
    """Inferences of a request, from what some took."""
    each = max(1, pilot.instructions // _PILOT)
    return min(_MOST, max(_FEWEST, math.ceil(_REQUEST / each)))


def _round(worker: EngineWorker, file: Path, inferences: int) -> tuple[float, float]:
    """(instructions, accesses) of one inference."""
    few, many = (_requested(worker, file, count) for count in (inferences, 2 * inferences))
    more = many.since(few)
    return more.instructions / inferences, more.accesses / inferences


def _requested(worker: EngineWorker, file: Path, count: int) -> Counts:
    """What a request for so many inferences executes."""
    before = read_counts(file)
    worker.measure(count)
    return read_counts(file).since(before)


def _figure(values: list[float], unit: str, how: str, inferences: int) -> Figure:
    """Median and range of the rounds."""
    return Figure(value=float(np.median(values)), unit=unit, provenance="emulated", samples=len(values) * inferences,
                  interval=(min(values), max(values)), level=1 - 2 / 2**len(values), method=how)
