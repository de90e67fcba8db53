"""The PNG files are the same on every run, whatever style the user's own matplotlib has."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest

from stages.reporting.assemble import build_report
from stages.reporting.plots import write_plots
from tests.stages.sample_run import heading, sources


def test_both_plots_are_png_and_the_same_in_any_local_style(tmp_path: Path) -> None:
    report = build_report(sources(), heading())
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert write_plots(report, tmp_path / "a") == {
        "tflite_bytes": "score_bytes.png", "latency": "score_latency.png"}
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        write_plots(report, tmp_path / "b")
        assert mpl.rcParams["font.size"] == 30
    for name in ("score_bytes.png", "score_latency.png"):
        content = (tmp_path / "a" / name).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert content == (tmp_path / "b" / name).read_bytes()


def test_no_date_and_no_version_is_in_the_file(tmp_path: Path) -> None:
    write_plots(build_report(sources(), heading()), tmp_path)
    content = (tmp_path / "score_bytes.png").read_bytes()
    assert b"matplotlib" not in content.lower()
    assert b"tEXt" not in content


def test_there_is_a_panel_for_each_front_so_that_no_axis_mixes_provenances(tmp_path: Path) -> None:
    from matplotlib.image import imread

    report = build_report(sources(), heading())
    write_plots(report, tmp_path)
    # 5 latency fronts of 4.4 inches at 110 dots: 3 measured and 2 predicted.
    assert imread(tmp_path / "score_latency.png").shape[0] == pytest.approx(5 * 4.4 * 110, abs=1)


def test_a_cost_without_figures_has_no_plot(tmp_path: Path) -> None:
    report = build_report(sources(), heading())
    only = report.model_copy(update={"fronts": tuple(front for front in report.fronts if front.cost != "latency")})
    assert list(write_plots(only, tmp_path)) == ["tflite_bytes"]
