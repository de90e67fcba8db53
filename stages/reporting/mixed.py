"""How `mixed` chose: each layer's format beside what every candidate costs alone, bytes by layer, and the rounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log10

from device_profiles.records import Record
from stages.explaining.pairs import short_name
from stages.records import LayerTrial, MixedRound, Mixing
from stages.reporting.figures import Json, Plot, View, axis, capitalized, layout, outlined_bars, row_height
from stages.reporting.record import MixedLayer, MixedReport, Report
from stages.reporting.style import FORMAT_COLORS
from stages.reporting.text import figure_text, kib, listing, plural, quantity

ROUND_HEAD = ("round", "divergence allowed", "layers", "predicted cost", "file as built", "drop on validation", "kept")
_MEASURES = {"kl": "mean Kullback-Leibler divergence from the float model's probabilities, in nats",
             "noise": "energy of the outputs' difference over that of the float model's outputs"}
_AXES = {"kl": "KL alone, nats", "noise": "noise alone, of energy"}
_SYMBOLS = {"float32": "cross", "dynamic": "triangle-up", "int8": "circle", "int16x8": "square", "int4": "diamond"}
_SIGNS = {"float32": "✚", "dynamic": "△", "int8": "○", "int16x8": "□", "int4": "◇"}
"""The same for the key under the plot: a legend inside it has no room beside the layers' names."""


class LayerRow(Record):
    """A row of cells; the cell at `chosen` is what the chosen format costs alone, -1 where nothing was tried in it."""

    layer: str
    cells: tuple[str, ...]
    chosen: int


class MixedPart(Record):
    """One mixed variant in words.

    Attributes:
        text: what was asked, and what came of it.
        head: of `layers`, the layer's own column first.
        rounds: rows below `ROUND_HEAD`.
    """

    variant: str
    text: str
    head: tuple[str, ...]
    layers: tuple[LayerRow, ...]
    rounds: tuple[tuple[str, ...], ...]


def mixed_parts(report: Report) -> tuple[MixedPart, ...]:
    """A part for each mixed variant."""
    return tuple(MixedPart(variant=name, text=_text(found), head=_head(found), layers=tuple(_rows(found)),
                           rounds=tuple(_round_row(found.mixing, number, one)
                                        for number, one in enumerate(found.mixing.rounds)))
                 for name, found in _found(report))


def mixed_plots(report: Report) -> tuple[Plot, ...]:
    """What each layer loses alone, and what it weighs; none without a mixed variant."""
    found = list(_found(report))
    if not found:
        return ()
    alone = tuple(View(label=name, figure=_sensitivity(one), notes=(_key(one),)) for name, one in found)
    weighs = tuple(View(label=name, figure=_weights(one)) for name, one in found)
    return (Plot(name="sensitivity", title="Sensitivity of the layers", views=alone, caption=(
                "Each layer alone in each candidate format, everything else in float (measured on validation samples). "
                "Filled: the format that was chosen. Further left is better; what changes nothing at all stands on the "
                "left edge.")),
            Plot(name="layer-bytes", title="Bytes by layer", views=weighs, caption=(
                "Weights, bias and their scales. Outline: in float32. Filled, and in figures: as chosen, in "
                "the format's colour.")))


def _found(report: Report) -> Iterator[tuple[str, MixedReport]]:
    """Name and choice of each mixed variant."""
    return ((variant.name, variant.mixed) for variant in report.variants if variant.mixed is not None)


def _text(found: MixedReport) -> str:
    """What was asked and what came of it, and what the columns say."""
    mixing, number = found.mixing, found.mixing.chosen
    place = f" on {mixing.profile}" if mixing.profile else ""
    return (f"{capitalized(mixing.asked)}{place}, formats {listing(mixing.candidates)}: round {number + 1} of "
            f"{len(mixing.rounds)}, {plural(mixing.boundaries, 'conversion')} between formats; drop on validation "
            f"{figure_text(mixing.drop)}. Alone: this layer in that format and everything else in float, on "
            f"{found.samples:,} validation samples in {found.engine}: {_MEASURES[found.divergence]}; points of "
            f"{found.score_name}; bytes.")


# -- tables ------------------------------------------------------------------------------------------------------------


def _tried(found: MixedReport) -> list[str]:
    """Formats that any layer was tried in, in the order of the candidates."""
    names = {trial.format for layer in found.layers for trial in layer.trials}
    return [name for name in found.mixing.candidates if name in names]


def _head(found: MixedReport) -> tuple[str, ...]:
    """Names of the columns."""
    return ("layer", "chosen", *(f"{name} alone" for name in _tried(found)), "bytes as chosen", "in float32", "weights",
            "MACs")


def _rows(found: MixedReport) -> Iterator[LayerRow]:
    """A row for each layer, and their sums."""
    formats = _tried(found)
    for layer in found.layers:
        trials: dict[str, LayerTrial] = {trial.format: trial for trial in layer.trials}
        cells = (layer.format, *(_alone(trials.get(name)) for name in formats), *_counts([layer]))
        chosen = 1 + formats.index(layer.format) if layer.format in trials else -1
        yield LayerRow(layer=_short(layer.label), cells=cells, chosen=chosen)
    yield LayerRow(layer="all", cells=("", *[""] * len(formats), *_counts(found.layers)), chosen=-1)


