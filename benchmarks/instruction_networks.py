"""Published networks as tflite models with random weights, for `instruction_study.py`: only what is computed matters.

    python benchmarks/instruction_networks.py FOLDER     # seconds, without TensorFlow; each is then run once

The graphs are those that the rows of the predictor are resolved to (`device_profiles/networks`), operator by operator.
Every quantized tensor has the scale 1, a softmax's output 1/256: kernels do the same work whatever the scales are.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np

from device_profiles.networks.builder import NetworkBuilder
from device_profiles.networks.catalog import NETWORKS as MAKERS
from device_profiles.networks.catalog import network_workload, parse_key
from device_profiles.tflite import Graph, Operator, Tensor
from device_profiles.workload import read_workload
from stages.engines.client import EngineWorker

Format = Literal["float32", "int8"]
FORMATS: tuple[Format, ...] = ("float32", "int8")
NETWORKS: tuple[str, ...] = (
    "mobilenet_v1 classes=1001 size=192 slim=yes width=0.75",
    "mobilenet_v1 classes=1001 size=160 slim=yes width=0.5", "mobilenet_v1 classes=1001 size=128 slim=yes",
    "mobilenet_v1 classes=1001 slim=yes width=0.25", "mobilenet_v1 classes=1001 size=128 slim=yes width=0.25",
    "mobilenet_v2 classes=1001 slim=yes",
    "mobilenet_v2 classes=1001 size=160 slim=yes width=0.75", "mobilenet_v2 classes=1001 slim=yes width=0.5",
    "mobilenet_v2 classes=1001 slim=yes width=0.35", "mobilenet_v2 classes=1001 size=128 slim=yes width=0.5",
    "mobilenet_v2 classes=1001 size=96 slim=yes", "mobilenet_v2 classes=1001 size=96 slim=yes width=0.35",
    "mobilenet_v3_large classes=1001 slim=yes", "mobilenet_v3_small classes=1001 slim=yes",
    "mobilenet_v3_large classes=1001 minimalistic=yes slim=yes",
    "mobilenet_v3_small classes=1001 minimalistic=yes slim=yes",
    "efficientnet_lite",
)
_OPTIONS = {"CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions", "AVERAGE_POOL_2D":
            "Pool2DOptions", "FULLY_CONNECTED": "FullyConnectedOptions", "ADD": "AddOptions", "MUL": "MulOptions",
            "SOFTMAX": "SoftmaxOptions", "MEAN": "ReducerOptions", "RESHAPE": "ReshapeOptions",
            "HARD_SWISH": "HardSwishOptions"}
_FIELDS = {"stride_w": "strideW", "stride_h": "strideH", "dilation_w": "dilationWFactor",
           "dilation_h": "dilationHFactor", "fused_activation": "fusedActivationFunction", "beta": "beta",
           "depth_multiplier": "depthMultiplier", "filter_width": "filterWidth", "filter_height": "filterHeight",
           "keep_num_dims": "keepNumDims", "weights_format": "weightsFormat", "padding": "padding"}
_INT8_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "RESHAPE": 1, "HARD_SWISH": 1}
_DTYPES = {"float32": np.float32, "int8": np.int8, "int32": np.int32}


def file_of(folder: Path, key: str, number_format: Format) -> Path:
    """Where a network's tflite model is."""
    return folder / f"{key.replace(' ', '_')}.{number_format}.tflite"


def main(folder: Path) -> None:
    """Write them all, and run each once in an engine here."""
    folder.mkdir(parents=True, exist_ok=True)
    for key in NETWORKS:
        for number_format in FORMATS:
            content, path = written(key, number_format), file_of(folder, key, number_format)
            macs = read_workload(content).macs
            if macs != network_workload(key, number_format).macs:
                raise RuntimeError(f"{key}: {macs:,} MACs, not {network_workload(key, number_format).macs:,}")
            with EngineWorker("tflite-runtime", log=folder / "log.txt", model=key) as worker:
                shape = worker.load(content).inputs[0].shape
                worker.predict(np.zeros((1, *shape[1:]), np.float32), batch=1)
            path.write_bytes(content)
            print(f"{path.name}: {len(content):,} bytes, {macs:,} MACs", flush=True)


