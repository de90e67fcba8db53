"""The evaluate stage on real engines, and with an engine that is missing, refuses, crashes or hangs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from device_profiles.errors import DataError, EngineCrash, EngineTimeout, StageError, StoreError, UsageError
from device_profiles.schema import SAFETY_LIMITS
from stages import evaluate
from stages.context import StageContext
from stages.datasets.prepared import Preprocessing
from stages.engines import pool, registry
from stages.records import Normalization, TensorSpec
from stages.safety import stress
from tests.stages import two_by_two
from tests.stages.handmade_data import classes, write_data, write_tflite


@pytest.fixture
def artifacts(tmp_path: Path, tiny_keras: Any, tiny_samples: np.ndarray) -> dict[str, Path]:
    """Artifacts of convert (empty), prepare and baseline; the labels are the float model's, but for every eighth."""
    folders = {name: tmp_path / name for name in ("tflite", "data", "baseline")}
    outputs = tiny_keras.predict(tiny_samples, verbose=0)
    labels = outputs.argmax(axis=1)
    labels[::8] = (labels[::8] + 1) % 3
    write_data(folders["data"], tiny_samples, labels.astype(np.int64), classes((6, 6, 2), 3))
    folders["baseline"].mkdir()
    np.save(folders["baseline"] / "outputs.npy", outputs)
    write_tflite(folders["tflite"], b"")
    return folders


def test_every_engine_is_scored_against_labels_and_float_model(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], context: StageContext) -> None:
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["float32"])
    result = evaluate.run(**artifacts, options=evaluate.Options(variant="float32"), context=context)
    assert list(result.engines) == ["litert", "tflite-runtime", "tflm"]
    for name, found in result.engines.items():
        assert (found.status, found.engine_version) == ("ok", registry.engine_info(name).version)
        assert found.metrics is not None
        assert found.metrics.headline.value == 56 / 64
        assert found.metrics.headline.samples == 64
        assert found.drop is not None
        assert found.drop.value == 0.0
        assert found.changed == 0
        assert found.largest_difference is not None
        assert found.largest_difference < 1e-5
    assert result.provisional == ()
    assert result.summary.startswith("litert 87.5 % (drop 0.0)")


def test_outputs_are_kept_and_agreements_are_between_them(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], context: StageContext) -> None:
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["int8"])
    result = evaluate.run(**artifacts, options=evaluate.Options(variant="int8"), context=context)
    outputs = {name: np.load(context.out / f"outputs_{name}.npy") for name in registry.ENGINES}
    assert {(array.dtype.name, array.shape) for array in outputs.values()} == {("float32", (64, 3))}
    assert len(result.agreements) == 3
    for agreement in result.agreements:
        one, other = (outputs[name] for name in agreement.engines)
        assert agreement.largest_difference == abs(one - other).max()
        assert agreement.equal_labels == (one.argmax(axis=1) == other.argmax(axis=1)).mean()
    reference = np.load(artifacts["baseline"] / "outputs.npy")
    found = result.engines["tflm"]
    assert found.changed == (reference.argmax(axis=1) != outputs["tflm"].argmax(axis=1)).sum()
    assert found.largest_difference == pytest.approx(abs(reference - outputs["tflm"]).max())


def test_batch_size_does_not_change_the_figures(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], context: StageContext) -> None:
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["int8"])
    one, many = (evaluate.run(**artifacts, options=evaluate.Options(batch_size=size), context=context)
                 for size in (1, 32))
    assert one == many


def test_a_refusal_is_recorded_with_its_reason_and_is_not_provisional(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], context: StageContext) -> None:
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["float16"])
    result = evaluate.run(**artifacts, options=evaluate.Options(variant="float16"), context=context)
    assert result.engines["tflm"].status == "refused"
    assert "DEQUANTIZE" in result.engines["tflm"].message
    assert result.engines["tflm"].metrics is None
    assert result.engines["litert"].status == "ok"
    assert result.provisional == ()
    assert not (context.out / "outputs_tflm.npy").exists()
    assert result.summary.endswith("tflm refused")


