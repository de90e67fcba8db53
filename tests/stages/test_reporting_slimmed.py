"""Channels before and after in the report, and nothing where none were removed."""

from __future__ import annotations

import pytest

from stages.records import BeforeAfter, SlimAudition, SlimBranch, SlimResult
from stages.reporting.assemble import build_report
from stages.reporting.html import html_page
from stages.reporting.markdown import markdown_report
from stages.reporting.record import Report
from stages.reporting.slimmed import slimmed_parts, slimmed_plots
from tests.stages.sample_run import heading, history, sources

SLIM = SlimResult(
    summary="slimmed", history=history(2, 0.5), rounds=(),
    channels={"stem": BeforeAfter(before=16, after=16), "conv": BeforeAfter(before=64, after=40),
              "dense": BeforeAfter(before=10, after=10)},
    macs=BeforeAfter(before=294_912, after=176_000), parameters=BeforeAfter(before=90, after=50), budget="macs",
    asked_share=0.4, removed_share=0.4, importance="taylor", protected={"dense": "an output of the model"}, proof=2e-7,
    proof_samples=16)


@pytest.fixture(scope="module")
def report() -> Report:
    return build_report(sources().model_copy(update={"trainings": {"slim40": SLIM}}), heading())


def test_a_row_a_layer_says_what_went_and_why_not_more(report: Report) -> None:
    part, = slimmed_parts(report)
    assert part.rows == (("stem", "16", "16", "0 %", ""), ("conv", "64", "40", "38 %", ""),
                         ("dense", "10", "10", "0 %", "an output of the model"))
    assert part.text == "294,912 to 176,000 MACs in one inference; 90 to 66 channels in all layers."


def test_bars_stand_for_channels_before_and_after_in_the_model_s_order(report: Report) -> None:
    plot, = slimmed_plots(report)
    before, after = plot.views[0].figure["data"]
    assert (before["x"], after["x"]) == ([16, 64, 10], [16, 40, 10])
    assert before["text"] == ["16 → 16", "64 → 40", "10 → 10"]
    assert plot.views[0].figure["layout"]["yaxis"]["categoryarray"] == ["dense", "conv", "stem"]  # from below


def test_rows_are_lower_where_there_are_many_layers(report: Report) -> None:
    many = SLIM.model_copy(update={"channels": {f"conv{n}": BeforeAfter(before=8, after=4) for n in range(100)}})
    tall = build_report(sources().model_copy(update={"trainings": {"slim50": many}}), heading())
    heights = [slimmed_plots(each)[0].views[0].figure["layout"]["height"] for each in (report, tall)]
    assert heights == [3 * 30 + 70, 100 * 18 + 70]


def test_page_and_markdown_show_it_and_only_where_channels_were_removed(report: Report) -> None:
    page, text = html_page(report), markdown_report(report, {})
    assert 'id="plot-channels"' in page
    assert "| conv | 64 | 40 | 38 % |  |" in text
    plain = build_report(sources(), heading())
    assert 'id="plot-channels"' not in html_page(plain)
    assert "### Channels of" not in markdown_report(plain, {})
    assert slimmed_plots(plain) == ()


def test_branches_that_left_whole_and_what_was_tried_are_told() -> None:
    gone = SlimBranch(join="add", layers=("conv", "norm"))
    tried = (SlimAudition(without=(), validation_loss=0.5, channels={"a": 1200, "b": 8}),
             SlimAudition(without=(gone,), joined_worth=4, validation_loss=0.25),
             SlimAudition(without=(gone,), again=True, traded=True, kept=(8,), validation_loss=0.125),
             SlimAudition(without=(gone, gone), validation_loss=None, refused="too much"))
    slim = SLIM.model_copy(update={"branches": (gone,), "auditions": tried})
    told = build_report(sources().model_copy(update={"trainings": {"slim40": slim}}), heading())
    part, = slimmed_parts(told)
    assert part.text.endswith("Left whole: conv .. norm. 4 choices tried first, each in a short training; see below.")
    assert part.auditions == (("nothing", "1", "0.5000", "1,200, 8"), ("conv .. norm", "4", "0.2500", ""),
                              ("conv .. norm, trained at length, channels traded", "1", "0.1250", ""),
                              ("conv .. norm, conv .. norm", "1", "", "too much"))
    assert "| conv .. norm | 4 | 0.2500 |  |" in markdown_report(told, {})
    assert "<td>0.2500</td>" in html_page(told)
    assert "a joined channel counts" not in html_page(build_report(sources(), heading()))
