"""The page's plots as plotly figures: plain dictionaries, so that nothing heavy is imported to make them.

A colour written `var(--name)` is one of the page's own CSS colours; the page's script fills it in, for light and for
dark. A measured and a predicted figure are never in one view.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from device_profiles.records import Figure, Record
from stages.records import EngineBenchmark
from stages.reporting.places import untimed
from stages.reporting.record import Front, Report, VariantReport
from stages.reporting.style import Style, variant_styles
from stages.reporting.text import axis_scale, figure_text, quantity, samples_text, shortened

Json = dict[str, Any]

ROW_HEIGHT = 30
MANY_ROWS, NARROW_ROW_HEIGHT = 20, 18
LOG_FROM = 15
"""A latency axis is logarithmic where the slowest variant takes this many times the fastest one's time."""


class View(Record):
    """One figure of a plot; where a plot has several, the reader picks one.

    Attributes:
        label: in the picker.
        group: heading in the picker, or empty.
        figure: `data`, `layout` and, for scatter plots, `labels` that the page places.
        notes: sentences under the plot: what is missing and why.
    """

    label: str
    group: str = ""
    figure: Json
    notes: tuple[str, ...] = ()


class Plot(Record):
    """A plot of the page.

    Attributes:
        name: the plot's anchor.
        caption: what it shows and how to read it.
        views: at least one, else `absent` says why there is no plot.
    """

    name: str
    title: str
    caption: str
    views: tuple[View, ...]
    absent: str = ""


def axis(title: str, **more: Any) -> Json:
    """An axis with a title."""
    return {"title": {"text": title, "standoff": 12}, "automargin": True, **more}


def layout(x: Json, y: Json, *, height: int, **more: Any) -> Json:
    """A layout; colours and fonts are the page's."""
    margin = {"l": 56, "r": 16, "t": 12, "b": 48}
    return {"xaxis": x, "yaxis": y, "height": height, "showlegend": False, "margin": margin, **more}


def capitalized(text: str) -> str:
    """The text with a capital first letter: `Accuracy`, `Macro F1`, `R2`."""
    return text[:1].upper() + text[1:]


def row_height(rows: int) -> int:
    """Pixels that a row takes: less where there are many."""
    return ROW_HEIGHT if rows <= MANY_ROWS else NARROW_ROW_HEIGHT


def outlined_bars(rows: Sequence[tuple[str, float, float, str, str]], colors: Sequence[str], title: str) -> Json:
    """A bar for each row as it came, in outline, and over it one as it is now.

    Args:
        rows: name, value before, value after, a few letters beside the bar, words for the hover box; the first row
            stands on top.
        colors: of the bars after, one for each row.
        title: of the axis.
    """
    names, before, after, beside, words = zip(*rows, strict=True)
    shared = {"type": "bar", "orientation": "h", "y": list(names), "customdata": list(words), "cliponaxis": False,
              "hovertemplate": "%{y}: %{customdata}<extra></extra>"}
    data = [{**shared, "x": list(before), "width": 0.7, "text": list(beside), "textposition": "outside",
             "marker": {"color": "rgba(0,0,0,0)", "line": {"width": 1, "color": "var(--muted)"}}},
            {**shared, "x": list(after), "width": 0.7, "marker": {"color": list(colors)}}]
    down = axis("", type="category", categoryorder="array", categoryarray=list(names)[::-1], showgrid=False,
                range=[-0.6, len(names) - 0.4], fixedrange=True)
    return {"data": data, "layout": layout(axis(title, range=[0, max(*before, *after) * 1.4 or 1]), down,
                                           height=row_height(len(rows)) * len(rows) + 70, barmode="overlay")}


def hover(figure: Figure, label: str) -> str:
    """One line of a hover box: the figure, and where it comes from."""
    return f"{label}: {figure_text(figure)} ({samples_text(figure)})"


# -- the score against cost ------------------------------------------------------------------------------------------


def cost_title(front: Front, report: Report) -> str:
    """The cost axis: what it is, in which unit, where, and how it was obtained."""
    if front.cost == "tflite_bytes":
        return "tflite model, KiB (1024 bytes)"
    where = report.profiles[front.profile].device if front.profile else f"{report.benchmarked_on.words}, {front.engine}"
    return f"median latency on {where}, ms ({front.provenance})"


