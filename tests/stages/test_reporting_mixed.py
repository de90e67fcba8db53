"""Mixed formats in the report: each layer's format beside what every candidate costs, bytes, and the rounds."""

from __future__ import annotations

import math

import pytest

from stages.records import LayerSensitivity, LayerTrial, MixedRound, Mixing, SensitivityResult
from stages.reporting.assemble import build_report
from stages.reporting.html import html_page
from stages.reporting.markdown import markdown_report
from stages.reporting.mixed import ROUND_HEAD, mixed_parts, mixed_plots
from stages.reporting.record import Report
from stages.reporting.sources import Sources
from tests.stages.sample_run import figure, heading, sources

FIRST, SECOND = "0:CONV_2D net/relu1/Relu;net/conv1", "2:DEPTHWISE_CONV_2D net/relu2/Relu"
LAST = "5:FULLY_CONNECTED out"


def trial(name: str, divergence: float, points: float, size: int) -> LayerTrial:
    return LayerTrial(format=name, divergence=divergence, snr_db=None if divergence == 0 else 30.0,  # type: ignore[arg-type]
                      score_drop_points=points, weight_bytes=size)


def layer(label: str, weights: int, *trials: LayerTrial) -> LayerSensitivity:
    return LayerSensitivity(label=label, names=(label,), macs=10 * weights, weights=weights, float_bytes=4 * weights,
                            trials=trials)


MEASURED = SensitivityResult(
    summary="", formats=("int4", "int8", "float32"), divergence="kl", engine="litert", samples=300,
    score_name="accuracy", score=0.9, points_per_divergence=10.0, layers=(
        layer(FIRST, 100, trial("int4", 0.02, 1.5, 60), trial("int8", 0.001, 0.0, 110)),
        layer(SECOND, 50, trial("int8", 0.0, -0.25, 55)),
        layer(LAST, 1000, trial("int4", 0.004, 0.5, 510), trial("int8", 1e-5, 0.0, 1010))))


def solved(allowed: float | None, drop: float, accepted: bool) -> MixedRound:
    return MixedRound(divergence_allowed=allowed, predicted_divergence=0.005, predicted_cost=900.0, gap=0.0,
                      drop_points=drop, tflite_bytes=1_234, accepted=accepted, formats={"float32": 1, "int4": 2})


CHOICE = Mixing(candidates=("int4", "int8", "float32"), cost="bytes", asked="least bytes at a drop of at most 1 point",
                formats={FIRST: "int4", SECOND: "float32", LAST: "int4"},
                rounds=(solved(0.01, 1.75, accepted=False), solved(0.0042, 0.5, accepted=True)), chosen=1,
                drop=figure(0.5, "points", samples=300, spread=0.25), predicted_cost=900.0, boundaries=1)


def found(measured: SensitivityResult = MEASURED, choice: Mixing = CHOICE) -> Sources:
    base = sources()
    return base.model_copy(update={
        "converted": {**base.converted, "mixed": base.converted["int8"]},
        "sensitivities": {"mixed": measured}, "mixings": {"mixed": choice}})


@pytest.fixture(scope="module")
def report() -> Report:
    return build_report(found(), heading())


def test_bytes_as_chosen_are_those_of_the_trial_and_of_float32_where_the_layer_stays_in_it(report: Report) -> None:
    mixed = report.variant("mixed").mixed
    assert mixed is not None
    assert [(one.format, one.float_bytes, one.chosen_bytes) for one in mixed.layers] == [
        ("int4", 400, 60), ("float32", 200, 200), ("int4", 4000, 510)]
    assert report.variant("int8").mixed is None


def test_a_row_names_what_each_candidate_costs_alone_and_points_at_the_chosen_one(report: Report) -> None:
    part, = mixed_parts(report)
    assert part.head == ("layer", "chosen", "int4 alone", "int8 alone", "bytes as chosen", "in float32", "weights",
                         "MACs")
    first, second, last, both = part.layers
    assert (first.layer, first.cells) == ("0:CONV_2D relu1", (
        "int4", "0.02; 1.50 points; 60 bytes", "0.001; 0.00 points; 110 bytes", "60", "400", "100", "1,000"))
    assert first.cells[first.chosen] == "0.02; 1.50 points; 60 bytes"
    assert (second.cells[1], second.cells[2], second.chosen) == ("cannot take it", "0; -0.25 points; 55 bytes", -1)
    assert last.layer == "5:FULLY_CONNECTED out"
    assert both.cells == ("", "", "", "770", "4,600", "1,150", "11,500")


