"""The table at the end of a run, from report.json: variants against profiles, in 80 columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

STYLES = {"pass": "green", "fail": "red", "undecided": "yellow", "unknown": "magenta"}


def summary_table(report: Mapping[str, Any]) -> Table:
    """One row a variant: bytes; accuracy, drop and median latency in the first engine that has them; verdicts.

    Args:
        report: report.json as data.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))  # so that 80 columns hold three "undecided"
    table.add_column("variant", overflow="fold", min_width=16)  # a very long name is folded, never a figure
    for name in ("bytes", "accuracy", "drop", "median"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in report["profiles"]:
        table.add_column(name, no_wrap=True)
    for variant in report["variants"]:
        table.add_row(*variant_cells(variant), *(_verdict(report, name, variant) for name in report["profiles"]))
    return table


def caption(report: Mapping[str, Any]) -> str:
    """What the table's figures are: measured, where, in which engines."""
    engines = dict.fromkeys(_engine_with(variant, "metrics", "accuracy") for variant in report["variants"])
    where = " or ".join(filter(None, engines)) or "no engine"
    return f"measured on this host in {where}: accuracy, drop in points, median; ★ picked"


def _engine_with(variant: Mapping[str, Any], group: str, figure: str) -> str:
    """The first engine in which a variant has a figure; an empty string where none has."""
    return next((name for name, found in variant[group].items() if found[figure]), "")


def variant_cells(variant: Mapping[str, Any]) -> list[str]:
    """Name, bytes, accuracy, drop in points and median latency, as text; a dash where there is none."""
    metrics = variant["metrics"].get(_engine_with(variant, "metrics", "accuracy"))
    measured = variant["latency"].get(_engine_with(variant, "latency", "median"))
    accuracy = f"{metrics['accuracy']['value'] * 100:.1f} %" if metrics else "-"
    drop = f"{metrics['drop']['value']:+.1f}" if metrics and metrics["drop"] else "-"
    median = milliseconds(measured["median"] if measured else None)
    return [variant["name"], f"{variant['tflite_bytes']:,}", accuracy, drop, median]


def milliseconds(figure: Mapping[str, Any] | None) -> str:
    """Three significant digits with the unit."""
    if figure is None:
        return "-"
    value = figure["value"]
    return f"{value * 1000:.3g} µs" if value < 1 else f"{value:.3g} ms"


def winner_lines(report: Mapping[str, Any]) -> list[str]:
    """A line a profile: the winner with the reason, or why there is none."""
    from rich.markup import escape

    lines = []
    for name, profile in report["profiles"].items():
        style = "green" if profile["winner"] else "red"
        lines.append(f"[{style}]{name:<7}[/{style}] {escape(profile['reason'])}")
    return lines


def _verdict(report: Mapping[str, Any], profile: str, variant: Mapping[str, Any]) -> str:
    verdict = variant["verdict"][profile]
    winner = report["profiles"][profile]["winner"] == variant["name"]
    return f"[{STYLES[verdict]}]{verdict}{' ★' if winner else ''}[/{STYLES[verdict]}]"
