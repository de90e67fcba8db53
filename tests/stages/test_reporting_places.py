"""A figure says on which device it was obtained, everywhere that a report speaks of it."""

from __future__ import annotations

import json

import pytest

from device_profiles.records import Figure
from pipeline.summary import caption
from stages.records import EngineBenchmark, Host
from stages.records.targets import Conditions, Device, DeviceState
from stages.reporting.assemble import build_report
from stages.reporting.figures import latency_plot
from stages.reporting.html import html_page
from stages.reporting.markdown import markdown_report
from stages.reporting.places import Place, obtained, place_of, untimed
from stages.reporting.record import Report
from stages.reporting.sources import Sources
from tests.stages.sample_run import VARIANTS, heading, latency, sources

PI, PI_WORDS = "ssh:pi@zero,python=/opt/python", "Raspberry Pi Zero 2 W (ssh:pi@zero)"
CORE_WORDS = "QEMU user-mode emulation (emulated:max)"


def conditions(board: str, target: str = PI) -> Conditions:
    """A device of that name, in no state worth telling."""
    machine = Host(cpu="ARMv8", architecture="aarch64", cores=4, memory_bytes=2**29, system="Linux 6.6", python="3.11")
    return Conditions(device=Device(target=target, board=board, host=machine), before=DeviceState(),
                      after=DeviceState())


def run_at(target: str, board: str, *, evaluated: bool = True, counted: bool = False) -> Report:
    """The sample run, evaluated and benchmarked at a target."""
    found: Sources = sources()
    update: dict[str, object] = {"target": target, "conditions": conditions(board, target)}
    if counted:
        update["variants"] = {name: {"litert": counts()} for name in found.benchmark.variants}
    changes: dict[str, object] = {"benchmark": found.benchmark.model_copy(update=update)}
    if evaluated:
        changes["evaluated"] = {name: each.model_copy(update={"target": target})
                                for name, each in found.evaluated.items()}
    return build_report(found.model_copy(update=changes), heading())


def counts() -> EngineBenchmark:
    """A variant whose instructions were counted."""
    figures = {name: Figure(value=value, unit=name, provenance="emulated")
               for name, value in (("instructions", 1_234_567.0), ("accesses", 89_012.0))}
    return EngineBenchmark(engine="litert", engine_version="2.0.2", status="ok", **figures)


def test_the_host_is_this_host_and_a_device_has_its_name_and_target() -> None:
    assert place_of("host", conditions("a board")).words == "this host"
    assert place_of(PI, conditions("Raspberry Pi Zero 2 W")).words == PI_WORDS
    assert place_of(PI, conditions("")).words == "ARMv8 (ssh:pi@zero)"
    assert place_of("adb").words == "adb"


def test_an_emulated_core_goes_by_its_own_name_and_not_by_the_emulator_s() -> None:
    found = conditions("QEMU user-mode emulation", "emulated")
    named = found.model_copy(update={"device": found.device.model_copy(update={"core_names": ("cortex-a72",)})})
    assert obtained(place_of("emulated"), place_of("emulated", named)) == "emulated on cortex-a72 (emulated)"
    assert place_of("ssh:pi@zero", named).words == "QEMU user-mode emulation (ssh:pi@zero)"


@pytest.mark.parametrize("target", ["emulated", "emulated:max", "emulated,folder=/opt/arm"])
def test_what_ran_on_an_emulated_core_is_emulated(target: str) -> None:
    assert place_of(target).provenance == "emulated"


def test_one_place_is_named_once_and_two_with_what_was_obtained_where() -> None:
    pi, core = place_of(PI, conditions("a Pi")), place_of("emulated:max")
    assert obtained(Place(), Place()) == "measured on this host"
    assert obtained(place_of(PI), pi) == "measured on a Pi (ssh:pi@zero)"
    assert obtained(Place(), pi) == "scores measured on this host, latency measured on a Pi (ssh:pi@zero)"
    assert obtained(Place(), core) == "scores measured on this host, instruction counts emulated on emulated:max"