def test_the_rounds_say_what_was_built_and_which_was_taken(report: Report) -> None:
    part, = mixed_parts(report)
    assert [dict(zip(ROUND_HEAD, row, strict=True))["kept"] for row in part.rounds] == ["no", "chosen"]
    assert part.rounds[1] == ("2", "0.0042", "1 float32, 2 int4", "900 bytes", "1,234 bytes", "0.50 points", "chosen")
    bound = CHOICE.model_copy(update={"cost": "latency", "rounds": (solved(None, 0, accepted=True),), "chosen": 0})
    row, = mixed_parts(build_report(found(choice=bound), heading()))[0].rounds
    assert row[1:4] == ("the least that fits", "1 float32, 2 int4", "900 ms")


def test_the_text_says_what_was_asked_and_how_it_was_measured(report: Report) -> None:
    text = mixed_parts(report)[0].text
    assert text.startswith("Least bytes at a drop of at most 1 point, formats int4, int8 and float32: round 2 of 2, "
                           "1 conversion between formats; drop on validation 0.50 points [0.25 to 0.75].")
    assert "on 300 validation samples in litert: mean Kullback-Leibler divergence" in text


def test_points_are_hollow_where_tried_and_filled_where_chosen(report: Report) -> None:
    alone, _ = mixed_plots(report)
    view, = alone.views
    traces = {trace["marker"]["symbol"]: trace for trace in view.figure["data"]}
    assert set(traces) == {"diamond-open", "diamond", "circle-open", "cross"}
    assert (traces["diamond"]["x"], traces["diamond"]["y"]) == ([0.02, 0.004], ["0:CONV_2D relu1",
                                                                                 "5:FULLY_CONNECTED out"])
    assert traces["cross"]["y"] == ["2:DEPTHWISE_CONV_2D relu2"]
    assert view.notes == ("◇ int4, ○ int8, ✚ float32",)
    assert "chosen" in traces["diamond"]["text"][0]
    assert "chosen" not in traces["circle-open"]["text"][0]


def test_no_difference_at_all_stands_on_the_left_edge_of_the_logarithmic_axis(report: Report) -> None:
    shown = mixed_plots(report)[0].views[0].figure
    circles = next(trace for trace in shown["data"] if trace["marker"]["symbol"] == "circle-open")
    assert circles["x"] == pytest.approx([0.001, 1e-5 / 3, 1e-5])  # a third of the smallest that is not 0
    low, high = shown["layout"]["xaxis"]["range"]
    assert low < math.log10(1e-5 / 3)
    assert high > math.log10(0.02)
    silent = MEASURED.model_copy(update={"layers": (layer(FIRST, 100, trial("int4", 0, 0, 60)),)})
    still = mixed_plots(build_report(found(silent), heading()))[0].views[0].figure
    assert all(math.isfinite(value) and value > 0 for trace in still["data"] for value in trace["x"])


def test_bars_stand_for_bytes_before_and_after_in_the_chosen_format_s_colour(report: Report) -> None:
    before, after = mixed_plots(report)[1].views[0].figure["data"]
    assert before["x"] == pytest.approx([400 / 1024, 200 / 1024, 4000 / 1024])
    assert after["x"] == pytest.approx([60 / 1024, 200 / 1024, 510 / 1024])
    assert after["marker"]["color"][0] == after["marker"]["color"][2] != after["marker"]["color"][1]
    assert before["customdata"][2] == "4,000 → 510 bytes, int4"


def test_noise_has_an_axis_of_its_own(report: Report) -> None:
    noisy = MEASURED.model_copy(update={"divergence": "noise"})
    other = build_report(found(noisy), heading())
    titles = [mixed_plots(each)[0].views[0].figure["layout"]["xaxis"]["title"]["text"] for each in (report, other)]
    assert titles == ["KL alone, nats (log)", "noise alone, of energy (log)"]
    assert "energy of the outputs' difference" in mixed_parts(other)[0].text


def test_page_and_markdown_show_it_and_only_where_a_variant_is_mixed(report: Report) -> None:
    page, text = html_page(report), markdown_report(report, {})
    assert 'id="layers"' in page
    assert 'href="#layers"' in page
    assert "<b>0.02; 1.50 points; 60 bytes</b>" in page
    assert "| 0:CONV\\_2D relu1 | int4 | **0.02; 1.50 points; 60 bytes** |" in text
    plain = build_report(sources(), heading())
    assert 'id="layers"' not in html_page(plain)
    assert 'href="#layers"' not in html_page(plain)
    assert "### Formats in" not in markdown_report(plain, {})
    assert mixed_plots(plain) == ()


def test_the_record_reads_back(report: Report) -> None:
    assert Report.model_validate_json(report.model_dump_json()) == report
