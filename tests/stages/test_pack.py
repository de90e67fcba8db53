"""Packing: fewer bytes, the same outputs in TFLM, figures of what it costs, and refusals that say why."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from device_profiles.errors import EngineRefusal, StageError, StoreError, TfliteError
from device_profiles.workload import read_workload
from stages import benchmark, pack
from stages.artifacts import RESULT_FILE, read_result
from stages.context import StageContext
from stages.converting.interface import surface_of
from stages.datasets.prepared import PREPROCESSING_FILE, Preprocessing, write_preprocessing
from stages.engines import registry
from stages.engines.client import EngineWorker
from stages.packing import codes
from stages.packing.assembling import Packer
from stages.packing.objects import read_model
from stages.packing.shrinking import write
from stages.records import ConvertResult, PackResult, TensorSpec
from tests.device_profiles.handmade import conv_model
from tests.stages.conftest import make_context
from tests.stages.packing.samples import (
    DENSE,
    KERNEL,
    Engines,
    clustered,
    dense_random,
    network,
    outputs_of,
    samples_for_network,
    sparse,
)

QUICK = pack.Options(rounds=5, round_s=0.002, workers=1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A prepare artifact of 40 test samples."""
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "x_test.npy", samples_for_network(40))
    spec = TensorSpec(shape=(4, 4, 2), dtype="float32")
    write_preprocessing(tmp_path / "data", Preprocessing(inputs={"input": spec}))
    return tmp_path / "data"


def artifact(folder: Path, content: bytes, number_format: str = "int8") -> Path:
    """A convert artifact."""
    folder.mkdir()
    (folder / "model.tflite").write_bytes(content)
    (folder / PREPROCESSING_FILE).write_text("{}")
    result = ConvertResult.model_validate({
        **surface_of(content), "summary": "", "format": number_format, "converter": "a test", "sha256": "0",
        "tflite_bytes": len(content), "warnings": ("one of before",)})
    (folder / RESULT_FILE).write_text(result.model_dump_json())
    return folder


def packed_artifact(result: PackResult, context: StageContext) -> Path:
    """The stage's artifact with its record, as the runner leaves it."""
    (context.out / RESULT_FILE).write_text(result.model_dump_json())
    return context.out


def test_a_packed_model_is_smaller_and_computes_the_same(tmp_path: Path, engines: Engines, data: Path,
                                                         context: StageContext) -> None:
    content = network()
    result = pack.run(tflite=artifact(tmp_path / "a", content), data=data, options=QUICK, context=context)
    written = (context.out / "model.tflite").read_bytes()
    assert len(written) < 0.65 * len(content)
    assert (result.tflite_bytes, result.sha256) == (len(written), hashlib.sha256(written).hexdigest())
    assert (context.out / PREPROCESSING_FILE).read_text() == "{}"
    one, other = (outputs_of(engines("tflm"), each, samples_for_network(200)) for each in (content, written))
    assert np.array_equal(one[0], other[0])


def test_the_record_tells_bytes_codes_and_costs(tmp_path: Path, data: Path, context: StageContext) -> None:
    content = network()
    result = pack.run(tflite=artifact(tmp_path / "a", content), data=data, options=QUICK, context=context)
    found = result.packing
    assert sum(found.bytes_before.values()) == found.unpacked_bytes == len(content)
    assert sum(found.bytes_after.values()) == result.tflite_bytes < found.shrunk_bytes < len(content)
    assert (found.proven_samples, found.proven_on) == (1000, "40 test samples and 960 random ones")
    kernel = found.tensors[0]
    values = sparse(KERNEL)
    assert kernel.zeros == np.mean(values == 0)
    assert (kernel.elements, kernel.distinct_values, kernel.bytes_before) == (576, len(np.unique(values)), 576)
    assert 0 < kernel.bytes_after < kernel.bytes_before
    assert found.arena_growth_bytes == found.arena.value - found.unpacked_arena.value > 0
    assert found.latency_ratio.provenance == found.decode.provenance == "measured"
    assert result.warnings == ("one of before",)
    assert (result.format, result.signature, result.input_types) == ("int8", "", {"data": "int8"})
    assert "in TFLM on this host" in result.summary