def _counts(layers: Sequence[MixedLayer]) -> Iterator[str]:
    """Bytes, weights and MACs of all of them."""
    for name in ("chosen_bytes", "float_bytes", "weights", "macs"):
        yield f"{sum(getattr(layer, name) for layer in layers):,}"


def _alone(trial: LayerTrial | None) -> str:
    """`0.0042; 0.00 points; 392 bytes`."""
    if trial is None:
        return "cannot take it"
    return (f"{trial.divergence:.2g}; {quantity(trial.score_drop_points, 'points')}; "
            f"{quantity(trial.weight_bytes, 'bytes')}")


def _round_row(mixing: Mixing, number: int, one: MixedRound) -> tuple[str, ...]:
    """One assignment that was built and measured."""
    unit = "bytes" if mixing.cost == "bytes" else "ms"
    kept = "chosen" if number == mixing.chosen else "yes" if one.accepted else "no"
    allowed = "the least that fits" if one.divergence_allowed is None else f"{one.divergence_allowed:.2g}"
    return (str(number + 1), allowed, ", ".join(f"{count} {name}" for name, count in one.formats.items()),
            quantity(one.predicted_cost, unit), quantity(one.tflite_bytes, "bytes"),
            quantity(one.drop_points, "points"), kept)


def _short(label: str) -> str:
    """`0:CONV_2D relu1` of `0:CONV_2D net/relu1/Relu;net/norm1/...`."""
    kind, _, name = label.partition(" ")
    return f"{kind} {short_name(name)}".strip()


# -- plots -------------------------------------------------------------------------------------------------------------


def _sensitivity(found: MixedReport) -> Json:
    """A row for each layer, a point for each format on a logarithmic axis."""
    values = [trial.divergence for layer in found.layers for trial in layer.trials if trial.divergence > 0]
    low, high = (min(values), max(values)) if values else (1e-6, 1.0)
    floor = low / 3
    data = [trace for name in _shown(found) for trace in _traces(found, name, floor)]
    across = axis(f"{_AXES[found.divergence]} (log)", type="log", exponentformat="e", tickangle=0, dtick=2,
                  range=[log10(floor) - 0.15, log10(high) + 0.3])
    return {"data": data, "layout": layout(across, _down(found), height=row_height(len(found.layers)) * len(
        found.layers) + 80)}


def _shown(found: MixedReport) -> list[str]:
    """Formats that have a point: those that were tried, and float32 where a layer stays in it."""
    return list(dict.fromkeys((*_tried(found), *(layer.format for layer in found.layers))))


def _key(found: MixedReport) -> str:
    """`◇ int4, ○ int8, ✚ float32`."""
    return ", ".join(f"{_SIGNS[name]} {name}" for name in _shown(found))


def _traces(found: MixedReport, name: str, floor: float) -> Iterator[Json]:
    """A format's points: hollow where it was tried, filled where it was chosen."""
    look = {"color": FORMAT_COLORS[name], "line": {"width": 2, "color": FORMAT_COLORS[name]}, "size": 11}
    for chosen in (False, True):
        marks = _marks(found, name, floor, chosen)
        if marks:
            layers, costs, words = zip(*marks, strict=True)
            yield {"type": "scatter", "mode": "markers", "cliponaxis": False, "x": list(costs), "y": list(layers),
                   "marker": {**look, "symbol": _SYMBOLS[name] if chosen else f"{_SYMBOLS[name]}-open"},
                   "text": list(words), "hovertemplate": "%{text}<extra></extra>"}


def _marks(found: MixedReport, name: str, floor: float, chosen: bool) -> list[tuple[str, float, str]]:
    """Layer, cost and words of each point of a format: of the layers that it was tried in, or chosen for."""
    marks = []
    for layer in found.layers:
        trial = next((each for each in layer.trials if each.format == name), None)
        if chosen and layer.format != name:
            continue
        if trial is not None:
            marks.append((_short(layer.label), max(trial.divergence, floor), _hover(layer, trial)))
        elif chosen:
            marks.append((_short(layer.label), floor, f"<b>{_short(layer.label)}</b><br>stays in {name}"))
    return marks


def _hover(layer: MixedLayer, trial: LayerTrial) -> str:
    """What a point stands for."""
    ratio = "no difference" if trial.snr_db is None else f"{trial.snr_db:.1f} dB"
    chosen = ", chosen" if layer.format == trial.format else ""
    return (f"<b>{_short(layer.label)}</b><br>{trial.format}{chosen}<br>divergence {trial.divergence:.2g}, {ratio}<br>"
            f"{quantity(trial.score_drop_points, 'points')} of drop, {trial.weight_bytes:,} bytes")


def _weights(found: MixedReport) -> Json:
    """Bars of KiB."""
    rows = [(_short(layer.label), layer.float_bytes / 1024, layer.chosen_bytes / 1024,
             kib(layer.chosen_bytes), f"{layer.float_bytes:,} → {layer.chosen_bytes:,} bytes, {layer.format}")
            for layer in found.layers]
    return outlined_bars(rows, [FORMAT_COLORS[layer.format] for layer in found.layers],
                         "KiB (1024 bytes) of weights, bias and scales")


def _down(found: MixedReport) -> Json:
    """The layers, the first on top."""
    names: Sequence[str] = [_short(layer.label) for layer in found.layers]
    return axis("", type="category", categoryorder="array", categoryarray=names[::-1], range=[-0.6, len(names) - 0.4],
                fixedrange=True)
