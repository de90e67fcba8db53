"""Leave out of a tflite file what no runtime asks for. What the model computes stays the same, to the last bit.

What each runtime needs was found out by leaving it out (litert 2.3.0, tflite-runtime 2.14.0, TFLM of 2026-10; the tests
do it again). All three run without the names of tensors and graphs, `min` and `max` of quantizations, fixed shape
signatures, `has_rank`, the converter's metadata, buffers without content, and with equal objects stored once. litert
and tflite-runtime want as many zero points as scales; TFLM takes one for all channels (`micro_allocator.cc`), and its
convolutions do not read the scales of their bias.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np

from device_profiles.operators import BUILTIN_NAMES
from stages.engines.signature import Names, read_names
from stages.packing.layout import lay_out
from stages.packing.objects import read_model, record

Runtimes = Literal["all", "tflm"]
"""For whom a file is: every runtime, or TFLM alone, which needs less."""

CONVERTER_METADATA = ("min_runtime_version", "CONVERSION_METADATA")
"""What TFLiteConverter notes about itself. Other metadata is somebody's: labels, a memory plan."""

_PER_CHANNEL = ("CONV_2D", "DEPTHWISE_CONV_2D")
_BIAS = 2
_NEWER_CODES = 127  # from here on a code does not fit into the older field of 8 bits


def shrink(content: bytes, runtimes: Runtimes = "all") -> bytes:
    """The same model in fewer bytes.

    Inputs and outputs keep their names: those of the signature, which stays; for "tflm" they become the names of the
    tensors instead, for TFLM reads no signature.

    Args:
        content: a whole tflite model.
        runtimes: who has to be able to run it.

    Raises:
        TfliteError: the bytes are no whole tflite model.
    """
    model = read_model(content)
    shrink_model(model, read_names(content), runtimes)
    return write(model)


def write(model: Any) -> bytes:
    """The file of a model (`ModelT`), with equal objects once."""
    return lay_out(record(model))


def shrink_model(model: Any, names: Names, runtimes: Runtimes) -> None:
    """`shrink`, on the schema's objects.

    Args:
        model: a `ModelT`, which is changed.
        names: of the main graph's inputs and outputs.
        runtimes: see `shrink`.
    """
    _drop_names(model, keep_surface=not names.signature)
    _drop_metadata(model)
    for tensor in _tensors(model):
        _drop_shape_extras(tensor)
        _drop_ranges(tensor)
    for operator in _operators(model):
        _drop_defaults(operator)
    if runtimes == "tflm":
        _sign_tensors(model, names)
        _drop_bias_scales(model)
        for tensor in _tensors(model):
            _single_zero_point(tensor)
    tidy(model)


def tidy(model: Any) -> None:
    """Buffers with the same content become one, the ones that nothing uses go, and the commonest codes come first."""
    _merge_buffers(model)
    _sort_codes(model)


# -- for every runtime ---------------------------------------------------------------------------------------------


def _drop_names(model: Any, keep_surface: bool) -> None:
    """Names of graphs and tensors; those of inputs and outputs stay where no signature has them."""
    for graph in model.subgraphs:
        graph.name = None
        surface = {*graph.inputs, *graph.outputs} if keep_surface else set()
        for index, tensor in enumerate(graph.tensors):
            if index not in surface:
                tensor.name = None


def _drop_metadata(model: Any) -> None:
    """The description, and what the converter notes about itself; other metadata stays."""
    model.description = model.metadataBuffer = None
    kept = [each for each in model.metadata or () if _text(each.name) not in CONVERTER_METADATA]
    model.metadata = kept or None


def _drop_shape_extras(tensor: Any) -> None:
    """The shape signature where it says what the shape says, and `has_rank` where there are dimensions."""
    shape, signature = _list(tensor.shape), _list(tensor.shapeSignature)
    if not signature or signature == shape:
        tensor.shapeSignature = None
    if shape:
        tensor.hasRank = False


def _drop_ranges(tensor: Any) -> None:
    """`min` and `max`, which say how the scale was found, and parameters without a scale."""
    found = tensor.quantization
    if found is None:
        return
    found.min = found.max = None
    if not _list(found.scale) and found.details is None:
        tensor.quantization = None


