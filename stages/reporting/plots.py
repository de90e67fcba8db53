"""The two Pareto plots as PNG, for Markdown. The same report gives the same bytes: no date, no local style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stages.reporting.figures import cost_range, cost_title, cost_value
from stages.reporting.record import Front, Report
from stages.reporting.style import Style, variant_styles
from stages.reporting.text import axis_scale, quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES, DOTS_PER_INCH = (7.6, 4.4), 110
FILES = {"tflite_bytes": "score_bytes.png", "latency": "score_latency.png"}
_GRID, _INK, _SOFT = "#e6e7e4", "#1b1e23", "#6a717b"


def write_plots(report: Report, folder: Path) -> dict[str, str]:
    """Write a PNG for each cost that has a front; a panel for each front, so that no axis mixes provenances.

    Returns:
        By cost, the file's name; a cost without any figure is left out.
    """
    written = {}
    styles = variant_styles([variant.name for variant in report.variants])
    for cost, name in FILES.items():
        fronts = [front for front in report.fronts if front.cost == cost]
        if fronts:
            _draw(report, fronts, styles, folder / name)
            written[cost] = name
    return written


def _draw(report: Report, fronts: Sequence[Front], styles: Mapping[str, Style], path: Path) -> None:
    """All panels of one cost, below each other."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": _SOFT,
                             "axes.labelcolor": _INK, "xtick.color": _SOFT, "ytick.color": _SOFT, "font.size": 10})
        canvas = Canvas(figsize=(INCHES[0], INCHES[1] * len(fronts)), dpi=DOTS_PER_INCH, layout="constrained")
        FigureCanvasAgg(canvas)
        panels = canvas.subplots(len(fronts), 1, squeeze=False)  # (fronts, 1)
        for front, axes in zip(fronts, panels[:, 0], strict=True):
            _panel(axes, report, front, styles)
        canvas.savefig(path, format="png", metadata={"Software": None})


def _panel(axes: Axes, report: Report, front: Front, styles: Mapping[str, Style]) -> None:
    """One front."""
    x = [cost_value(point.cost.value, point.cost.unit) for point in front.points]
    factor, unit = axis_scale(front.points[0].score)
    y = [factor * point.score.value for point in front.points]
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    chosen = [index for index, point in enumerate(front.points) if point.variant in front.front]
    across, kind = cost_range(x)
    edges = [10 ** edge if kind == "log" else edge for edge in across]
    axes.set_xscale(kind)
    axes.set_xlim(*edges)
    axes.step([*(x[index] for index in chosen), edges[1]], [y[index] for index in (*chosen, chosen[-1])], where="post",
              color=_INK, linewidth=1.2, label="Pareto front")
    for index, point in enumerate(front.points):
        style = styles[point.variant]
        low, high = point.score.interval or (point.score.value, point.score.value)
        axes.plot([x[index]] * 2, [factor * low, factor * high], color=_SOFT, linewidth=0.8, alpha=0.5)
        axes.plot([x[index]], [y[index]], marker=style.marker, color=style.color, markersize=8, linestyle="none",
                  markeredgecolor="white", label=point.variant, zorder=3)
    base = report.baseline.headline
    if base is not None:
        axes.axhline(factor * base.value, color=_SOFT, linewidth=0.9, linestyle=":",
                     label=f"float model {quantity(base.value, base.unit)}")
    axes.set_xlabel(cost_title(front, report))
    axes.set_ylabel(f"{report.score} in {front.engine}{unit}")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
