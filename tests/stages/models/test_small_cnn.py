"""`small_cnn` and the registry of models."""

from __future__ import annotations

import subprocess
import sys

import pytest

from device_profiles.errors import ModelError
from stages.models import BUILDERS, MODEL_NAMES, build_model, model_name
from stages.models.blocks import Output


def test_it_has_the_parameters_that_its_layers_add_up_to() -> None:
    model = build_model("small_cnn", (8, 8, 1), 10)
    convolutions = 9 * (1 * 16 + 16 * 32 + 32 * 48)
    normalizations = 4 * (16 + 32 + 48)
    assert model.count_params() == convolutions + normalizations + 48 * 10 + 10 == 19450


@pytest.mark.parametrize("shape", [(2, 2, 1), (9, 5, 3), (32, 32, 3)])
def test_it_takes_images_of_any_size_and_ends_in_probabilities(shape: tuple[int, ...]) -> None:
    import numpy as np

    outputs = build_model("small_cnn", shape, 4)(np.ones((2, *shape), np.float32)).numpy()
    assert outputs.shape == (2, 4)
    assert outputs.sum(axis=1) == pytest.approx([1, 1])


@pytest.mark.parametrize("shape", [(8,), (8, 8), (1, 8, 1)])
def test_samples_that_are_no_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="small_cnn cannot take samples of the shape"):
        build_model("small_cnn", shape, 10)


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ModelError) as caught:
        build_model("transformer", (8, 8, 1), 10)
    assert caught.value.allowed == ("autoencoder, ds_cnn, mlp, mobilenet_v1_025, resnet8, small_cnn, "
                                    "applications/NAME")


@pytest.mark.parametrize(("word", "near"), [("resnet", "resnet8"), ("mobilenet_v1", "mobilenet_v1_025"),
                                            ("MobileNetV2", "MobileNetV2")])
def test_an_unknown_name_is_answered_with_the_nearest_one(word: str, near: str) -> None:
    with pytest.raises(ModelError, match=f"no model is called '{word}'; did you mean '(applications/)?{near}'"):
        model_name(word)


def test_every_name_is_its_own_canonical_spelling() -> None:
    assert [model_name(name) for name in MODEL_NAMES] == list(MODEL_NAMES)
    assert model_name("applications/convnexttiny") == "applications/ConvNeXtTiny"


def test_names_can_be_checked_without_tensorflow() -> None:
    code = "import sys; from stages.models import model_name; model_name('applications/vgg16'); " \
           "sys.exit(any(name in sys.modules for name in ('tensorflow', 'tf_keras', 'h5py')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", [name for name in BUILDERS if name != "autoencoder"])
@pytest.mark.parametrize("output", ["softmax", "sigmoid", "linear"])
def test_every_builder_ends_in_the_activation_that_the_task_needs(name: str, output: Output) -> None:
    shape = (8,) if name == "mlp" else (32, 32, 1)
    model = build_model(name, shape, 3, output)
    assert model.layers[-1].name == "scores"
    assert model.layers[-1].activation.__name__ == output
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize("name", BUILDERS)
def test_no_layer_is_named_by_a_counter(name: str) -> None:
    shape = (8,) if name in ("mlp", "autoencoder") else (32, 32, 1)
    first, second = ([layer.name for layer in build_model(name, shape, 3).layers] for _ in range(2))
    assert first == second


def test_weights_for_a_model_that_has_none_are_refused() -> None:
    with pytest.raises(ModelError, match="resnet8 has no pretrained weights; 'imagenet' was given"):
        build_model("resnet8", (32, 32, 3), 10, weights="imagenet")


def test_a_builder_of_two_arguments_is_good_for_a_softmax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUILDERS, "small_cnn", lambda shape, classes: (shape, classes))
    assert build_model("small_cnn", (8, 8, 1), 4) == ((8, 8, 1), 4)
