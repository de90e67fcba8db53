"""Transfer learning builders: names, preparation of images, flat graphs, heads, and weights from files."""

from __future__ import annotations

import inspect
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models import applications, build_model
from stages.models.applications import NAMES, application_name, build, is_backbone, least_side, preprocessing_of


def image(seed: int = 0, side: int = 32) -> np.ndarray:
    """Two RGB images with values in 0..255.  # (2, side, side, 3) float32"""
    return np.random.default_rng(seed).uniform(0, 255, (2, side, side, 3)).astype(np.float32)


def module_of(name: str) -> Any:
    """The module that has both the architecture and its `preprocess_input`."""
    import tf_keras as keras

    return inspect.getmodule(getattr(keras.applications, name))


def test_every_architecture_of_keras_has_a_name_here() -> None:
    import tf_keras as keras

    assert set(NAMES) == {name for name, value in vars(keras.applications).items() if callable(value)}


@pytest.mark.parametrize("word", ["MobileNetV2", "mobilenetv2", "applications/MOBILENETV2"])
def test_a_name_is_found_in_any_case(word: str) -> None:
    assert application_name(word) == "MobileNetV2"


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ModelError, match="is called 'MobileNetv4'; did you mean 'applications/MobileNet"):
        application_name("applications/MobileNetv4")


@pytest.mark.parametrize("name", NAMES)
def test_offset_and_scale_are_what_keras_does_to_an_image(name: str) -> None:
    offset, scale = preprocessing_of(name)
    x = image()
    prepared = (x - np.array(offset, np.float32)) / np.array(scale, np.float32)
    keras_takes = module_of(name).preprocess_input(x.copy())
    if applications.PREPROCESSING["caffe"] == (offset, scale):
        keras_takes = keras_takes[..., ::-1]  # blue, green, red: the kernels are turned round instead
    assert prepared == pytest.approx(keras_takes, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_least_side_is_the_one_that_keras_names(name: str) -> None:
    import tf_keras as keras

    least = least_side(name)
    with pytest.raises(ValueError, match=f"at least {least}x{least}"):
        getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(least - 1, least - 1, 3))


@pytest.mark.parametrize(("shape", "allowed"), [
    ((31, 32, 3), "at least (32, 32, 1)"), ((32, 32), "at least (32, 32, 1)"), ((32, 32, 1), "3 channels: red"),
    ((32, 32, 4), "3 channels: red")])
def test_samples_that_do_not_fit_are_refused(shape: tuple[int, ...], allowed: str) -> None:
    with pytest.raises(ModelError, match="applications/MobileNet cannot take samples of the shape") as caught:
        build("MobileNet", shape, 2)
    assert allowed in caught.value.allowed


@pytest.fixture(scope="module")
def mobilenet() -> Any:
    """MobileNetV2 for 32x32 images and 5 labels, random weights."""
    return build_model("applications/mobilenetv2", (32, 32, 3), 5, "sigmoid")


def test_the_model_is_flat_and_ends_in_the_head(mobilenet: Any) -> None:
    assert [layer.name for layer in mobilenet.layers if hasattr(layer, "layers")] == []
    assert [layer.name for layer in mobilenet.layers if not is_backbone(layer.name)] == [
        "head_pool", "head_dropout", "head_scores"]
    assert mobilenet.layers[-1].activation.__name__ == "sigmoid"
    assert mobilenet.output_shape == (None, 5)
    assert mobilenet.count_params() == 2_257_984 + 1280 * 5 + 5  # without top, as Keras documents it


def test_a_frozen_backbone_leaves_the_head_alone_to_train(mobilenet: Any) -> None:
    for layer in mobilenet.layers:
        layer.trainable = not is_backbone(layer.name)
    try:
        assert [tuple(variable.shape) for variable in mobilenet.trainable_variables] == [(1280, 5), (5,)]
    finally:
        for layer in mobilenet.layers:
            layer.trainable = True


def no_top(name: str, side: int = 32) -> Any:
    """The architecture with other random weights."""
    import tf_keras as keras

    keras.utils.set_random_seed(4)
    return getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(side, side, 3))


def pooled(backbone: Any, x: np.ndarray) -> np.ndarray:
    """What reaches the head.  # (batch, filters)"""
    return backbone(x, training=False).numpy().mean(axis=(1, 2))


