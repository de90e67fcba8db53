"""What is measured beside the mean: always what is free, the rest where it is asked for, or why it is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.schema import SAFETY_LIMITS
from stages.safety import stress
from stages.safety.measure import Gate, Wish
from stages.tasks import TaskSettings, Truth, make_task

LABELS = np.arange(40) % 2
FLOAT = np.eye(2)[LABELS] * 0.8 + 0.1
VARIANT = FLOAT.copy()
VARIANT[:3] = VARIANT[:3, ::-1]  # samples 0 and 2 of class 0, sample 1 of class 1


def _gate(folder: Path, kind: str = "classification", **wish: object) -> Gate:
    y = LABELS if kind == "classification" else FLOAT[:, :1]
    reference = FLOAT if kind == "classification" else FLOAT[:, :1]
    return Gate(make_task(TaskSettings.model_validate(kind)), reference, Truth(y=y, logits=False), folder,
                Wish(**wish))  # type: ignore[arg-type]


def test_changed_predictions_classes_and_mcnemar_are_counted_without_being_asked_for(tmp_path: Path) -> None:
    found = _gate(tmp_path).safety(VARIANT, {})
    assert found.changed is not None
    assert found.classes is not None
    assert found.changed.value == 3 / 40
    assert (found.tests["output"].lost, found.tests["output"].gained) == (3, 0)
    assert found.tests["output"].p_value == pytest.approx(2 / 2**3)
    assert (found.classes.name, found.classes.figure.value) == ("0", 10.0)
    assert (found.slices, found.calibration, found.corrupted) == (None, {}, None)


def test_calibration_is_measured_where_a_limit_or_a_setting_wants_it(tmp_path: Path) -> None:
    assert _gate(tmp_path, calibration=True).safety(VARIANT, {}).calibration["output"].bins == 1
    asked = _gate(tmp_path, asked=("calibration_rise_points",)).safety(VARIANT, {})
    assert asked.calibration["output"].float_error.value == pytest.approx(10.0)  # always right at 90 %


def test_corrupted_outputs_are_held_against_the_float_models_on_the_same_rows(tmp_path: Path) -> None:
    about = stress.About(rows=(0, 1, 5), severities={"noise": "4 %"})
    (tmp_path / stress.ABOUT_FILE).write_text(about.model_dump_json())
    np.save(tmp_path / "outputs_noise.npy", FLOAT[[0, 1, 5]])
    gate = _gate(tmp_path)
    assert gate.corruptions == {"noise": tmp_path / "corrupted_noise.npy"}
    found = gate.safety(VARIANT, {"noise": VARIANT[[0, 1, 5]]})
    assert found.corrupted is not None
    assert found.corrupted.changed.figure.value == pytest.approx(2 / 3)
    assert found.corrupted.agreement == {"noise": pytest.approx(1 / 3)}


def test_a_regression_has_a_reason_for_each_limit_and_runs_no_corruption(tmp_path: Path) -> None:
    (tmp_path / stress.ABOUT_FILE).write_text(stress.About(rows=(0,), severities={"noise": "x"}).model_dump_json())
    gate = _gate(tmp_path, "regression", asked=SAFETY_LIMITS)
    assert gate.corruptions == {}
    found = gate.safety(FLOAT[:, :1], {})
    assert set(found.missing) == set(SAFETY_LIMITS)
    assert all("regression" in found.missing[limit] for limit in SAFETY_LIMITS if "slice" not in limit)


def test_slices_that_are_all_too_small_say_which_setting_would_help(tmp_path: Path) -> None:
    gate = _gate(tmp_path, asked=("worst_slice_drop_points",), columns={"light": ["day", "night"] * 20}, least=30)
    assert gate.safety(VARIANT, {}).missing["worst_slice_drop_points"] == (
        "no slice of light can be judged: none has 30 test samples and a defined score; add test samples, or lower "
        "evaluate.slice_least_samples")


def test_data_that_no_corruption_fits_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / stress.ABOUT_FILE).write_text(stress.About(rows=(0,), severities={}, left_out="of 5 axes")
                                              .model_dump_json())
    gate = _gate(tmp_path, asked=("corrupted_changed_share",))
    assert gate.safety(VARIANT, {}).missing["corrupted_changed_share"].startswith(
        "no corruption fits the data: of 5 axes")
