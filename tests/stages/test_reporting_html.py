"""The page: everything inlined, nothing that an engine or a user wrote becomes markup, and a browser draws it all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stages.reporting.assemble import build_report
from stages.reporting.html import all_plots, deciding_limit, headline, html_page, script_json
from stages.reporting.record import Report
from tests.chromium import CHROMIUM, NO_CHROMIUM, Browser
from tests.stages.sample_run import (
    calibration_study,
    examination,
    heading,
    limit,
    model,
    regression_sources,
    sources,
    thumbnails,
)

EVIL = '</script><script>alert(1)</script><img src="http://example.invalid/x.png">'


@pytest.fixture(scope="module")
def report() -> Report:
    return build_report(sources().model_copy(update={"calibration": calibration_study()}), heading())


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    return html_page(report)


class _Tags(HTMLParser):
    """Elements in order, and every attribute that could load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [str(value) for name, value in attrs if name == "src" or (tag == "link" and name == "href")]


def _without_plotly(text: str) -> str:
    """The page without the chart library, whose own source holds addresses that it never asks for."""
    return re.sub(r"<script>\s*/\*\*.*?</script>", "", text, flags=re.DOTALL)


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    assert _Tags(page).loads == ["data:,"]
    assert "default-src 'none'" in page
    assert "://" not in _without_plotly(page)


def test_the_same_report_gives_the_same_page(report: Report, page: str) -> None:
    assert html_page(report) == page


def test_plots_come_before_tables(page: str) -> None:
    tags = _Tags(_without_plotly(page)).tags
    assert tags.index("figure") < tags.index("table")


def test_what_an_engine_or_a_user_wrote_stays_text(report: Report) -> None:
    evil = report.model_copy(update={"run": EVIL, "config": EVIL, "variants": tuple(
        one.model_copy(update={"arena_bytes": None, "arena_message": EVIL}) for one in report.variants)})
    tags = _Tags(html_page(evil))
    assert tags.tags.count("script") == 3
    assert "img" not in tags.tags
    assert tags.loads == ["data:,"]


