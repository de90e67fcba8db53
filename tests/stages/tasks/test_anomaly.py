"""Anomalies: errors by clip, areas by machine, a threshold; the data that the task cannot score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import DataError, ModelError, StageError
from stages.datasets.prepared import Preprocessing
from stages.datasets.rows import Rows
from stages.records import TensorSpec
from stages.tasks import TaskSettings, Truth, make_task
from stages.tasks import anomaly as module

TASK = make_task(TaskSettings(kind="anomaly", max_fpr=0.25))
ERRORS = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 9.0, 3.5, 0.5])
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])


def _truth(errors: np.ndarray = ERRORS, labels: np.ndarray = LABELS, **more: object) -> tuple[np.ndarray, Truth]:
    """Outputs of 0 for inputs of two values whose mean square is the error."""
    x = np.repeat(np.sqrt(errors)[:, None], 2, axis=1).astype(np.float32)
    return np.zeros_like(x), Truth(y=labels, x=x, **more)  # type: ignore[arg-type]


def test_figures_equal_those_worked_out_by_hand() -> None:
    result = TASK.metrics(*_truth())
    figures = result.figures
    # of 4 x 4 pairs: 5 and 9 exceed all four, 3.5 three, 0.5 none
    assert figures["auc"].value == pytest.approx((4 + 4 + 3 + 0) / 16)
    assert (result.score, result.headline, result.samples) == ("auc", figures["auc"], 8)
    # up to one false alarm in four: one normal sample, 4, may lie above the threshold, so that is 3
    assert figures["threshold"].value == pytest.approx(3.0)
    assert figures["recall"].value == 3 / 4
    assert figures["false_alarms"].value == 1 / 4
    # the curve up to 1/4: 2 of 4 before the normal 4, so area 1/4 · 1/2; (1 + (1/8 - 1/32) / (1/4 - 1/32)) / 2
    assert figures["partial_auc"].value == pytest.approx((1 + (1 / 8 - 1 / 32) / (1 / 4 - 1 / 32)) / 2)
    assert list(figures) == ["auc", "partial_auc", "threshold", "recall", "false_alarms"]
    assert "DeLong" in figures["auc"].method


def test_parts_of_a_clip_are_scored_by_their_mean() -> None:
    clips = np.array([7, 7, 3, 3, 5, 5, 9, 9])  # means 1.5, 3.5 normal; 7, 2 anomalous
    outputs, truth = _truth(clips=clips)
    scored = module.score_clips(outputs, truth)
    assert scored.errors == pytest.approx([3.5, 7.0, 1.5, 2.0])  # in the order of the clips' numbers
    assert scored.anomalous.tolist() == [False, True, False, True]
    found = TASK.metrics(outputs, truth)
    assert (found.samples, found.headline.value) == (4, 3 / 4)


def test_a_clip_that_is_both_normal_and_anomalous_is_refused() -> None:
    with pytest.raises(DataError, match="clip 1 has parts that are normal and parts that are anomalous"):
        TASK.metrics(*_truth(clips=np.array([0, 0, 0, 1, 1, 2, 2, 2])))


def test_each_machine_has_its_area_and_their_mean_leaves_out_one_without_anomalies() -> None:
    groups = ("a", "a", "b", "c", "a", "b", "b", "b")
    figures = TASK.metrics(*_truth(groups=groups)).figures
    assert figures["auc_a"].value == 1.0  # 5 over 1 and 2
    assert figures["auc_b"].value == pytest.approx(2 / 3)  # 9 and 3.5 over 3, 0.5 not
    assert figures["auc_mean"].value == pytest.approx((1 + 2 / 3) / 2)
    assert "auc_c" not in figures
    assert "without c, which have one kind alone" in figures["auc_mean"].method
    assert list(figures)[2:5] == ["auc_mean", "auc_a", "auc_b"]


def test_the_threshold_allows_no_more_false_alarms_than_asked_for_with_ties() -> None:
    errors, labels = np.array([1.0, 2.0, 2.0, 2.0, 9.0]), np.array([0, 0, 0, 0, 1])
    figures = TASK.metrics(*_truth(errors, labels)).figures
    assert figures["threshold"].value == pytest.approx(2.0)  # below 2 three of four would be false alarms
    assert figures["false_alarms"].value == 0


def test_the_drop_is_in_points_of_area_and_paired() -> None:
    rng = np.random.default_rng(0)
    labels = (np.arange(300) % 3 == 0).astype(np.int64)
    errors = rng.gamma(2, 1 + 0.8 * labels)
    outputs, truth = _truth(errors, labels)
    worse = outputs + rng.normal(0, 0.2, outputs.shape)
    figure = TASK.drop(outputs, worse, truth)
    before, after = (TASK.metrics(each, truth).headline for each in (outputs, worse))
    assert figure.value == pytest.approx(100 * (before.value - after.value))
    assert figure.interval is not None
    assert before.interval is not None
    assert figure.interval[0] < figure.value < figure.interval[1]
    assert figure.interval[1] - figure.interval[0] < 100 * (before.interval[1] - before.interval[0])
    assert TASK.changed(outputs, worse, truth) is None


def test_the_loss_is_of_normal_samples_and_the_score_wants_both_kinds() -> None:
    outputs, truth = _truth()
    assert TASK.validate(outputs, truth) == (pytest.approx(2.5), pytest.approx(11 / 16))
    loss, score = TASK.validate(*_truth(ERRORS[:4], LABELS[:4]))
    assert loss == pytest.approx(2.5)
    assert np.isnan(score)
    absolute = make_task(TaskSettings(kind="anomaly", loss="mae")).validate(outputs, truth)
    assert absolute == (pytest.approx(np.sqrt(ERRORS[:4]).mean()), pytest.approx(11 / 16))


def test_outputs_that_come_in_parts_are_validated_as_all_at_once() -> None:
    outputs, truth = _truth()
    for loss in ("mse", "mae"):
        task = make_task(TaskSettings(kind="anomaly", loss=loss))
        parts = iter([outputs[:3], outputs[3:4], outputs[4:]])
        assert task.validate_parts(parts, truth) == pytest.approx(task.validate(outputs, truth))
    worse = [outputs[:3], outputs[3:] + 1]
    assert TASK.validate_parts(worse, truth) == pytest.approx(TASK.validate(np.concatenate(worse), truth))


def test_inputs_are_read_from_a_file_part_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, truth = _truth()
    np.save(tmp_path / "x.npy", truth.x)
    read: list[slice] = []

    class Counted(Rows):
        def __getitem__(self, key: object) -> np.ndarray:
            read.append(key)  # type: ignore[arg-type]
            return super().__getitem__(key)  # type: ignore[arg-type]

    rows = Counted(tmp_path / "x.npy")
    monkeypatch.setattr(module, "slices", lambda count, _: (slice(i, i + 3) for i in range(0, count, 3)))
    read.clear()
    scored = module.score_clips(outputs, Truth(y=LABELS, x=rows))
    assert scored.errors == pytest.approx(ERRORS)
    assert read == [slice(0, 3), slice(3, 6), slice(6, 9)]


@pytest.mark.parametrize(("settings", "names", "wanted"), [
    ({"normal_classes": ("fan", "pump")}, ("fan", "broken", "pump"), [0, 1, 0]),
    ({}, ("anomaly", "Normal", "x"), [1, 0, 1]),
    ({}, ("0", "1"), [0, 1]),
    ({}, (), [0, 1, 1]),
])
def test_normal_classes_become_0_and_all_others_1(settings: dict[str, object], names: tuple[str, ...],
                                                  wanted: list[int]) -> None:
    task = make_task(TaskSettings.model_validate({"kind": "anomaly", **settings}))
    assert task.encode(np.arange(len(wanted)), names).tolist() == wanted


def test_a_normal_class_that_is_not_there_or_not_said_is_refused() -> None:
    task = make_task(TaskSettings(kind="anomaly", normal_classes=("pumps",)))
    with pytest.raises(DataError, match="names 'pumps', which is no class; did you mean 'pump'"):
        task.encode(np.array([0]), ("pump", "fan"))
    with pytest.raises(DataError, match="nothing says which of the classes are normal: pump, fan") as caught:
        TASK.encode(np.array([0]), ("pump", "fan"))
    assert "task.normal_classes" in caught.value.next_step


def test_only_normal_samples_are_trained_on() -> None:
    assert TASK.may_train(LABELS).tolist() == [True] * 4 + [False] * 4


def test_a_test_split_of_one_kind_is_refused() -> None:
    with pytest.raises(DataError, match="test split has no anomalous samples"):
        TASK.metrics(*_truth(ERRORS[:4], LABELS[:4]))
    with pytest.raises(DataError, match="test split has no normal samples"):
        TASK.metrics(*_truth(ERRORS[4:], LABELS[4:]))
    TASK.check_split("train", LABELS[:4])


def test_outputs_must_have_the_shape_of_the_inputs() -> None:
    outputs, truth = _truth()
    with pytest.raises(StageError, match=r"int8 gives outputs of shape \(8, 1\)"):
        TASK.check_outputs(outputs[:, :1], truth, "int8")
    with pytest.raises(StageError, match="there are none"):
        TASK.check_outputs(outputs, Truth(y=LABELS), "int8")


def test_several_inputs_cannot_be_rebuilt() -> None:
    spec = TensorSpec(shape=(3,), dtype="float32")
    with pytest.raises(ModelError, match="the data has 2 inputs: a, b"):
        TASK.output_shape(Preprocessing(inputs={"a": spec, "b": spec}))
    assert TASK.output_shapes(Preprocessing(inputs={"input": spec})) == {"output": (3,)}
