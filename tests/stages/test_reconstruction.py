"""Integer weights fitted to the float model: biases take up shifts, later layers make up for earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pytest

from stages.converting import reconstruction
from stages.converting.moments import Tap, moments_of
from stages.converting.reconstruction import Wish, fit_weights
from stages.converting.weights import Editor, Layer, read_layers
from tests.device_profiles.handmade import Handmade

Batches = Callable[[], Iterable[Mapping[str, np.ndarray]]]


def every(content: bytes, bits: int, algorithm: Any, *, correct: bool) -> Wish:
    layers = read_layers(content)
    one = frozenset(layer.ordinal for layer in layers if layer.operator == "FULLY_CONNECTED" and bits == 4)
    return Wish({layer.ordinal: bits for layer in layers}, algorithm, correct, one)


def in_batches(samples: np.ndarray) -> Batches:
    return lambda: [{"x": samples[start:start + 16]} for start in range(0, len(samples), 16)]


def rebuilt(content: bytes, fitted: Mapping[int, Any]) -> bytes:
    """The float model with the weights that the integers stand for."""
    editor = Editor(content)
    for layer in read_layers(content):
        each = fitted[layer.ordinal]
        editor.set_floats(layer.ordinal, each.weights.floats(layer.axis), each.bias)
    return editor.content()


def output(content: bytes, samples: np.ndarray, layer: Layer) -> np.ndarray:
    return Tap(content, [layer.output]).read([{"x": samples}])[layer.output]


def test_a_bias_takes_up_the_shift_of_a_layer_worked_out_by_hand() -> None:
    """w = (0.7, 0.34), scale 0.1: q = (7, 3), which is 0.04 too little on an input of mean 2: the bias gains 0.08."""
    layer = Layer(ordinal=0, index=0, operator="FULLY_CONNECTED", name="y", data=0, output=1, axis=0, options={},
                  weights=np.array([[0.7, 0.34]], np.float32), bias=np.zeros(1, np.float32), weight_tensor=2)
    rows = np.array([[[1.0, 1.5]], [[3.0, 2.5]]])  # (rows, groups, taps), means 2 and 2
    weights, shift, _ = reconstruction._fit(layer, 4, moments_of(rows, rows), 1, Wish({0: 4}, "minmax", True))
    assert weights.values.tolist() == [[7, 3]]
    assert shift == pytest.approx([2 * 0.04], abs=1e-6)


@pytest.mark.parametrize("algorithm", ["minmax", "mse", "octav", "gptq"])
def test_with_bias_correction_a_layer_s_mean_is_the_float_model_s(algorithm: str, tiny_tflites: dict[str, bytes],
                                                                  tiny_samples: np.ndarray) -> None:
    content = tiny_tflites["float32"]
    last = read_layers(content)[-1]
    made = rebuilt(content, fit_weights(content, every(content, 4, algorithm, correct=True), in_batches(tiny_samples)))
    if last.bias is None:  # nothing could take it up there, so look at the layer before
        last = read_layers(content)[-2]
    wanted = output(content, tiny_samples, last).mean(axis=tuple(range(output(content, tiny_samples, last).ndim - 1)))
    found = output(made, tiny_samples, last).mean(axis=tuple(range(output(made, tiny_samples, last).ndim - 1)))
    if not last.options["fused_activation"]:
        assert found == pytest.approx(wanted, abs=1e-4)
    assert np.abs(found - wanted).max() < 0.05


def trained_like(seed: int = 0) -> tuple[bytes, np.ndarray]:
    """Two dense layers of 24 and 8 outputs without activations, and inputs that depend on each other."""
    rng = np.random.default_rng(seed)
    made = Handmade()
    data, middle, out = made.activation((1, 16)), made.activation((1, 24)), made.activation((1, 8))
    for source, target, shape in ((data, middle, (24, 16)), (middle, out, (8, 24))):
        kernel, bias = rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[0]).astype(np.float32)
        made.operator("FULLY_CONNECTED", [source, made.constant(kernel), made.constant(bias)], [target],
                      "FullyConnectedOptions", {})
    samples = rng.normal(size=(256, 4)) @ rng.normal(size=(4, 16)) + 0.1 * rng.normal(size=(256, 16)) + 1
    return made.bytes([data], [out]), samples.astype(np.float32)


def noise(content: bytes, samples: np.ndarray, algorithm: str, *, correct: bool, alone: bool = False) -> float:
    """Mean squared difference of the last output from the float model's."""
    wish, last = every(content, 4, algorithm, correct=correct), read_layers(content)[-1]
    made = rebuilt(content, fit_weights(content, wish, in_batches(samples), alone=alone))
    return float(((output(made, samples, last) - output(content, samples, last)) ** 2).mean())


def test_each_ingredient_brings_the_outputs_nearer() -> None:
    content, samples = trained_like()
    plain = noise(content, samples, "minmax", correct=False)
    corrected = noise(content, samples, "minmax", correct=True)
    fitted = noise(content, samples, "gptq", correct=True)
    assert fitted < 0.5 * corrected
    assert corrected < plain


def test_layers_fitted_one_after_another_make_up_for_those_before_them() -> None:
    content, samples = trained_like()
    assert noise(content, samples, "gptq", correct=True) < noise(content, samples, "gptq", correct=True, alone=True)


def test_without_samples_the_weights_alone_decide() -> None:
    content, _ = trained_like()
    def none() -> Any:
        raise AssertionError("no sample is needed")
    fitted = fit_weights(content, every(content, 8, "minmax", correct=False), none)
    layer = read_layers(content)[0]
    scales = np.abs(layer.weights).max(axis=1) / 127
    assert fitted[0].weights.scales == pytest.approx(scales)
    assert (fitted[0].weights.values == np.rint(layer.weights / scales[:, None])).all()
    assert fitted[0].bias is not None
    assert (fitted[0].bias == layer.bias).all()


def test_layers_that_are_not_asked_for_are_left_out() -> None:
    content, samples = trained_like()
    assert list(fit_weights(content, Wish({1: 8}, "gptq", True), in_batches(samples))) == [1]


def test_shared_weights_get_one_set_of_integers() -> None:
    rng = np.random.default_rng(1)
    made = Handmade()
    data, middle, out = (made.activation((1, 6)) for _ in range(3))
    kernel = made.constant(rng.normal(size=(6, 6)).astype(np.float32))
    for source, target in ((data, middle), (middle, out)):
        made.operator("FULLY_CONNECTED", [source, kernel, made.constant(rng.normal(size=6).astype(np.float32))],
                      [target], "FullyConnectedOptions", {})
    content = made.bytes([data], [out])
    found = fit_weights(content, every(content, 4, "gptq", correct=True),
                        in_batches(rng.normal(size=(64, 6)).astype(np.float32)))
    assert found[0].weights is found[1].weights
    assert not np.array_equal(found[0].bias, found[1].bias)


def test_noise_says_what_share_of_the_output_was_lost() -> None:
    content, samples = trained_like()
    low = fit_weights(content, every(content, 4, "minmax", correct=True), in_batches(samples))[0].noise
    high = fit_weights(content, every(content, 8, "minmax", correct=True), in_batches(samples))[0].noise
    assert low is not None
    assert high is not None
    assert 100 * high < low < 0.2
