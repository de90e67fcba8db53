"""Prediction in batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models import inference


def test_batches_give_the_same_outputs_as_one_at_a_time(tiny_keras: Any, tiny_samples: np.ndarray,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "BATCH", 10)  # 64 samples: six whole batches and a rest of four
    outputs = inference.make_predictor(tiny_keras)(tiny_samples)
    single = np.concatenate([tiny_keras(sample[None]).numpy() for sample in tiny_samples])
    assert outputs == pytest.approx(single, abs=1e-6)


def test_no_samples_give_no_outputs(tiny_keras: Any) -> None:
    assert inference.make_predictor(tiny_keras)(np.empty((0, 6, 6, 2), np.float32)).shape == (0, 3)


def test_a_predictor_follows_the_weights(tiny_keras: Any, tiny_samples: np.ndarray) -> None:
    predict, weights = inference.make_predictor(tiny_keras), tiny_keras.get_weights()
    before = predict(tiny_samples)
    try:
        tiny_keras.set_weights([value * 0 for value in weights])
        assert predict(tiny_samples) == pytest.approx(np.full((64, 3), 1 / 3))
    finally:
        tiny_keras.set_weights(weights)
    assert np.array_equal(predict(tiny_samples), before)


def _two_by_two() -> Any:
    """Inputs image (2, 2) and age (1,), outputs kind (3,) and years (1,)."""
    import tf_keras as keras

    image, age = keras.layers.Input((2, 2), name="image"), keras.layers.Input((1,), name="age")
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(image), age])
    return keras.Model({"image": image, "age": age}, {
        "kind": keras.layers.Dense(3, activation="softmax", name="kind")(joined),
        "years": keras.layers.Dense(1, name="years")(joined)})


def _samples(*names: str) -> np.ndarray:
    """Seven samples in a structured array."""
    samples = np.zeros(7, np.dtype([(names[0], "f4", (1,)), (names[1], "f4", (2, 2))]))
    rng = np.random.default_rng(0)
    samples[names[0]], samples[names[1]] = rng.random((7, 1)), rng.random((7, 2, 2))
    return samples


def test_several_inputs_go_in_by_name_and_several_outputs_come_out_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "BATCH", 3)
    model, samples = _two_by_two(), _samples("age", "image")
    outputs = inference.make_predictor(model, ("years", "kind"))(samples)
    assert outputs.dtype == np.dtype([("years", np.float32, (1,)), ("kind", np.float32, (3,))])
    wanted = model({"image": samples["image"], "age": samples["age"]})
    assert outputs["kind"] == pytest.approx(wanted["kind"].numpy(), abs=1e-6)
    assert outputs["years"] == pytest.approx(wanted["years"].numpy(), abs=1e-6)
    assert inference.make_predictor(model)(samples[:0]).shape == (0,)


def test_inputs_of_other_names_go_in_by_shape() -> None:
    model = _two_by_two()
    one, other = (inference.make_predictor(model)(_samples(*names)) for names in (("age", "image"), ("x", "y")))
    assert np.array_equal(one, other)


def test_samples_that_lack_an_input_are_refused() -> None:
    samples = np.zeros(2, np.dtype([("image", "f4", (2, 2)), ("age", "f4", (2,))]))
    with pytest.raises(ModelError, match=r"samples have the parts image \(2, 2\), age \(2,\)"):
        inference.make_predictor(_two_by_two())(samples)


def test_large_samples_go_in_smaller_batches(tiny_keras: Any, tiny_samples: np.ndarray,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "BATCH_BYTES", 5 * tiny_samples[0].nbytes)
    parts = [*inference.make_predictor(tiny_keras).slices(tiny_samples[:12])]
    assert [len(part) for part in parts] == [5, 5, 2]
