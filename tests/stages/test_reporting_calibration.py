"""The calibration study in the report: numbers of the record, words, and nothing where no study was asked for."""

from __future__ import annotations

import pytest

from stages.reporting.assemble import build_report
from stages.reporting.calibration import calibration_plots, calibration_rows, calibration_text
from stages.reporting.html import html_page
from stages.reporting.markdown import markdown_report
from stages.reporting.record import Report
from tests.stages.sample_run import calibration_study, heading, sources


@pytest.fixture(scope="module")
def report() -> Report:
    return build_report(sources().model_copy(update={"calibration": calibration_study()}), heading())


def test_the_line_is_the_mean_of_the_draws_and_every_draw_is_a_point(report: Report) -> None:
    drop, distance, width = calibration_plots(report)[0].views
    line, points = drop.figure["data"]
    assert (line["x"], line["y"]) == ([1, 20, 200], [6.25, 0.75, 0.5])
    assert (points["x"], points["y"]) == ([1, 1, 20, 20, 200, 200], [6.0, 6.5, 0.5, 1.0, 0.25, 0.75])
    assert distance.figure["data"][0]["y"][0] == pytest.approx((6 / 50 + 6 / 40) / 2)
    assert width.figure["data"][0]["y"] == pytest.approx([61, 95, 99])


def test_the_dotted_line_stands_where_samples_are_enough_and_nowhere_else(report: Report) -> None:
    assert [shape["x0"] for shape in calibration_plots(report)[0].views[0].figure["layout"]["shapes"]] == [20]
    still = calibration_study().model_copy(update={"enough": None})
    shown, = calibration_plots(report.model_copy(update={"calibration": still}))
    assert shown.views[0].figure["layout"]["shapes"] == []


def test_a_row_a_size_says_what_differs() -> None:
    assert calibration_rows(calibration_study()) == [
        ("1", "6.00 to 6.50", "yes", "21 to 23", "61 %"), ("20", "0.50 to 1.00", "no", "2 to 4", "95 %"),
        ("200", "0.25 to 0.75", "no", "1 to 3", "99 %")]


def test_the_text_says_what_was_found_and_how() -> None:
    assert calibration_text(calibration_study()) == (
        "From 20 calibration samples on the accuracy no longer changes. int8 in litert 2.3.0, 2 draws of each size "
        "(balanced), 360 validation samples scored.")


def test_page_and_markdown_have_a_section_only_with_a_study(report: Report) -> None:
    assert 'id="calibration"' in html_page(report)
    assert "## Calibration study" in markdown_report(report, {})
    plain = build_report(sources(), heading())
    assert 'id="calibration"' not in html_page(plain)
    assert "Calibration study" not in markdown_report(plain, {})
    assert calibration_plots(plain) == ()


def test_a_warning_of_the_study_is_a_remark() -> None:
    warned = calibration_study().model_copy(update={"warnings": ("scored on the test split",)})
    found = build_report(sources().model_copy(update={"calibration": warned}), heading())
    assert "scored on the test split" in [remark.text for remark in found.remarks]