def test_a_crash_is_recorded_and_makes_the_result_provisional(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], context: StageContext) -> None:
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["int8"][:1500])  # tflite-runtime segfaults on it
    options = evaluate.Options(engines=("tflite-runtime", "tflm"), variant="int8")
    result = evaluate.run(**artifacts, options=options, context=context)
    assert result.engines["tflite-runtime"].status == "crashed"
    assert result.provisional == (f"tflite-runtime: {result.engines['tflite-runtime'].message}",)
    assert "int8: no engine could run it" in result.warnings


@pytest.mark.parametrize(("error", "status"), [(EngineTimeout, "timeout"), (EngineCrash, "crashed")])
def test_a_time_limit_is_recorded_and_the_other_engines_go_on(
        error: type[EngineCrash], status: str, artifacts: dict[str, Path], tiny_tflites: dict[str, bytes],
        context: StageContext, monkeypatch: pytest.MonkeyPatch) -> None:
    real = pool.predict_file

    def fail_in_litert(job: Any, *others: Any) -> Any:
        if job.engine == "litert":
            raise error("litert", "int8", "did not answer")
        return real(job, *others)

    monkeypatch.setattr("stages.outputs.predict_file", fail_in_litert)
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["int8"])
    result = evaluate.run(**artifacts, options=evaluate.Options(variant="int8"), context=context)
    assert [found.status for found in result.engines.values()] == [status, "ok", "ok"]
    assert result.provisional == ("litert: did not answer",)
    assert not (context.out / "outputs_litert.npy").exists()


def test_an_engine_that_is_not_installed_is_recorded_with_the_reason(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], context: StageContext,
        monkeypatch: pytest.MonkeyPatch) -> None:
    gone = registry.Engine("tflm", "no-such-distribution", "x", "x", False, "nowhere")
    monkeypatch.setitem(registry.ENGINES, "tflm", gone)
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["int8"])
    result = evaluate.run(**artifacts, options=evaluate.Options(engines=("litert", "tflm")), context=context)
    assert result.engines["tflm"].status == "unavailable"
    assert "pip install no-such-distribution" in result.engines["tflm"].message
    assert result.provisional == ()


def test_a_model_with_another_input_is_refused_with_both_shapes(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], context: StageContext) -> None:
    np.save(artifacts["data"] / "x_test.npy", np.zeros((64, 8, 8, 1), np.float32))
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["int8"])
    with pytest.raises(StageError, match=r"inputs do not fit int8 in litert: input \(8, 8, 1\)") as caught:
        evaluate.run(**artifacts, options=evaluate.Options(variant="int8"), context=context)
    assert "(6, 6, 2)" in caught.value.allowed
    assert caught.value.next_step


def test_a_model_whose_output_does_not_fit_the_float_model_is_refused(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], context: StageContext, tmp_path: Path) -> None:
    x, y = (np.load(artifacts["data"] / f"{letter}_test.npy") for letter in "xy")
    write_data(tmp_path / "data", x, y, classes((6, 6, 2), 5))
    np.save(artifacts["baseline"] / "outputs.npy", np.zeros((64, 5), np.float32))
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["int8"])
    with pytest.raises(StageError, match=r"int8 in litert gives outputs of shape \(64, 3\)") as caught:
        evaluate.run(**artifacts, options=evaluate.Options(variant="int8"), context=context)
    assert "(64, 5)" in caught.value.allowed


def test_labels_beyond_the_classes_are_refused_before_an_engine_starts(
        artifacts: dict[str, Path], context: StageContext) -> None:
    np.save(artifacts["data"] / "y_test.npy", np.full(64, 9))
    with pytest.raises(StageError, match="labels run from 9 to 9"):
        evaluate.run(**artifacts, options=evaluate.Options(), context=context)
    assert not context.log.exists()


def test_nan_in_the_float_models_outputs_is_refused(artifacts: dict[str, Path], context: StageContext) -> None:
    np.save(artifacts["baseline"] / "outputs.npy", np.full((64, 3), np.nan))
    with pytest.raises(DataError, match="NaN or infinity on 64 of 64"):
        evaluate.run(**artifacts, options=evaluate.Options(), context=context)