def test_the_artifact_reads_as_a_convert_artifact_and_other_engines_refuse_it(
        tmp_path: Path, data: Path, context: StageContext) -> None:
    result = pack.run(tflite=artifact(tmp_path / "a", network()), data=data, options=QUICK, context=context)
    folder = packed_artifact(result, context)
    assert read_result(folder, ConvertResult).packing == result.packing
    assert read_result(folder, PackResult) == result
    (tmp_path / "b").mkdir()
    measured = benchmark.run(tflites={"packed": folder}, data=data, context=make_context(tmp_path / "b"),
                             options=benchmark.Options(rounds=5, round_samples=5, warm_up_s=0))
    found = measured.variants["packed"]
    assert {name: each.status for name, each in found.items()} == {
        "litert": "refused", "tflite-runtime": "refused", "tflm": "ok"}
    assert found["litert"].message.startswith("packed models run in tflm")
    assert found["tflm"].arena is not None
    assert found["tflm"].arena.value == result.packing.arena.value


def test_inspection_sees_the_same_work(tmp_path: Path, data: Path, context: StageContext) -> None:
    content = network()
    pack.run(tflite=artifact(tmp_path / "a", content), data=data, options=QUICK, context=context)
    before, after = (read_workload(each) for each in (content, (context.out / "model.tflite").read_bytes()))
    assert (after.macs, after.parameters, after.sparsity, after.number_format) == (
        before.macs, before.parameters, before.sparsity, before.number_format)
    assert after.weight_bytes < before.weight_bytes
    assert after.activation_peak_bytes > before.activation_peak_bytes


def test_the_same_model_packs_to_the_same_bytes(tmp_path: Path, data: Path) -> None:
    source, made = artifact(tmp_path / "a", network(clustered(KERNEL, 6))), []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        context = make_context(tmp_path / name)
        pack.run(tflite=source, data=data, options=QUICK, context=context)
        made.append((context.out / "model.tflite").read_bytes())
    assert made[0] == made[1]


def test_a_model_that_no_code_makes_smaller_is_shrunk_with_a_warning(tmp_path: Path, data: Path,
                                                                     context: StageContext) -> None:
    content = network(dense_random(KERNEL), dense_random(DENSE))
    result = pack.run(tflite=artifact(tmp_path / "a", content), data=data, options=QUICK, context=context)
    saved = len(content) - result.tflite_bytes
    assert saved > 0
    assert result.packing.shrunk_bytes == result.tflite_bytes
    assert [each.coding for each in result.packing.tensors] == [""] * 4
    assert result.warnings[1].startswith(f"no code makes the weights smaller: all that is gained is {saved:,} bytes")


def test_a_code_that_is_wrong_for_tflm_is_found_and_its_weights_named(tmp_path: Path, data: Path, monkeypatch: Any,
                                                                      context: StageContext) -> None:
    """The package's own header lets this TFLM go on to a next table at each slice; our decoder follows the header."""
    def gone_on(values: np.ndarray, axis: int | None) -> codes.Encoded:
        right = codes.look_up(values, axis)
        longest = len(np.unique(values))
        return replace(right, ancillary=right.ancillary[:6] + bytes([longest]) + right.ancillary[7:])

    monkeypatch.setattr("stages.packing.choosing.look_up", gone_on)
    content = network(clustered(KERNEL, 4), dense_random(DENSE))
    with pytest.raises(StageError, match=r"outputs differ .* by 0:CONV_2D t4") as raised:
        pack.run(tflite=artifact(tmp_path / "a", content), data=data, context=context,
                 options=QUICK.model_copy(update={"codings": ("lut",)}))
    assert "1000" not in raised.value.found
    assert "40 test samples and 960 random ones" in raised.value.allowed


@pytest.mark.parametrize("number_format", ["float32", "float16", "dynamic"])
def test_float_and_dynamic_range_models_are_refused(tmp_path: Path, data: Path, context: StageContext,
                                                    number_format: str, tiny_tflites: dict[str, bytes]) -> None:
    hybrid = conv_model(np.ones((3, 3, 3, 2), np.int8), "FLOAT32", scales=(1.0,), zero_points=(0,))
    content = hybrid if number_format == "dynamic" else tiny_tflites[number_format]
    source = artifact(tmp_path / "a", content, number_format)
    with pytest.raises(StageError, match=f"the model computes in {number_format}") as raised:
        pack.run(tflite=source, data=data, options=QUICK, context=context)
    assert "int8" in raised.value.allowed