def before_head(model: Any, x: np.ndarray) -> np.ndarray:
    """The same in a model that was built here."""
    import tf_keras as keras

    return keras.Model(model.input, model.get_layer("head_pool").output)(x, training=False).numpy()


def test_weights_without_top_give_the_backbones_outputs(tmp_path: Path) -> None:
    source, path = no_top("MobileNetV2"), tmp_path / "notop.h5"
    source.save_weights(path)
    x, model = image() / 127.5 - 1, build("MobileNetV2", (32, 32, 3), 5, weights=path)
    assert before_head(model, x) == pytest.approx(pooled(source, x), abs=1e-5)


def test_weights_with_top_fit_as_well(tmp_path: Path) -> None:
    import tf_keras as keras

    keras.backend.clear_session()
    source, path = keras.applications.MobileNet(weights=None, input_shape=(32, 32, 3), classes=9), tmp_path / "top.h5"
    source.save_weights(path)
    model = build("MobileNet", (32, 32, 3), 5, weights=str(path))
    x = image() / 127.5 - 1
    last = keras.Model(source.input, source.get_layer("conv_pw_13_relu").output)
    assert before_head(model, x) == pytest.approx(pooled(last, x), abs=1e-5)


def test_weights_of_the_caffe_kind_are_turned_round_to_take_rgb(tmp_path: Path) -> None:
    import tf_keras as keras

    source, path = no_top("VGG16"), tmp_path / "vgg16.h5"
    source.save_weights(path)
    offset, scale = preprocessing_of("VGG16")
    x = image()
    ours = before_head(build("VGG16", (32, 32, 3), 5, weights=path), (x - np.array(offset)) / np.array(scale))
    theirs = pooled(source, keras.applications.vgg16.preprocess_input(x.copy()))
    assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-3)


def test_a_deviation_in_the_place_of_a_variance_is_squared_and_a_variance_is_not() -> None:
    import tf_keras as keras

    layer, mean = keras.layers.Normalization(axis=3), np.array([0.485, 0.456, 0.406])
    layer.build((None, 32, 32, 3))
    for variance, deviation in (([0.229, 0.224, 0.225], [0.229, 0.224, 0.225]), ([0.04, 0.09, 0.16], [0.2, 0.3, 0.4])):
        layer.set_weights([mean, np.array(variance), np.int64(0)])
        applications._square_variance(layer)
        x = image() / 255
        assert layer(x).numpy() == pytest.approx((x - mean) / np.array(deviation), abs=1e-4)


@pytest.mark.slow
def test_efficientnet_divides_by_the_deviation_that_its_files_hold_as_variance(tmp_path: Path) -> None:
    source, path = no_top("EfficientNetB0"), tmp_path / "b0.h5"
    normalization = next(layer for layer in source.layers if type(layer).__name__ == "Normalization")
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    normalization.set_weights([mean, deviation, np.int64(0)])
    source.save_weights(path)
    model = build("EfficientNetB0", (32, 32, 3), 5, weights=path)
    ours = next(layer for layer in model.layers if type(layer).__name__ == "Normalization")
    x = image()
    assert ours(x / 255).numpy() == pytest.approx((x / 255 - mean) / deviation, abs=1e-4)


def test_weights_of_another_architecture_are_refused_with_the_first_layer_that_differs(tmp_path: Path) -> None:
    import tf_keras as keras

    keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.5).save_weights(
        tmp_path / "half.h5")
    with pytest.raises(ModelError, match=r"does not fit MobileNet: layer 'conv1' of the file has arrays of the shapes "
                                         r"\[\(3, 3, 3, 16\)\], layer 'conv1' of the model \[\(3, 3, 3, 32\)\]"):
        build("MobileNet", (32, 32, 3), 5, weights=tmp_path / "half.h5")


def test_no_network_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tf_keras.src.utils import data_utils

    def fail(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(data_utils, "urlretrieve", fail)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="the ImageNet weights of MobileNet cannot be downloaded") as caught:
        build("MobileNet", (32, 32, 3), 5, weights="imagenet")
    assert caught.value.next_step == "give the path of a .h5 weight file as weights"


def test_nothing_is_downloaded_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from tf_keras.src.utils import data_utils

    monkeypatch.setattr(data_utils, "urlretrieve", None)
    monkeypatch.setattr(data_utils, "get_file", None)
    assert build("MobileNet", (32, 32, 3), 5).output_shape == (None, 5)
