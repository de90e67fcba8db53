"""A float tflite model as nodes that each get one format, and the tensors between them.

A node is a layer with weights, several that share theirs, an operator without weights, or an input. Formats of
operators without weights are domains: int8 stands for int8 activations. Operators that litert-quantizer does not know
stay in float.

| format | activations | weights |
|---|---|---|
| float32 | float | float |
| dynamic | float | 8 bits |
| int8 | int8 | 8 bits |
| int4 | int8 | 4 bits |
| int16x8 | int16 | 8 bits |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from device_profiles.errors import StageError, UsageError, with_near_miss
from device_profiles.schema import Profile
from device_profiles.tflite import Graph, Operator, read_tflite
from stages.converting.weights import Layer, read_layers, sharing
from stages.recipes import Domain, WeightRecipe, scope_of
from stages.records.sensitivity import LayerFormat

DOMAINS: Mapping[LayerFormat, Domain] = {"float32": "float", "dynamic": "dynamic", "int8": "int8", "int4": "int8",
                                         "int16x8": "int16"}
ACTIVATIONS: Mapping[LayerFormat, str] = {"float32": "float32", "dynamic": "float32", "int8": "int8", "int4": "int8",
                                          "int16x8": "int16"}
"""Type of what an operator reads and writes."""
BITS: Mapping[LayerFormat, int] = {"dynamic": 8, "int8": 8, "int16x8": 8, "int4": 4}
DEFAULT_FORMATS: tuple[LayerFormat, ...] = ("int4", "int8", "float32")
_INT4_OPERATORS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_DYNAMIC_OPERATORS = (*_INT4_OPERATORS, "TRANSPOSE_CONV")
_LIBRARY_NAMES = {"TRANSPOSE_CONV": "CONV_2D_TRANSPOSE"}


@dataclass(frozen=True)
class Node:
    """What gets one format.

    Attributes:
        label: for people.
        layers: those that share their weights; empty for operators without weights and inputs.
        operators: positions in the main graph; empty for an input.
        scopes: what litert-quantizer's rules know them by.
        formats: that it can have.
    """

    label: str
    layers: tuple[Layer, ...]
    operators: tuple[int, ...]
    scopes: tuple[str, ...]
    formats: tuple[LayerFormat, ...]


@dataclass(frozen=True)
class Edge:
    """A tensor between a node that makes it and one that reads it."""

    tensor: int
    maker: int
    reader: int


@dataclass(frozen=True)
class Layout:
    """A model's nodes in its order, and its edges by node number."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    graph: Graph

    def layers(self) -> list[int]:
        """Numbers of the nodes with weights."""
        return [number for number, node in enumerate(self.nodes) if node.layers]

    def find(self, name: str) -> int:
        """Number of the node that a user names: by label, number and operator, or output.

        Raises:
            StageError: there is none.
        """
        for number, node in enumerate(self.nodes):
            known = {node.label, node.label.split(" ")[0]}
            for layer in node.layers:
                known |= {layer.name, layer.label, layer.short, f"{layer.index}:{layer.operator}",
                          *layer.name.split(";")}
            if name in known:
                return number
        labels = [self.nodes[number].label.partition(";")[0] for number in self.layers()]
        outputs = [layer.name for node in self.nodes for layer in node.layers]
        nearby = [*(label.split(" ")[0] for label in labels), *labels, *outputs]
        raise StageError(with_near_miss(f"quantize.mixed.fixed: the model has no layer '{name}'", name, nearby),
                         ", ".join(labels), "litesmith inspect lists a tflite model's operators")


def read_layout(content: bytes, candidates: Sequence[LayerFormat]) -> Layout:
    """The nodes of a float32 tflite model's main graph.

    Args:
        content: the model.
        candidates: formats to choose from; float32 is among every node's.
    """
    graph = read_tflite(content).graphs[0]
    offered = tuple(dict.fromkeys((*candidates, "float32")))
    nodes = [_input(graph, tensor, offered) for tensor in graph.inputs]
    layered = {layer.index: group for group in sharing(read_layers(content)) for layer in group}
    of_operator: dict[int, int] = {}
    for operator in graph.operators:
        if operator.index in of_operator:
            continue
        group = layered.get(operator.index)
        node = _layer_node(group, graph, offered) if group else _plain_node(operator, graph, offered)
        of_operator |= dict.fromkeys(node.operators, len(nodes))
        nodes.append(node)
    return Layout(tuple(nodes), tuple(_edges(graph, of_operator)), graph)


