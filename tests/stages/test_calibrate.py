"""The calibrate stage on a small model: its record, its plot, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from device_profiles.errors import EngineUnavailable, StageError
from stages import calibrate
from stages.calibrating.record import CalibrationStudy
from stages.datasets.prepared import Preprocessing, write_about, write_preprocessing
from stages.engines import registry
from stages.records import TensorSpec
from tests.stages.conftest import make_context


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, tiny_keras: Any) -> Path:
    """A prepare artifact for `tiny_keras`, labelled by its own outputs less their mean."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name, count in (("train", 60), ("validation", 200), ("test", 50)):
        x = rng.random((count, 6, 6, 2), np.float32)
        np.save(folder / f"x_{name}.npy", x)
        outputs = tiny_keras.predict(x, verbose=0)
        np.save(folder / f"y_{name}.npy", (outputs - outputs.mean(axis=0)).argmax(axis=1).astype(np.int64))
        write_about(folder, name, (), (), None)
    spec = TensorSpec(shape=(6, 6, 2), dtype="float32")
    write_preprocessing(folder, Preprocessing(inputs={"input": spec}, class_names=("a", "b", "c")))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, tiny_tflites: dict[str, bytes]) -> Path:
    folder = tmp_path_factory.mktemp("model")
    (folder / "model.tflite").write_bytes(tiny_tflites["float32"])
    return folder


@pytest.fixture(scope="module")
def made(data: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[CalibrationStudy, Path]:
    context = make_context(tmp_path_factory.mktemp("study"))
    options = calibrate.Options(sizes=(1, 10, 500), draws=2, resamples=200, seed=1)
    return calibrate.run(tflite=model, data=data, options=options, context=context), context.out


def test_every_size_is_scored_in_every_draw(made: tuple[CalibrationStudy, Path]) -> None:
    study, _ = made
    assert [point.samples for point in study.points] == [1, 10, 60]  # the training split has 60
    assert {len(point.scores) for point in study.points} == {2}
    assert (study.split, study.scored, study.score_name, study.engine) == ("validation", 200, "accuracy", "litert")
    assert study.engine_version == registry.engine_info("litert").version
    assert study.points[-1].differences == ()
    assert {len(point.differences) for point in study.points[:-1]} == {2}


def test_outputs_come_nearer_to_the_float_models_with_more_samples(made: tuple[CalibrationStudy, Path]) -> None:
    first, *_, last = made[0].points
    assert np.mean(last.distances) < np.mean(first.distances)
    assert all(0 <= each <= 200 for each in (*first.changed, *last.changed))


def test_ranges_grow_towards_those_of_the_largest_set(made: tuple[CalibrationStudy, Path]) -> None:
    shares = [np.mean(point.range_shares) for point in made[0].points]
    assert shares == sorted(shares)
    assert shares[0] < 0.9
    assert shares[-1] == 1.0


def test_drops_are_against_the_float_model_in_the_same_engine(made: tuple[CalibrationStudy, Path]) -> None:
    study, _ = made
    for point in study.points:
        for score, drop in zip(point.scores, point.drops, strict=True):
            assert drop.value == pytest.approx(100 * (study.float_score - score))


def test_the_conclusion_names_the_size_and_what_could_not_be_seen(made: tuple[CalibrationStudy, Path]) -> None:
    study, _ = made
    assert f"a difference of less than {study.resolution_points:.1f} points could not be seen" in study.summary
    assert ("still changes" in study.summary) == (study.enough is None)
    assert CalibrationStudy.model_validate_json(study.model_dump_json()) == study


def test_the_plot_is_a_png_and_the_same_again(made: tuple[CalibrationStudy, Path], tmp_path: Path) -> None:
    from stages.calibrating.plot import draw_study

    study, folder = made
    draw_study(study, tmp_path)
    content = (folder / "calibration.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert content == (tmp_path / "calibration.png").read_bytes()


def test_the_same_options_give_the_same_study(made: tuple[CalibrationStudy, Path], data: Path, model: Path,
                                              tmp_path: Path) -> None:
    options = calibrate.Options(sizes=(1, 10, 500), draws=2, resamples=200, seed=1)
    assert calibrate.run(tflite=model, data=data, options=options, context=make_context(tmp_path)) == made[0]


def test_a_study_on_the_test_split_warns_of_its_lean(data: Path, model: Path, tmp_path: Path) -> None:
    options = calibrate.Options(sizes=(1, 2), draws=1, split="test", resamples=100, format="int16x8")
    study = calibrate.run(tflite=model, data=data, options=options, context=make_context(tmp_path))
    assert (study.scored, study.format) == (50, "int16x8")
    assert "makes the test score too good" in study.warnings[0]


def test_progress_counts_all_draws(data: Path, model: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    context = make_context(tmp_path, lambda done, total, text: seen.append((done, total)))
    calibrate.run(tflite=model, data=data, options=calibrate.Options(sizes=(1, 2), draws=2, resamples=100),
                  context=context)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_quantized_model_is_refused(data: Path, tiny_tflites: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(tiny_tflites["int8"])
    with pytest.raises(StageError, match="quantized already"):
        calibrate.run(tflite=tmp_path, data=data, options=calibrate.Options(), context=make_context(tmp_path))


def test_an_engine_that_is_not_there_is_unavailable(data: Path, model: Path, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.ENGINES, "tflm", registry.Engine("tflm", "no-such", "x", "x", False, "nowhere"))
    with pytest.raises(EngineUnavailable, match="pip install no-such"):
        calibrate.run(tflite=model, data=data, options=calibrate.Options(engine="tflm"), context=make_context(tmp_path))


def test_one_training_sample_is_too_few() -> None:
    assert calibrate.usable_sizes((1, 5, 10), 7) == [1, 5, 7]
    with pytest.raises(StageError, match="gives 1"):
        calibrate.usable_sizes((1, 5, 10), 1)


@pytest.mark.parametrize("wrong", [{"sizes": (5, 1)}, {"sizes": (0, 1)}, {"sizes": (4,)}, {"engine": "onnx"},
                                   {"format": "float16"}, {"draws": 0}])
def test_settings_refuse_what_cannot_be_studied(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        calibrate.Settings(**wrong)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in calibrate.Settings.model_fields.values())
