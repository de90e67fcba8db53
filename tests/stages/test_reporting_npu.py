"""What Vela made of the variants, in the report; and nothing where no profile has an NPU."""

from __future__ import annotations

from stages.records.npu import CompileResult, NpuCycles, NpuMemory, NpuOperator
from stages.reporting.assemble import build_report
from stages.reporting.html import html_page
from stages.reporting.markdown import markdown_report
from stages.reporting.npu import HEAD, npu_parts
from tests.stages.sample_run import figure, heading, sources

COMMON = {"summary": "", "compiler": "Vela 5.2.0", "accelerator": "ethos-u55-128", "system_config": "A",
          "memory_mode": "B"}
OPERATORS = (NpuOperator(index=0, operator="CONV_2D", output="a", on="npu", cycles=576, macs=4096),
             NpuOperator(index=1, operator="COS", output="b", on="cpu", why="Unsupported opType"),
             NpuOperator(index=2, operator="SIN", output="c", on="cpu", why="Unsupported opType"))
COMPILED = CompileResult(
    **COMMON, status="ok", clock_hz=5e8, tflite_bytes=1888, sha256="0", blocks=1, operators=OPERATORS, macs=4096,
    cycles=NpuCycles(npu=1152, sram=256, dram=0, on_chip_flash=0, off_chip_flash=416, total=1200),
    memory=NpuMemory(sram=1024, dram=0, on_chip_flash=0, off_chip_flash=208), latency=figure(0.0024, "ms"))
SKIPPED = CompileResult(**COMMON, status="skipped", message="it computes in float32")


def report():
    found = sources()
    first = next(iter(found.check.profiles))
    return build_report(found.model_copy(update={"compiled": {first: {"float32": SKIPPED, "int8": COMPILED}}}),
                        heading())


def test_each_profile_with_an_npu_has_a_part_with_a_row_for_each_variant():
    part, = npu_parts(report())
    assert part.text.endswith("Vela 5.2.0 for ethos-u55-128, A, B, 500 MHz.")
    skipped, compiled = part.rows
    assert skipped == ("float32", "skipped: it computes in float32", *[""] * (len(HEAD) - 2))
    assert compiled[:6] == ("int8", "1 of 3", "1,024 bytes", "208 bytes of flash", "1,152, 256, 0, 416", "1,200")
    assert compiled[7] == "1,888 bytes"


def test_operators_of_one_reason_are_named_together():
    part, = npu_parts(report())
    assert part.left == (("int8", "2 operators: 1 COS, 2 SIN", "Unsupported opType"),)


def test_page_and_markdown_show_the_part_with_the_caveat():
    found = report()
    page, text = html_page(found), markdown_report(found, {})
    profile = npu_parts(found)[0].profile
    assert '<section id="npu">' in page
    assert "Vela states no error" in page
    assert f"## NPU of {profile}" in text
    assert "2 operators: 1 COS, 2 SIN" in text


def test_a_run_without_an_npu_says_nothing_of_it():
    plain = build_report(sources(), heading())
    assert npu_parts(plain) == ()
    assert '<section id="npu">' not in html_page(plain)
    assert "NPU" not in markdown_report(plain, {})


def test_a_winner_s_card_names_the_compiled_file_and_the_npu_s_sram():
    found = sources()
    name, profile = next((name, one) for name, one in found.check.profiles.items() if one.winner is not None)
    page = html_page(build_report(found.model_copy(update={"compiled": {name: {profile.winner: COMPILED}}}), heading()))
    assert "compiled file" in page
    assert "1,888 bytes (1.8 KiB)" in page
    assert "SRAM of the NPU" in page