def test_a_tflite_model_is_read_as_its_float_model_was(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], context: StageContext) -> None:
    """Where the float model gives logits, outputs that happen to lie within 0..1 are logits too."""
    outputs = np.load(artifacts["baseline"] / "outputs.npy")
    np.save(artifacts["baseline"] / "outputs.npy", outputs * 30)
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["float32"])
    result = evaluate.run(**artifacts, options=evaluate.Options(engines=("litert",)), context=context)
    found, labels = result.engines["litert"].metrics, np.load(artifacts["data"] / "y_test.npy")
    shares = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    assert found is not None
    assert found.figures["log_loss"].value == pytest.approx(-np.log(shares[np.arange(64), labels]).mean(), rel=1e-4)


def test_stored_samples_are_normalized_unless_the_model_has_it_inside(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], tiny_keras: Any, context: StageContext) -> None:
    stored = np.random.default_rng(0).integers(0, 256, (64, 6, 6, 2)).astype(np.uint8)
    spec = TensorSpec(shape=(6, 6, 2), dtype="uint8",
                      normalization=Normalization(kind="fixed", offset=(0.0,), scale=(255.0,)))
    data = write_data(artifacts["data"], stored, np.load(artifacts["data"] / "y_test.npy"),
                      classes((6, 6, 2), 3).model_copy(update={"inputs": {"input": spec}}))
    np.save(artifacts["baseline"] / "outputs.npy", tiny_keras((stored / np.float32(255)).astype("f4")).numpy())
    options = evaluate.Options(engines=("litert",))
    for folded, least, most in ((False, 0, 1e-5), (True, 1e-3, 1)):
        tflite = write_tflite(artifacts["tflite"], tiny_tflites["float32"], folded=folded)
        result = evaluate.run(**(artifacts | {"tflite": tflite, "data": data}), options=options, context=context)
        assert least <= (result.engines["litert"].largest_difference or 0) <= most


def test_several_outputs_are_scored_each_and_the_largest_drop_counts(tmp_path: Path, context: StageContext) -> None:
    samples, keras_model = two_by_two.stored(60), two_by_two.build()
    kind, value = (each.numpy() for each in keras_model(two_by_two.normalized(samples)))
    y = np.zeros(60, np.dtype([("kind", np.int64), ("value", np.float32, (1,))]))
    y["kind"], y["value"] = kind.argmax(axis=1), value + np.random.default_rng(0).normal(0, 0.1, value.shape)
    inputs = {"image": TensorSpec(shape=(6, 6, 1), dtype="uint8",
                                  normalization=Normalization(kind="fixed", offset=(0.0,), scale=(255.0,))),
              "age": TensorSpec(shape=(2,), dtype="float32",
                                normalization=Normalization(kind="fixed", offset=(40.0,), scale=(12.0,)))}
    data = write_data(tmp_path / "data", samples, y, Preprocessing(inputs=inputs, class_names=("a", "b", "c")))
    reference = np.zeros(60, np.dtype([("value", np.float32, (1,)), ("kind", np.float32, (3,))]))
    reference["kind"], reference["value"] = kind, value
    (tmp_path / "baseline").mkdir()
    np.save(tmp_path / "baseline" / "outputs.npy", reference)
    tflite = write_tflite(tmp_path / "tflite", two_by_two.convert(keras_model, samples, "int8"))
    options = evaluate.Options.model_validate({"engines": ("litert", "tflite-runtime"), "task": {
        "outputs": {"value": "regression", "kind": "classification"}}})
    result = evaluate.run(tflite=tflite, data=data, baseline=tmp_path / "baseline", options=options, context=context)
    found = result.engines["litert"]
    assert (found.status, list(found.outputs)) == ("ok", ["value", "kind"])
    assert found.metrics == found.outputs["value"]
    outputs = np.load(context.out / "outputs_litert.npy")
    assert outputs.dtype == reference.dtype
    assert found.changed == (outputs["kind"].argmax(axis=1) != y["kind"]).sum()
    drops = [100 * (1 - found.outputs["kind"].headline.value),
             100 * (1 - ((y["value"] - value) ** 2).sum() / ((y["value"] - y["value"].mean()) ** 2).sum()
                    - found.outputs["value"].headline.value)]
    assert found.drop is not None
    assert found.drop.value == pytest.approx(max(drops), abs=1e-3)
    assert found.largest_difference == pytest.approx(
        max(abs(outputs[name] - reference[name]).max() for name in ("kind", "value")))
    assert "litert mean score 0." in result.summary


