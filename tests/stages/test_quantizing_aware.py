"""Quantization-aware training: what pruning and clustering made stays, counted; odd layers are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import ModelError, StageError
from stages import prune, quantize
from stages.clustering.tied import read_shared
from stages.datasets.prepared import read_split
from stages.models import folding
from stages.models.files import load_model, save_model
from stages.models.float_operators import float_warning
from stages.models.framework import tensorflow_turn
from stages.models.qat import depthwise_kernels, kernels, load_qat
from stages.pruning.kernels import breaks_pattern, share_of_zeros
from stages.quantizing import aware
from tests.stages.conftest import SEED, make_context


def options(**given: Any) -> quantize.Options:
    return quantize.Options(**({"format": "int8qat", "epochs": 1, "batch_size": 16, "seed": SEED} | given))


def kernels_of(folder: Path) -> dict[str, np.ndarray]:
    with tensorflow_turn(0, folder / "log.txt"):
        return kernels(load_qat(folder))


def test_pruning_preserving_training_keeps_the_zeros_where_they_were(qat_model: Path, pruned: Path) -> None:
    before, after = prune.read_kernels(load_model(pruned)), kernels_of(qat_model)
    assert sorted(after) == sorted(before)
    assert all((after[name][kernel == 0] == 0).all() for name, kernel in before.items())
    assert any((after[name] != kernel).any() for name, kernel in before.items())  # and it did train
    assert share_of_zeros(after)[0] == pytest.approx(0.5, abs=0.01)


@pytest.fixture(scope="module")
def clustered(make: Callable[..., Path], prepared: Path, pruned: Path) -> Path:
    """`pruned`, then eight shared values a layer with the zeros kept."""
    return make(prune, model=pruned, data=prepared, options=prune.Options(
        epochs=1, batch_size=16, clusters=8, preserve_sparsity=True, seed=SEED))


@pytest.mark.parametrize(("method", "sparsity"), [("cqat", None), ("pcqat", 0.5)])
def test_cluster_preserving_training_keeps_the_shared_values(tmp_path: Path, prepared: Path, clustered: Path,
                                                             method: str, sparsity: float | None) -> None:
    context = make_context(tmp_path)
    result = quantize.run(model=clustered, data=prepared, options=options(clusters=8, sparsity=sparsity),
                          context=context)
    counted = {name: len(np.unique(kernel)) for name, kernel in kernels_of(context.out).items()}
    assert result.method == method
    assert result.shared_values == counted
    assert max(counted.values()) <= 8
    assert result.sparsity == (None if sparsity is None else pytest.approx(share_of_zeros(kernels_of(context.out))[0]))
    assert sparsity is None or result.sparsity >= 0.49


def test_scaled_values_are_kept_and_end_at_the_largest_int8_weight(
        make: Callable[..., Path], tmp_path: Path, prepared: Path, pruned: Path) -> None:
    source = make(prune, model=pruned, data=prepared, options=prune.Options(
        epochs=1, batch_size=16, clusters=7, preserve_sparsity=True, cluster_scale="channel", seed=SEED))
    context, shared = make_context(tmp_path), read_shared(source)
    result = quantize.run(model=source, data=prepared, options=options(clusters=7, sparsity=0.5), context=context)
    assert result.method == "pcqat"
    assert max(result.shared_values.values()) <= 7
    found = kernels_of(context.out)
    for name, kernel in found.items():
        assert (kernel[shared[name].index == 0] == 0).all()
    before = prune.read_kernels(load_model(source))
    assert any((found[name] != kernel).any() for name, kernel in before.items())  # and it did train
    with tensorflow_turn(0, tmp_path / "log.txt"):
        wrapper = next(layer for layer in load_qat(context.out).layers if layer.name == "quant_conv1")
        ends = [value for value in wrapper.weights if "kernel_max" in value.name]
        assert ends[0].numpy() == pytest.approx(np.abs(found["conv1"]).max(axis=(0, 1, 2)))


def test_the_same_call_gives_the_same_bytes(make: Callable[..., Path], prepared: Path, pruned: Path,
                                            qat_model: Path) -> None:
    again = make(quantize, model=pruned, data=prepared, options=options(sparsity=0.5))
    names = sorted(path.name for path in qat_model.iterdir() if path.name not in ("log.txt", "result.json"))
    assert names == ["model.keras", "preprocessing.json", "qat_weights.npz", "recipe.json"]
    assert all((again / name).read_bytes() == (qat_model / name).read_bytes() for name in names)


def test_lost_zeros_are_an_error() -> None:
    before, after = {"a": np.array([0.0, 0, 1, 1])}, {"a": np.array([0.0, 2, 1, 1])}
    with pytest.raises(StageError, match=r"left 25\.0 % zeros of 50\.0 %"):
        aware._verify_kept(before, after, options(sparsity=0.5), {})


def test_values_that_drifted_apart_are_an_error() -> None:
    before, after = {"a": np.array([1.0, 1, 2, 2])}, {"a": np.array([1.0, 1.1, 2, 2])}
    with pytest.raises(StageError, match="'a' holds 3 distinct values"):
        aware._verify_kept(before, after, options(clusters=2), {})


def test_a_kernel_that_was_never_clustered_is_not_counted() -> None:
    before = {"a": np.array([1.0, 1]), "free": np.arange(9.0)}
    assert aware._verify_kept(before, before, options(clusters=2), {}) == (None, {"a": 1})


def odd_model(folder: Path) -> None:
    """A model with one layer that TFMOT's scheme does not know."""
    with tensorflow_turn(SEED, folder / "log.txt") as keras:
        inputs = keras.layers.Input((6, 6, 1))
        x = keras.layers.Conv2D(8, 3, name="conv", activation="relu")(inputs)
        x = keras.layers.MaxPooling2D(name="pool")(x)
        x = keras.layers.ELU(name="lonely")(x)
        outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
        save_model(keras.Model(inputs, outputs), folder)


