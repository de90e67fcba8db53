"""`report.html`: one file that works offline. Everything is inlined, and a content policy forbids any request."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

from device_profiles.records import Record
from device_profiles.schema import MICRO_ENGINE
from stages.records import LimitVerdict
from stages.records.npu import CompileResult
from stages.reporting.calibration import HEAD as STUDY_HEAD
from stages.reporting.calibration import calibration_plots, calibration_rows, calibration_text
from stages.reporting.examination import examination_rows, model_rows, sample_place
from stages.reporting.figures import Plot, cost_plot, latency_plot
from stages.reporting.mixed import ROUND_HEAD, mixed_parts, mixed_plots
from stages.reporting.npu import CAVEAT, LEFT_HEAD, npu_parts
from stages.reporting.npu import HEAD as NPU_HEAD
from stages.reporting.packed import HEAD as PACKED_HEAD
from stages.reporting.packed import packed_rows
from stages.reporting.panels import class_plot, confusion_plot, curve_plots, memory_plots, operator_plot
from stages.reporting.places import obtained, untimed
from stages.reporting.record import ProfileReport, Report, VariantReport, json_text
from stages.reporting.safety import INTRODUCTION, safety_parts, safety_table
from stages.reporting.slimmed import AUDITION_HEAD, slimmed_parts, slimmed_plots
from stages.reporting.slimmed import HEAD as SLIMMED_HEAD
from stages.reporting.style import variant_styles
from stages.reporting.text import (
    VERDICT_MARKS,
    figure_name,
    figure_text,
    kib,
    plain_number,
    plural,
    quantity,
    samples_text,
)

PROVENANCE_MARKS = {"measured": "●", "predicted": "◇", "emulated": "◐", "published": "□"}
PROVENANCE_MEANINGS = {
    "measured": "observed on the machine that is named",
    "predicted": "computed from a device profile, with its interval",
    "emulated": "observed on an emulated processor; never a latency",
    "published": "taken from a publication that is named",
}


class Outcome(Record):
    """One profile's card at the top of the page.

    Attributes:
        facts: (label, text, provenance) of the winner.
    """

    profile: ProfileReport
    facts: tuple[tuple[str, str, str], ...]
    counts: tuple[tuple[str, int], ...]


def html_page(report: Report, thumbnails: Mapping[str, str] | None = None) -> str:
    """The whole page. The same report and thumbnails give the same text.

    Args:
        report: the record.
        thumbnails: by "split/index", pictures of samples as data addresses; see `stages.examining.thumbnails`.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"figure": figure_text, "samples": samples_text, "kib": kib, "plural": plural,
                            "called": figure_name, "place": sample_place, "study_rows": calibration_rows,
                            "study_text": calibration_text, "untimed": untimed,
                            "obtained": lambda one: obtained(one.evaluated_on, one.benchmarked_on)}
    environment.globals |= {"quantity": quantity, "sample_place": sample_place, "number": plain_number,
                            "verdict_marks": VERDICT_MARKS, "provenance_marks": PROVENANCE_MARKS,
                            "provenance_meanings": PROVENANCE_MEANINGS, "study_head": STUDY_HEAD,
                            "packed_head": PACKED_HEAD, "round_head": ROUND_HEAD, "slimmed_head": SLIMMED_HEAD,
                            "audition_head": AUDITION_HEAD, "npu_head": NPU_HEAD, "left_head": LEFT_HEAD,
                            "npu_caveat": CAVEAT}
    plots = all_plots(report)
    template = environment.from_string(_asset("report.html.j2"))
    return template.render(
        report=report, plots={plot.name: plot for plot in plots}, outcomes=[_outcome(report, one)
                                                                            for one in report.profiles.values()],
        headline=headline(report), styles=variant_styles([variant.name for variant in report.variants]),
        engines=list(dict.fromkeys(engine for variant in report.variants for engine in variant.metrics)),
        deciding=deciding_limit, model_rows=model_rows(report.model), data_rows=examination_rows(report.examination),
        packed=packed_rows(report), mixed=mixed_parts(report), slimmed=slimmed_parts(report),
        npus=npu_parts(report),
        safety=safety_table(report), safety_parts=safety_parts(report), safety_text=INTRODUCTION,
        thumbnails=thumbnails or {}, css=Markup(_asset("report.css")), script=Markup(_asset("report.js")),  # noqa: S704
        plotly=Markup(_plotly()), figures=Markup(script_json(_figures(plots))))  # noqa: S704


