"""The proof finds a single bit, and the costs are those of the models that were given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import EngineRefusal
from stages.engines.client import EngineWorker
from stages.packing.assembling import Packer
from stages.packing.proving import Inputs, Run, first_difference, make_inputs, measure
from stages.packing.shrinking import shrink
from tests.device_profiles.handmade import conv_model
from tests.stages import two_by_two
from tests.stages.packing.samples import DENSE, KERNEL, network, samples_for_network, sparse


@pytest.fixture
def how(tmp_path: Path) -> Run:
    return Run(workers=1, timeout_s=60, log=tmp_path / "log")


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    np.save(tmp_path / "x.npy", samples_for_network(60))
    return make_inputs(tmp_path / "x.npy", 60, tmp_path, {}, 0)


def quiet(done: int, total: int) -> None:
    assert 0 <= done <= total


def test_a_packed_model_gives_the_same_outputs(how: Run, inputs: Inputs) -> None:
    assert first_difference(network(), Packer(network()).pack(("huffman",), 32).content, inputs, how, quiet) is None


def test_one_weight_that_is_off_by_one_is_found(how: Run, inputs: Inputs) -> None:
    other = sparse(DENSE, seed=1)
    other[0, np.flatnonzero(other[0])[0]] += 8
    wrong = network(sparse(KERNEL), other)
    row = first_difference(network(), wrong, inputs, how, quiet)
    assert row is not None
    found = []
    for content in (network(), wrong):
        with EngineWorker("tflm", log=how.log) as worker:
            worker.load(content)
            found.append(worker.predict(samples_for_network(60))[0])
    assert row == np.flatnonzero((found[0] != found[1]).any(axis=1))[0]


def test_a_model_that_tflm_does_not_take_is_a_refusal(how: Run, inputs: Inputs) -> None:
    hybrid = conv_model(np.ones((3, 3, 3, 2), np.int8), "FLOAT32", scales=(1.0,), zero_points=(0,))
    with pytest.raises(EngineRefusal):
        first_difference(hybrid, network(), inputs, how, quiet)


def test_the_first_test_samples_are_taken_and_random_ones_within_their_range_follow(tmp_path: Path) -> None:
    rows = np.arange(200, dtype=np.uint8).reshape(10, 20)
    np.save(tmp_path / "x.npy", rows)
    few = make_inputs(tmp_path / "x.npy", 6, tmp_path, {}, 0)
    assert (few.text, few.count) == ("6 test samples", 6)
    assert np.array_equal(np.load(few.file), rows[:6])
    many = make_inputs(tmp_path / "x.npy", 1000, tmp_path, {}, 0)
    made = np.load(many.file)
    assert many.text == "10 test samples and 990 random ones"
    assert (made.shape, made.dtype) == ((1000, 20), np.uint8)
    assert np.array_equal(made[:10], rows)
    assert made[10:].max() <= 199
    assert len(np.unique(made[10:], axis=0)) == 990
    make_inputs(tmp_path / "x.npy", 1000, tmp_path, {}, 0)
    assert np.array_equal(np.load(many.file), made)


def test_several_inputs_are_drawn_each_in_its_own_range(tmp_path: Path) -> None:
    stored = two_by_two.stored(5)
    np.save(tmp_path / "x.npy", stored)
    made = np.load(make_inputs(tmp_path / "x.npy", 50, tmp_path, {}, 0).file)
    assert made.dtype == stored.dtype
    assert np.array_equal(made[:5], stored)
    for name in ("image", "age"):
        assert stored[name].min() <= made[name][5:].min() < made[name][5:].max() <= stored[name].max()


def test_the_arena_is_the_least_of_each_and_the_latency_is_taken_in_turns(how: Run, inputs: Inputs) -> None:
    packed = Packer(network()).pack(("prune",), 32).content
    costs = measure(network(), packed, inputs, how, 6, 0.002)
    least = []
    for content in (network(), packed):
        with EngineWorker("tflm", log=how.log) as worker:
            worker.load(content)
            least.append(worker.arena().least_bytes)
    assert [costs.unpacked_arena.value, costs.arena.value] == least
    assert least[1] > least[0]
    assert (costs.decode.unit, costs.latency_ratio.unit, costs.decode.provenance) == ("ms", "ratio", "measured")
    assert costs.latency_ratio.samples >= 12
    low, high = costs.latency_ratio.interval or (0, 0)
    assert low <= costs.latency_ratio.value <= high
    assert "on this host" in costs.decode.method


def test_a_shrunk_model_costs_nothing(how: Run, inputs: Inputs) -> None:
    costs = measure(network(), shrink(network(), "tflm"), inputs, how, 5, 0.001)
    assert costs.arena.value <= costs.unpacked_arena.value