def test_a_layer_that_the_scheme_does_not_know_is_refused_by_name(tmp_path: Path, prepared: Path) -> None:
    odd_model(tmp_path)
    with pytest.raises(ModelError, match=r"the layer 'lonely' \(ELU: not in TFMOT's 8-bit scheme\) cannot") as caught:
        quantize.run(model=tmp_path, data=prepared, options=options(), context=make_context(tmp_path))
    assert "int8" in caught.value.next_step


def test_such_a_layer_stays_in_float_where_the_config_says_so(tmp_path: Path, prepared: Path) -> None:
    odd_model(tmp_path)
    (tmp_path / "preprocessing.json").write_bytes((prepared / "preprocessing.json").read_bytes())
    result = quantize.run(model=tmp_path, data=prepared, options=options(unsupported_layers="float"),
                          context=make_context(tmp_path))
    assert result.not_quantized == {"lonely": "ELU is not in TFMOT's 8-bit scheme"}
    assert result.warnings == ("1 layer computes in float: lonely",)
    assert sorted(kernels_of(tmp_path / "out")) == ["conv", "dense"]


def normalized_dense_model(folder: Path) -> None:
    """Dense layers with batch normalization behind one and before the other, and one alone behind a pooling layer."""
    with tensorflow_turn(SEED, folder / "log.txt") as keras:
        layers = keras.layers
        inputs = layers.Input((6, 6, 1))
        x = layers.BatchNormalization(name="lone")(layers.MaxPooling2D()(inputs))
        x = layers.Dense(12, name="dense1")(layers.Flatten()(x))
        x = layers.ReLU()(layers.BatchNormalization(name="behind")(x))
        x = layers.Dense(3, name="dense2", activation="softmax")(layers.BatchNormalization(name="before")(x))
        save_model(keras.Model(inputs, x), folder)


@pytest.mark.parametrize("clusters", [None, 4])
def test_normalized_dense_layers_become_int8_throughout(tmp_path: Path, prepared: Path, clusters: int | None) -> None:
    from stages import convert

    normalized_dense_model(tmp_path)
    (tmp_path / "preprocessing.json").write_bytes((prepared / "preprocessing.json").read_bytes())
    result = quantize.run(model=tmp_path, data=prepared, options=options(clusters=clusters),
                          context=make_context(tmp_path))
    alone = "written as a depthwise 1x1 convolution"
    into = {"behind": "folded into 'dense1'", "before": "folded into 'dense2'"}
    assert result.rewritten == {"lone": alone} | (dict.fromkeys(into, alone) if clusters else into)
    assert result.warnings == ()
    converted = make_context(tmp_path / "converted")
    convert.run(source=tmp_path / "out", options=convert.Options(format="int8qat"), context=converted)
    assert float_warning((converted.out / "model.tflite").read_bytes()) == ""


def test_a_fold_that_computes_something_else_is_refused(tmp_path: Path, prepared: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "folded_after", lambda _kind, weights, _affine: weights)
    normalized_dense_model(tmp_path)
    with tensorflow_turn(SEED, tmp_path / "log.txt"):
        model = load_model(tmp_path)
        model.get_layer("behind").moving_mean.assign(np.full(12, 0.5))
        with pytest.raises(ModelError, match="folding batch normalization changes the outputs by"):
            aware._in_known_layers(model, read_split(prepared, "train").x[:4], options())


