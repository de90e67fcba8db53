"""The calibration study on the page and in Markdown: what more samples change, and from where on nothing."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from stages.calibrating.record import CalibrationPoint, CalibrationStudy
from stages.reporting.figures import Json, Plot, View, axis, capitalized, layout
from stages.reporting.record import Report
from stages.reporting.text import MISSING, plain_number, plural

HEAD = ("samples", "drop, points", "differs", "predictions changed", "range found")


def calibration_plots(report: Report) -> tuple[Plot, ...]:
    """Drop, distance of the outputs and width of the ranges against the number of samples; none without a study."""
    study = report.calibration
    if study is None:
        return ()
    points = study.points
    views = (
        _view(f"drop of {study.score_name}", "points", study,
              [[drop.value for drop in point.drops] for point in points]),
        _view("mean difference of the outputs", "in units of the output", study,
              [list(point.distances) for point in points]),
        _view("width of the activations' ranges", f"% of that at {points[-1].samples:,} samples", study,
              [[100 * share for share in point.range_shares] for point in points]))
    caption = (f"A point a draw, the line is their mean (measured on {study.scored:,} {study.split} samples in "
               f"{study.engine}). Dotted: from here on no difference is proven.")
    title = f"{study.format} against calibration samples"
    return (Plot(name="calibration", title=title, views=views, caption=caption),)


def _view(label: str, unit: str, study: CalibrationStudy, values: Sequence[Sequence[float]]) -> View:
    """Every draw as a point and their mean as a line, over a logarithmic axis of sample numbers."""
    sizes = [point.samples for point in study.points]
    data: list[Json] = [
        {"type": "scatter", "mode": "lines", "x": sizes, "y": [fmean(each) for each in values], "hoverinfo": "skip",
         "line": {"width": 2.2, "color": "var(--accent)"}},
        {"type": "scatter", "mode": "markers",
         "x": [size for size, each in zip(sizes, values, strict=True) for _ in each],
         "y": [value for each in values for value in each], "marker": {"size": 8, "color": "var(--accent)"},
         "hovertemplate": f"%{{x:,}} samples: %{{y:.4g}} {unit}<extra></extra>"}]
    across = axis("calibration samples", type="log", tickvals=sizes, ticktext=[f"{size:,}" for size in sizes])
    shown = layout(across, axis(f"{label}, {unit}"), height=320, shapes=_mark(study))
    return View(label=label, figure={"data": data, "layout": shown})


def _mark(study: CalibrationStudy) -> list[Json]:
    """A dotted line where samples are enough."""
    if study.enough is None:
        return []
    return [{"type": "line", "xref": "x", "yref": "paper", "x0": study.enough, "x1": study.enough, "y0": 0, "y1": 1,
             "line": {"dash": "dot", "width": 1.5, "color": "var(--ink)"}}]


def calibration_rows(study: CalibrationStudy) -> list[tuple[str, ...]]:
    """A row of words for each size, below `HEAD`."""
    return [(f"{point.samples:,}", _from_to([plain_number(drop, "points") for drop in _drops(point)]),
             "yes" if point.differs else "no", _from_to([f"{count:,}" for count in sorted(point.changed)]),
             f"{100 * fmean(point.range_shares):.0f} %") for point in study.points]


def _drops(point: CalibrationPoint) -> list[float]:
    """Of all draws, ascending, in points."""
    return sorted(drop.value for drop in point.drops)


def calibration_text(study: CalibrationStudy) -> str:
    """What was done, before the table."""
    draws = len(study.points[0].scores)
    return (f"{capitalized(study.summary)}. {study.format} in {study.engine} {study.engine_version}, "
            f"{plural(draws, 'draw')} of each size ({study.strategy}), {study.scored:,} {study.split} samples scored.")


def _from_to(ascending: Sequence[str]) -> str:
    """Least and most of the draws."""
    if not ascending:
        return MISSING
    low, high = ascending[0], ascending[-1]
    return low if low == high else f"{low} to {high}"