def test_a_benchmark_without_a_latency_says_what_was_counted_or_why_there_is_none() -> None:
    assert untimed(counts()) == "1,234,567 instructions, 89,012 memory accesses (emulated: no latency)"
    refused = EngineBenchmark(engine="tflm", engine_version="", status="refused", message="hybrid models")
    assert untimed(refused) == "refused: hybrid models"
    assert untimed(refused.model_copy(update={"message": ""})) == "refused"


def test_a_report_of_a_device_names_it_and_never_this_host() -> None:
    report = run_at(PI, "Raspberry Pi Zero 2 W")
    markdown, page = markdown_report(report, {}), html_page(report)
    assert r"## litert, measured on Raspberry Pi Zero 2 W (ssh:pi@zero)" in markdown
    assert f"litert on {PI_WORDS}, measured" in page
    assert f"median latency on {PI_WORDS}, litert, ms (measured)" in page
    for text in (markdown, page):
        assert "on this host" not in text
        assert "this CPU" not in text


def test_scores_of_this_host_beside_a_device_s_latencies_are_told_apart() -> None:
    markdown = markdown_report(run_at(PI, "a Pi", evaluated=False), {})
    assert "## litert, scores measured on this host, latency measured on a Pi (ssh:pi@zero)" in markdown


def test_an_emulated_core_s_report_shows_instructions_where_latencies_would_be() -> None:
    report = run_at("emulated:max", "QEMU user-mode emulation", counted=True)
    markdown, page = markdown_report(report, {}), html_page(report)
    assert f"## litert, emulated on {CORE_WORDS}" in markdown
    for text in (markdown, page):
        assert "1,234,567 instructions, 89,012 memory accesses (emulated: no latency)" in text
        assert "measured on this host" not in text


def test_the_console_s_caption_names_the_device_and_an_older_report_the_host() -> None:
    data = json.loads(run_at(PI, "Raspberry Pi Zero 2 W").model_dump_json())
    assert caption(data).startswith(f"measured on {PI_WORDS} in litert: accuracy")
    del data["evaluated_on"], data["benchmarked_on"]
    assert caption(data).startswith("measured on this host in litert: accuracy")


def measured_twice() -> Report:
    """The sample run, with a Raspberry Pi that the profile `mobile` names as its target: 10 times as slow."""
    found = sources()
    runs = {name: {"litert": latency(10.0 * number, "litert", "2.3.0")} for number, name in enumerate(VARIANTS, 1)}
    there = found.benchmark.model_copy(update={"target": PI, "conditions": conditions("Raspberry Pi 4"),
                                               "variants": runs, "warnings": ("it throttled",)})
    old = found.check.profiles["mobile"]
    profile = old.model_copy(update={"engine": "litert", "latency": {
        name: each["litert"].median for name, each in runs.items()}})
    check = found.check.model_copy(update={"profiles": found.check.profiles | {"mobile": profile}})
    return build_report(found.model_copy(update={"devices": {"mobile": there}, "check": check}), heading())


def test_what_a_profile_s_own_device_measured_stands_beside_what_this_host_did() -> None:
    report = measured_twice()
    assert report.benchmarked_on.words == "this host"
    assert report.devices["mobile"].place.words == "Raspberry Pi 4 (ssh:pi@zero)"
    assert [front.provenance for front in report.fronts if front.profile == "mobile"] == ["measured"]
    assert [remark.text for remark in report.remarks if "throttled" in remark.text] == ["mobile: it throttled"]


def test_the_page_shows_a_device_s_distributions_and_says_where_they_are_from() -> None:
    report = measured_twice()
    views = {view.label: view for view in latency_plot(report).views}
    assert "mobile, measured" in views
    text = str(views["mobile, measured"].figure)
    assert "one inference on Raspberry Pi 4 (ssh:pi@zero) in litert, 1 thread, ms (measured)" in text
    assert "measured on Raspberry Pi 4 (ssh:pi@zero)" in html_page(report, {})
    assert "measured on Raspberry Pi 4" in markdown_report(report, {})