def all_plots(report: Report) -> tuple[Plot, ...]:
    """Every plot of the page, in its order.

    A further panel is a function from the report to a `Plot`, a line here, and `plot(name)` in the template where it is
    to stand.
    """
    return (cost_plot(report, "tflite_bytes"), cost_plot(report, "latency"), latency_plot(report),
            *memory_plots(report), operator_plot(report), confusion_plot(report), *curve_plots(report),
            class_plot(report), *mixed_plots(report), *slimmed_plots(report), *calibration_plots(report))


def headline(report: Report) -> str:
    """What the run came to, in a sentence."""
    won = [profile for profile in report.profiles.values() if profile.winner is not None]
    if len(won) == len(report.profiles):
        return f"All {plural(len(won), 'profile')} have a variant that fits." if len(won) > 1 else (
            "The profile has a variant that fits." if won else "No profile was checked.")
    verb = "has" if 1 in (len(won), len(report.profiles)) else "have"
    return f"{len(won)} of {plural(len(report.profiles), 'profile')} {verb} a variant that fits."


def deciding_limit(verdicts: dict[str, LimitVerdict]) -> LimitVerdict | None:
    """The first limit of the worst verdict, for one line of the table; None where all pass."""
    order = {"fail": 0, "unknown": 1, "undecided": 2}
    open_limits = [limit for limit in verdicts.values() if limit.verdict in order]
    return min(open_limits, key=lambda limit: order[limit.verdict], default=None)


def script_json(value: Any) -> str:
    """JSON that may stand inside a script element: no text in it can end the element or start a comment."""
    escapes = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    return "".join(escapes.get(character, character) for character in json_text(value))


def _figures(plots: tuple[Plot, ...]) -> dict[str, Any]:
    """Figures by plot, in the order of the picker."""
    return {plot.name: [view.figure for view in plot.views] for plot in plots}


def _outcome(report: Report, profile: ProfileReport) -> Outcome:
    """A profile's card."""
    verdicts = [variant.verdict[profile.name] for variant in report.variants if profile.name in variant.verdict]
    counts = tuple((mark, verdicts.count(mark)) for mark in VERDICT_MARKS if mark in verdicts)
    compiled = report.compilations.get(profile.name, {}).get(profile.winner or "")
    compiled = compiled if compiled is not None and compiled.blocks else None
    facts = _winner_facts(report.variant(profile.winner), profile, compiled) if profile.winner else ()
    return Outcome(profile=profile, facts=facts, counts=counts)


def _winner_facts(variant: VariantReport, profile: ProfileReport,
                  compiled: CompileResult | None) -> tuple[tuple[str, str, str], ...]:
    """What a reader wants to know of a winner first; of one on an NPU, of the compiled model."""
    facts = [_file_fact(variant, compiled)]
    metrics = variant.metrics.get(profile.engine)
    if metrics is not None and metrics.headline is not None:
        name = figure_name(metrics.score)
        facts.append((f"{name}, {profile.engine}", figure_text(metrics.headline), metrics.headline.provenance))
    if metrics is not None and metrics.drop is not None:
        facts.append(("drop against float", figure_text(metrics.drop), metrics.drop.provenance))
    latency = profile.latency.get(variant.name)
    if latency is not None:
        facts.append(("median latency", figure_text(latency), latency.provenance))
    if compiled is not None and compiled.memory is not None:
        facts.append(("SRAM of the NPU", quantity(compiled.memory.sram, "bytes"), "measured"))
    elif variant.arena_bytes is not None and profile.engine == MICRO_ENGINE:
        facts.append(("arena", quantity(variant.arena_bytes, "bytes"), "measured"))
    return tuple(facts)


def _file_fact(variant: VariantReport, compiled: CompileResult | None) -> tuple[str, str, str]:
    """What is shipped, and its bytes."""
    name, size = "file", variant.tflite_bytes
    if compiled is not None:
        name, size = "compiled file", compiled.tflite_bytes or size
    return name, f"{quantity(size, 'bytes')} ({kib(size)})", "measured"


def _asset(name: str) -> str:
    """A file of the package's template folder."""
    return resources.files("stages.reporting").joinpath("templates", name).read_text(encoding="utf-8")


def _plotly() -> str:
    """The chart library, as the `plotly` distribution ships it."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("</script", "<\\/script")
