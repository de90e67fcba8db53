"""Channels before and after by layer, of every model that channels were taken out of."""

from __future__ import annotations

from collections.abc import Iterator

from device_profiles.records import Record
from stages.records import SlimAudition
from stages.reporting.figures import Json, Plot, View, outlined_bars
from stages.reporting.record import Report, TrainingReport
from stages.reporting.text import plural

HEAD = ("layer", "channels before", "after", "gone", "why not more")
AUDITION_HEAD = ("without", "a joined channel counts", "validation loss", "channels left, layer by layer")


class SlimmedPart(Record):
    """One slimmed model in words.

    Attributes:
        rows: below `HEAD`.
        auditions: below `AUDITION_HEAD`: what was tried before any channel went; empty where nothing was.
    """

    training: str
    text: str
    rows: tuple[tuple[str, ...], ...]
    auditions: tuple[tuple[str, ...], ...]


def slimmed_parts(report: Report) -> tuple[SlimmedPart, ...]:
    """A part for each training that removed channels."""
    return tuple(SlimmedPart(training=label, text=_text(one), rows=tuple(_rows(one)),
                             auditions=tuple(map(_audition, one.auditions)))
                 for label, one in _found(report))


def slimmed_plots(report: Report) -> tuple[Plot, ...]:
    """A bar for each layer, before and after; none where no channels were removed."""
    views = tuple(View(label=label, figure=_bars(one)) for label, one in _found(report))
    caption = "Outline: before. Filled: what was left (exact counts). What had to stay is named in the table below."
    return (Plot(name="channels", title="Channels by layer", views=views, caption=caption),) if views else ()


def _bars(one: TrainingReport) -> Json:
    """Before and after, a row for each layer."""
    words = {name: f"{pair.before:,} → {pair.after:,}" for name, pair in one.channels.items()}
    rows = [(name, pair.before, pair.after, words[name], words[name]) for name, pair in one.channels.items()]
    return outlined_bars(rows, ["var(--accent)"] * len(rows), "channels that the layer makes")


def _found(report: Report) -> Iterator[tuple[str, TrainingReport]]:
    """Label and report of each training that removed channels."""
    return ((label, one) for label, one in report.trainings.items() if one.channels)


def _text(one: TrainingReport) -> str:
    """`294,912 to 176,000 MACs`, how many channels, and what left whole."""
    before, after = (sum(getattr(pair, side) for pair in one.channels.values()) for side in ("before", "after"))
    macs = f"{one.macs.before:,} to {one.macs.after:,} MACs in one inference; " if one.macs else ""
    text = f"{macs}{before:,} to {after:,} channels in all layers."
    if one.branches:
        text += f" Left whole: {', '.join(one.branches)}."
    if one.auditions:
        text += f" {plural(len(one.auditions), 'choice')} tried first, each in a short training; see below."
    return text


def _audition(one: SlimAudition) -> tuple[str, ...]:
    """What was tried, and what came of it."""
    gone = ", ".join(branch.name for branch in one.without) or "nothing"
    gone += (", trained at length" if one.again else "") + (", channels traded" if one.traded else "")
    loss = "" if one.validation_loss is None else f"{one.validation_loss:.4f}"
    left = ", ".join(f"{count:,}" for count in one.channels.values())
    return gone, f"{one.joined_worth:g}", loss, one.refused or left


def _rows(one: TrainingReport) -> Iterator[tuple[str, ...]]:
    """A row for each layer that makes channels."""
    for name, pair in one.channels.items():
        gone = 100 * (1 - pair.after / max(1, pair.before))
        yield name, f"{pair.before:,}", f"{pair.after:,}", f"{gone:.0f} %", one.left_alone.get(name, "")
