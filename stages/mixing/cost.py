"""What a layer costs in a format, in bytes of the file or in milliseconds on a profile, and what changing types costs.

Bytes are those of the constants and of their scales and zero points, as the shrunk tflite model stores them: a scale
has 4 bytes, for the weights and again for an integer bias, and a zero point 8, which the two share where they are
equal. What else a file holds is the same in every format, but for a QUANTIZE or DEQUANTIZE with its tensor.
"""

from __future__ import annotations

from device_profiles.errors import StageError
from device_profiles.predictor import predict_latency
from device_profiles.schema import Profile
from device_profiles.workload import OperatorArithmetic, OperatorWork, Workload, read_workload
from stages.mixing.layout import ACTIVATIONS, Layout, Node
from stages.mixing.solver import Choice, Link
from stages.records.sensitivity import LayerFormat

CONVERSION_BYTES = 162
"""Half of what each layer of ResNet-8, quantized alone, added for its QUANTIZE and its DEQUANTIZE beyond weights,
biases and scales: 308 to 324 bytes."""
_SCALE_BYTES, _ZERO_POINT_BYTES, _FLOAT_BYTES = 4, 8, 4
_WEIGHT_BITS = {"float32": 32, "dynamic": 8, "int8": 8, "int4": 4, "int16x8": 8}
_BIAS_BYTES = {"float32": 4, "dynamic": 4, "int8": 4, "int4": 4, "int16x8": 8}
_ELEMENT_BYTES = {"float32": 4, "int8": 1, "int16": 2}
_ARITHMETIC: dict[LayerFormat, OperatorArithmetic] = {
    "float32": "float32", "dynamic": "hybrid", "int8": "int8", "int4": "int8", "int16x8": "int16x8"}
_NEVER = {"tflite-runtime": {("int8", "int16")}}
"""Conversions that an engine's QUANTIZE does not have (docs/mixed.md)."""


def weight_bytes(node: Node, layer_format: LayerFormat) -> int:
    """Bytes of a node's weights, biases and their scales."""
    if not node.layers:
        return 0
    layer = node.layers[0]
    one = layer.operator == "FULLY_CONNECTED" and layer_format in ("int4", "dynamic")
    scales = 1 if one else layer.channels
    total = (layer.weights.size * _WEIGHT_BITS[layer_format] + 7) // 8
    total += sum(_BIAS_BYTES[layer_format] * layer.channels for each in node.layers if each.bias is not None)
    if layer_format == "float32":
        return total
    integer_biases = sum(each.bias is not None for each in node.layers) if layer_format != "dynamic" else 0
    return total + (_SCALE_BYTES * (1 + integer_biases) + _ZERO_POINT_BYTES) * scales


class Costs:
    """Costs of a layout's choices.

    Args:
        content: the float32 tflite model.
        layout: its nodes.
        profile: for milliseconds; None for bytes.
        engine: whose conversions count.

    """

    def __init__(self, content: bytes, layout: Layout, profile: Profile | None, engine: str) -> None:
        self._layout, self._profile, self._engine = layout, profile, engine
        self._work: Workload | None = None if profile is None else read_workload(content)
        self._known: dict[tuple[object, ...], float | None] = {}
        self._reason = ""

    def choices(self, number: int, formats: tuple[LayerFormat, ...], losses: dict[str, float]) -> list[Choice]:
        """The choices of a node.

        Args:
            number: of the node.
            formats: that it may have.
            losses: by format; those that are missing lose nothing.

        Returns:
            The formats whose cost is known: a profile need not state the speed of every kernel.

        Raises:
            StageError: none is.
        """
        found = []
        for each in formats:
            cost = self._cost(number, each)
            if cost is not None:
                found.append(Choice(each, ACTIVATIONS[each], cost, losses.get(each, 0.0)))
        if not found:
            raise StageError(f"quantize.mixed.cost: latency: {self._layout.nodes[number].label}: {self._reason}",
                             "a profile that predicts a format of every operator",
                             "set quantize.mixed.cost: bytes, or take another profile")
        return found

    def links(self) -> list[Link]:
        """The tensors between nodes, with what it costs to turn them."""
        kinds = tuple(_ELEMENT_BYTES)
        refused = _NEVER.get(self._engine, set())
        pairs = [(made, read) for made in kinds for read in kinds if made != read and (made, read) not in refused]
        return [Link(edge.tensor, edge.maker, edge.reader,
                     {pair: cost for pair in pairs if (cost := self._conversion(edge.tensor, pair)) is not None})
                for edge in self._layout.edges]

    def _cost(self, number: int, layer_format: LayerFormat) -> float | None:
        """Of one node in one format; None where the profile does not say."""
        node = self._layout.nodes[number]
        if self._work is None:
            return float(weight_bytes(node, layer_format))
        parts = [self._milliseconds(_in_format(self._work.operators[index], layer_format, node))
                 for index in node.operators]
        known = [each for each in parts if each is not None]
        return sum(known) if len(known) == len(parts) else None

    def _conversion(self, tensor: int, pair: tuple[str, str]) -> float | None:
        """Of one QUANTIZE or DEQUANTIZE."""
        if self._work is None:
            return float(CONVERSION_BYTES)
        elements = self._layout.graph.tensors[tensor].elements
        made, read = (elements * _ELEMENT_BYTES[kind] for kind in pair)
        kind: OperatorArithmetic = {"float32": "float32", "int8": "int8", "int16": "int16x8"}[  # type: ignore[assignment]
            pair[1] if pair[1] != "float32" else pair[0]]
        known = self._work.operators[0]
        return self._milliseconds(known.model_copy(update={
            "name": "DEQUANTIZE" if pair[1] == "float32" else "QUANTIZE", "custom_code": "", "kernel": "elementwise",
            "arithmetic": kind, "macs": 0, "element_ops": elements, "window_taps": 0, "output_taps": 0,
            "output_elements": elements, "weight_bytes": 0, "input_bytes": made, "output_bytes": read, "weights": 0,
            "zero_weights": 0, "once": False}))

    def _milliseconds(self, work: OperatorWork) -> float | None:
        """Of one operator, the overhead of its call included; None where the profile does not say."""
        key = (work.name, work.kernel, work.arithmetic, work.macs, work.element_ops, work.window_taps,
               work.output_taps, work.output_elements, work.weight_bytes, work.input_bytes, work.output_bytes)
        if key not in self._known and self._work is not None and self._profile is not None:
            found = predict_latency(self._work.model_copy(update={"operators": (work,)}), self._profile)
            if not found.operators:  # alone it may be smaller than any network that the profile's rows have
                beside = (*self._work.operators, work)
                found = predict_latency(self._work.model_copy(update={"operators": beside}), self._profile)
            self._reason = found.reason or self._reason
            self._known[key] = found.operators[-1].latency_ms if found.operators else None
        return self._known.get(key)


def _in_format(work: OperatorWork, layer_format: LayerFormat, node: Node) -> OperatorWork:
    """A float operator's work as it would be in another format."""
    size = _ELEMENT_BYTES[ACTIVATIONS[layer_format]]
    is_float = work.arithmetic == "float32"
    if not is_float:
        return work
    return work.model_copy(update={
        "arithmetic": _ARITHMETIC[layer_format], "weight_bytes": weight_bytes(node, layer_format) or work.weight_bytes,
        "input_bytes": work.input_bytes * size // _FLOAT_BYTES,
        "output_bytes": work.output_bytes * size // _FLOAT_BYTES})
