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


@settings(PROPERTY, max_examples=20)
@given(moves, heads, st.integers(0, 1000))
def test_any_graph_without_its_removed_channels_computes_what_it_did(program: list[Move], head: Any, seed: int) -> None:
    check(program, head, seed)


@pytest.mark.slow
@settings(PROPERTY, max_examples=300)
@given(moves, heads, st.integers(0, 1000))
def test_many_graphs_without_their_removed_channels_compute_what_they_did(program: list[Move], head: Any,
                                                                          seed: int) -> None:
    check(program, head, seed)
