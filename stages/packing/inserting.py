"""Put encoded constants into a tflite model, and DECODE operators in front of the operators that read them.

A decoded tensor lives in the arena from its DECODE operator to its reader. So each reader has a DECODE operator of its
own, directly in front of it: the decoded weights of one operator are in the arena at a time, and the arena grows least.
A constant with several readers is stored once and decoded for each.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from device_profiles.decoding import DECODE
from device_profiles.tflite import DTYPES
from stages.packing.codes import Encoded
from stages.packing.constants import Constant

_TYPES = {name: number for number, (name, _) in DTYPES.items()}
_CUSTOM = 32


def insert(model: Any, constants: Sequence[Constant], encoded: Mapping[int, Encoded]) -> None:
    """Change a model (`ModelT`) so that it holds constants in encoded form.

    Args:
        model: the model that the constants were found in.
        constants: what was found.
        encoded: by position in `constants`.
    """
    _Inserter(model).insert({position: constants[position] for position in encoded}, encoded)


class _Inserter:
    """Adds tensors, buffers and operators to the main graph."""

    def __init__(self, model: Any) -> None:
        self._model, self._graph = model, model.subgraphs[0]
        self._ancillary: dict[bytes, int] = {}

    def insert(self, constants: Mapping[int, Constant], encoded: Mapping[int, Encoded]) -> None:
        """All constants, then the operators."""
        by_reader: dict[int, list[tuple[int, int, int, int]]] = {}
        for position, constant in constants.items():
            ancillary = self._ancillary_tensor(encoded[position].ancillary)
            for index in constant.tensors:
                decoded = copy.copy(self._graph.tensors[index])
                self._encode(index, encoded[position].stream)
                for reader, slot, used in constant.uses:
                    if used == index:
                        new = self._decoded(decoded, constant)
                        by_reader.setdefault(reader, []).append((slot, index, ancillary, new))
        self._add_operators(by_reader)

    def _encode(self, index: int, stream: bytes) -> None:
        """Let a tensor be the encoded one."""
        tensor = self._graph.tensors[index]
        tensor.buffer, tensor.type, tensor.shape = self._buffer(stream), _TYPES["uint8"], [len(stream)]
        tensor.quantization = None

    def _ancillary_tensor(self, content: bytes) -> int:
        """The tensor of header and tables; equal ones are one."""
        if content not in self._ancillary:
            tensor = type(self._graph.tensors[0])()
            tensor.buffer, tensor.type, tensor.shape = self._buffer(content), _TYPES["uint8"], [len(content)]
            self._graph.tensors.append(tensor)
            self._ancillary[content] = len(self._graph.tensors) - 1
        return self._ancillary[content]

    def _decoded(self, original: Any, constant: Constant) -> int:
        """A tensor of the arena with the form of the constant; 4-bit weights become bytes."""
        tensor = copy.copy(original)
        tensor.buffer, tensor.type = 0, _TYPES[constant.values.dtype.name]
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _buffer(self, content: bytes) -> int:
        buffer = type(self._model.buffers[0])()
        buffer.data = np.frombuffer(content, np.uint8)
        self._model.buffers.append(buffer)
        return len(self._model.buffers) - 1

    def _add_operators(self, by_reader: Mapping[int, Sequence[tuple[int, int, int, int]]]) -> None:
        """One DECODE in front of each reader, which is given the decoded tensors."""
        code = self._code()
        operators = []
        for position, operator in enumerate(self._graph.operators):
            needed = by_reader.get(position, ())
            if needed:
                decode = type(operator)()
                decode.opcodeIndex = code
                decode.inputs = [index for _, encoded, ancillary, _ in needed for index in (encoded, ancillary)]
                decode.outputs = [new for *_, new in needed]
                operators.append(decode)
                given = [int(index) for index in operator.inputs]
                for slot, _, _, new in needed:
                    given[slot] = new
                operator.inputs = given
            operators.append(operator)
        self._graph.operators = operators

    def _code(self) -> int:
        """Index of the custom operator's code."""
        code = type(self._model.operatorCodes[0])()
        code.builtinCode = code.deprecatedBuiltinCode = _CUSTOM
        code.customCode, code.version = DECODE.encode(), 1
        self._model.operatorCodes.append(code)
        return len(self._model.operatorCodes) - 1