def cost_value(value: float, unit: str) -> float:
    """Bytes as KiB, the rest as it is."""
    return value / 1024 if unit == "bytes" else value


def front_label(front: Front, score: str, place: str = "this host") -> str:
    """The view's name in the picker."""
    if front.cost == "tflite_bytes":
        return f"{score} in {front.engine}"
    where = f"{front.profile} ({front.engine})" if front.profile else f"{front.engine} on {place}"
    return f"{where}, {front.provenance}"


def cost_plot(report: Report, cost: str) -> Plot:
    """The score against bytes, or against latency."""
    styles = variant_styles([variant.name for variant in report.variants])
    fronts = [front for front in report.fronts if front.cost == cost]
    score = capitalized(report.score)
    place = report.benchmarked_on.words
    views = tuple(View(label=front_label(front, report.score, place), figure=_front_figure(report, front, styles),
                       notes=tuple(f"No point for {name}: {shortened(why)}" for name, why in front.missing.items()))
                  for front in fronts)
    if cost == "tflite_bytes":
        return Plot(name="score-bytes", title=f"{score} against bytes", views=views,
                    absent="No variant was evaluated.", caption=(
                        "Up and to the left is better. The line is the Pareto front: none on it is beaten in both. "
                        "Bars are 95 % intervals on the test split."))
    return Plot(name="score-latency", title=f"{score} against latency", views=views,
                absent=f"No variant has both a figure for {report.score} and a latency.",
                caption="Up and to the left is better. Each view holds one kind of latency: measured on "
                        f"{place} in one engine, or of one profile's device. Measured and predicted are never mixed.")


def _bars(figures: Sequence[Figure], factor: float) -> Json:
    """Error bars from the figures' intervals; nothing where a figure has none."""
    ends = [figure.interval or (figure.value, figure.value) for figure in figures]
    return {"type": "data", "symmetric": False, "thickness": 1, "width": 0, "color": "var(--bar)",
            "array": [(end[1] - figure.value) * factor for figure, end in zip(figures, ends, strict=True)],
            "arrayminus": [(figure.value - end[0]) * factor for figure, end in zip(figures, ends, strict=True)]}


def span(low: float, high: float, share: float = 0.08) -> list[float]:
    """An axis range with some room at both ends, and some width where all values are equal."""
    room = (high - low) * share or abs(high) * share or 1.0
    return [low - room, high + room]


def cost_range(values: Sequence[float]) -> tuple[list[float], str]:
    """Range and type of the cost axis; where costs are far apart "log", and the range then in powers of ten."""
    if min(values) > 0 and max(values) / min(values) >= LOG_FROM:
        return span(math.log10(min(values)), math.log10(max(values)), 0.12), "log"
    return span(min(values), max(values), 0.12), "linear"


def _ends(figures: Sequence[Figure]) -> list[float]:
    """Both ends of every interval; the value itself where there is none."""
    return [end for figure in figures for end in (figure.interval or (figure.value,))]


def _front_figure(report: Report, front: Front, styles: Mapping[str, Style]) -> Json:
    """One scatter plot with its front."""
    x = [cost_value(point.cost.value, point.cost.unit) for point in front.points]
    factor, unit = axis_scale(front.points[0].score)
    y = [factor * point.score.value for point in front.points]
    across, kind = cost_range(x)
    base = report.baseline.headline
    ends = _ends([*(point.score for point in front.points), *([base] if base else [])])
    title = cost_title(front, report) + (", logarithmic" if kind == "log" else "")
    shown = layout(axis(title, type=kind, range=across),
                   axis(f"{report.score} in {front.engine}{unit}", range=span(factor * min(ends), factor * max(ends))),
                   height=400, **_baseline_line(base))
    labels = [{"text": point.variant, "x": cost, "y": share, "first": point.variant in front.front}
              for point, cost, share in zip(front.points, x, y, strict=True)]
    line = _front_line(labels, 10 ** across[1] if kind == "log" else across[1])
    return {"data": [line, _scatter(front, x, y, styles, report.score)], "layout": shown, "labels": labels}


