"""A variant and its float model opened up, and the float operators one by one, in workers on the same samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from device_profiles.tflite import Graph
from stages.engines.client import EngineWorker
from stages.explaining.pairs import Pairing
from stages.explaining.surgery import batched, opened, taken_apart
from stages.explaining.tally import Tally
from stages.records import Normalization

Array = NDArray[Any]

BATCH = 16
_AT_ONCE_BYTES = 32 << 20
_TYPES = ("float32", "int8", "uint8", "int16")


@dataclass(frozen=True)
class Source:
    """A tflite model and how stored samples go into it.

    Attributes:
        content: the file.
        normalization: by input name; empty for a model that takes stored values.
        name: for messages.
    """

    content: bytes
    normalization: Mapping[str, Normalization]
    name: str


@dataclass(frozen=True)
class Bench:
    """Where models run, and on what.

    Attributes:
        samples: an `.npy` file of stored samples.
        count: how many of them, from the first on.
        engine, timeout_s, log: of the workers.
    """

    samples: Path
    count: int
    log: Path
    engine: str = "litert"
    timeout_s: float = 120.0


class Runs:
    """Three workers on the same rows: the variant and the float model opened up, and the float operators alone.

    Attributes:
        pairing: of the variant with the float model.
        tensors: numbers of those that are read, of the variant and of the float model.
        rows: how many are read at once.
        variant, reference: values of the rows that were read last, by tensor number, (rows, ...) float32.
        alone: what the float operators give on the variant's inputs, by number of the variant's operator.
    """

    def __init__(self, variant: Source, reference: Source, pairing: Pairing) -> None:
        self.pairing = pairing
        self._sources = (variant, reference)
        self.tensors = (wanted(pairing.variant), wanted(pairing.reference))
        self._shadow = taken_apart(reference.content, pairing)
        elements = sum(math.prod(graph.tensors[each].shape) for graph, chosen in
                       zip((pairing.variant, pairing.reference), self.tensors, strict=True) for each in chosen)
        self.rows = max(1, min(BATCH * 8, _AT_ONCE_BYTES // max(1, 4 * elements)))
        self.variant: dict[int, Array] = {}
        self.reference: dict[int, Array] = {}
        self.alone: dict[int, Array] = {}

    def start(self, stack: ExitStack, bench: Bench) -> None:
        """Start the workers and load the models."""
        self._workers = []
        for source, tensors in zip(self._sources, self.tensors, strict=True):
            worker = stack.enter_context(EngineWorker(bench.engine, log=bench.log, model=source.name,
                                                      timeout_s=bench.timeout_s))
            worker.load(opened(source.content, tensors))
            worker.open(bench.samples, source.normalization)
            self._workers.append(worker)
        self._alone = stack.enter_context(EngineWorker(bench.engine, log=bench.log, timeout_s=bench.timeout_s,
                                                       model=f"{self._sources[1].name}, operator by operator"))
        if self._shadow.pairs:
            self._alone.load(self._shadow.content)

    def read(self, start: int, stop: int) -> None:
        """Values of rows start to stop - 1, by tensor number; `alone` by the variant's operator."""
        values = [dict(zip(tensors, worker.predict_rows(start, stop, batch=BATCH), strict=True))
                  for worker, tensors in zip(self._workers, self.tensors, strict=True)]
        self.variant, self.reference = values
        shadow = self._shadow
        fed = [self.variant[each] for each in shadow.feeds]
        given = self._alone.predict(*fed, batch=BATCH) if shadow.pairs else []
        self.alone = {pair.made.index: each for pair, each in zip(shadow.pairs, given, strict=True)}

    def noiseless(self, tally: Tally) -> Array | None:
        """What a tally's tensor would hold on the rows that were read last if nothing were lost in making it.

        That is what the float operator gives on the variant's inputs; of an input what the float model has there, of
        a QUANTIZE what it reads.
        """
        variant, index = self.pairing.variant, tally.tensor.index
        if tally.pair is not None:
            return self.alone.get(tally.pair.made.index)
        if tally.operator == "INPUT":
            place, inputs = variant.inputs.index(index), self.pairing.reference.inputs
            return self.reference.get(inputs[place]) if place < len(inputs) else None
        source = next(each for each in variant.operators if index in each.outputs)
        return self.variant.get(source.inputs[0])


def wanted(graph: Graph) -> list[int]:
    """Inputs and activations of a main graph that have one row a sample."""
    made = [index for operator in graph.operators for index in operator.outputs]
    chosen = dict.fromkeys(index for index in (*graph.inputs, *made) if batched(graph, index))
    return [index for index in chosen if graph.tensors[index].dtype in _TYPES]