def test_values_are_scored_without_a_word_of_labels(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], context: StageContext) -> None:
    outputs = np.load(artifacts["baseline"] / "outputs.npy")
    y = outputs + np.random.default_rng(0).normal(0, 0.01, outputs.shape)
    data = write_data(artifacts["data"], np.load(artifacts["data"] / "x_test.npy"), y.astype(np.float32),
                      classes((6, 6, 2), 0))
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["float32"])
    options = evaluate.Options.model_validate({"engines": ("litert", "tflite-runtime"), "task": "regression"})
    result = evaluate.run(**(artifacts | {"data": data}), options=options, context=context)
    found = result.engines["litert"]
    assert found.changed is None
    assert found.metrics is not None
    assert found.metrics.score == "r2"
    assert result.agreements[0].equal_labels is None
    assert result.summary.startswith(f"litert R2 {found.metrics.headline.value:.3f} (drop ")


def test_an_autoencoders_drop_is_of_the_area_under_its_errors(tmp_path: Path, context: StageContext) -> None:
    import tensorflow as tf
    import tf_keras as keras

    half = keras.layers.Dense(2, use_bias=False, kernel_initializer=keras.initializers.Constant(np.eye(2) / 2))
    model = keras.Sequential([keras.layers.Input((2,)), half])
    x = np.array([[1, 1], [2, 2], [4, 4], [3, 3]], np.float32)  # errors of the halves: 1/4, 1, 4, 9/4
    data = write_data(tmp_path / "data", x, np.array([0, 0, 0, 1]),
                      classes((2,), 2).model_copy(update={"task": "anomaly"}), groups=("a", "a", "b", "a"))
    (tmp_path / "baseline").mkdir()
    np.save(tmp_path / "baseline" / "outputs.npy", x - np.array([[1], [2], [2.5], [3]], np.float32))  # all are found
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    options = evaluate.Options.model_validate({"engines": ("litert",), "task": "anomaly"})
    result = evaluate.run(tflite=write_tflite(tmp_path / "tflite", content), data=data, options=options,
                          baseline=tmp_path / "baseline", context=context)
    found = result.engines["litert"]
    assert found.metrics is not None
    assert found.metrics.headline.value == pytest.approx(2 / 3)
    assert found.metrics.figures["auc_a"].value == 1.0
    assert found.drop is not None
    assert found.drop.value == pytest.approx(100 / 3)
    assert found.changed is None
    assert result.summary == "litert ROC AUC 0.667 (drop 33.3)"


@pytest.mark.parametrize("gone", [
    "tflite/model.tflite", "tflite/result.json", "data/y_test.npy", "baseline/outputs.npy"])
def test_an_artifact_without_its_file_is_named(gone: str, artifacts: dict[str, Path], context: StageContext,
                                               tmp_path: Path) -> None:
    (tmp_path / gone).unlink()
    with pytest.raises(StoreError, match=gone):
        evaluate.run(**artifacts, options=evaluate.Options(), context=context)


def test_settings_refuse_an_unknown_engine_with_the_near_miss() -> None:
    with pytest.raises(ValidationError, match="did you mean 'tflm'"):
        evaluate.Settings(engines=("tfml",))
    with pytest.raises(ValidationError):
        evaluate.Settings(engines=())


def test_every_setting_is_described() -> None:
    assert all(field.description for field in evaluate.Settings.model_fields.values())


def _stressed(artifacts: dict[str, Path], tiny_keras: Any) -> None:
    """Baseline's files for two corruptions of 40 of the artifacts' samples."""
    outputs = artifacts["baseline"]
    about = stress.write_corrupted(artifacts["data"], classes((6, 6, 2), 3),
                                   stress.Settings(kinds=("noise", "shift"), samples=40, layout="image"), 1, outputs)
    for kind in about.severities:
        corrupted = np.load(outputs / about.samples_file(kind))
        np.save(outputs / about.outputs_file(kind), tiny_keras.predict(corrupted, verbose=0))


