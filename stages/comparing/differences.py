"""What differs between two tflite models besides time: bytes, operators, arena, and predictions on the same inputs."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.errors import EngineError, StageError
from device_profiles.schema import MICRO_ENGINE
from device_profiles.workload import Workload, read_workload
from stages.comparing.launching import Contender, Place
from stages.comparing.records import OperatorCount, OutputDifference, Predictions, StaticDifference
from stages.engines import registry
from stages.engines.client import EngineWorker, Loaded, TensorInfo
from stages.statistics import share_figure

Array = npt.NDArray[Any]
RANDOM_SAMPLES = 64


def static_difference(reference: bytes, candidate: bytes, log: Path) -> StaticDifference:
    """Everything that the files alone say, and the arena that TFLM needs for each.

    Args:
        reference: the tflite model's bytes.
        candidate: the same.
        log: gets TFLM's words.

    Raises:
        TfliteError: one is no whole tflite model.
    """
    first, second = read_workload(reference), read_workload(candidate)
    same = reference == candidate
    arena = arena_bytes(reference, log)
    return StaticDifference(
        tflite_bytes=(len(reference), len(candidate)), number_format=(first.number_format, second.number_format),
        macs=(first.macs, second.macs), operator_count=(len(first.operators), len(second.operators)),
        operators=_counts(first, second), arena_bytes=(arena, arena if same else arena_bytes(candidate, log)),
        activation_peak_bytes=(first.activation_peak_bytes, second.activation_peak_bytes), identical=same)


def _counts(first: Workload, second: Workload) -> tuple[OperatorCount, ...]:
    """Operators that one of them has more often, by name and arithmetic."""
    one, other = (Counter(f"{op.label} {op.arithmetic}" for op in each.operators) for each in (first, second))
    return tuple(OperatorCount(operator=name, reference=one[name], candidate=other[name])
                 for name in sorted(one | other) if one[name] != other[name])


def arena_bytes(content: bytes, log: Path) -> int | None:
    """The least arena that TFLM loads a tflite model into; None where it refuses it or is not installed."""
    if not registry.engine_info(MICRO_ENGINE).available:
        return None
    with contextlib.suppress(EngineError), EngineWorker(MICRO_ENGINE, log=log) as worker:
        worker.load(content)
        return worker.arena().least_bytes
    return None


def random_samples(loads: Sequence[Loaded], count: int = RANDOM_SAMPLES, seed: int = 0) -> tuple[Array, ...]:
    """Inputs that every one of some tflite models takes: float32 in the models' units.

    Uniform over the range that a quantized input can represent, scale * (q - zero_point), the narrowest where several
    are quantized; standard normal where none is; 0 and 1 for whole numbers without a scale (token numbers).

    Args:
        loads: what each engine said of its model; their inputs must agree in number and shape.
        count: samples.
        seed: of the draws.

    Raises:
        StageError: the inputs do not agree.
    """
    shapes = [[_shape(info) for info in each.inputs] for each in loads]
    if any(each != shapes[0] for each in shapes):
        raise StageError("their inputs have other shapes: " + " and ".join(str(each) for each in shapes),
                         "two tflite models for the same task")
    generator = np.random.default_rng(seed)
    return tuple(_drawn([each.inputs[position] for each in loads], (count, *shape), generator)
                 for position, shape in enumerate(shapes[0]))


def _shape(info: TensorInfo) -> tuple[int, ...]:
    """Of one sample; an open axis has size 1."""
    return tuple(max(1, length) for length in info.shape[1:])


def _drawn(infos: Sequence[TensorInfo], shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """One input's values."""
    ranges = []
    for info in infos:
        dtype = np.dtype(info.dtype)
        if dtype.kind in "iu" and info.scale:
            limits = np.iinfo(dtype)
            ranges.append([info.scale * (limits.min - info.zero_point), info.scale * (limits.max - info.zero_point)])
        elif dtype.kind in "iub":
            return generator.integers(0, 2, shape).astype(np.float32)
    if not ranges:
        return generator.standard_normal(shape, dtype=np.float32)
    low, high = max(each[0] for each in ranges), min(each[1] for each in ranges)
    return generator.uniform(low, high, shape).astype(np.float32)


def loaded(contender: Contender, place: Place) -> Loaded:
    """What the engine says of a tflite model.

    Raises:
        EngineError: it does not take it.
    """
    with EngineWorker(place.engine, log=place.log, model=contender.name, timeout_s=place.timeout_s) as worker:
        return worker.load(contender.content, threads=place.threads)


def predictions(pair: tuple[Contender, Contender], place: Place, inputs: str) -> Predictions:
    """Outputs of both on the samples of the first, in one engine.

    Args:
        pair: the first is the reference.
        place: the engine.
        inputs: what the samples are, for people.
    """
    samples = pair[0].samples
    try:
        one, other = (_outputs(each, samples, place) for each in pair)
    except (EngineError, StageError) as error:
        return Predictions(inputs=inputs, reason=error.found)
    if [each.shape for _, each in one] != [each.shape for _, each in other]:
        return Predictions(inputs=inputs, reason="their outputs have other shapes: "
                           + " and ".join(str([each.shape[1:] for _, each in outputs]) for outputs in (one, other)))
    return Predictions(samples=len(samples[0]), inputs=inputs, outputs=tuple(
        _difference(name, first, second) for (name, first), (_, second) in zip(one, other, strict=True)))


def _outputs(contender: Contender, samples: Sequence[Array], place: Place) -> list[tuple[str, Array]]:
    """Each output with its name; (samples, ...) float32."""
    with EngineWorker(place.engine, log=place.log, model=contender.name, timeout_s=place.timeout_s) as worker:
        names = worker.load(contender.content, threads=place.threads).output_names
        return list(zip(names, worker.predict(*samples), strict=True))


def _difference(name: str, first: Array, second: Array) -> OutputDifference:
    """One output, and where it has several values a sample, how often the largest is another one."""
    gap = np.abs(second.astype(np.float64) - first)
    changed = None
    if first.ndim == 2 and first.shape[1] > 1:
        differ = int((first.argmax(axis=1) != second.argmax(axis=1)).sum())
        changed = share_figure(differ, len(first), "measured", "samples whose largest output is another one")
    return OutputDifference(name=name, largest=float(gap.max(initial=0.0)), mean=float(gap.mean()) if gap.size else 0.0,
                            range=float(first.max() - first.min()) if first.size else 0.0, decisions_changed=changed)