def candidates_of(formats: Iterable[LayerFormat], profile: Profile | None) -> tuple[LayerFormat, ...]:
    """The formats to choose from: those that are asked for, or all that the profile can run.

    Raises:
        UsageError: the profile does not know a format that is asked for.
    """
    asked = tuple(formats)
    if profile is None:
        return asked or DEFAULT_FORMATS
    known = tuple(each for each in DOMAINS if each in profile.formats.value)
    refused = [each for each in asked if each not in known]
    if refused:
        raise UsageError(f"quantize.mixed.formats: the profile '{profile.name}' does not run {', '.join(refused)}",
                         ", ".join(known), "leave these formats out, or take another profile")
    return asked or known


def recipe_parts(layout: Layout, chosen: Mapping[int, LayerFormat]) -> tuple[dict[str, Domain], dict[str, int]]:
    """What a choice asks of litert-quantizer and of the weights.

    Args:
        layout: the model.
        chosen: format by node number; a node that is left out stays in float.

    Returns:
        Domain by scope, and bits by layer name.
    """
    domains: dict[str, Domain] = {}
    bits: dict[str, int] = {}
    for number, layer_format in chosen.items():
        node = layout.nodes[number]
        domains |= dict.fromkeys(node.scopes, DOMAINS[layer_format])
        if layer_format in BITS:
            bits |= {layer.name: BITS[layer_format] for layer in node.layers}
    return domains, bits


def weight_recipe(bits: Mapping[str, int], like: WeightRecipe | None) -> WeightRecipe | None:
    """How the weights of chosen layers become integers: as another recipe says, each with its own bits."""
    if like is None or not bits:
        return None
    return like.model_copy(update={"layers": dict(bits), "keep": ()})


def _input(graph: Graph, tensor: int, offered: tuple[LayerFormat, ...]) -> Node:
    """An input: it is handed over in the type of its node."""
    name = graph.tensors[tensor].name
    is_float = graph.tensors[tensor].dtype == "float32"
    formats = _plain_formats(offered) if is_float else ("float32",)
    return Node(f"input {name}", (), (), (scope_of([name]),), formats)


def _layer_node(group: Sequence[Layer], graph: Graph, offered: tuple[LayerFormat, ...]) -> Node:
    """Layers that share their weights."""
    operators = tuple(layer.index for layer in group)
    formats = tuple(each for each in offered if all(_takes(graph.operators[index], each) for index in operators)
                    and (each != "int4" or group[0].operator in _INT4_OPERATORS))
    return Node(group[0].label, tuple(group), operators, tuple(_scope(graph, index) for index in operators), formats)


def _plain_node(operator: Operator, graph: Graph, offered: tuple[LayerFormat, ...]) -> Node:
    """An operator without weights."""
    formats = tuple(each for each in _plain_formats(offered) if _takes(operator, each))
    name = graph.tensors[operator.outputs[0]].name if operator.outputs else ""
    return Node(f"{operator.index}:{operator.label} {name}", (), (operator.index,), (_scope(graph, operator.index),),
                formats)


def _plain_formats(offered: tuple[LayerFormat, ...]) -> tuple[LayerFormat, ...]:
    """Formats of what has no weights: one for each type of activations."""
    kinds = {ACTIVATIONS[each] for each in offered}
    plain: tuple[LayerFormat, ...] = ("float32", "int8", "int16x8")
    return tuple(each for each in plain if ACTIVATIONS[each] in kinds)


def _takes(operator: Operator, layer_format: LayerFormat) -> bool:
    """Whether litert-quantizer puts an operator into a format."""
    from litert_quantizer import qtyping, recipe_manager

    from stages.recipes import mixed_rules

    if layer_format == "float32":
        return True
    if layer_format == "dynamic" and operator.name not in _DYNAMIC_OPERATORS:
        return False
    name = _LIBRARY_NAMES.get(operator.name, operator.name)
    if name not in {each.value for each in qtyping.TFLOperationName}:
        return False
    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(mixed_rules({"x;": DOMAINS[layer_format]}))
    key, _ = manager.get_quantization_configs(qtyping.TFLOperationName(name), "x;")
    return bool(key != recipe_manager.AlgorithmName.NO_QUANTIZE)


def _scope(graph: Graph, index: int) -> str:
    return scope_of(graph.tensors[each].name for each in graph.operators[index].outputs if each >= 0)


def _edges(graph: Graph, of_operator: Mapping[int, int]) -> Iterable[Edge]:
    """Float tensors between nodes."""
    makers = {tensor: number for number, tensor in enumerate(graph.inputs)}
    makers |= {tensor: of_operator[operator.index] for operator in graph.operators for tensor in operator.outputs}
    seen = set()
    for operator in graph.operators:
        for tensor in operator.inputs:
            edge = Edge(tensor, makers.get(tensor, -1), of_operator[operator.index])
            if edge.maker >= 0 and edge not in seen and graph.tensors[tensor].dtype == "float32":
                seen.add(edge)
                yield edge