def test_what_costs_nothing_is_always_there_and_the_rest_is_not(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], context: StageContext) -> None:
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["int8"])
    found = evaluate.run(**artifacts, options=evaluate.Options(engines=("litert",)), context=context)
    engine = found.engines["litert"]
    safety = engine.safety
    assert safety is not None
    assert engine.drop is not None
    test = safety.tests["output"]
    assert 100 * (test.lost - test.gained) / 64 == pytest.approx(engine.drop.value)
    assert (engine.drop.level, test.samples) == (0.9, 64)
    assert safety.changed is not None
    assert round(safety.changed.value * 64) == engine.changed
    assert safety.classes is not None
    assert [one.name for one in safety.classes.members] == ["0", "1", "2"]
    assert sum(one.samples for one in safety.classes.members) == 64
    assert (safety.slices, safety.calibration, safety.corrupted, safety.missing) == (None, {}, None, {})


def test_corruptions_slices_and_calibration_are_measured_where_they_are_asked_for(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], tiny_keras: Any, context: StageContext) -> None:
    _stressed(artifacts, tiny_keras)
    (artifacts["data"] / "slices_test.json").write_text('{"light": ' + str(["day"] * 40 + ["night"] * 24).replace(
        "'", '"') + "}")
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["int8"])
    options = evaluate.Options(engines=("litert", "tflm"), asked=SAFETY_LIMITS, slice_least_samples=30)
    found = evaluate.run(**artifacts, options=options, context=context)
    for engine in found.engines.values():
        safety = engine.safety
        assert safety is not None
        assert safety.missing == {}
        assert safety.corrupted is not None
        assert list(safety.corrupted.agreement) == ["noise", "shift"]
        assert {one.samples for one in safety.corrupted.changed.members} == {40}
        assert safety.slices is not None
        assert [(one.name, one.judged) for one in safety.slices.members] == [("light=day", True),
                                                                            ("light=night", False)]
        assert list(safety.calibration) == ["output"]
    assert sorted(path.name for path in context.out.iterdir()) == ["outputs_litert.npy", "outputs_tflm.npy"]
    assert [*context.scratch.iterdir()] == []


def test_a_float32_variant_agrees_with_float_on_every_corrupted_sample(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], tiny_keras: Any, context: StageContext) -> None:
    _stressed(artifacts, tiny_keras)
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["float32"])
    found = evaluate.run(**artifacts, options=evaluate.Options(engines=("litert",)), context=context)
    safety = found.engines["litert"].safety
    assert safety is not None
    assert safety.corrupted is not None
    assert safety.corrupted.agreement == {"noise": 1.0, "shift": 1.0}


def test_a_limit_without_the_data_to_judge_it_has_a_reason_with_a_next_step(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], context: StageContext) -> None:
    y = np.load(artifacts["baseline"] / "outputs.npy").astype(np.float32)
    data = write_data(artifacts["data"], np.load(artifacts["data"] / "x_test.npy"), y, classes((6, 6, 2), 0))
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["float32"])
    options = evaluate.Options.model_validate({"engines": ("litert",), "task": "regression", "asked": SAFETY_LIMITS})
    found = evaluate.run(**(artifacts | {"data": data}), options=options, context=context)
    safety = found.engines["litert"].safety
    assert safety is not None
    assert list(safety.missing) == list(SAFETY_LIMITS)
    assert safety.missing["predictions_changed_share"].startswith("regression decides nothing that could change")
    assert "data.source.slices" in safety.missing["worst_slice_drop_points"]


def test_corruptions_that_were_not_made_are_named_with_the_setting(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], context: StageContext) -> None:
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["float32"])
    options = evaluate.Options(engines=("litert",), asked=("corrupted_changed_share",))
    safety = evaluate.run(**artifacts, options=options, context=context).engines["litert"].safety
    assert safety is not None
    assert safety.missing == {"corrupted_changed_share": "the float model was not run on corrupted samples; set "
                                                         "baseline.corruptions.kinds to auto or a list"}


def test_a_slice_column_that_is_not_there_is_refused_before_an_engine_starts(
        artifacts: dict[str, Path], context: StageContext) -> None:
    (artifacts["data"] / "slices_test.json").write_text('{"light": ' + str(["day"] * 64).replace("'", '"') + "}")
    with pytest.raises(UsageError, match="did you mean 'light'"):
        evaluate.run(**artifacts, options=evaluate.Options(slices=("lights",)), context=context)
    assert not context.log.exists()
