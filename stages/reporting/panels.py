"""The page's further plots: memory, time by operator, confusion matrices, learning curves, class counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stages.reporting.figures import ROW_HEIGHT, Json, Plot, View, axis, capitalized, layout
from stages.reporting.record import Curve, EngineMetrics, Report, TaskMetrics
from stages.reporting.style import SEQUENCE, line_style, variant_styles
from stages.reporting.text import axis_scale, kib, quantity, shortened

MOST_LABELLED_CLASSES = 20
"""Up to so many classes a confusion matrix shows its counts; above, the hover box does."""


# -- memory ----------------------------------------------------------------------------------------------------------


def memory_plots(report: Report) -> tuple[Plot, ...]:
    """File, tensor arena and peak memory: three scales, so three plots."""
    variants = report.variants
    files = {variant.name: float(variant.tflite_bytes) for variant in variants}
    arenas = {variant.name: None if variant.arena_bytes is None else float(variant.arena_bytes) for variant in variants}
    why = {variant.name: variant.arena_message for variant in variants}
    engines = dict.fromkeys(engine for variant in variants for engine in variant.latency)
    peaks = tuple(view for engine in engines if (view := _peak_view(report, engine)) is not None)
    return (
        Plot(name="memory-file", title="File", caption="Bytes of the tflite model: what is shipped (exact).",
             views=(_bar_view(report, "", files, {}),)),
        Plot(name="memory-arena", title="Tensor arena",
             caption="RAM that TFLM allocates for the model (measured, exact).",
             views=(_bar_view(report, "", arenas, why),) if any(arenas.values()) else (),
             absent=next((text for text in why.values() if text), "TFLM did not run.")),
        Plot(name="memory-peak", title="Peak memory", views=peaks, absent="No engine reported it.",
             caption="Resident set of the engine's process at its highest, less that before the model (measured)."),
    )


def _peak_view(report: Report, engine: str) -> View | None:
    """Peak memory of every variant in one engine; None where there is no figure."""
    runs = {variant.name: variant.latency[engine] for variant in report.variants if engine in variant.latency}
    values = {name: run.peak_memory.value if run.peak_memory else None for name, run in runs.items()}
    why = {name: run.message or run.status for name, run in runs.items()}
    return _bar_view(report, engine, values, why) if any(value is not None for value in values.values()) else None


def _bar_view(report: Report, label: str, values: Mapping[str, float | None], why: Mapping[str, str]) -> View:
    """Bars of bytes, one row a variant, each with its value in KiB."""
    names = [variant.name for variant in report.variants]
    styles = variant_styles(names)
    known = {name: values[name] for name in names if values.get(name) is not None}
    numbers = [value / 1024 for value in known.values() if value is not None]
    data = [{"type": "bar", "orientation": "h", "y": list(known), "x": numbers, "width": 0.62,
             "marker": {"color": [styles[name].color for name in known]}, "textposition": "outside",
             "cliponaxis": False, "text": [kib(value) for value in known.values() if value is not None],
             "customdata": [f"<b>{name}</b><br>{quantity(value, 'bytes')}" for name, value in known.items()
                            if value is not None],
             "hovertemplate": "%{customdata}<extra></extra>"}]
    rows = axis("", type="category", categoryorder="array", categoryarray=names[::-1], range=[-0.6, len(names) - 0.4],
                showgrid=False, fixedrange=True)
    shown = layout(axis("KiB (1024 bytes)", range=[0, max(numbers, default=1) * 1.5], nticks=4), rows,
                   height=ROW_HEIGHT * len(names) + 70)
    notes = tuple(f"{name}: {shortened(why.get(name) or 'not obtained')}" for name in names if name not in known)
    return View(label=label, figure={"data": data, "layout": shown}, notes=notes)


# -- time by operator ------------------------------------------------------------------------------------------------


def operator_plot(report: Report) -> Plot:
    """Where an inference spends its time, summed by kind of operator."""
    views = []
    for variant in report.variants:
        for engine, run in variant.latency.items():
            if run.operator_times:
                totals: dict[str, float] = {}
                for one in run.operator_times:
                    totals[one.operator] = totals.get(one.operator, 0.0) + one.latency_ms
                views.append(View(label=f"{variant.name} in {engine}", group=engine, figure=_operator_figure(totals)))
    return Plot(name="operators", title="Time by operator", views=tuple(views),
                caption="Times of all operators of one kind, summed, as the engine's own profiler reports them "
                        "(measured). Profiling costs time itself, so the sum is not the latency above.",
                absent="No engine here reports times by operator.")


def _operator_figure(totals: Mapping[str, float]) -> Json:
    """Bars, longest on top."""
    ordered = sorted(totals.items(), key=lambda pair: (pair[1], pair[0]))
    total = sum(totals.values()) or 1.0
    bars = {"type": "bar", "orientation": "h", "y": [name for name, _ in ordered], "x": [time for _, time in ordered],
            "marker": {"color": "var(--accent)"}, "width": 0.62, "textposition": "outside", "cliponaxis": False,
            "text": [f"{100 * time / total:.0f} %" for _, time in ordered],
            "customdata": [quantity(time, "ms") for _, time in ordered],
            "hovertemplate": "%{y}: %{customdata}, %{text}<extra></extra>"}
    return {"data": [bars], "layout": layout(
        axis("ms in one inference (measured)", range=[0, max(totals.values()) * 1.2]),
        axis("", type="category", showgrid=False, fixedrange=True), height=ROW_HEIGHT * len(ordered) + 80)}


# -- confusion matrices ----------------------------------------------------------------------------------------------


def confusion_plot(report: Report) -> Plot:
    """The confusion matrix of the float model and of every variant in every engine, of each output that has one."""
    found = [("float model", "baseline", report.baseline)]
    found += [(f"{variant.name} in {engine}", variant.name, metrics)
              for variant in report.variants for engine, metrics in variant.metrics.items()]
    views = tuple(View(label=label, group=group, figure=_confusion_figure(one, report.data.class_names))
                  for name, group, metrics in found for label, one in _each_output(name, metrics) if one.confusion)
    return Plot(name="confusion", title="Confusion", views=views, absent="No model was evaluated.", caption=(
        "Rows are the true classes, columns the labels given; numbers are counts on the test split (measured), shades "
        "are shares of the row."))


def _each_output(name: str, metrics: EngineMetrics) -> list[tuple[str, TaskMetrics]]:
    """The metrics themselves, or those of each output where there are several."""
    return [(f"{name}, {output}", found) for output, found in metrics.outputs.items()] or [(name, metrics)]


def _confusion_figure(metrics: TaskMetrics, class_names: Sequence[str]) -> Json:
    """A heat map of row shares with the counts written in; empty cells stay empty."""
    rows = metrics.confusion
    names = class_names if len(class_names) == len(rows) else [str(label) for label in range(len(rows))]
    shares = [[count / (sum(row) or 1) for count in row] for row in rows]
    heat = {"type": "heatmap", "z": shares, "x": list(names), "y": list(names), "zmin": 0, "zmax": 1,
            "showscale": False, "xgap": 1, "ygap": 1, "customdata": [list(row) for row in rows],
            "colorscale": [[0, "var(--heat-0)"], [0.02, "var(--heat-1)"], [1, "var(--heat-2)"]],
            "hovertemplate": "true %{y}, given %{x}: %{customdata} samples<extra></extra>"}
    if len(names) <= MOST_LABELLED_CLASSES:
        heat |= {"text": [[str(count) if count else "" for count in row] for row in rows], "texttemplate": "%{text}"}
    shown = layout(axis("label given", type="category", showgrid=False, constrain="domain"),
                   axis("true class", type="category", autorange="reversed", showgrid=False, scaleanchor="x",
                        constrain="domain"), height=440)
    return {"data": [heat], "layout": shown, "square": True}


# -- learning curves -------------------------------------------------------------------------------------------------


def curve_plots(report: Report) -> tuple[Plot, ...]:
    """Score and loss of every training, on the training and on the validation split."""
    captions = "Solid: validation split. Dotted: training split. Ring: the epoch whose weights were kept (measured)."
    return tuple(Plot(name=f"curves-{kind}", title=title, caption=captions,
                      views=(_curve_view(report, kind),) if report.trainings else (), absent="Nothing was trained.")
                 for kind, title in (("score", f"{capitalized(report.score)} by epoch"), ("loss", "Loss by epoch")))


def _curve_view(report: Report, kind: str) -> View:
    """All trainings in one figure."""
    names = dict.fromkeys(training.score_name for training in report.trainings.values())
    same = list(names) == [report.score]  # a model of several outputs is trained on the mean of their scores
    factor, unit = axis_scale(report.baseline.headline) if kind == "score" and same else (1.0, "")
    title = f"{' or '.join(names) if kind == 'score' else 'loss'}{unit}"
    data: list[Json] = []
    for index, (label, training) in enumerate(report.trainings.items()):
        color, dash = line_style(index)
        validation: Curve = getattr(training, f"validation_{kind}")
        data.append(_curve(getattr(training, kind), factor, label, {"width": 1.2, "dash": "dot", "color": color}))
        solid = _curve(validation, factor, label, {"width": 2.2, "dash": dash, "color": color})
        data.append(solid | {"showlegend": True})
        if 0 <= training.best_epoch - 1 < len(validation) and validation[training.best_epoch - 1] is not None:
            data.append({"type": "scatter", "mode": "markers", "x": [training.best_epoch], "legendgroup": label,
                         "y": [factor * (validation[training.best_epoch - 1] or 0.0)], "showlegend": False,
                         "marker": {"size": 10, "symbol": "circle-open", "color": color, "line": {"width": 2}},
                         "hoverinfo": "skip"})
    shown = layout(axis("epoch", rangemode="tozero", tickformat="d"), axis(title), height=380, showlegend=True,
                   legend={"orientation": "h", "x": 0, "y": -0.22, "yanchor": "top"})
    return View(label="", figure={"data": data, "layout": shown})


def _curve(values: Curve, factor: float, label: str, line: Json) -> Json:
    """One line over the epochs, counted from 1; an epoch without a number leaves a gap."""
    return {"type": "scatter", "mode": "lines", "legendgroup": label, "name": label, "line": line, "showlegend": False,
            "x": list(range(1, len(values) + 1)),
            "y": [None if value is None else factor * value for value in values],
            "hovertemplate": f"{label}, epoch %{{x}}: %{{y:.4g}}<extra></extra>"}


# -- data ------------------------------------------------------------------------------------------------------------


def class_plot(report: Report) -> Plot:
    """Samples of each class in each split; of each split alone where there are no classes."""
    splits = report.data.splits
    if not report.data.class_names:
        return _split_plot({name: split.samples for name, split in splits.items()})
    names = list(report.data.class_names)
    data = [{"type": "bar", "name": split, "x": names, "y": list(counts.class_counts),
             "marker": {"color": SEQUENCE[index % len(SEQUENCE)]},
             "hovertemplate": f"{split}, class %{{x}}: %{{y}} samples<extra></extra>"}
            for index, (split, counts) in enumerate(splits.items())]
    shown = layout(axis("class", type="category", showgrid=False), axis("samples"), height=300, barmode="stack",
                   showlegend=True, legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"})
    view = View(label="", figure={"data": data, "layout": shown})
    return Plot(name="classes", title="Samples by class", views=(view,), caption="Counts in each split.")


def _split_plot(samples: Mapping[str, int]) -> Plot:
    """Samples in each split."""
    data = [{"type": "bar", "x": list(samples), "y": list(samples.values()), "width": 0.5,
             "marker": {"color": "var(--accent)"}, "hovertemplate": "%{x}: %{y} samples<extra></extra>"}]
    shown = layout(axis("split", type="category", showgrid=False), axis("samples"), height=300)
    view = View(label="", figure={"data": data, "layout": shown})
    return Plot(name="classes", title="Samples by split", views=(view,),
                caption="Labels are values here, so there are no classes to count.")
