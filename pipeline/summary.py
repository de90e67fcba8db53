"""The table at the end of a run, from report.json: variants against profiles, in 80 columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

_NAME_WIDTH, _LONGEST_NAME = 16, 21
"""Of the column at least; and what fits beside three profiles and figures of usual length."""
STYLES = {"pass": "green", "fail": "red", "undecided": "yellow", "unknown": "magenta"}


def summary_table(report: Mapping[str, Any]) -> Table:
    """One row a variant: bytes; score, drop and median latency in the first engine that has them; verdicts.

    Args:
        report: report.json as data.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))  # so that 80 columns hold three "undecided"
    table.add_column("variant", overflow="fold", min_width=_NAME_WIDTH)  # a very long name is folded, never a figure
    for name in ("bytes", report["score"], "drop", "median"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in report["profiles"]:
        table.add_column(name, no_wrap=True)
    for variant in report["variants"]:
        name, *figures = variant_cells(variant)
        table.add_row(folded(name), *figures, *(_verdict(report, name, variant) for name in report["profiles"]))
    return table


def folded(name: str) -> str:
    """A name that is too long for its column, in lines that end at a hyphen."""
    if len(name) <= _LONGEST_NAME:
        return name
    lines = [""]
    for token in name.replace("-", "- ").split():
        if len(lines[-1]) + len(token) > _NAME_WIDTH and lines[-1]:
            lines.append("")
        lines[-1] += token
    return "\n".join(lines)


def caption(report: Mapping[str, Any]) -> str:
    """What the table's figures are: measured, where, in which engines."""
    engines = dict.fromkeys(_engine_with_score(variant) for variant in report["variants"])
    where = " or ".join(filter(None, engines)) or "no engine"
    return f"{_place(report)} in {where}: {report['score']}, drop in points, median; ★ picked"


def _place(report: Mapping[str, Any]) -> str:
    """`measured on this host`, or what was obtained on which target."""
    from stages.reporting.places import Place, obtained

    evaluated, benchmarked = (Place.model_validate(report.get(key, {})) for key in ("evaluated_on", "benchmarked_on"))
    return obtained(evaluated, benchmarked)


def _engine_with_score(variant: Mapping[str, Any]) -> str:
    """The first engine in which a variant has a score; an empty string where none has."""
    return next((name for name, found in variant["metrics"].items() if found["score"] in found["figures"]), "")


def variant_cells(variant: Mapping[str, Any]) -> list[str]:
    """Name, bytes, score, drop in points and median latency, as text; a dash where there is none."""
    metrics = variant["metrics"].get(_engine_with_score(variant))
    measured = next((found for found in variant["latency"].values() if found["median"]), None)
    score = score_text(metrics["figures"][metrics["score"]]) if metrics else "-"
    drop = f"{metrics['drop']['value']:+.1f}" if metrics and metrics["drop"] else "-"
    median = milliseconds(measured["median"] if measured else None)
    return [variant["name"], f"{variant['tflite_bytes']:,}", score, drop, median]


def score_text(figure: Mapping[str, Any]) -> str:
    """`98.2 %` of "fraction", `0.953` of a figure without unit."""
    from stages.reporting.text import quantity

    return quantity(figure["value"], figure["unit"])


def milliseconds(figure: Mapping[str, Any] | None) -> str:
    """Three significant digits with the unit."""
    if figure is None:
        return "-"
    value = figure["value"]
    return f"{value * 1000:.3g} µs" if value < 1 else f"{value:.3g} ms"


def winner_lines(report: Mapping[str, Any]) -> list[str]:
    """A line a profile: the winner with the reason, or why there is none."""
    from rich.markup import escape

    lines: list[str] = []
    width = max(map(len, report["profiles"]), default=0)
    for name, profile in report["profiles"].items():
        style = "green" if profile["winner"] else "red"
        lines.append(f"[{style}]{name:<{width}}[/{style}] {escape(profile['reason'])}")
    return lines


def _verdict(report: Mapping[str, Any], profile: str, variant: Mapping[str, Any]) -> str:
    verdict = variant["verdict"][profile]
    winner = report["profiles"][profile]["winner"] == variant["name"]
    return f"[{STYLES[verdict]}]{verdict}{' ★' if winner else ''}[/{STYLES[verdict]}]"


def study_table(study: Mapping[str, Any]) -> Any:
    """A calibration study: a row for each number of samples.

    Args:
        study: a `CalibrationStudy` as JSON data.
    """
    from rich.table import Table

    from stages.tasks.settings import score_number

    table = Table(box=None, pad_edge=False)
    name = study["score_name"]
    for column in ("samples", name, "worst", "best", "drop", "ranges", ""):
        table.add_column(column, justify="right" if column else "left")
    for point in study["points"]:
        scores = sorted(point["scores"])
        drops, shares = [drop["value"] for drop in point["drops"]], point["range_shares"]
        table.add_row(str(point["samples"]), *(score_number(name, value) for value in (
            sum(scores) / len(scores), scores[0], scores[-1])), f"{sum(drops) / len(drops):+.1f}",
            f"{100 * sum(shares) / len(shares):.0f} %", "← enough" if point["samples"] ==
            study["enough"] else "")
    return table
