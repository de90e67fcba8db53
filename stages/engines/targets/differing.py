"""Which operator of a tflite model is the first whose output differs between two places.

Every activation is made an output, so both places say what each operator gave. All operators before the first that
differs gave the same, bit for bit, so it was fed the same: the difference is its kernel's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.tflite import Graph, Operator, read_tflite
from stages.engines.client import EngineWorker
from stages.engines.targets.target import Target
from stages.explaining.surgery import batched, opened
from stages.records.targets import OperatorDifference

Array = npt.NDArray[Any]


def first_difference(places: tuple[Target, Target], engine: str, tflite: bytes, samples: Mapping[str, Array], *,
                     log: Path, model: str = "", timeout_s: float = 60.0) -> OperatorDifference:
    """Run the same samples through a model in two places and compare operator by operator.

    Args:
        places: opened.
        engine: the engine; its version may be another in each place, which is then part of the difference.
        tflite: the tflite model.
        samples: (samples, ...) by input name, as the model is to be given them.
        log: the file that takes the workers' stderr.
        model: what to call it in messages.
        timeout_s: for a reply.

    Raises:
        EngineError, StageError, TargetError: as for every worker.
    """
    graph = read_tflite(tflite).graphs[0]
    followed = _followed(graph)
    content = opened(tflite, [tensor for _, tensor in followed])
    said: list[list[Array]] = []
    versions: list[str] = []
    for place in places:
        with EngineWorker(engine, log=log, model=model, timeout_s=timeout_s, target=place) as worker:
            worker.load(content)
            said.append(worker.predict(*worker.in_order(samples), batch=1))
            versions.append(worker.hello.version)
    for position, (operator, tensor) in enumerate(followed):
        one, other = (each[position] for each in said)
        if not np.array_equal(one, other, equal_nan=True):
            return _told(graph, operator, tensor, one, other, position, versions)
    return OperatorDifference(operators_equal=len(followed), versions=(versions[0], versions[1]))


def _followed(graph: Graph) -> list[tuple[Operator, int]]:
    """Each operator with an output of a single sample, and that output, in the order in which they run."""
    return [(operator, operator.outputs[0]) for operator in graph.operators
            if operator.outputs and batched(graph, operator.outputs[0])
            and not graph.tensors[operator.outputs[0]].is_constant]


def _told(graph: Graph, operator: Operator, tensor: int, one: Array, other: Array, before: int,
          versions: list[str]) -> OperatorDifference:
    """The difference in figures: in steps of a quantized tensor, else in the tensor's own unit."""
    scales = graph.tensors[tensor].scales
    apart = np.abs(one.astype(np.float64) - other.astype(np.float64))
    return OperatorDifference(
        index=operator.index, operator=operator.label, tensor=graph.tensors[tensor].name, operators_equal=before,
        share=float((apart > 0).mean()), largest=float(apart.max() / scales[0] if scales else apart.max()),
        unit="steps" if scales else "", versions=(versions[0], versions[1]))