def test_a_model_that_tflm_does_not_run_is_refused_with_its_operator(tmp_path: Path, data: Path,
                                                                     context: StageContext) -> None:
    model = read_model(network())
    model.operatorCodes[1].builtinCode = model.operatorCodes[1].deprecatedBuiltinCode = 48  # TOPK_V2
    with pytest.raises(StageError, match=r"packed models run in tflm, and .* no operator TOPK_V2"):
        pack.run(tflite=artifact(tmp_path / "a", write(model)), data=data, options=QUICK, context=context)


def test_a_packed_model_is_not_packed_again(tmp_path: Path, data: Path, context: StageContext) -> None:
    content = Packer(network()).pack(("huffman",), 32).content
    with pytest.raises(StageError, match="packed already"):
        pack.run(tflite=artifact(tmp_path / "a", content), data=data, options=QUICK, context=context)


def test_without_the_wheel_it_says_what_to_install(tmp_path: Path, data: Path, context: StageContext,
                                                   monkeypatch: Any) -> None:
    monkeypatch.setattr(registry, "engine_info", lambda name: registry.EngineInfo(
        name=name, version=None, available=False, reason="tflite-micro is not installed"))
    with pytest.raises(StageError, match=r"packing needs TFLM.*not installed") as raised:
        pack.run(tflite=artifact(tmp_path / "a", network()), data=data, options=QUICK, context=context)
    assert "pip install tflite-micro" in raised.value.next_step


def test_a_missing_file_and_a_damaged_one_are_told_apart(tmp_path: Path, data: Path, context: StageContext) -> None:
    with pytest.raises(StoreError, match=r"model\.tflite cannot be read"):
        pack.run(tflite=tmp_path / "nowhere", data=data, options=QUICK, context=context)
    source = artifact(tmp_path / "a", conv_model())
    (source / "model.tflite").write_bytes(network()[:900])
    with pytest.raises(TfliteError):
        pack.run(tflite=source, data=data, options=QUICK, context=context)


@pytest.mark.parametrize("wrong", [{"codings": ()}, {"codings": ("lut", "lut")}, {"codings": ("zip",)},
                                   {"proof_samples": 999}, {"least_gain_bytes": 0}, {"rounds": 4}],
                         ids=["none", "doubled", "unknown", "few samples", "no gain", "few rounds"])
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        pack.Settings(**wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet8", "ds_cnn"])
def test_reference_networks_compute_the_same_with_every_code(name: str, tmp_path: Path, engines: Engines) -> None:
    """Untrained, with weights of which 75 % are zero and the others 16 values: depthwise kernels among them."""
    content = _thinned(_reference(name))
    samples = np.random.default_rng(2).uniform(-1, 1, (3, *_SHAPES[name])).astype(np.float32)
    packer = Packer(content)
    every: tuple[codes.Coding, ...] = ("prune", "lut", "huffman")
    packed = {(coding,): packer.pack((coding,), 32) for coding in every} | {every: packer.pack(every, 32)}
    expected = outputs_of(engines("tflm"), content, samples)[0]
    for found in packed.values():
        assert found.choices
        assert np.array_equal(outputs_of(engines("tflm"), found.content, samples)[0], expected)
    assert len(packed[every].content) <= min(len(found.content) for found in packed.values())
    with EngineWorker("litert", log=tmp_path / "log") as worker, pytest.raises(EngineRefusal, match="run in tflm"):
        worker.load(packed[every].content)


_SHAPES = {"resnet8": (32, 32, 3), "ds_cnn": (49, 10, 1)}


def _reference(name: str) -> bytes:
    """A reference network as an int8 tflite model."""
    import tensorflow as tf

    from stages.models import build_model

    converter = tf.lite.TFLiteConverter.from_keras_model(build_model(name, _SHAPES[name], 10))
    samples = np.random.default_rng(1).uniform(-1, 1, (4, 1, *_SHAPES[name])).astype(np.float32)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample] for sample in samples)
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def _thinned(content: bytes) -> bytes:
    """The model with few different weights."""
    model = read_model(content)
    for tensor in model.subgraphs[0].tensors:
        if tensor.type == 9 and model.buffers[tensor.buffer].data is not None:
            weights = model.buffers[tensor.buffer].data.view(np.int8)
            kept = np.where(np.abs(weights) > np.quantile(np.abs(weights), 0.75), weights // 16 * 16 + 8, 0)
            model.buffers[tensor.buffer].data = kept.astype(np.int8).view(np.uint8)
    return write(model)