def test_many_float_layers_are_told_in_short() -> None:
    text = aware._float_text({f"elu{number}": "why" for number in range(10)}, options())
    assert text == "10 layers compute in float: elu0, elu1, elu2, elu3, elu4, elu5, elu6, elu7 and 2 more"


def test_a_layer_that_the_scheme_does_not_know_is_quantized_afterwards_where_the_config_says_so(
        tmp_path: Path, prepared: Path) -> None:
    from stages import convert

    with tensorflow_turn(SEED, tmp_path / "log.txt") as keras:
        layers = keras.layers
        save_model(keras.Sequential([
            layers.Input((6, 6, 1)), layers.Conv2D(8, 3, name="conv", activation="relu"),
            layers.PReLU(shared_axes=[1, 2], name="odd"), layers.Conv2D(4, 1, name="behind"),
            layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax", name="scores")]), tmp_path)
    (tmp_path / "preprocessing.json").write_bytes((prepared / "preprocessing.json").read_bytes())
    islands = {}
    for way in ("float", "post"):
        trained, converted = make_context(tmp_path / way), make_context(tmp_path / f"{way}-tflite")
        result = quantize.run(model=tmp_path, data=prepared, options=options(unsupported_layers=way), context=trained)
        islands[way] = convert.run(source=trained.out, options=convert.Options(format="int8qat"),
                                   context=converted).warnings
    assert islands == {"float": ("1 PRELU, 1 CONV_2D compute in float: odd, behind",), "post": ()}
    assert result.warnings == ("1 layer is quantized after training, by calibration: odd",)
    assert len(np.load(trained.out / "calibration.npy")) == 96  # 32 of each class


def test_zeros_of_depthwise_kernels_stay_where_they_were(tmp_path: Path, prepared: Path) -> None:
    from tests.stages.test_prune import depthwise_model

    depthwise_model(tmp_path, prepared)
    context = make_context(tmp_path / "pruned")
    prune.run(model=tmp_path, data=prepared, context=context,
              options=prune.Options(epochs=1, batch_size=16, sparsity=0.5, depthwise=True, scope="layer", seed=SEED))
    before = load_model(context.out).get_layer("deep").depthwise_kernel.numpy()
    trained = make_context(tmp_path / "qat")
    quantize.run(model=context.out, data=prepared, options=options(sparsity=0.5), context=trained)
    with tensorflow_turn(0, tmp_path / "log.txt"):
        after = depthwise_kernels(load_qat(trained.out))["deep"].numpy()
    assert (before == 0).mean() == 0.5
    assert (after[before == 0] == 0).all()
    assert (after[before != 0] != before[before != 0]).any()


def test_a_pattern_is_kept_through_training(tmp_path: Path, prepared: Path, trained: Path) -> None:
    context, result = make_context(tmp_path / "pruned"), make_context(tmp_path / "qat")
    prune.run(model=trained, data=prepared, context=context,
              options=prune.Options(epochs=1, batch_size=16, pattern="2of4", seed=SEED))
    quantize.run(model=context.out, data=prepared, options=options(sparsity=0.5), context=result)
    after = kernels_of(result.out)
    assert {name: breaks_pattern(after[name]) for name in ("conv2", "conv3", "scores")} == {
        "conv2": 0, "conv3": 0, "scores": 0}


def test_a_pattern_that_was_lost_is_an_error() -> None:
    before = {"a": np.float32([[1], [1], [0], [0]] * 100)}
    after = {"a": before["a"].copy()}
    after["a"][2] = 1  # one of 200 zeros: within a hundredth, but three weights in a group of four
    with pytest.raises(StageError, match="after quantization-aware training, 1 groups of four weights in 'a'"):
        aware._verify_kept(before, after, options(sparsity=0.5), {})


def test_a_kernel_with_more_values_of_its_own_is_held_against_these() -> None:
    before = {"a": np.float32([1, 1, 2, 2]), "rich": np.float32([1, 2, 3, 3])}
    assert aware._verify_kept(before, before, options(clusters=2), {})[1] == {"a": 2, "rich": 3}
    with pytest.raises(StageError, match="'rich' holds 4 distinct values"):
        aware._verify_kept(before, before | {"rich": np.float32([1, 2, 3, 4])}, options(clusters=2), {})
