"""Learning rates, steps and optimizers, worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from stages.fitting.settings import FitSettings, make_optimizer, rate_at, samples_in_epoch, steps_per_epoch


def settings(**given: Any) -> FitSettings:
    return FitSettings(**({"epochs": 4, "learning_rate": 0.8} | given))


def rates(given: FitSettings) -> list[float]:
    return [rate_at(given, epoch) for epoch in range(given.epochs)]


def test_the_rate_rises_in_equal_steps_and_then_falls_along_the_cosine() -> None:
    # two of six epochs warm up to 1/3 and 2/3; then 0.4 (1 + cos(pi k / 4)) for k = 0 to 3
    assert rates(settings(epochs=6, warmup_epochs=2)) == pytest.approx(
        [0.8 / 3, 1.6 / 3, 0.8, 0.6828427, 0.4, 0.1171573])


def test_a_constant_rate_is_warmed_up_too() -> None:
    assert rates(settings(schedule="constant", warmup_epochs=1)) == pytest.approx([0.4, 0.8, 0.8, 0.8])


def test_a_warm_up_longer_than_the_training_ends_at_the_full_rate() -> None:
    assert rates(settings(epochs=3, warmup_epochs=9)) == pytest.approx([0.8 / 3, 1.6 / 3, 0.8])


@pytest.mark.parametrize(("given", "samples", "steps"), [
    ({}, 100, 6), ({"samples_per_epoch": 40}, 40, 2), ({"samples_per_epoch": 400}, 100, 6),
    ({"samples_per_epoch": 5}, 5, 1)])
def test_an_epoch_has_so_many_samples_and_steps(given: dict[str, int], samples: int, steps: int) -> None:
    assert samples_in_epoch(100, settings(batch_size=16, **given)) == samples
    assert steps_per_epoch(100, settings(batch_size=16, **given)) == steps


def stepped(given: FitSettings, gradient: float) -> tuple[np.ndarray, np.ndarray]:
    """A kernel and a bias of ones after one step."""
    import tensorflow as tf

    kernel, bias = tf.Variable(np.ones((2, 2), np.float32)), tf.Variable(np.ones(2, np.float32))
    optimizer = make_optimizer([kernel, bias], given)
    optimizer.apply_gradients([(tf.fill(each.shape, gradient), each) for each in (kernel, bias)])
    return kernel.numpy(), bias.numpy()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_kernels_decay_and_biases_do_not(optimizer: Any) -> None:
    kernel, bias = stepped(settings(learning_rate=0.1, weight_decay=0.5, optimizer=optimizer), 0.0)
    assert kernel == pytest.approx(np.full((2, 2), 1 - 0.1 * 0.5))
    assert bias.tolist() == [1, 1]


def test_momentum_looks_ahead() -> None:
    # Nesterov's first step: velocity -0.1, so 0.9 * -0.1 - 0.1 = -0.19
    assert stepped(settings(learning_rate=0.1, optimizer="sgd"), 1.0)[1] == pytest.approx([0.81, 0.81])
    assert stepped(settings(learning_rate=0.1, optimizer="sgd", momentum=0), 1.0)[1] == pytest.approx([0.9, 0.9])


def test_a_step_of_adam_is_as_large_as_the_rate() -> None:
    assert stepped(settings(learning_rate=0.1), 7.0)[0] == pytest.approx(np.full((2, 2), 0.9), abs=1e-4)


@pytest.mark.parametrize("given", [{"samples_per_epoch": 0}, {"momentum": 1.0}, {"weight_decay": -1},
                                   {"warmup_epochs": -1}, {"optimizer": "lion"}])
def test_settings_that_mean_nothing_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**given)


def test_the_cosine_falls_from_the_full_rate_through_half() -> None:
    assert rates(settings()) == pytest.approx([0.8, 0.6828427, 0.4, 0.1171573])
    assert rates(settings(schedule="constant")) == [0.8] * 4
