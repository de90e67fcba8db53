"""The calls of single variants: in the order of the tokens, each told what it must know."""

from __future__ import annotations

import pytest

from pipeline.calls import Surroundings
from pipeline.config import RunConfig, from_mapping
from pipeline.plan import build

AROUND = Surroundings({"litert": "2.3.0", "tflite-runtime": "2.14.0", "tflm": None}, "host-1")


@pytest.fixture(scope="module")
def default():
    return build(RunConfig(), AROUND)


def test_a_post_training_variant_of_a_pruned_model_starts_from_that_model_s_float_tflite(default):
    convert = default.calls["convert:pruned75-int8"]
    assert convert.inputs == {"source": "convert:pruned75-float32", "recipe": "quantize:int8"}
    assert default.calls["convert:pruned75-float32"].inputs == {"source": "prune:pruned75"}
    assert "pruned75-float32" not in default.variants


def test_qat_of_a_pruned_model_is_told_its_sparsity(default):
    call = default.calls["quantize:pruned75-int8qat"]
    assert call.inputs == {"model": "prune:pruned75", "data": "prepare"}
    assert call.options.sparsity == 0.75


def test_pruning_and_clustering_chain_and_clustering_keeps_the_zeros():
    plan = build(RunConfig().only(["pruned50-clustered8-int8qat"]), AROUND)
    cluster = plan.calls["prune:pruned50-clustered8"]
    assert cluster.inputs["model"] == "prune:pruned50"
    assert (cluster.options.clusters, cluster.options.preserve_sparsity) == (8, True)
    qat = plan.calls["quantize:pruned50-clustered8-int8qat"]
    assert (qat.options.sparsity, qat.options.clusters) == (0.5, 8)


def test_two_variants_with_options_of_their_own_get_labels_of_their_own():
    config = from_mapping({"variants": ["pruned75-int8", {"name": "pruned75-float32", "prune": {"epochs": 2}}]})
    plan = build(config, AROUND)
    assert plan.of_stage("prune") == ["prune:pruned75", "prune:pruned75(pruned75-float32)"]
    assert plan.calls["convert:pruned75-float32(pruned75-float32)"].inputs["source"] == \
        "prune:pruned75(pruned75-float32)"
