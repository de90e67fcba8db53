"""Prediction in batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

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