def test_json_for_a_script_cannot_end_it_and_reads_back() -> None:
    value = {"a": EVIL, "b": "<!-- \u2028 &amp;"}
    text = script_json(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == value


def test_every_verdict_and_reason_is_on_the_page(page: str, report: Report) -> None:
    text = re.sub(r"\s+", " ", _without_plotly(page))
    for name in ("cpu", "mobile", "iot"):
        assert f'id="limits-{name}-int8"' in text
        assert report.profiles[name].reason in text
    assert "the interval spans the bound" in text
    assert "26,480 bytes (25.9 KiB)" in text


def test_every_plot_has_its_place_and_its_figures(page: str, report: Report) -> None:
    found = re.search(r'id="figures-data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    figures = json.loads(found[1])
    assert {name: len(views) for name, views in figures.items()} == {
        plot.name: len(plot.views) for plot in all_plots(report)}
    for name in figures:
        assert f'id="plot-{name}"' in page


def test_a_missing_plot_says_why(report: Report) -> None:
    assert "Nothing was trained." in html_page(report.model_copy(update={"trainings": {}}))


def test_the_headline_counts_profiles_with_a_winner(report: Report) -> None:
    lost = {"iot": report.profiles["iot"].model_copy(update={"winner": None})}
    assert headline(report) == "All 3 profiles have a variant that fits."
    assert headline(report.model_copy(update={"profiles": report.profiles | lost})) == (
        "2 of 3 profiles have a variant that fits.")
    assert headline(report.model_copy(update={"profiles": lost})) == "0 of 1 profile has a variant that fits."
    assert headline(report.model_copy(update={"profiles": {}})) == "No profile was checked."


def test_the_deciding_limit_is_the_first_of_the_worst() -> None:
    limits = {name: limit(name, verdict, None, "", None, "") for name, verdict in (
        ("a", "pass"), ("b", "unknown"), ("c", "fail"), ("d", "fail"))}
    chosen = deciding_limit(limits)
    assert chosen is not None
    assert chosen.limit == "c"
    assert deciding_limit({"a": limits["a"]}) is None


def looked_at(report: Report, **found: object) -> Report:
    return report.model_copy(update={"examination": examination(**found), "model": model()})  # type: ignore[arg-type]


def test_the_closer_look_shows_pictures_of_pairs_and_of_doubtful_labels(report: Report) -> None:
    page = html_page(looked_at(report), thumbnails())
    text = re.sub(r"\s+", " ", _without_plotly(page))
    pictures = [source for source in _Tags(page).loads if source.startswith("data:image/png")]
    assert len(pictures) == 5  # two pairs and one label
    assert 'alt="train 12, 7/0012.png (7)"' in text
    assert "labels differ" in text
    assert "<b>9</b> → <b>7</b>?" in text
    assert "outputs differ by at most 3.1e-06" in text


def test_samples_that_are_no_pictures_are_listed_in_tables(report: Report) -> None:
    page = _without_plotly(html_page(looked_at(report, thumbnails=False)))
    assert "<img" not in page
    assert "<td>train 12, 7/0012.png (7)</td><td>test 4 (9)</td><td>0.9912</td>" in page
    assert "<td>test 4</td><td>9</td><td>7</td><td>0.93</td>" in page


def test_without_a_model_result_and_a_closer_look_the_page_has_no_such_sections(page: str) -> None:
    assert 'id="model"' not in page
    assert "A closer look" not in page


# -- in a browser, without network -------------------------------------------------------------------------------------

browser_test = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="module")
def page_file(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


@pytest.mark.browser
@browser_test
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, False), (400, True)])
def test_the_page_draws_all_plots_without_network_complaint_or_sideways_scroll(
        browser: Browser, page_file: Path, report: Report, width: int, dark: bool) -> None:
    browser.open(page_file, width, dark=dark)
    drawn = browser.value("[...document.querySelectorAll('.canvas')].filter(c => c.querySelector('svg.main-svg') && "
                          "c.querySelector('.trace, .bars, .heatmaplayer image, .point')).map(c => c.dataset.plot)")
    assert sorted(drawn) == sorted(plot.name for plot in all_plots(report))
    assert [url for url in browser.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert len([url for url in browser.requests if url.startswith("file:")]) == 1
    assert browser.complaints == []
    assert browser.value("[innerWidth, document.documentElement.scrollWidth]") == [width, width]


@pytest.mark.browser
@browser_test
@pytest.mark.parametrize("width", [1280, 400])
def test_the_data_report_is_drawn_with_its_pictures_and_fits_the_page(
        browser: Browser, report: Report, tmp_path: Path, width: int) -> None:
    path = tmp_path / "looked.html"
    path.write_text(html_page(looked_at(report), thumbnails()), encoding="utf-8")
    browser.open(path, width)
    sizes = browser.value("[...document.querySelectorAll('.strip img')].map(i => [i.naturalWidth, i.clientWidth])")
    assert sizes == [[8, 96]] * 5
    assert browser.complaints == []
    assert browser.value("[innerWidth, document.documentElement.scrollWidth]") == [width, width]


@pytest.mark.browser
@browser_test
def test_a_regression_draws_its_plots_without_complaint(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "regression.html"
    path.write_text(html_page(build_report(regression_sources(), heading())), encoding="utf-8")
    browser.open(path, 1280)
    assert browser.complaints == []
    drawn = browser.value("[...document.querySelectorAll('.canvas[data-drawn=yes]')].map(c => c.dataset.plot)")
    assert {"score-bytes", "score-latency", "curves-score", "classes"} <= set(drawn)
    assert "confusion" not in drawn


@pytest.mark.browser
@browser_test
def test_a_browser_that_could_ask_the_network_is_seen_to_ask(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "asks.html"
    path.write_text("<!DOCTYPE html><html data-ready='yes'><img src='http://example.invalid/x.png'>", encoding="utf-8")
    browser.open(path, 800)
    browser.wait_for("document.images[0].complete")
    assert "http://example.invalid/x.png" in browser.requests
    assert browser.complaints


@pytest.mark.browser
@browser_test
def test_the_picker_changes_the_view_and_its_notes(browser: Browser, page_file: Path) -> None:
    browser.open(page_file, 1280)
    browser.value("(() => { const s = document.querySelector('select[data-plot=score-bytes]'); s.value = '2'; "
                  "s.dispatchEvent(new Event('change')); })()")
    canvas = "document.querySelector('.canvas[data-plot=score-bytes]')"
    browser.wait_for(f"{canvas}.textContent.includes('accuracy in tflm')")
    notes = browser.value("[...document.querySelectorAll('.notes[data-plot=score-bytes]')].filter(n => !n.hidden)"
                          ".map(n => n.textContent)")
    assert len(notes) == 1
    assert "No point for float16" in notes[0]


@pytest.mark.browser
@browser_test
def test_switching_a_variant_off_takes_its_row_out_of_the_bars(browser: Browser, page_file: Path) -> None:
    browser.open(page_file, 1280)
    count = "document.querySelectorAll('.canvas[data-plot=memory-file] .bars .point').length"
    assert browser.value(count) == 9
    browser.value("document.querySelector('button[data-variant=int8]').click()")
    browser.wait_for(f"{count} === 8")
    assert browser.value("document.querySelector('button[data-variant=int8]').getAttribute('aria-pressed')") == "false"


@pytest.mark.browser
@browser_test
def test_following_a_verdict_opens_its_limits(browser: Browser, page_file: Path) -> None:
    browser.open(page_file, 1280)
    target = "document.getElementById('limits-iot-float32')"
    assert browser.value(f"{target}.open || {target}.parentElement.closest('details').open") is False
    browser.value("document.querySelector('a[href=\"#limits-iot-float32\"]').click()")
    browser.wait_for(f"{target}.open && {target}.parentElement.closest('details').open")
    assert "tflite_bytes" in browser.value(f"{target}.innerText")


@pytest.mark.browser
@browser_test
def test_a_page_with_evil_text_runs_none_of_it(browser: Browser, report: Report, tmp_path: Path) -> None:
    variants = tuple(one.model_copy(update={"arena_bytes": None, "arena_message": EVIL}) for one in report.variants)
    path = tmp_path / "evil.html"
    path.write_text(html_page(report.model_copy(update={"run": EVIL, "variants": variants})), encoding="utf-8")
    browser.open(path, 400)
    assert browser.value("document.querySelector('h1').textContent") == EVIL
    assert [url for url in browser.requests if url.startswith("http")] == []
    assert browser.complaints == []
