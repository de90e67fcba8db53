"""Memory, operators, confusion, curves and classes: the record's numbers, and a reason where there are none."""

from __future__ import annotations

import pytest

from stages.reporting.assemble import build_report
from stages.reporting.panels import class_plot, confusion_plot, curve_plots, memory_plots, operator_plot
from stages.reporting.record import Report
from tests.stages.sample_run import heading, sources


@pytest.fixture(scope="module")
def report() -> Report:
    return build_report(sources(), heading())


def test_memory_bars_are_kib_and_what_is_missing_is_noted(report: Report) -> None:
    size, arena, peak = memory_plots(report)
    bars = size.views[0].figure["data"][0]
    assert dict(zip(bars["y"], bars["x"], strict=True))["int8"] == pytest.approx(26_480 / 1024)
    assert "float16" not in arena.views[0].figure["data"][0]["y"]
    assert arena.views[0].notes[0] == "float16: hybrid models are not supported"
    assert [view.label for view in peak.views] == ["litert", "tflite-runtime", "tflm"]


def test_without_an_arena_the_plot_gives_the_reason() -> None:
    found = sources()
    benchmark = found.benchmark.model_copy(update={"variants": {}})
    _, arena, peak = memory_plots(build_report(found.model_copy(update={"benchmark": benchmark}), heading()))
    assert (arena.views, arena.absent) == ((), "tflm was not asked")
    assert (peak.views, peak.absent) == ((), "No engine reported it.")


def test_operator_times_are_summed_by_kind_and_shown_with_their_share(report: Report) -> None:
    view = operator_plot(report).views[0]
    bars = view.figure["data"][0]
    # 70 % and 20 % of the median: 7/9 and 2/9 of the sum.
    assert dict(zip(bars["y"], bars["text"], strict=True)) == {"CONV_2D": "78 %", "FULLY_CONNECTED": "22 %"}
    assert bars["y"][-1] == "CONV_2D"


def test_confusion_is_there_for_the_float_model_and_each_engine_that_ran(report: Report) -> None:
    views = confusion_plot(report).views
    assert views[0].label == "float model"
    assert len(views) == 1 + 9 * 3 - 2
    heat = views[0].figure["data"][0]
    assert (heat["text"][0][:3], heat["z"][0][0]) == (["35", "1", ""], pytest.approx(35 / 36))


def test_many_classes_show_no_numbers_in_the_cells() -> None:
    found = sources()
    names = tuple(f"c{index}" for index in range(21))
    confusion = tuple(tuple(1 if row == column else 0 for column in range(21)) for row in range(21))
    metrics = found.baseline.metrics.model_copy(update={"confusion": confusion})
    wide = found.model_copy(update={
        "baseline": found.baseline.model_copy(update={"metrics": metrics}), "evaluated": {},
        "data": found.data.model_copy(update={"class_names": names})})
    heat = confusion_plot(build_report(wide, heading())).views[0].figure["data"][0]
    assert "text" not in heat
    assert heat["z"][20][20] == 1


def test_curves_count_epochs_from_one_and_ring_the_kept_one(report: Report) -> None:
    accuracy, loss = curve_plots(report)
    train, validation, ring = accuracy.views[0].figure["data"][:3]
    assert train["x"] == list(range(1, 25))
    assert (train["line"]["dash"], validation["line"]["dash"]) == ("dot", "solid")
    assert (ring["x"], ring["y"]) == ([24], [pytest.approx(validation["y"][23])])
    assert loss.views[0].figure["data"][1]["name"] == "float32"


def test_nothing_trained_is_said(report: Report) -> None:
    plots = curve_plots(report.model_copy(update={"trainings": {}}))
    assert [(plot.views, plot.absent) for plot in plots] == [((), "Nothing was trained.")] * 2


def test_class_counts_are_stacked_by_split(report: Report) -> None:
    figure = class_plot(report).views[0].figure
    assert [trace["name"] for trace in figure["data"]] == ["train", "validation", "test"]
    assert sum(figure["data"][0]["y"]) == 1077
