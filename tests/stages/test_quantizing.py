"""Post-training quantization: ranges are extremes, inputs go by name, fixed batches and missing signatures work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from device_profiles.errors import StageError
from device_profiles.tflite import read_tflite
from stages.converting.quantizing import PostTraining, resolved
from stages.converting.weights import read_layers
from stages.engines.signature import read_names
from stages.recipes import WeightRecipe, rules_for
from tests.device_profiles.handmade import Handmade
from tests.stages import two_by_two
from tests.stages.test_rewriting import unsigned


def structured(samples: np.ndarray) -> np.ndarray:
    """Normalized calibration samples with a field for each input."""
    given = two_by_two.normalized(samples)
    found = np.empty(len(samples), [("image", "f4", (6, 6, 1)), ("age", "f4", (2,))])
    for name, values in given.items():
        found[name] = values
    return found


def fixed_batch(tiny_keras: Any, size: int) -> bytes:
    """`tiny_keras` with its batch axis fixed."""
    import tensorflow as tf

    serve = tf.function(lambda x: {"dense": tiny_keras(x)})
    concrete = serve.get_concrete_function(tf.TensorSpec([size, 6, 6, 2], tf.float32, name="x"))
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], tiny_keras).convert())


def test_ranges_are_the_extremes_over_all_samples(tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray) -> None:
    samples = tiny_samples * 2 - 1
    samples[17, 0, 0, 0], samples[40, 3, 3, 1] = 5.0, -7.0  # in different batches of 16
    found = PostTraining(tiny_tflites["float32"], rules_for("int8")).calibrate(samples)
    graph = read_tflite(tiny_tflites["float32"]).graphs[0]
    ranges = found[graph.tensors[graph.inputs[0]].name]
    assert (float(ranges["min"].item()), float(ranges["max"].item())) == (-7.0, 5.0)


def test_growing_calibrations_equal_single_ones(tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray) -> None:
    work = PostTraining(tiny_tflites["float32"], rules_for("int8"))
    models = [work.quantize(ranges) for ranges in work.calibrations(tiny_samples, [1, 20, 64])]
    assert models == [work.quantize(work.calibrate(tiny_samples[:size])) for size in (1, 20, 64)]


def test_inputs_are_calibrated_by_name_in_any_order() -> None:
    content = two_by_two.convert(two_by_two.build(), two_by_two.stored(), "float32")
    work, samples = PostTraining(content, rules_for("int8")), structured(two_by_two.stored())
    turned = np.empty(len(samples), [("age", "f4", (2,)), ("image", "f4", (6, 6, 1))])
    for name in ("image", "age"):
        turned[name] = samples[name]
    ranges = work.calibrate(samples)
    assert work.quantize(ranges) == work.quantize(work.calibrate(turned))
    age = next(name for name in ranges if "_age" in name)
    assert ranges[age]["max"].item() == samples["age"].max()


@pytest.mark.parametrize("size", [1, 4])
def test_a_fixed_batch_gives_the_ranges_of_an_open_one(tiny_keras: Any, tiny_tflites: dict[str, bytes],
                                                       tiny_samples: np.ndarray, size: int) -> None:
    fixed = PostTraining(fixed_batch(tiny_keras, size), rules_for("int8")).calibrate(tiny_samples[:30])
    free = PostTraining(tiny_tflites["float32"], rules_for("int8")).calibrate(tiny_samples[:30])
    ends = [sorted(float(each["max"].max()) for each in found.values() if "max" in each) for found in (fixed, free)]
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-4)


def test_a_model_without_a_signature_is_quantized_alike(tiny_tflites: dict[str, bytes],
                                                        tiny_samples: np.ndarray) -> None:
    signed, bare = (PostTraining(content, rules_for("int8")) for content in (
        tiny_tflites["float32"], unsigned(tiny_tflites["float32"])))
    one, other = (read_tflite(work.quantize(work.calibrate(tiny_samples))).graphs[0] for work in (signed, bare))
    assert [each.scales for each in one.tensors] == [each.scales for each in other.tensors]
    assert [bytes(each.data) for each in one.tensors] == [bytes(each.data) for each in other.tensors]


@pytest.mark.parametrize("name", ["int8", "float16", "int16x8"])
def test_a_model_that_is_quantized_already_is_refused(tiny_tflites: dict[str, bytes], name: str) -> None:
    with pytest.raises(StageError, match="quantized already") as caught:
        PostTraining(tiny_tflites[name], rules_for("int8"))
    assert caught.value.allowed == "a float32 tflite model"


def test_samples_of_another_shape_are_refused(tiny_tflites: dict[str, bytes]) -> None:
    with pytest.raises(StageError, match=r"input \(6, 6, 1\)") as caught:
        PostTraining(tiny_tflites["float32"], rules_for("int8")).calibrate(np.zeros((4, 6, 6, 1), np.float32))
    assert "(6, 6, 2)" in caught.value.allowed


def test_float16_and_dynamic_need_no_calibration(tiny_tflites: dict[str, bytes]) -> None:
    for name, needs in (("float16", False), ("dynamic", False), ("int8", True), ("int16x8", True)):
        assert PostTraining(tiny_tflites["float32"], rules_for(name)).needs_calibration is needs


def test_outputs_keep_their_names(tiny_tflites: dict[str, bytes]) -> None:
    content = PostTraining(tiny_tflites["float32"], rules_for("float16")).quantize(None)
    assert read_names(content) == read_names(tiny_tflites["float32"])


def test_layers_that_are_kept_have_8_bits_and_connected_ones_in_4_bits_share_a_scale(
        tiny_tflites: dict[str, bytes]) -> None:
    layers = read_layers(tiny_tflites["float32"])
    plain = resolved(WeightRecipe(bits=4), layers)
    kept = resolved(WeightRecipe(bits=4, keep=("first", layers[2].name)), layers)
    assert (dict(plain.bits), plain.one_scale) == ({0: 4, 1: 4, 2: 4}, frozenset({2}))
    assert (dict(kept.bits), kept.one_scale) == ({0: 8, 1: 4, 2: 8}, frozenset())
    assert resolved(WeightRecipe(connected_share_scale=True), layers).one_scale == frozenset({2})


def test_with_bits_by_layer_the_others_are_left_to_the_rules(tiny_tflites: dict[str, bytes]) -> None:
    layers = read_layers(tiny_tflites["float32"])
    assert resolved(WeightRecipe(layers={layers[1].name: 4}), layers).bits == {1: 4}


def test_a_layer_to_keep_that_is_not_there_is_refused_with_the_near_miss(tiny_tflites: dict[str, bytes]) -> None:
    with pytest.raises(StageError, match="no layer 'frist'; did you mean 'first'"):
        PostTraining(tiny_tflites["float32"], rules_for("int4"), WeightRecipe(bits=4, keep=("frist",)))


@pytest.mark.parametrize("name", ["dynamic", "int8", "int16x8", "int4"])
def test_every_format_takes_every_way_to_round(tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray,
                                               name: str) -> None:
    plain = PostTraining(tiny_tflites["float32"], rules_for(name))
    before = plain.quantize(plain.calibrate(tiny_samples) if plain.needs_calibration else None)
    for algorithm in ("mse", "gptq"):
        recipe = WeightRecipe(bits=4 if name == "int4" else 8, algorithm=algorithm, bias_correction=True,
                              connected_share_scale=name == "dynamic")
        work = PostTraining(tiny_tflites["float32"], rules_for(name), recipe)
        made = work.quantize(work.calibrate(tiny_samples) if work.needs_calibration else None, work.fit(tiny_samples))
        assert [each.name for each in read_tflite(made).graphs[0].operators] == [
            each.name for each in read_tflite(before).graphs[0].operators]
        assert made != before


def test_weights_come_back_inside_the_flatbuffer_however_large() -> None:
    """litert-quantizer puts larger ones behind it, where nothing can shrink or pack them."""
    from stages.packing.shrinking import shrink

    handmade = Handmade()
    data, out = handmade.activation((1, 512)), handmade.activation((1, 512))
    kernel = handmade.constant(np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32))
    handmade.operator("FULLY_CONNECTED", [data, kernel], [out], "FullyConnectedOptions", {})
    wide = handmade.bytes([data], [out])
    made = PostTraining(wide, rules_for("dynamic")).quantize(None)
    assert len(shrink(made)) < len(made) < len(wide) / 3
