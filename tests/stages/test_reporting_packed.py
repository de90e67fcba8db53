"""Packed files in the report: bytes on the way, and nothing where no variant is packed."""

from __future__ import annotations

from stages.records import PackedTensor, Packing
from stages.reporting.assemble import build_report
from stages.reporting.html import html_page
from stages.reporting.markdown import markdown_report
from stages.reporting.packed import packed_rows
from tests.stages.sample_run import figure, heading, sources


def _tensor(coding: str) -> PackedTensor:
    return PackedTensor(label="0:CONV_2D conv", coding=coding, elements=100, distinct_values=16, zeros=0.5,  # type: ignore[arg-type]
                        entropy_bits=2.5, bytes_before=100, bytes_after=40)


PACKING = Packing(
    unpacked_bytes=25_616, shrunk_bytes=21_000, bytes_before={"weights": 19_000, "names": 6_616},
    bytes_after={"weights": 9_000}, tensors=(_tensor("huffman"), _tensor("huffman"), _tensor("lut"), _tensor("")),
    left_alone={}, proven_samples=1000, proven_on="359 test samples and 641 random ones",
    arena=figure(9_000, "bytes"), unpacked_arena=figure(8_000, "bytes"), decode=figure(0.1, "ms"),
    latency_ratio=figure(1.04, "", samples=20, spread=0.02))


def test_a_packed_variant_has_a_row_and_a_run_without_one_has_no_table() -> None:
    found = sources()
    converted = found.converted | {"int8": found.converted["int8"].model_copy(update={"packing": PACKING})}
    report = build_report(found.model_copy(update={"converted": converted}), heading())
    row, = packed_rows(report)
    assert row[:6] == ("int8", "25,616 bytes", "21,000 bytes", f"{report.variant('int8').tflite_bytes:,} bytes",
                       "2 huffman, 1 lut", "8,000 to 9,000 bytes")
    assert row[6].startswith("1.040 [1.020 to 1.060]")
    assert row[7] == "equal bit for bit on 1,000 samples (359 test samples and 641 random ones)"
    assert "Packed files" in html_page(report)
    assert "### Packed files" in markdown_report(report, {})
    plain = build_report(found, heading())
    assert packed_rows(plain) == []
    assert "Packed files" not in html_page(plain)