def _drop_defaults(operator: Any) -> None:
    """Lists that are empty or say what is so anyway."""
    if not any(_list(operator.mutatingVariableInputs)):
        operator.mutatingVariableInputs = None
    if not _list(operator.intermediates):
        operator.intermediates = None


def _merge_buffers(model: Any) -> None:
    """Buffers by content, in the order of their first use; the empty one is number 0."""
    kept: list[Any] = [_empty(model)]
    numbers: dict[bytes, int] = {}

    def number(index: int) -> int:
        """The new number of a buffer."""
        data = model.buffers[index].data
        if data is None:
            return 0
        content = bytes(np.asarray(data, np.uint8))
        if content not in numbers:
            numbers[content] = len(kept)
            kept.append(model.buffers[index])
        return numbers[content]

    for holder in (*_tensors(model), *(model.metadata or ())):
        holder.buffer = number(holder.buffer)
    model.buffers = kept


def _empty(model: Any) -> Any:
    """Buffer 0, which the schema wants empty."""
    found = model.buffers[0]
    found.data = None
    return found


def _sort_codes(model: Any) -> None:
    """Operator codes that are used, the commonest first (an index of 0 takes no bytes), and in the shorter field."""
    used = Counter(operator.opcodeIndex for operator in _operators(model))
    order = sorted(used, key=lambda index: (-used[index], index))
    for operator in _operators(model):
        operator.opcodeIndex = order.index(operator.opcodeIndex)
    model.operatorCodes = [model.operatorCodes[index] for index in order]
    for code in model.operatorCodes:
        number = builtin_code(code)
        if number < _NEWER_CODES:  # the older field of 8 bits says it alone; readers take the larger of the two
            code.builtinCode, code.deprecatedBuiltinCode = 0, number


# -- for TFLM alone ------------------------------------------------------------------------------------------------


def _sign_tensors(model: Any, names: Names) -> None:
    """Names of inputs and outputs on their tensors instead of in a signature."""
    model.signatureDefs = None
    graph = model.subgraphs[0]
    for index, name in (*zip(graph.inputs, names.inputs, strict=True), *zip(graph.outputs, names.outputs, strict=True)):
        graph.tensors[index].name = name.encode()


def _single_zero_point(tensor: Any) -> None:
    """One zero point where all channels have the same."""
    found = tensor.quantization
    points = _list(found.zeroPoint) if found is not None else []
    if len(points) > 1 and len(set(points)) == 1:
        found.zeroPoint = np.array(points[:1], np.int64)


def _drop_bias_scales(model: Any) -> None:
    """The quantization of biases that convolutions alone read: their kernels take it from input and filter."""
    for graph in model.subgraphs:
        readers: dict[int, set[tuple[str, int]]] = {}
        for operator in graph.operators or ():
            name = BUILTIN_NAMES.get(builtin_code(model.operatorCodes[operator.opcodeIndex]), "")
            for slot, index in enumerate(_list(operator.inputs)):
                readers.setdefault(index, set()).add((name, slot))
        for index, uses in readers.items():
            if all(name in _PER_CHANNEL and slot == _BIAS for name, slot in uses) and index >= 0:
                graph.tensors[index].quantization = None


# -- the schema's objects ------------------------------------------------------------------------------------------


def builtin_code(code: Any) -> int:
    """The number of an operator code (`OperatorCodeT`): the larger of its two fields."""
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def _tensors(model: Any) -> Iterator[Any]:
    yield from (tensor for graph in model.subgraphs for tensor in graph.tensors or ())


def _operators(model: Any) -> list[Any]:
    return [operator for graph in model.subgraphs for operator in graph.operators or ()]


def _list(values: Iterable[Any] | None) -> list[Any]:
    """A vector of the schema, which may be left out, as Python's own numbers."""
    if values is None:
        return []
    return list(values.tolist()) if isinstance(values, np.ndarray) else list(values)


def _text(name: bytes | str | None) -> str:
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name or ""
