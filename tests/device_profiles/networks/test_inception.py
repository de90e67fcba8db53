"""Inception networks: sizes as published, and the little language of their branches."""

from __future__ import annotations

import pytest

from device_profiles.networks.builder import NetworkBuilder
from device_profiles.networks.catalog import network_workload
from device_profiles.networks.inception import _branch, _module
from device_profiles.workload import workload_of


@pytest.mark.parametrize(("family", "macs", "parameters"), [
    # thousand million MACs and millions of parameters: the papers, tf_keras and TF-Slim's list of checkpoints
    ("inception_v1", 1.5, 6.6), ("inception_v2", 1.94, 11.2), ("inception_v3", 5.72, 23.8),
    ("inception_v4", 12.27, 42.7), ("inception_resnet_v2", 13.17, 55.8),
])
def test_inceptions_have_the_published_size(family: str, macs: float, parameters: float) -> None:
    work = network_workload(family)
    assert work.macs / 1e9 == pytest.approx(macs, rel=0.005)
    assert work.parameters / 1e6 == pytest.approx(parameters, rel=0.004)


def test_the_grids_of_v3_shrink_as_in_the_paper() -> None:
    operators = network_workload("inception_v3").operators
    shapes = [op.outputs[0].shape[1:] for op in operators if op.name == "CONCATENATION"]
    assert shapes[:4] == [(35, 35, 256), (35, 35, 288), (35, 35, 288), (17, 17, 768)]
    assert shapes[-1] == (8, 8, 2048)


@pytest.mark.parametrize(("words", "shape"), [
    ("64", (1, 9, 9, 64)), ("16:3/", (1, 4, 4, 16)), ("16:3v", (1, 7, 7, 16)), ("16:3=", (1, 5, 5, 16)),
    ("max", (1, 4, 4, 4)), ("max=", (1, 5, 5, 4)), ("avg 8", (1, 9, 9, 8)), ("same", (1, 9, 9, 4)),
    ("8:1x7", (1, 9, 9, 8)), ("8 4:1x3|6:3x1", (1, 9, 9, 10)),
])
def test_a_branch_is_read_word_by_word(words: str, shape: tuple[int, ...]) -> None:
    b = NetworkBuilder()
    assert b.shape(_branch(b, b.input(9, 9, 4), words)) == shape


def test_kernels_written_by_height_and_width_keep_both() -> None:
    b = NetworkBuilder()
    conv = workload_of(b.finish(_branch(b, b.input(9, 9, 4), "8:1x7"))).operators[0]
    assert conv.inputs[1].shape == (8, 1, 7, 4)


def test_branches_stand_side_by_side() -> None:
    b = NetworkBuilder()
    assert b.shape(_module(b, b.input(9, 9, 4), ("8", "4 6:3", "avg 2"))) == (1, 9, 9, 16)
