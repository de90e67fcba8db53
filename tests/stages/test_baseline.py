"""The float baseline: of a Keras model, of a tflite model, for every task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import DataError, ModelError, StageError, StoreError
from stages import baseline
from stages.datasets.prepared import Preprocessing, normalized, read_preprocessing, read_split
from stages.models import inference
from stages.models.files import load_model, save_model
from stages.records import Normalization, TensorSpec
from stages.safety import stress
from tests.stages import two_by_two
from tests.stages.conftest import make_context
from tests.stages.handmade_data import classes, write_data, write_tflite


def _options(task: object = "classification") -> baseline.Options:
    return baseline.Options.model_validate({"task": task})


def test_outputs_are_the_models_own_and_the_metrics_are_theirs(tmp_path: Path, trained: Path, prepared: Path,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "BATCH", 7)  # 30 samples in five parts
    context = make_context(tmp_path)
    result = baseline.run(model=trained, data=prepared, options=_options(), context=context)
    outputs, test = np.load(context.out / "outputs.npy"), read_split(prepared, "test")
    assert outputs == pytest.approx(load_model(trained)(test.x).numpy(), abs=1e-6)
    assert result.metrics.headline.value == pytest.approx((outputs.argmax(axis=1) == test.y).mean())
    assert result.metrics.samples == 30
    assert result.outputs == {}
    assert result.summary == f"accuracy {100 * result.metrics.headline.value:.1f} % on 30 test samples"


def test_the_same_model_and_data_give_the_same_bytes(tmp_path: Path, trained: Path, prepared: Path) -> None:
    contexts = [make_context(tmp_path / name) for name in "ab"]
    results = [baseline.run(model=trained, data=prepared, options=_options(), context=c) for c in contexts]
    assert results[0] == results[1]
    assert (contexts[0].out / "outputs.npy").read_bytes() == (contexts[1].out / "outputs.npy").read_bytes()


def test_a_float_tflite_model_gives_what_its_keras_model_gives(tmp_path: Path, trained: Path, float_tflite: Path,
                                                               prepared: Path) -> None:
    contexts = [make_context(tmp_path / name) for name in ("keras", "tflite")]
    results = [baseline.run(model=model, data=prepared, options=_options(), context=context)
               for model, context in zip((trained, float_tflite), contexts, strict=True)]
    one, other = (np.load(context.out / "outputs.npy") for context in contexts)
    assert one == pytest.approx(other, abs=1e-5)
    assert results[0].metrics.headline == results[1].metrics.headline


def _two(folder: Path, count: int = 40) -> tuple[Path, Path, dict[str, object]]:
    """(a Keras model's artifact, data, task) with two inputs and two outputs."""
    samples = two_by_two.stored(count)
    y = np.zeros(count, np.dtype([("kind", np.int64), ("value", np.float32, (1,))]))
    y["kind"], y["value"] = np.arange(count) % 3, np.linspace(-1, 1, count)[:, None]
    inputs = {"image": TensorSpec(shape=(6, 6, 1), dtype="uint8",
                                  normalization=Normalization(kind="fixed", offset=(0.0,), scale=(255.0,))),
              "age": TensorSpec(shape=(2,), dtype="float32",
                                normalization=Normalization(kind="fixed", offset=(40.0,), scale=(12.0,)))}
    values = TensorSpec(shape=(1,), dtype="float32",
                        normalization=Normalization(kind="standard", offset=(5.0,), scale=(10.0,)))
    data = write_data(folder / "data", samples, y,
                      Preprocessing(inputs=inputs, class_names=("a", "b", "c"), targets={"value": values}))
    model = folder / "model"
    model.mkdir()
    save_model(two_by_two.build(), model)
    return model, data, {"outputs": {"value": "regression", "kind": "classification"}}


def test_several_inputs_and_outputs_are_scored_each_in_keras_and_in_litert(tmp_path: Path) -> None:
    model, data, task = _two(tmp_path)
    context = make_context(tmp_path / "keras")
    result = baseline.run(model=model, data=data, options=_options(task), context=context)
    outputs = np.load(context.out / "outputs.npy")
    assert outputs.dtype == np.dtype([("value", np.float32, (1,)), ("kind", np.float32, (3,))])
    wanted = two_by_two.build()(two_by_two.normalized(two_by_two.stored(40)))
    assert outputs["kind"] == pytest.approx(wanted[0].numpy(), abs=1e-5)
    assert outputs["value"] == pytest.approx(wanted[1].numpy(), abs=1e-5)
    assert list(result.outputs) == ["value", "kind"]
    assert result.metrics == result.outputs["value"]
    target = np.linspace(-1, 1, 40)
    assert result.metrics.figures["mae"].value == pytest.approx(
        10 * abs(outputs["value"][:, 0] - target).mean(), rel=1e-5)
    mean = np.mean([each.headline.value for each in result.outputs.values()])
    assert result.summary == f"mean score {mean:.3f} on 40 test samples"

    content = two_by_two.convert(two_by_two.build(), two_by_two.stored(4), "float32")
    other = make_context(tmp_path / "tflite")
    baseline.run(model=write_tflite(tmp_path / "float", content), data=data, options=_options(task), context=other)
    again = np.load(other.out / "outputs.npy")
    assert again.dtype == outputs.dtype
    assert again["kind"] == pytest.approx(outputs["kind"], abs=1e-5)


def test_an_autoencoder_is_scored_by_its_reconstruction_error(tmp_path: Path) -> None:
    import tf_keras as keras

    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(2, kernel_initializer="zeros")])
    (tmp_path / "model").mkdir()
    save_model(model, tmp_path / "model")
    x = np.array([[1, 1], [2, 2], [3, 3], [2.5, 2.5]], np.float32)
    data = write_data(tmp_path / "data", x, np.array([0, 0, 1, 1]), classes((2,), 2).model_copy(
        update={"task": "anomaly"}), clips=np.array([0, 1, 2, 2]))
    result = baseline.run(model=tmp_path / "model", data=data, options=_options("anomaly"),
                          context=make_context(tmp_path))
    assert (result.metrics.samples, result.metrics.headline.value) == (3, 1.0)
    assert result.metrics.figures["threshold"].value == pytest.approx(4.0)  # no false alarm is allowed among two
    assert result.summary == "ROC AUC 1.000 on 3 test samples"


