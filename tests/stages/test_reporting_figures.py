"""Plots show the record's own numbers, and no view mixes what was measured with what was predicted."""

from __future__ import annotations

import pytest

from stages.reporting.assemble import build_report
from stages.reporting.figures import cost_plot, cost_range, latency_plot, span
from stages.reporting.record import Report
from tests.stages.sample_run import VARIANTS, heading, sources


@pytest.fixture(scope="module")
def report() -> Report:
    return build_report(sources(), heading())


def test_points_are_kib_and_percent_with_their_intervals(report: Report) -> None:
    figure = cost_plot(report, "tflite_bytes").views[0].figure
    line, scatter = figure["data"]
    place = [label["text"] for label in figure["labels"]].index("int8")
    assert scatter["x"][place] == pytest.approx(26_480 / 1024)
    assert scatter["y"][place] == pytest.approx(100 * 352 / 360)
    assert scatter["error_y"]["array"][place] == pytest.approx(1.3)
    assert line["y"][-1] == pytest.approx(100 * 354 / 360)
    assert "KiB" in figure["layout"]["xaxis"]["title"]["text"]


def test_the_front_runs_on_to_the_edge_of_the_plot(report: Report) -> None:
    figure = cost_plot(report, "latency").views[0].figure
    assert figure["data"][0]["x"][-1] == figure["layout"]["xaxis"]["range"][1]
    assert [label["text"] for label in figure["labels"] if label["first"]] == ["float32"]


def test_each_latency_axis_names_one_provenance_and_its_points_have_no_other(report: Report) -> None:
    for plot in (cost_plot(report, "latency"), latency_plot(report)):
        for view in plot.views:
            title = view.figure["layout"]["xaxis"]["title"]["text"]
            named = [word for word in ("measured", "predicted") if f"({word})" in title]
            assert len(named) == 1, title
            other = {"measured": "predicted", "predicted": "measured"}[named[0]]
            texts = [text for trace in view.figure["data"] for text in trace.get("text", ())]
            latencies = [line for text in texts for line in text.split("<br>") if line.startswith(("cost", "median"))]
            assert latencies
            assert not [line for line in latencies if f"({other}" in line]


def test_a_variant_without_a_point_is_in_the_notes(report: Report) -> None:
    notes = cost_plot(report, "tflite_bytes").views[2].notes
    assert notes[0].startswith("No point for float16: hybrid models are not supported")


def test_the_distribution_is_drawn_from_the_deciles(report: Report) -> None:
    traces = [trace for trace in latency_plot(report).views[0].figure["data"] if trace["y"][0] == "int8"]
    # Deciles 10, 30, 70, 90 % of the made-up run: 0.96, 0.98, 1.02, 1.04 of the median; deciles[9] is 1.04.
    assert traces[0]["x"] == pytest.approx([0.0262 * 0.96, 0.0262 * 1.04])
    assert traces[1]["x"] == pytest.approx([0.0262 * 0.98, 0.0262 * 1.02])
    assert traces[2]["x"] == [0.0262]
    assert "longest: 0.0655 ms" in traces[2]["text"][0]


def test_latencies_far_apart_get_a_logarithmic_axis_and_near_ones_start_at_0(report: Report) -> None:
    near = latency_plot(report).views[0].figure["layout"]["xaxis"]
    assert (near.get("type"), near["range"][0]) == (None, 0)
    found = sources()
    slow = dict(found.benchmark.variants)
    slow["int8"] = {"litert": slow["int8"]["tflm"].model_copy(update={"engine": "litert"})}
    benchmark = found.benchmark.model_copy(update={"variants": slow})
    far = build_report(found.model_copy(update={"benchmark": benchmark}), heading())
    assert latency_plot(far).views[0].figure["layout"]["xaxis"]["type"] == "log"


def test_rows_come_in_the_order_of_the_run(report: Report) -> None:
    assert latency_plot(report).views[0].figure["layout"]["yaxis"]["categoryarray"] == list(VARIANTS)[::-1]


def test_a_run_without_any_latency_has_no_latency_plot_and_says_so() -> None:
    found = sources()
    nothing = found.model_copy(update={
        "benchmark": found.benchmark.model_copy(update={"variants": {}}),
        "check": found.check.model_copy(update={"profiles": {}})})
    plot = latency_plot(build_report(nothing, heading()))
    assert (plot.views, plot.absent) == ((), "No latency was obtained.")


def test_costs_far_apart_get_a_logarithmic_axis_in_powers_of_ten() -> None:
    assert cost_range([10.0, 1000.0]) == (pytest.approx([0.76, 3.24]), "log")
    assert cost_range([10.0, 110.0]) == (pytest.approx([-2.0, 122.0]), "linear")


def test_an_axis_over_equal_values_still_has_a_width() -> None:
    assert span(5.0, 5.0) == [4.6, 5.4]
    assert span(0.0, 0.0) == [-1.0, 1.0]
    assert span(0.0, 100.0, 0.1) == [-10.0, 110.0]
