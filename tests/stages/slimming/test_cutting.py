"""One removal: what can be reached, what is refused, and how a time is aimed at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from device_profiles.errors import StageError
from stages.slimming.budget import Bounds
from stages.slimming.cutting import Goal, Narrowed, check_reachable, narrow, survey


def network(hidden: int = 16) -> Any:
    import tf_keras as keras

    inputs = keras.layers.Input((4, 4, 2), name="in")
    x = keras.layers.Conv2D(hidden, 3, padding="same", activation="relu", name="one")(inputs)
    x = keras.layers.Conv2D(hidden, 3, padding="same", activation="relu", name="two")(x)
    return keras.Model(inputs, keras.layers.Dense(2, name="out")(keras.layers.GlobalAveragePooling2D()(x)))


def cut(model: Any, share: float, budget: str = "macs", clock: Any = None, whole: float = 0.0,
        **bounds: Any) -> Narrowed:
    surveyed = survey(model, (), Bounds(**bounds))
    cost = surveyed.parameters if budget == "parameters" else surveyed.macs
    goal = Goal(budget, whole or cost(surveyed.all), share, clock)
    check_reachable(surveyed, goal)
    x = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype(np.float32)
    return narrow(surveyed, goal, np.arange(len(surveyed.trace.ledger.labels), dtype=np.float64), x)


@pytest.mark.parametrize("budget", ["macs", "parameters"])
def test_the_share_of_the_budget_goes_and_the_proof_stands(budget: str) -> None:
    found = cut(network(), 0.6, budget, multiple=1)
    surveyed = survey(network(), (), Bounds())
    whole = (surveyed.parameters if budget == "parameters" else surveyed.macs)(surveyed.all)
    assert abs(1 - found.cost / whole - 0.6) <= 0.01
    assert found.proof <= 1e-5
    if budget == "parameters":
        assert found.cost == found.model.count_params()


def test_a_goal_below_the_least_share_names_the_layer_and_the_most_that_can_go() -> None:
    # half of the channels: one 16*9*2*8, two 16*9*8*8, out 8*2 of 16*9*2*16, 16*9*16*16, 16*2: 70.9 % gone
    with pytest.raises(StageError, match=r"90 % of the MACs cannot go: .* 'two' alone has 80 %") as caught:
        cut(network(), 0.9, least_share=0.5)
    assert "at most 72 %" in str(caught.value)
    assert "slim.least_share" in str(caught.value)


def test_a_graph_without_a_removable_channel_is_refused_with_the_reasons() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((4,))
    with pytest.raises(StageError, match=r"no channel of the model can be removed: 'only': an output of the model"):
        survey(keras.Model(inputs, keras.layers.Dense(3, name="only")(inputs)), (), Bounds())
    with pytest.raises(StageError, match="'relu' and the layers before it make none"):
        survey(keras.Model(inputs, keras.layers.ReLU(name="relu")(inputs)), (), Bounds())


def test_a_time_is_aimed_at_until_the_model_itself_is_close() -> None:
    """A clock with an offset and a tile: MACs alone would miss it."""
    def clock(model: Any) -> float:
        widths = [-(-layer.filters // 8) * 8 for layer in model.layers if hasattr(layer, "filters")]
        return 1.0 + 0.5 * widths[0] / 32 + 2.5 * widths[0] * widths[1] / 1024

    found = cut(network(32), 0.53, "latency", clock, 4.0, multiple=8)
    assert abs(found.cost - 1.88) <= 0.04
    assert found.cost == clock(found.model)
    assert not (found.kept % 8).any()


def test_a_time_that_cannot_be_had_is_refused() -> None:
    with pytest.raises(StageError, match="90 % of the latency cannot go") as caught:
        cut(network(), 0.9, "latency", lambda model: 3.0, 4.0)
    assert "at most 25 %" in str(caught.value)


def test_what_an_earlier_try_planned_is_done_again_without_a_search() -> None:
    surveyed = survey(network(), (), Bounds())
    x = np.zeros((1, 4, 4, 2), np.float32)
    scores = np.zeros(len(surveyed.trace.ledger.labels))
    found = narrow(surveyed, Goal("macs", 1.0, 0.5), scores, x, np.array([5, 7]))
    assert [found.model.get_layer(name).filters for name in ("one", "two")] == [5, 7]
