"""The evaluate stage on real engines, and with an engine that is missing, refuses, crashes or hangs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from device_profiles.errors import DataError, EngineCrash, EngineTimeout, StageError, StoreError
from stages import evaluate, metrics
from stages.context import StageContext
from stages.engines import registry


@pytest.fixture
def artifacts(tmp_path: Path, tiny_keras: Any, tiny_samples: np.ndarray) -> dict[str, Path]:
    """Artifacts of convert (empty), prepare and baseline; the labels are the float model's, but for every eighth."""
    folders = {name: tmp_path / name for name in ("tflite", "data", "baseline")}
    for folder in folders.values():
        folder.mkdir()
    outputs = tiny_keras.predict(tiny_samples, verbose=0)
    labels = outputs.argmax(axis=1)
    labels[::8] = (labels[::8] + 1) % 3
    np.save(folders["data"] / "x_test.npy", tiny_samples)
    np.save(folders["data"] / "y_test.npy", labels.astype(np.int64))
    np.save(folders["baseline"] / "outputs.npy", outputs)
    return folders


def test_every_engine_is_scored_against_labels_and_float_model(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], context: StageContext) -> None:
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["float32"])
    result = evaluate.run(**artifacts, options=evaluate.Options(variant="float32"), context=context)
    assert list(result.engines) == ["litert", "tflite-runtime", "tflm"]
    for name, found in result.engines.items():
        assert (found.status, found.engine_version) == ("ok", registry.engine_info(name).version)
        assert found.metrics is not None
        assert found.metrics.accuracy.value == 56 / 64
        assert found.metrics.accuracy.samples == 64
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
    assert found.changed == metrics.changed_labels(reference, outputs["tflm"])
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
    real = evaluate.predict_file

    def fail_in_litert(job: Any, progress: Any) -> Any:
        if job.engine == "litert":
            raise error("litert", "int8", "did not answer")
        return real(job, progress)

    monkeypatch.setattr(evaluate, "predict_file", fail_in_litert)
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["int8"])
    result = evaluate.run(**artifacts, options=evaluate.Options(variant="int8"), context=context)
    assert [found.status for found in result.engines.values()] == [status, "ok", "ok"]
    assert result.provisional == ("litert: did not answer",)


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
    with pytest.raises(StageError, match=r"wants samples of shape \[\[6, 6, 2\]\]") as caught:
        evaluate.run(**artifacts, options=evaluate.Options(variant="int8"), context=context)
    assert caught.value.next_step


def test_a_model_whose_output_does_not_fit_the_labels_is_refused(
        artifacts: dict[str, Path], tiny_tflites: dict[str, bytes], context: StageContext) -> None:
    np.save(artifacts["baseline"] / "outputs.npy", np.zeros((64, 5), np.float32))
    (artifacts["tflite"] / "model.tflite").write_bytes(tiny_tflites["int8"])
    with pytest.raises(StageError, match=r"int8 in litert gives outputs of shape \(64, 3\)") as caught:
        evaluate.run(**artifacts, options=evaluate.Options(variant="int8"), context=context)
    assert "(64, 5)" in caught.value.allowed


def test_labels_beyond_the_classes_are_refused_before_an_engine_starts(
        artifacts: dict[str, Path], context: StageContext) -> None:
    np.save(artifacts["data"] / "y_test.npy", np.full(64, 9))
    (artifacts["tflite"] / "model.tflite").write_bytes(b"never read")
    with pytest.raises(StageError, match="labels run from 9 to 9"):
        evaluate.run(**artifacts, options=evaluate.Options(), context=context)
    assert not context.log.exists()


def test_nan_in_the_float_models_outputs_is_refused(artifacts: dict[str, Path], context: StageContext) -> None:
    np.save(artifacts["baseline"] / "outputs.npy", np.full((64, 3), np.nan))
    (artifacts["tflite"] / "model.tflite").write_bytes(b"never read")
    with pytest.raises(DataError, match="NaN or infinity on 64 of 64"):
        evaluate.run(**artifacts, options=evaluate.Options(), context=context)


@pytest.mark.parametrize("gone", ["tflite/model.tflite", "data/y_test.npy", "baseline/outputs.npy"])
def test_an_artifact_without_its_file_is_named(gone: str, artifacts: dict[str, Path], context: StageContext,
                                               tmp_path: Path) -> None:
    (artifacts["tflite"] / "model.tflite").write_bytes(b"never read")
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
