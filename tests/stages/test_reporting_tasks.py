"""The report speaks of the task's own score: R2 and areas as numbers up to 1, shares in percent, errors as they are."""

from __future__ import annotations

import re

import pytest

from stages.records import BaselineResult, Metrics
from stages.reporting.assemble import build_report
from stages.reporting.figures import cost_plot
from stages.reporting.html import html_page
from stages.reporting.markdown import markdown_report
from stages.reporting.panels import class_plot, confusion_plot, curve_plots
from stages.reporting.record import Report
from stages.reporting.sources import Sources
from tests.stages.sample_run import figure, heading, metrics, regression_sources, sources


@pytest.fixture(scope="module")
def regression() -> Report:
    return build_report(regression_sources(), heading())


def baseline(found: Sources, result: Metrics, **more: object) -> Report:
    """The made-up run with another float model."""
    changed = BaselineResult(summary="", metrics=result).model_copy(update=more)
    return build_report(found.model_copy(update={"baseline": changed}), heading())


def test_the_report_names_task_and_score(regression: Report) -> None:
    assert (regression.task, regression.score) == ("regression", "R2")
    assert regression.further_figures == ("rmse", "mae")
    assert not regression.decides


def test_r2_is_a_number_and_not_a_percentage(regression: Report) -> None:
    given = regression_sources().baseline.metrics.headline
    assert (given.unit, regression.baseline.headline) == ("fraction", given.model_copy(update={"unit": ""}))
    text = markdown_report(regression, {})
    assert "a model with R2 0.912 [0.882 to 0.942] in float" in text
    assert "| int8 | 0.908 [0.878 to 0.938] | 0.56 points" in text
    assert "| float model | 0.912 [0.882 to 0.942] |  | 52.1 [50.1 to 54.1] | 41.8 [40.3 to 43.3] |" in text
    assert "predictions changed" not in text


def test_plots_of_a_regression_have_its_scale_and_no_percent(regression: Report) -> None:
    plot = cost_plot(regression, "tflite_bytes")
    shown = plot.views[0].figure
    assert plot.title == "R2 against bytes"
    assert shown["layout"]["yaxis"]["title"]["text"] == "R2 in litert"
    assert shown["data"][1]["y"][0] == pytest.approx(0.908)
    assert shown["data"][1]["error_y"]["array"][0] == pytest.approx(0.03)
    assert shown["layout"]["shapes"][0]["y0"] == pytest.approx(0.912)
    assert shown["layout"]["annotations"][0]["text"] == "float model 0.912"


def test_curves_carry_the_name_that_training_gave_its_score(regression: Report) -> None:
    score = curve_plots(regression)[0]
    assert score.title == "R2 by epoch"
    assert score.views[0].figure["layout"]["yaxis"]["title"]["text"] == "R2"
    both = {name: one.model_copy(update={"score_name": "mean score"}) for name, one in regression.trainings.items()}
    several = curve_plots(regression.model_copy(update={"trainings": both}))[0]
    assert several.views[0].figure["layout"]["yaxis"]["title"]["text"] == "mean score"


def test_accuracy_is_in_percent() -> None:
    report = build_report(sources(), heading())
    assert curve_plots(report)[0].views[0].figure["layout"]["yaxis"]["title"]["text"] == "accuracy, %"
    assert report.further_figures == ("f1",)
    assert report.decides


def test_there_are_no_class_panels_where_there_are_no_classes(regression: Report) -> None:
    assert confusion_plot(regression).views == ()
    assert class_plot(regression).title == "Samples by split"
    page = html_page(regression)
    assert 'id="plot-confusion"' not in page
    assert 'id="plot-classes"' in page
    assert re.search(r"<th scope=\"col\">RMSE</th>", page)
    assert "predictions changed" not in page
    assert "equal predictions" not in page


def test_engines_that_give_other_values_are_not_said_to_give_other_labels(regression: Report) -> None:
    assert [remark for remark in regression.remarks if remark.kind == "agreement"] == []


def test_an_anomaly_task_shows_areas_as_numbers_and_shares_in_percent() -> None:
    found = Metrics(task="anomaly", samples=40, score="auc", figures={
        "auc": figure(0.953, "fraction"), "partial_auc": figure(0.81, "fraction"), "auc_mean": figure(0.9, "fraction"),
        "auc_fan": figure(0.9, "fraction"), "recall": figure(0.75, "fraction"), "threshold": figure(11.2, "mse")})
    report = baseline(sources(), found)
    assert report.score == "ROC AUC"
    assert {name: one.unit for name, one in report.baseline.figures.items()} == {
        "auc": "", "partial_auc": "", "auc_mean": "", "auc_fan": "", "recall": "fraction", "threshold": "mse"}
    further = baseline(sources().model_copy(update={"evaluated": {}}), found).further_figures
    assert further == ("partial_auc", "auc_mean", "recall", "threshold")  # of each machine: in report.json
    assert "a model with ROC AUC 0.953 in float" in markdown_report(report, {})


def test_a_users_own_metric_is_shown_without_a_unit() -> None:
    own = metrics(354).model_copy(update={"figures": metrics(354).figures | {"cost_per_part": figure(3.25, "value")}})
    report = baseline(sources(), own)
    assert report.further_figures == ("f1", "cost_per_part")
    assert re.search(r"\| float model \| 98\.3 % .*\| 3\.25 \|", markdown_report(report, {}))


def test_every_output_of_a_model_with_several_is_told() -> None:
    found = regression_sources()
    age = found.baseline.metrics
    outputs = {"digit": metrics(354), "age": age}
    one = found.evaluated["int8"]
    engines = {name: engine.model_copy(update={"outputs": outputs} if engine.metrics else {})
               for name, engine in one.engines.items()}
    both = found.model_copy(update={"evaluated": found.evaluated | {"int8": one.model_copy(
        update={"engines": engines})}})
    report = baseline(both, age, outputs=outputs)
    text = markdown_report(report, {})
    assert "| float model |  | age | regression | R2 0.912 [0.882 to 0.942]; RMSE 52.1" in text
    assert "| int8 | litert | digit | classification | accuracy 98.3 %" in text
    views = confusion_plot(report).views
    assert [view.label for view in views[:2]] == ["float model, digit", "int8 in litert, digit"]
    assert views[0].figure["data"][0]["x"][0] == "0"  # the data has no class names: labels stand for themselves
    page = html_page(report)
    assert '<th scope="col">output</th>' in page
    assert 'id="plot-confusion"' in page
