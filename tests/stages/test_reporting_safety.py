"""The safety gate in the reports: a column for what was measured, nothing where nothing was."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from stages.paired import mcnemar
from stages.records import Calibration, Corrupted, McNemar, PairedCounts, Safety
from stages.reporting.assemble import build_report
from stages.reporting.html import html_page
from stages.reporting.markdown import markdown_report
from stages.reporting.record import Report, json_text
from stages.reporting.safety import safety_parts, safety_table
from stages.safety.members import classes_worst, paired_candidate, share_candidate, worst_of
from stages.statistics import bounded_share
from tests.stages.sample_run import figure, heading, regression_sources, sources


def _free() -> Safety:
    """What is always measured of a classification."""
    return Safety(tests={"output": McNemar(lost=9, gained=2, samples=360, p_value=mcnemar(9, 2))},
                  changed=bounded_share(14, 360, "measured", "changed"),
                  classes=classes_worst({"cat": PairedCounts(lost=5, gained=0, samples=40),
                                         "dog": PairedCounts(lost=0, gained=1, samples=40)}))


def _asked() -> Safety:
    """Everything, with a slice's name that is full of markup."""
    one = figure(2.5, "points", samples=360, spread=1.0)
    changed = worst_of([share_candidate("noise", 3, 200), share_candidate("blur", 1, 200)], "fraction", "changed")
    slices = worst_of([paired_candidate("light=<b>|night", PairedCounts(lost=4, gained=0, samples=60)),
                       paired_candidate("light=dawn", PairedCounts(lost=0, gained=0, samples=3), least=30)],
                      "points", "drop")
    assert changed is not None
    return _free().model_copy(update={
        "slices": slices,
        "calibration": {"output": Calibration(bins=15, noise=1, error=one, float_error=one, rise=one)},
        "corrupted": Corrupted(changed=changed, severities={"noise": "noise of 4 % of the range", "blur": "0.4"})})


def _report(make: Callable[[], Safety] | None) -> Report:
    """The made-up run with the same safety for each variant in litert."""
    found = sources()
    evaluated = {}
    for name, one in found.evaluated.items():
        engine = one.engines["litert"].model_copy(update={"safety": make() if make else None})
        evaluated[name] = one.model_copy(update={"engines": {"litert": engine}})
    return build_report(found.model_copy(update={"evaluated": evaluated}), heading())


def test_what_is_free_has_columns_and_the_rest_has_none() -> None:
    found = safety_table(_report(_free))
    assert found.head == ("variant", "engine", "drop", "lost / gained", "predictions changed", "worst class")
    assert found.rows[0][3:] == ("9 / 2, p = 0.065", found.rows[0][4], found.rows[0][5])
    assert found.rows[0][4].startswith("3.9 % [")
    assert found.rows[0][5].startswith("cat: 12.50 points [")


def test_what_was_asked_for_has_a_column_each() -> None:
    found = safety_table(_report(_asked))
    assert found.head[6:] == ("worst slice", "calibration error", "its rise over float", "agreement when corrupted")
    assert found.rows[0][6].startswith("light=<b>|night: 6.67 points")
    assert found.rows[0][9].startswith("noise: 98.5 % [")


def test_each_slice_and_corruption_is_listed_and_those_not_judged_say_why() -> None:
    parts = [one for one in safety_parts(_report(_asked)) if one.variant == "int8"]
    assert [(one.name, one.note) for one in parts] == [
        ("cat", ""), ("light=<b>|night", ""), ("light=dawn", "fewer than 30 samples"), ("noise", ""), ("blur", "")]
    assert parts[3].kind == "corruption, noise of 4 % of the range"


@pytest.mark.parametrize("given", ["none", "regression"])
def test_nothing_is_shown_where_nothing_was_measured(given: str) -> None:
    report = _report(None) if given == "none" else build_report(regression_sources(), heading())
    assert safety_table(report).rows == ()
    assert "## Safety" not in markdown_report(report, {})
    assert 'id="safety"' not in html_page(report)


def test_markdown_and_html_show_the_table_with_names_escaped() -> None:
    report = _report(_asked)
    text, page = markdown_report(report, {}), html_page(report)
    assert "## Safety" in text
    assert r"light=\<b\>\|night: 6.67 points" in text
    assert 'id="safety"' in page
    assert "light=&lt;b&gt;|night: 6.67 points" in page
    assert "light=<b>" not in page


def test_report_json_holds_all_of_it() -> None:
    found = json.loads(json_text(_report(_asked)))["variants"][0]["metrics"]["litert"]["safety"]
    assert found["tests"]["output"]["lost"] == 9
    assert found["slices"]["members"][1]["note"] == "fewer than 30 samples"
    assert found["corrupted"]["severities"]["noise"] == "noise of 4 % of the range"
    assert Safety.model_validate(found) == _asked()