def _front_line(labels: Sequence[Json], edge: float) -> Json:
    """Stairs through the points on the front, on to the edge of the plot: beyond the last nothing is better."""
    chosen = [label for label in labels if label["first"]]
    return {"type": "scatter", "mode": "lines", "x": [*(label["x"] for label in chosen), edge], "hoverinfo": "skip",
            "y": [*(label["y"] for label in chosen), chosen[-1]["y"]],
            "line": {"shape": "hv", "width": 1.5, "color": "var(--front)"}}


def _scatter(front: Front, x: Sequence[float], y: Sequence[float], styles: Mapping[str, Style],
             score: str) -> Json:
    """The points with their intervals."""
    points = front.points
    costs, scores = [point.cost for point in points], [point.score for point in points]
    drawn = [styles[point.variant] for point in points]
    return {
        "type": "scatter", "mode": "markers", "x": x, "y": y, "cliponaxis": False,
        "error_y": _bars(scores, axis_scale(scores[0])[0]), "error_x": _bars(costs, cost_value(1, costs[0].unit)),
        "marker": {"size": 12, "opacity": [1 if point.variant in front.front else 0.7 for point in points],
                   "color": [style.color for style in drawn], "symbol": [style.symbol for style in drawn],
                   "line": {"width": 1.5, "color": "var(--surface)"}},
        "text": [f"<b>{point.variant}</b><br>{hover(point.score, score)}<br>{hover(point.cost, 'cost')}"
                 for point in points],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _baseline_line(base: Figure | None) -> Json:
    """The float model's score as a line across the plot."""
    if base is None:
        return {}
    height = axis_scale(base)[0] * base.value
    return {"shapes": [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": height, "y1": height, "layer": "below",
                        "line": {"width": 1, "dash": "dot", "color": "var(--muted)"}}],
            "annotations": [{"xref": "paper", "x": 1, "xanchor": "right", "y": height, "yanchor": "bottom",
                             "text": f"float model {quantity(base.value, base.unit)}", "showarrow": False,
                             "font": {"size": 11, "color": "var(--muted)"}}]}


# -- latency -----------------------------------------------------------------------------------------------------------


def latency_plot(report: Report) -> Plot:
    """Distributions of the measured latencies by engine, then what was measured or predicted for each profile."""
    styles = variant_styles([variant.name for variant in report.variants])
    engines = dict.fromkeys(engine for variant in report.variants for engine in variant.latency)
    views = [view for engine in engines if (view := _measured_view(report, engine, styles)) is not None]
    views += [view for front in report.fronts if front.profile and (view := _profile_view(report, front, styles))]
    return Plot(name="latency", title="Latency", views=tuple(views), absent="No latency was obtained.", caption=(
        "Measured: the dot is the median, the thick bar holds the middle 40 % of the samples, the thin one the middle "
        "80 %. Predicted: a diamond with the interval that the prediction states."))


def _rows(variants: Sequence[VariantReport], x: Json) -> Json:
    """A layout with one row for each variant, in the run's order from the top."""
    names = [variant.name for variant in variants]
    return layout(x, axis("", type="category", categoryorder="array", categoryarray=names[::-1],
                          range=[-0.6, len(names) - 0.4], ticklabelposition="outside", showgrid=False, fixedrange=True),
                  height=ROW_HEIGHT * len(names) + 70)


def _time_axis(title: str, values: Sequence[float]) -> Json:
    """A latency axis from 0, or a logarithmic one where the values are far apart."""
    if values and min(values) > 0 and max(values) / min(values) >= LOG_FROM:
        return axis(f"{title}, logarithmic", type="log", dtick=1)
    return axis(title, range=[0, max(values, default=1) * 1.06])


def _measured_view(report: Report, engine: str, styles: Mapping[str, Style]) -> View | None:
    """One engine's distributions; None where it has none."""
    runs = {variant.name: run for variant in report.variants if (run := variant.latency.get(engine)) is not None}
    place = report.benchmarked_on.words
    return _strips(report, runs, styles, f"one inference on {place} in {engine}", f"{engine} on {place}, measured")


