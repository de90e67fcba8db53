"""The study as a PNG: drop, distance of the outputs and ranges found, each against the number of samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stages.calibrating.record import CalibrationStudy

PLOT_FILE = "calibration.png"
_INCHES, _DOTS_PER_INCH = (7.6, 7.0), 110
_GRID, _INK, _SOFT, _BLUE, _GREEN, _ORANGE = "#e6e7e4", "#1b1e23", "#6a717b", "#0072b2", "#009e73", "#d55e00"


def draw_study(study: CalibrationStudy, folder: Path) -> None:
    """Write `calibration.png`; the same study gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": _SOFT,
                             "axes.labelcolor": _INK, "xtick.color": _SOFT, "ytick.color": _SOFT, "font.size": 10})
        canvas = Canvas(figsize=_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
        FigureCanvasAgg(canvas)
        top, middle, bottom = canvas.subplots(3, 1, sharex=True, height_ratios=(2, 1, 1))
        sizes = [point.samples for point in study.points]
        _band(top, sizes, [[drop.value for drop in point.drops] for point in study.points], _BLUE)
        _band(middle, sizes, [list(point.distances) for point in study.points], _GREEN)
        _band(bottom, sizes, [[100 * share for share in point.range_shares] for point in study.points], _ORANGE)
        if study.enough is not None:
            top.axvline(study.enough, color=_INK, linewidth=0.9, linestyle=":",
                        label=f"from {study.enough:,} samples on no difference is proven")
        top.axhline(0, color=_SOFT, linewidth=0.9)
        top.set_ylabel(f"drop of {study.score_name}, points")
        middle.set_ylabel("mean difference\nof the outputs")
        middle.set_ylim(bottom=0)
        bottom.set_ylabel("range found, %")
        bottom.set_xlabel(f"calibration samples ({study.format} in {study.engine}; {study.scored:,} {study.split} "
                          "samples scored)")
        bottom.set_xscale("log")
        bottom.set_xticks(sizes, [f"{size:,}" for size in sizes])
        bottom.minorticks_off()
        top.legend(frameon=False, fontsize=9)
        canvas.savefig(folder / PLOT_FILE, format="png", metadata={"Software": None})


def _band(axes: object, sizes: list[int], values: list[list[float]], color: str) -> None:
    """Every draw as a point, their mean as a line, and a band from the least to the most."""
    from matplotlib.axes import Axes

    if not isinstance(axes, Axes):
        return
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.fill_between(sizes, [min(each) for each in values], [max(each) for each in values], color=color, alpha=0.15,
                      linewidth=0)
    axes.plot(sizes, [float(np.mean(each)) for each in values], color=color, linewidth=1.6,
              label=f"mean of {len(values[0])} draws, from least to most")
    for size, each in zip(sizes, values, strict=True):
        axes.plot([size] * len(each), each, marker="o", markersize=4, linestyle="none", color=color)
