"""Quantization-aware models: ranges from data, and files that give back the same function."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.datasets.prepared import read_split
from stages.models import coverage, qat
from stages.models.files import load_model
from stages.models.framework import tensorflow_turn


@pytest.fixture
def turn(tmp_path: Path) -> Iterator[Any]:
    """`tf_keras` in a turn of its own."""
    with tensorflow_turn(1, tmp_path / "log.txt") as keras:
        yield keras


def outputs(model: Any, folder: Path) -> np.ndarray:
    return model(read_split(folder, "test").x, training=False).numpy()


def test_a_saved_model_comes_back_with_the_same_outputs(turn: Any, tmp_path: Path, trained: Path,
                                                        prepared: Path) -> None:
    model, floats = qat.quantize_aware(load_model(trained))
    qat.set_activation_ranges(model, read_split(prepared, "train").x)
    model(read_split(prepared, "train").x, training=True)  # sets the ranges of the weights
    qat.save_qat(model, load_model(trained), tmp_path)
    assert floats == {}
    assert np.array_equal(outputs(qat.load_qat(tmp_path), prepared), outputs(model, prepared))


def test_ranges_start_at_the_extremes_of_the_data(turn: Any, trained: Path, prepared: Path) -> None:
    float_model = load_model(trained)
    x = read_split(prepared, "train").x
    model, _ = qat.quantize_aware(float_model)
    qat.set_activation_ranges(model, x)
    relu = next(layer for layer in model.layers if layer.name == "quant_relu1")
    low, high = (qat._variables(relu)[f"output_{end}", 0].numpy() for end in ("min", "max"))
    to_relu = turn.Model(float_model.input, float_model.get_layer("relu1").output)
    assert low == pytest.approx(0, abs=0.01)
    assert high == pytest.approx(to_relu(x, training=True).numpy().max(), rel=0.05)


def test_setting_ranges_changes_no_weight(turn: Any, trained: Path, prepared: Path) -> None:
    model, _ = qat.quantize_aware(load_model(trained))
    before = {variable.name: variable.numpy() for variable in model.variables}
    qat.set_activation_ranges(model, read_split(prepared, "train").x)
    changed = [v.name for v in model.variables if not np.array_equal(v.numpy(), before[v.name])]
    assert changed
    assert all(name.endswith(("_min:0", "_max:0")) for name in changed)


@pytest.mark.parametrize("method", qat.METHODS)
def test_the_plain_model_computes_what_the_trained_one_does(turn: Any, pruned: Path, prepared: Path,
                                                            method: str) -> None:
    source = load_model(pruned)
    model, _ = qat.quantize_aware(source, method)
    qat.set_activation_ranges(model, read_split(prepared, "train").x)
    model(read_split(prepared, "train").x, training=True)
    plain = qat.as_plain(model, source, method)
    assert outputs(plain, prepared) == pytest.approx(outputs(model, prepared), abs=1e-6)


def test_shared_values_are_counted_over_the_whole_kernel(turn: Any) -> None:
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (
        cluster_preserve_quantize_registry as registry,
    )

    guess = registry.get_centroids
    layer = turn.layers.Conv2D(4, 3, name="conv")
    model = turn.Sequential([turn.layers.Input((6, 6, 1)), layer, turn.layers.GlobalAveragePooling2D()])
    layer.kernel.assign(np.resize(np.array([-1.0, 0.5, 2.0], np.float32), (3, 3, 1, 4)))  # three in every channel
    wrapped, _ = qat.quantize_aware(model, "cqat")
    conv = next(layer for layer in wrapped.layers if layer.name == "quant_conv")
    assert qat._variables(conv)["cluster_centroids_tf", 0].shape == (3,)  # TFMOT's guess would be (4, 3)
    assert registry.get_centroids is guess


def test_a_model_inside_a_model_is_refused_by_name(turn: Any) -> None:
    inner = turn.Sequential([turn.layers.Input((4,)), turn.layers.Dense(2)], name="inner")
    inputs = turn.layers.Input((4,))
    with pytest.raises(ModelError, match="'inner' is a model of its own"):
        qat.quantize_aware(turn.Model(inputs, inner(inputs)))


def test_an_activation_that_the_scheme_does_not_know_is_refused_with_its_layer(turn: Any) -> None:
    model = turn.Sequential([turn.layers.Input((4,)), turn.layers.Dense(4, activation="elu", name="odd"),
                             turn.layers.Dense(3, name="even"), turn.layers.Dense(2, name="last")])
    with pytest.raises(ModelError, match=r"the layer 'odd' .* cannot be trained with quantization"):
        qat.quantize_aware(model, may_stay_float=False)
    _, floats = qat.quantize_aware(model)
    assert list(floats) == ["odd", "even"]
    assert floats["even"] == "reads 'odd', whose output TFMOT cannot quantize"


def strange(keras: Any, copies: int) -> Any:
    """Many layers that TFMOT does not know, of three classes, between ones that it does."""
    inputs = x = keras.layers.Input((8, 8, 2))
    for number in range(copies):
        x = keras.layers.Conv2D(2, 1, name=f"conv{number}")(x)
        x = keras.layers.ELU(name=f"elu{number}")(x)
    x = keras.layers.LayerNormalization(name="norm")(x)
    x = keras.layers.Dense(3, activation="selu", name="dense")(keras.layers.Flatten()(x))
    return keras.Model(inputs, x)


def test_one_message_names_all_layers_their_classes_and_what_works_instead(turn: Any) -> None:
    with pytest.raises(ModelError) as caught:
        qat.quantize_aware(strange(turn, 2), may_stay_float=False)
    assert caught.value.found == (
        "4 layers: 'elu0', 'elu1' (ELU: not in TFMOT's 8-bit scheme); 'norm' (LayerNormalization: not in TFMOT's 8-bit "
        "scheme); 'dense' (Dense: its activation selu is not in TFMOT's 8-bit scheme) cannot be trained with "
        "quantization")
    assert caught.value.next_step == (
        "use a post-training format such as int8, or set quantize.unsupported_layers to float")


def test_tfmot_is_asked_once_however_many_layers_it_does_not_know(turn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, apply = [], qat._apply
    monkeypatch.setattr(qat, "_apply", lambda *given: asked.append(1) or apply(*given))
    _, floats = qat.quantize_aware(strange(turn, 6))
    assert sorted(floats) == ["dense", "elu0", "elu1", "elu2", "elu3", "elu4", "elu5", "norm"]
    assert len(asked) == 1


def test_a_layer_that_tfmot_refuses_unforeseen_stays_in_float(turn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "not_covered", lambda _model, _registry: {})
    _, floats = qat.quantize_aware(strange(turn, 1))
    assert sorted(floats) == ["dense", "elu0", "norm"]


def test_functions_that_tfmot_stumbles_over_are_named(turn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    def stumble(*_given: Any) -> Any:
        raise ValueError("a list where a tensor was due\nand more")

    inputs = turn.layers.Input((4,))
    model = turn.Model(inputs, turn.layers.Dense(2)(tf.abs(inputs)))
    monkeypatch.setattr(qat, "_apply", stumble)
    with pytest.raises(ModelError, match=r"a list where a tensor was due; it has 'tf\.math\.abs' \(TFOpLambda"):
        qat.quantize_aware(model)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 and no more"])
def test_missing_or_damaged_variables_are_refused(turn: Any, tmp_path: Path, trained: Path,
                                                  content: bytes | None) -> None:
    (tmp_path / "model.keras").write_bytes((trained / "model.keras").read_bytes())
    if content is not None:
        (tmp_path / "qat_weights.npz").write_bytes(content)
    with pytest.raises(ModelError, match=r"qat_weights\.npz cannot be read"):
        qat.load_qat(tmp_path)


def test_variables_of_another_model_are_refused(turn: Any, tmp_path: Path, trained: Path) -> None:
    (tmp_path / "model.keras").write_bytes((trained / "model.keras").read_bytes())
    np.savez(tmp_path / "qat_weights.npz", a=np.zeros(3))
    with pytest.raises(ModelError, match="cannot be read"):
        qat.load_qat(tmp_path)