def written(key: str, number_format: Format) -> bytes:
    """The tflite model of a network."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    family, options = parse_key(key)
    builder = NetworkBuilder(number_format)
    made = MAKERS[family](builder, **options)
    graph = builder.finish(*(made if isinstance(made, tuple) else (made,))).graphs[0]
    model, subgraph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers, model.operatorCodes = 3, [subgraph], [schema.BufferT()], []
    values = _whole_numbers(graph)
    ends = {operator.outputs[0] for operator in graph.operators if operator.name == "SOFTMAX"}
    subgraph.tensors = [_tensor(schema, model, each, values.get(each.index), each.index in ends)
                        for each in graph.tensors]
    subgraph.operators = [_operator(schema, model, graph, each) for each in graph.operators]
    subgraph.inputs, subgraph.outputs = list(graph.inputs), list(graph.outputs)
    packer = flatbuffers.Builder(1024)
    packer.Finish(model.Pack(packer), b"TFL3")
    return bytes(packer.Output())


def _whole_numbers(graph: Graph) -> dict[int, Any]:
    """Constants that say how an operator works, by tensor: axes of a mean, shapes."""
    found: dict[int, Any] = {}
    for operator in graph.operators:
        if operator.name == "MEAN":
            found[operator.inputs[1]] = [1, 2]
        if operator.name == "RESHAPE":
            found[operator.inputs[1]] = graph.tensors[operator.outputs[0]].shape
    return found


def _tensor(schema: Any, model: Any, tensor: Tensor, values: Any, is_end: bool) -> Any:
    """One tensor, with values where it is a constant."""
    made = schema.TensorT()
    made.name, made.shape, made.buffer = tensor.name, list(tensor.shape), 0
    made.type = getattr(schema.TensorType, tensor.dtype.upper())
    if tensor.is_constant:
        generator = np.random.default_rng(tensor.index)
        drawn = generator.normal(0, 0.05, tensor.shape) if tensor.dtype == "float32" else generator.integers(
            -9, 9, tensor.shape)
        made.buffer = len(model.buffers)
        model.buffers.append(schema.BufferT())
        data = np.asarray(drawn if values is None else values).astype(_DTYPES[tensor.dtype])
        model.buffers[-1].data = np.frombuffer(data.tobytes(), np.uint8)
    if tensor.scales:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = ([1 / 256], [-128]) if is_end else ([1.0], [0])
    return made


def _operator(schema: Any, model: Any, graph: Graph, operator: Operator) -> Any:
    """One operator with its options and a code of its own."""
    made, code, name = schema.OperatorT(), schema.OperatorCodeT(), operator.name
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    is_float = graph.tensors[operator.inputs[0]].dtype == "float32"
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), (
        1 if is_float else _INT8_VERSIONS.get(name, 2))
    made.opcodeIndex = len(model.operatorCodes)
    model.operatorCodes.append(code)
    made.inputs, made.outputs = list(operator.inputs), list(operator.outputs)
    made.builtinOptionsType = getattr(schema.BuiltinOptions, _OPTIONS[name])
    made.builtinOptions = getattr(schema, f"{_OPTIONS[name]}T")()
    for key, value in operator.options.items():
        setattr(made.builtinOptions, _FIELDS[key], value)
    if name == "MEAN":
        made.builtinOptions.keepDims = len(graph.tensors[operator.outputs[0]].shape) > 2
    if name == "SOFTMAX":
        made.builtinOptions.beta = 1.0
    return made


if __name__ == "__main__":
    main(Path(sys.argv[1]))