def _strips(report: Report, runs: Mapping[str, EngineBenchmark], styles: Mapping[str, Style], what: str,
            label: str) -> View | None:
    """Distributions by variant; None where nothing was timed."""
    timed = {name: run for name, run in runs.items() if run.median is not None}
    if not timed:
        return None
    ends = [value for run in timed.values() for value in (run.deciles_ms[1:10] or _values(run.median))]
    title = f"{what}, {_threads(timed.values())}, ms (measured)"
    return View(label=label, notes=_untimed(runs), figure={
        "data": [trace for name, run in timed.items() for trace in _strip(name, run, styles[name])],
        "layout": _rows(report.variants, _time_axis(title, ends))})


def _untimed(runs: Mapping[str, EngineBenchmark]) -> tuple[str, ...]:
    """Variants without a latency, and why."""
    return tuple(f"{name}: {shortened(untimed(run))}"
                 for name, run in runs.items() if run.median is None)


def _threads(runs: Iterable[EngineBenchmark]) -> str:
    """`1 thread`, `2 threads`."""
    counts = sorted({run.threads for run in runs})
    return f"{'/'.join(map(str, counts))} thread" + ("" if counts == [1] else "s")


def _values(figure: Figure | None) -> tuple[float, ...]:
    """The figure's value, or nothing."""
    return () if figure is None else (figure.value,)


def _strip(name: str, run: EngineBenchmark, style: Style) -> Iterator[Json]:
    """Bars of the middle 80 % and 40 %, and the median."""
    deciles = run.deciles_ms
    for low, high, width in ((1, 9, 3), (3, 7, 10)):
        if len(deciles) == 11:
            yield {"type": "scatter", "mode": "lines", "x": [deciles[low], deciles[high]], "y": [name, name],
                   "line": {"width": width, "color": style.color}, "opacity": 0.75, "hoverinfo": "skip"}
    figures = (("median", run.median), ("p90", run.p90), ("p99", run.p99), ("minimum", run.minimum),
               ("first inference", run.first_inference), ("load", run.load))
    lines = [hover(figure, label) for label, figure in figures if figure is not None]
    longest = [f"longest: {quantity(deciles[-1], 'ms')}"] if deciles else []
    yield {"type": "scatter", "mode": "markers", "x": [run.median.value if run.median else None], "y": [name],
           "marker": {"size": 10, "symbol": "circle", "color": "var(--surface)",
                      "line": {"width": 2.5, "color": style.color}},
           "text": ["<br>".join([f"<b>{name}</b>", *lines, *longest])], "hovertemplate": "%{text}<extra></extra>"}


def _profile_view(report: Report, front: Front, styles: Mapping[str, Style]) -> View | None:
    """One profile's latencies: measured on its own device, or with the intervals that come with them."""
    device = report.devices.get(front.profile or "") if front.provenance == "measured" else None
    if device is None:
        return _predicted_view(report, front, styles)
    return _strips(report, device.latency, styles, f"one inference on {device.place.words} in {device.engine}",
                   f"{front.profile}, measured")


def _predicted_view(report: Report, front: Front, styles: Mapping[str, Style]) -> View | None:
    """One profile's latencies with the intervals that come with them; None for bytes."""
    profile = report.profiles.get(front.profile or "")
    if profile is None or front.cost != "latency":
        return None
    data: list[Json] = []
    ends: list[float] = []
    for name, found in profile.latency.items():
        if found is None or found.provenance != front.provenance:
            continue
        low, high = found.interval or (found.value, found.value)
        ends += [low, high]
        data.append({"type": "scatter", "mode": "lines", "x": [low, high], "y": [name, name], "hoverinfo": "skip",
                     "line": {"width": 2, "color": styles[name].color}})
        data.append({"type": "scatter", "mode": "markers", "x": [found.value], "y": [name],
                     "marker": {"size": 11, "symbol": "diamond-open", "color": styles[name].color,
                                "line": {"width": 2}},
                     "text": [f"<b>{name}</b><br>{hover(found, 'median')}<br>{found.method}"],
                     "hovertemplate": "%{text}<extra></extra>"})
    title = f"one inference on {profile.device}, ms ({front.provenance})"
    notes = tuple(f"{name}: no latency; the verdicts below say why"
                  for name, found in profile.latency.items() if found is None)
    return View(label=f"{profile.name}, {front.provenance}", notes=notes, figure={
        "data": data, "layout": _rows(report.variants, _time_axis(title, ends))})
