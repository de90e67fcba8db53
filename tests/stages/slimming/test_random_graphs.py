"""Over random graphs: the rebuilt model is the original with the removed channels set to zero, whatever goes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.models.nested import opened
from stages.slimming.proof import MOST_DIFFERENCE, prove
from stages.slimming.rebuild import Removed, rebuild
from stages.slimming.spaces import Costs, find_spaces
from stages.slimming.trace import Trace, trace
from tests.stages.slimming.graphs import SIDE, Move, build, heads, moves

PROPERTY = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def take_some(model: Any, seed: int) -> tuple[Trace, Removed, Any, np.ndarray]:
    """(trace, what went, narrower model, classes kept): of each space a random part, all but one at most."""
    traced = trace(model)
    rng, gone, kept = np.random.default_rng(seed), [], []
    for space in find_spaces(traced):
        stays = int(rng.integers(1, len(space.classes) + 1))
        kept.append(stays)
        gone += rng.permutation(space.classes)[stays:].tolist()
    removed = Removed(traced, gone)
    return traced, removed, rebuild(model, removed), np.array(kept, np.int64)


def check(program: list[Move], head: tuple[str, bool, bool], seed: int) -> None:
    """The proof, and both costs told in advance."""
    import tf_keras as keras

    keras.backend.clear_session()
    model = opened(build(program, head))
    traced, removed, narrow, kept = take_some(model, seed)
    rng = np.random.default_rng(seed)
    inputs = [rng.normal(size=(3, SIDE, SIDE, 2)).astype(np.float32) for _ in model.inputs]
    assert prove(model, narrow, traced, removed, inputs) <= MOST_DIFFERENCE
    assert [layer.name for layer in narrow.layers] == [layer.name for layer in model.layers]
    assert narrow.output_shape == model.output_shape
    spaces = find_spaces(traced)
    costs = Costs(traced, spaces, model)
    assert costs.parameters()(kept) == narrow.count_params()
    again = trace(narrow)
    everything = np.array([len(space.classes) for space in find_spaces(again)], np.int64)
    assert costs.macs()(kept) == Costs(again, find_spaces(again), narrow).macs()(everything)


@settings(PROPERTY, max_examples=12)
@given(moves, heads, st.integers(0, 1000))
def test_any_graph_without_its_removed_channels_computes_what_it_did(program: list[Move], head: Any, seed: int) -> None:
    check(program, head, seed)


ARCHITECTURES = {"small_cnn": (8, 8, 1), "mlp": (12,), "resnet8": (32, 32, 3), "ds_cnn": (49, 10, 1),
                 "mobilenet_v1_025": (96, 96, 3), "autoencoder": (64,)}
APPLICATIONS = ("MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "ResNet50V2", "RegNetX002", "RegNetY002",
                "DenseNet121", "ConvNeXtTiny", "Xception", "InceptionV3", "NASNetMobile")


@pytest.mark.parametrize("name", [*ARCHITECTURES, *(
    pytest.param(f"applications/{name}", marks=pytest.mark.slow) for name in APPLICATIONS)])
def test_every_architecture_without_removed_channels_computes_what_it_did(name: str) -> None:
    import tf_keras as keras

    from stages.models import build_model

    keras.utils.set_random_seed(1)
    shape = ARCHITECTURES.get(name, (96, 96, 3))
    model = build_model(name, shape, 10, "linear")
    rng = np.random.default_rng(2)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    traced, removed, narrow, kept = take_some(model, 3)
    assert len(removed.roots) > 0
    x = rng.normal(size=(2, *shape)).astype(np.float32)
    assert prove(model, narrow, traced, removed, x) <= MOST_DIFFERENCE
    assert Costs(traced, find_spaces(traced), model).parameters()(kept) == narrow.count_params()


@pytest.mark.slow
@settings(PROPERTY, max_examples=300)
@given(moves, heads, st.integers(0, 1000))
def test_many_graphs_without_their_removed_channels_compute_what_they_did(program: list[Move], head: Any,
                                                                          seed: int) -> None:
    check(program, head, seed)
