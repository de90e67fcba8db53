"""What is left out is missed by no runtime, and what a runtime needs stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import EngineRefusal
from device_profiles.tflite import read_tflite
from stages.engines.client import EngineWorker
from stages.engines.signature import read_names
from stages.packing.accounting import account
from stages.packing.objects import read_model
from stages.packing.shrinking import builtin_code, shrink, tidy, write
from tests.device_profiles.handmade import Handmade, conv_model
from tests.stages import two_by_two
from tests.stages.packing.samples import Engines, network, outputs_of, samples_for_network

ENGINES = ("litert", "tflite-runtime", "tflm")
TFLM_FORMATS = ("float32", "int8", "int16x8")


def changed(content: bytes, change: Any) -> bytes:
    """A model after a change of its tensors."""
    model = read_model(content)
    for tensor in model.subgraphs[0].tensors:
        change(tensor)
    return write(model)


@pytest.mark.parametrize(("engine", "number_format"), [(engine, name) for engine in ENGINES for name in (
    "float32", "float16", "dynamic", "int8", "int16x8") if engine != "tflm" or name in TFLM_FORMATS])
def test_every_runtime_gives_the_same_bits(engine: str, number_format: str, tiny_tflites: dict[str, bytes],
                                           tiny_samples: np.ndarray, engines: Engines) -> None:
    content = tiny_tflites[number_format]
    shrunk = shrink(content)
    assert len(shrunk) < 0.8 * len(content)
    before, after = (outputs_of(engines(engine), each, tiny_samples) for each in (content, shrunk))
    assert np.array_equal(before[0], after[0])


@pytest.mark.parametrize("number_format", TFLM_FORMATS)
def test_a_file_for_tflm_alone_is_smaller_still_and_gives_the_same_bits(
        number_format: str, tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray, engines: Engines) -> None:
    content = tiny_tflites[number_format]
    for_all, for_one = shrink(content), shrink(content, "tflm")
    assert len(for_one) < len(for_all)
    before, after = (outputs_of(engines("tflm"), each, tiny_samples) for each in (content, for_one))
    assert np.array_equal(before[0], after[0])


@pytest.mark.parametrize("engine", ["litert", "tflite-runtime"])
def test_other_engines_refuse_a_file_for_tflm_alone_and_say_why(engine: str, tmp_path: Path) -> None:
    with EngineWorker(engine, log=tmp_path / "log") as worker, pytest.raises(EngineRefusal) as raised:
        worker.load(shrink(network(), "tflm"))
    assert raised.value.found == "packed models run in tflm: it has one zero point for many channels"
    assert engine in raised.value.next_step


@pytest.mark.parametrize("engine", ["litert", "tflite-runtime"])
def test_litert_and_tflite_runtime_want_a_zero_point_for_each_scale(engine: str, tmp_path: Path,
                                                                    monkeypatch: Any) -> None:
    monkeypatch.setattr("stages.engines.client.tflm_alone", lambda content: "")
    with EngineWorker(engine, log=tmp_path / "log") as worker, pytest.raises(EngineRefusal, match="zero_point"):
        worker.load(shrink(network(), "tflm"))


def test_tflm_wants_the_scale_of_a_fully_connected_layers_bias(tmp_path: Path) -> None:
    def finer(tensor: Any) -> None:
        if tensor.name == b"out":
            tensor.quantization.scale = [0.01]  # TFLM checks the bias's scale to 2 % of the output's

    def without(tensor: Any) -> None:
        if list(tensor.shape) == [3]:
            tensor.quantization = None

    content = changed(network(), finer)
    with EngineWorker("tflm", log=tmp_path / "log") as worker:
        worker.load(shrink(content, "tflm"))
        with pytest.raises(EngineRefusal):
            worker.load(changed(content, without))


def test_the_signature_keeps_its_names_and_runs(tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray) -> None:
    from ai_edge_litert.interpreter import Interpreter

    shrunk = shrink(tiny_tflites["float32"])
    names = read_names(shrunk)
    assert names == read_names(tiny_tflites["float32"])
    runner = Interpreter(model_content=shrunk).get_signature_runner(names.signature)
    assert runner(**{names.inputs[0]: tiny_samples[:3]})[names.outputs[0]].shape == (3, 3)
    assert {tensor.name for tensor in read_tflite(shrunk).graphs[0].tensors} == {""}


def test_several_inputs_and_outputs_keep_their_names_for_tflm_without_a_signature() -> None:
    content = two_by_two.convert(two_by_two.build(), two_by_two.stored(), "int8")
    before, after = read_names(content), read_names(shrink(content, "tflm"))
    assert (after.inputs, after.outputs, after.signature) == (before.inputs, before.outputs, "")
    assert before.signature == "serving_default"


def test_names_of_inputs_and_outputs_stay_where_there_is_no_signature() -> None:
    shrunk = shrink(network())
    assert [tensor.name for tensor in read_tflite(shrunk).graphs[0].tensors if tensor.name] == ["data", "out"]


def test_what_the_converter_says_of_itself_goes_and_what_others_say_stays() -> None:
    made = Handmade()
    a, b = made.activation((1, 4)), made.activation((1, 4))
    made.operator("RELU", [a], [b])
    model = read_model(made.bytes([a], [b]))
    from ai_edge_litert import schema_py_generated as schema

    model.metadata, model.description = [], b"MLIR Converted."
    for name in ("min_runtime_version", "labels"):
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = np.frombuffer(name.encode(), np.uint8)
        model.buffers.append(buffer)
        entry.name, entry.buffer = name.encode(), len(model.buffers) - 1
        model.metadata.append(entry)
    kept = read_model(shrink(write(model)))
    (entry,) = kept.metadata
    assert (entry.name, bytes(kept.buffers[entry.buffer].data), kept.description) == (b"labels", b"labels", None)


def test_an_axis_that_is_left_open_stays_open_and_one_that_is_not_needs_no_signature() -> None:
    made = Handmade()
    a = made.activation((1, 4), signature=(-1, 4))
    b = made.activation((1, 4), signature=(1, 4))
    made.operator("RELU", [a], [b])
    tensors = read_model(shrink(made.bytes([a], [b]))).subgraphs[0].tensors
    assert (list(tensors[0].shapeSignature), tensors[1].shapeSignature) == ([-1, 4], None)


def test_equal_buffers_become_one_and_empty_ones_number_zero() -> None:
    made = Handmade()
    a, b, c = made.activation((1, 4)), made.activation((1, 4)), made.activation((1, 4))
    one, other = (made.constant(np.arange(4, dtype=np.float32).reshape(1, 4)) for _ in range(2))
    made.operator("ADD", [a, one], [b], "AddOptions")
    made.operator("ADD", [b, other], [c], "AddOptions")
    shrunk = read_model(shrink(made.bytes([a], [c])))
    assert [tensor.buffer for tensor in shrunk.subgraphs[0].tensors] == [0, 0, 0, 1, 1]
    assert len(shrunk.buffers) == 2


def test_the_commonest_operator_code_comes_first_and_codes_that_nothing_uses_go() -> None:
    made = Handmade()
    tensors = [made.activation((1, 4)) for _ in range(4)]
    made.operator("RELU", tensors[:1], tensors[1:2])
    made.operator("TANH", tensors[1:2], tensors[2:3])
    made.operator("TANH", tensors[2:3], tensors[3:4])
    model = read_model(made.bytes(tensors[:1], tensors[3:]))
    model.subgraphs[0].operators[2].opcodeIndex = 1
    tidy(model)
    assert [operator.opcodeIndex for operator in model.subgraphs[0].operators] == [1, 0, 0]
    assert [builtin_code(code) for code in model.operatorCodes] == [28, 19]
    assert [operator.name for operator in read_tflite(write(model)).graphs[0].operators] == ["RELU", "TANH", "TANH"]


def test_a_code_above_127_keeps_its_field_of_32_bits() -> None:
    made = Handmade()
    a, b = made.activation((1, 4)), made.activation((1, 4))
    made.operator("GELU", [a], [b], "GeluOptions")
    assert read_tflite(shrink(made.bytes([a], [b]))).graphs[0].operators[0].name == "GELU"


def test_ranges_and_names_take_no_bytes_afterwards(tiny_tflites: dict[str, bytes]) -> None:
    after = account(shrink(tiny_tflites["int8"]))
    assert not {"ranges", "names", "metadata"} & set(after)
    assert "signatures" in after
    before = account(tiny_tflites["int8"])
    assert after["weights"] == before["weights"] > 0


def test_shrinking_twice_changes_nothing_more(tiny_tflites: dict[str, bytes]) -> None:
    for runtimes in ("all", "tflm"):
        once = shrink(tiny_tflites["int8"], runtimes)  # type: ignore[arg-type]
        assert shrink(once, runtimes) == once  # type: ignore[arg-type]


def test_what_a_model_computes_reads_the_same_afterwards() -> None:
    content = conv_model()
    before, after = read_tflite(content).graphs[0], read_tflite(shrink(content)).graphs[0]
    assert [(op.name, op.inputs, op.outputs, dict(op.options)) for op in after.operators] == [
        (op.name, op.inputs, op.outputs, dict(op.options)) for op in before.operators]
    assert [(t.shape, t.dtype, bytes(t.data), t.scales) for t in after.tensors] == [
        (t.shape, t.dtype, bytes(t.data), t.scales) for t in before.tensors]


def test_batches_run_as_before(engines: Engines) -> None:
    samples = samples_for_network(40)
    one = outputs_of(engines("litert"), network(), samples)
    assert np.array_equal(one[0], outputs_of(engines("litert"), shrink(network()), samples)[0])
