"""Pruning and clustering: what was asked for is counted in the saved kernels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from device_profiles.errors import ModelError, StageError
from stages import prune
from stages.clustering.tied import read_shared
from stages.models.files import load_model, save_model
from stages.models.framework import tensorflow_turn
from stages.pruning.sensitivity import Sensitivity
from stages.records import PruneResult
from tests.stages.conftest import SEED, make_context


def options(**given: Any) -> prune.Options:
    return prune.Options(**({"epochs": 2, "batch_size": 16, "seed": SEED} | given))


def kernels_of(folder: Path) -> dict[str, np.ndarray]:
    return prune.read_kernels(load_model(folder))


def test_the_saved_kernels_are_as_sparse_as_asked(pruned: Path) -> None:
    kernels = kernels_of(pruned)
    assert sorted(kernels) == ["conv1", "conv2", "conv3", "scores"]
    assert prune.share_of_zeros(kernels)[0] == pytest.approx(0.5, abs=0.01)


def test_with_the_scope_of_a_layer_every_kernel_is_as_sparse_as_asked(make: Callable[..., Path], prepared: Path,
                                                                      trained: Path) -> None:
    kernels = kernels_of(make(prune, model=trained, data=prepared, options=options(sparsity=0.5, scope="layer")))
    assert {name: float((kernel == 0).mean()) for name, kernel in kernels.items()} == pytest.approx(
        {"conv1": 0.5, "conv2": 0.5, "conv3": 0.5, "scores": 0.5}, abs=0.01)


def test_the_result_reports_zeros_and_what_was_left_alone(tmp_path: Path, prepared: Path, trained: Path) -> None:
    context = make_context(tmp_path)
    result = prune.run(model=trained, data=prepared, context=context,
                       options=options(sparsity=0.9, skip_layers=("conv1",)))
    assert result.sparsity == pytest.approx(0.9, abs=0.01)
    assert "conv1" not in result.layer_sparsity
    assert result.skipped_layers == {"conv1": "named in skip_layers"} | {
        f"norm{i}": "BatchNormalization has no kernel that is pruned" for i in (1, 2, 3)}
    assert (kernels_of(context.out)["conv1"] != 0).all()
    assert (context.out / "preprocessing.json").read_bytes() == (trained / "preprocessing.json").read_bytes()


def test_the_same_call_gives_the_same_bytes(make: Callable[..., Path], prepared: Path, trained: Path,
                                            pruned: Path) -> None:
    again = make(prune, model=trained, data=prepared, options=options(sparsity=0.5))
    assert (again / "model.keras").read_bytes() == (pruned / "model.keras").read_bytes()


def test_one_epoch_is_enough_to_reach_the_sparsity(make: Callable[..., Path], prepared: Path, trained: Path) -> None:
    folder = make(prune, model=trained, data=prepared, options=options(sparsity=0.75, epochs=1, batch_size=99))
    assert prune.share_of_zeros(kernels_of(folder))[0] == pytest.approx(0.75, abs=0.01)


def cluster(tmp_path: Path, model: Path, data: Path, **given: Any) -> tuple[PruneResult, dict[str, np.ndarray]]:
    context = make_context(tmp_path)
    return prune.run(model=model, data=data, options=options(**given), context=context), kernels_of(context.out)


def test_clustered_kernels_hold_no_more_values_than_asked(tmp_path: Path, prepared: Path, trained: Path) -> None:
    result, kernels = cluster(tmp_path, trained, prepared, clusters=8)
    counted = {name: len(np.unique(kernel)) for name, kernel in kernels.items()}
    assert result.shared_values == counted
    assert 2 <= max(counted.values()) <= 8


def test_clustering_after_pruning_keeps_the_zeros(tmp_path: Path, prepared: Path, pruned: Path) -> None:
    before = kernels_of(pruned)
    result, after = cluster(tmp_path, pruned, prepared, clusters=8, preserve_sparsity=True)
    assert all((after[name][kernel == 0] == 0).all() for name, kernel in before.items())
    assert max(result.shared_values.values()) <= 8
    assert result.sparsity >= 0.5


def test_scaled_values_are_as_few_in_the_int8_weights_and_can_be_read_back(tmp_path: Path, prepared: Path,
                                                                           trained: Path) -> None:
    result, kernels = cluster(tmp_path, trained, prepared, clusters=6, cluster_scale="channel")
    assert 2 <= max(result.shared_values.values()) <= 5  # an even number counts as the odd one below
    for name, found in read_shared(make_context(tmp_path).out).items():
        kernel = kernels[name]
        largest = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1)) if kernel.ndim > 2 else None)
        codes = np.round(127 * kernel / largest)
        assert len(np.unique(codes)) == result.shared_values[name]
        assert all(len(np.unique(codes[found.index == k])) == 1 for k in np.unique(found.index))


def test_scaled_values_keep_the_zeros_of_pruning(tmp_path: Path, prepared: Path, pruned: Path) -> None:
    before = kernels_of(pruned)
    result, after = cluster(tmp_path, pruned, prepared, clusters=9, preserve_sparsity=True, cluster_scale="channel")
    assert all((after[name][kernel == 0] == 0).all() for name, kernel in before.items())
    assert result.sparsity >= 0.5


def test_a_kernel_too_small_for_the_values_is_left_alone_and_named(tmp_path: Path, prepared: Path,
                                                                   trained: Path) -> None:
    result, kernels = cluster(tmp_path, trained, prepared, clusters=144)  # conv1: 3 * 3 * 1 * 16 = 144 weights
    assert result.skipped_layers["conv1"] == "144 weights are too few for 144 shared values"
    assert "conv1" not in result.shared_values
    assert kernels["conv1"].size == 144


def test_a_sparsity_that_was_missed_is_an_error_that_names_the_worst_layer() -> None:
    kernels = {"even": np.array([0, 0, 0, 1.0]), "poor": np.array([0, 1.0, 1, 1])}
    with pytest.raises(StageError, match=r"50\.0 % of the pruned weights are zero; the least has 'poor' with 25\.0 %"):
        prune.verify_sparsity(kernels, 0.75)
    assert prune.verify_sparsity(kernels, 0.51) == (0.5, {"even": 0.75, "poor": 0.25})  # within one point


def test_an_unknown_layer_name_is_refused_with_the_near_miss(tmp_path: Path, prepared: Path, trained: Path) -> None:
    with pytest.raises(ModelError, match="did you mean 'conv1'"):
        prune.run(model=trained, data=prepared, context=make_context(tmp_path),
                  options=options(sparsity=0.5, skip_layers=("conf1",)))


def test_a_model_with_nothing_left_to_prune_is_refused(tmp_path: Path, prepared: Path, trained: Path) -> None:
    with pytest.raises(ModelError, match="no layer to prune"):
        prune.run(model=trained, data=prepared, context=make_context(tmp_path),
                  options=options(sparsity=0.5, skip_layers=("conv1", "conv2", "conv3", "scores")))


@pytest.mark.parametrize("given", [{}, {"sparsity": 0.5, "clusters": 4}, {"sparsity": 1.0}, {"sparsity": 0.0},
                                   {"clusters": 1}, {"pattern": "2of4", "clusters": 4}, {"pattern": "1of4"},
                                   {"sparsity": 0.5, "sensitive_points": 0}])
def test_options_that_ask_for_nothing_or_for_both_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        prune.Options(**given)


def any_model(folder: Path, prepared: Path) -> None:
    """A backbone as a layer, a shared convolution, depthwise and separable ones, and functions of TensorFlow."""
    import tensorflow as tf

    with tensorflow_turn(SEED, folder / "log.txt") as keras:
        layers = keras.layers
        inner = layers.Input((6, 6, 1))
        backbone = keras.Model(inner, layers.Conv2D(8, 3, padding="same", name="conv")(inner), name="backbone")
        inputs = layers.Input((6, 6, 1))
        x = backbone(inputs)
        shared = layers.Conv2D(8, 3, padding="same", name="shared")
        x = tf.abs(shared(x)) + shared(layers.DepthwiseConv2D(3, padding="same", name="deep")(x)) * 0.5
        x = layers.SeparableConv2D(6, 3, name="separable")(tf.nn.relu(x))
        outputs = layers.Dense(3, activation="softmax", name="scores")(layers.Flatten()(x))
        save_model(keras.Model(inputs, outputs), folder)
    (folder / "preprocessing.json").write_bytes((prepared / "preprocessing.json").read_bytes())


@pytest.mark.parametrize("given", [{"sparsity": 0.5}, {"clusters": 4}])
def test_any_model_is_compressed_and_what_is_left_alone_has_a_reason(tmp_path: Path, prepared: Path,
                                                                     given: dict[str, Any]) -> None:
    any_model(tmp_path, prepared)
    result = prune.run(model=tmp_path, data=prepared, options=options(**given), context=make_context(tmp_path))
    done = "pruned" if "sparsity" in given else "clustered"
    assert result.skipped_layers == {"deep": f"DepthwiseConv2D has no kernel that is {done}",
                                     "separable": f"SeparableConv2D has no kernel that is {done}"}
    kernels = kernels_of(tmp_path / "out")
    assert sorted(kernels) == ["conv", "scores", "shared"]
    if done == "pruned":
        assert prune.share_of_zeros(kernels)[0] >= 0.49
    else:
        assert max(len(np.unique(kernel)) for kernel in kernels.values()) <= 4


def test_a_batch_larger_than_the_data_still_prunes(tmp_path: Path, prepared: Path, trained: Path) -> None:
    result = prune.run(model=trained, data=prepared, options=options(sparsity=0.5, batch_size=4096),
                       context=make_context(tmp_path))
    assert result.sparsity >= 0.49


def test_a_pattern_holds_on_the_saved_kernels_and_what_has_no_groups_is_named(tmp_path: Path, prepared: Path,
                                                                             trained: Path) -> None:
    from stages.pruning.kernels import breaks_pattern

    result = prune.run(model=trained, data=prepared, options=options(pattern="2of4", sparsity=0.5),
                       context=make_context(tmp_path))
    kernels = kernels_of(tmp_path / "out")
    assert result.skipped_layers["conv1"] == "its 1 input channels hold no group of 4"
    assert {name: breaks_pattern(kernel) for name, kernel in kernels.items()}.keys() >= {"conv2", "conv3", "scores"}
    assert all(breaks_pattern(kernels[name]) == 0 for name in ("conv2", "conv3", "scores"))
    assert result.layer_sparsity == pytest.approx({"conv2": 0.5, "conv3": 0.5, "scores": 0.5})
    assert result.pattern == "2of4"
    assert "two zeros in every four weights in 3 kernels" in result.summary


def test_the_ends_are_left_alone_where_asked(tmp_path: Path, prepared: Path, trained: Path) -> None:
    result = prune.run(model=trained, data=prepared, options=options(sparsity=0.5, spare_ends=True),
                       context=make_context(tmp_path))
    assert sorted(result.layer_sparsity) == ["conv2", "conv3"]
    assert result.skipped_layers["scores"].startswith("the first or last kernel")
    assert result.sparsity == pytest.approx(0.5, abs=0.01)


def depthwise_model(folder: Path, prepared: Path) -> None:
    with tensorflow_turn(SEED, folder / "log.txt") as keras:
        layers = keras.layers
        save_model(keras.Sequential([
            layers.Input((6, 6, 1)), layers.Conv2D(16, 3, name="conv"), layers.DepthwiseConv2D(3, name="deep"),
            layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax", name="scores")]), folder)
    (folder / "preprocessing.json").write_bytes((prepared / "preprocessing.json").read_bytes())


def test_depthwise_kernels_are_pruned_where_asked(tmp_path: Path, prepared: Path) -> None:
    depthwise_model(tmp_path, prepared)
    result = prune.run(model=tmp_path, data=prepared, context=make_context(tmp_path),
                       options=options(sparsity=0.5, depthwise=True, scope="layer"))
    deep = load_model(tmp_path / "out").get_layer("deep").depthwise_kernel.numpy()
    assert float((deep == 0).mean()) == result.layer_sparsity["deep"] == 0.5
    assert result.skipped_layers == {}


def test_a_sensitive_kernel_is_pruned_less_and_the_whole_as_much_as_asked(
        tmp_path: Path, prepared: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cost(_self: Sensitivity, layer: str, kernel: np.ndarray) -> float:
        return 9.0 if layer == "conv2" and (kernel == 0).mean() > 0.21 else 1.0

    monkeypatch.setattr(Sensitivity, "cost", cost)
    result = prune.run(model=trained, data=prepared, context=make_context(tmp_path),
                       options=options(sparsity=0.6, scope="layer", sensitive_points=5.0))
    assert result.sensitivity == {"conv1": 1.0, "conv2": 9.0, "conv3": 1.0, "scores": 1.0}
    assert result.layer_sparsity["conv2"] == pytest.approx(0.6 * 5 / 16, abs=0.01)  # of sixteenths, the last affordable
    assert result.layer_sparsity["conv3"] > 0.6
    assert result.sparsity == pytest.approx(0.6, abs=0.01)


def test_zeros_that_would_cost_too_much_anywhere_are_refused_with_the_most_that_can_be_had(
        tmp_path: Path, prepared: Path, trained: Path) -> None:
    with pytest.raises(StageError, match=r"weights cannot become zero; most of the rest is in 'conv3'") as caught:
        prune.run(model=trained, data=prepared, context=make_context(tmp_path),
                  options=options(sparsity=0.95, sensitive_points=0.5))
    assert caught.value.allowed.startswith("at most ")
    assert "prune.sensitive_points" in caught.value.next_step


def test_shared_values_are_counted_by_layer_as_asked(tmp_path: Path, prepared: Path, trained: Path) -> None:
    result, kernels = cluster(tmp_path, trained, prepared, clusters=4, layer_clusters={"conv2": 16})
    assert {name: len(np.unique(kernel)) for name, kernel in kernels.items()} == result.shared_values
    assert result.shared_values["conv1"] <= 4 < result.shared_values["conv2"] <= 16


def test_a_sensitive_kernel_gets_more_shared_values(tmp_path: Path, prepared: Path, trained: Path) -> None:
    result, _ = cluster(tmp_path, trained, prepared, clusters=2, sensitive_points=1.0)
    costly = [name for name, cost in result.sensitivity.items() if cost > 1]
    assert costly
    assert all(result.shared_values[name] > 2 for name in costly)


def test_counts_for_a_layer_that_is_not_there_are_refused(tmp_path: Path, prepared: Path, trained: Path) -> None:
    with pytest.raises(ModelError, match=r"layer_clusters names 'conf1', .* did you mean 'conv1'"):
        cluster(tmp_path, trained, prepared, clusters=4, layer_clusters={"conf1": 8})