def test_data_with_other_samples_is_refused(tmp_path: Path, trained: Path) -> None:
    data = write_data(tmp_path, np.zeros((4, 8, 8, 1), np.float32), np.arange(4) % 3, classes((8, 8, 1), 3))
    with pytest.raises(ModelError, match=r"samples have the shape \(8, 8, 1\)"):
        baseline.run(model=trained, data=data, options=_options(), context=make_context(tmp_path))


def test_more_classes_than_outputs_are_refused(tmp_path: Path, trained: Path) -> None:
    data = write_data(tmp_path, np.zeros((4, 6, 6, 1), np.float32), np.arange(4), classes((6, 6, 1), 4))
    with pytest.raises(ModelError, match="the data has 4 classes"):
        baseline.run(model=trained, data=data, options=_options(), context=make_context(tmp_path))


def test_a_tflite_model_with_other_outputs_is_refused(tmp_path: Path, float_tflite: Path) -> None:
    data = write_data(tmp_path, np.zeros((4, 6, 6, 1), np.float32), np.arange(4), classes((6, 6, 1), 4))
    with pytest.raises(StageError, match=r"gives outputs of shape \(4, 3\)"):
        baseline.run(model=float_tflite, data=data, options=_options(), context=make_context(tmp_path))


def test_an_empty_test_split_and_missing_data_are_named(tmp_path: Path, trained: Path) -> None:
    empty = write_data(tmp_path / "empty", np.zeros((0, 6, 6, 1), np.float32), np.zeros(0, np.int64),
                       classes((6, 6, 1), 3))
    with pytest.raises(DataError, match="test split has no samples"):
        baseline.run(model=trained, data=empty, options=_options(), context=make_context(tmp_path))
    (empty / "y_test.npy").unlink()
    with pytest.raises(StoreError, match="no readable split 'test'"):
        baseline.run(model=trained, data=empty, options=_options(), context=make_context(tmp_path))


def test_a_folder_without_any_model_is_an_error(tmp_path: Path, prepared: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.keras"):
        baseline.run(model=tmp_path, data=prepared, options=_options(), context=make_context(tmp_path))


def test_large_data_is_read_part_by_part(tmp_path: Path, trained: Path, prepared: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    from stages.datasets import prepared as module
    from stages.datasets.rows import Rows

    def refuse(*_: Any) -> None:
        raise MemoryError("the whole split was asked for")

    plain = baseline.run(model=trained, data=prepared, options=_options(), context=make_context(tmp_path / "plain"))
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(Rows, "load", refuse)
    assert baseline.run(model=trained, data=prepared, options=_options(), context=make_context(tmp_path)) == plain


@pytest.mark.parametrize("kind", ["keras", "tflite"])
def test_corrupted_samples_go_through_the_float_model_where_a_limit_asks(
        kind: str, tmp_path: Path, trained: Path, float_tflite: Path, prepared: Path) -> None:
    context = make_context(tmp_path)
    options = _options().model_copy(update={"asked": ("corrupted_changed_share",)})
    model = trained if kind == "keras" else float_tflite
    result = baseline.run(model=model, data=prepared, options=options, context=context)
    about = stress.read_about(context.out)
    assert about is not None
    assert (list(about.severities), len(about.rows)) == (["noise", "blur", "brightness", "shift"], 30)
    for each in about.severities:
        stored = np.load(context.out / about.samples_file(each))
        given = normalized(stored, read_preprocessing(prepared).inputs)
        assert np.load(context.out / about.outputs_file(each)) == pytest.approx(
            load_model(trained)(given).numpy(), abs=1e-5)
    plain = make_context(tmp_path / "plain")
    assert baseline.run(model=model, data=prepared, options=_options(), context=plain) == result
    assert [path.name for path in plain.out.iterdir()] == ["outputs.npy"]
    assert (plain.out / "outputs.npy").read_bytes() == (context.out / "outputs.npy").read_bytes()


def test_a_corruption_that_does_not_fit_the_data_stops_before_the_model_is_loaded(tmp_path: Path, trained: Path,
                                                                                  prepared: Path) -> None:
    options = baseline.Options.model_validate({"corruptions": {"kinds": ["gain"]}})
    with pytest.raises(DataError, match="'gain' does not fit the data"):
        baseline.run(model=trained, data=prepared, options=options, context=make_context(tmp_path))
