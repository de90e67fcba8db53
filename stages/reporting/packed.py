"""What packing made of a file, in rows of words for page and Markdown."""

from __future__ import annotations

from stages.records import Packing
from stages.reporting.record import Report
from stages.reporting.text import figure_text, plural

HEAD = ("variant", "as converted", "without what TFLM does not need", "packed", "codes", "arena", "latency in TFLM",
        "proof")


def packed_rows(report: Report) -> list[tuple[str, ...]]:
    """A row of words for each packed variant, below `HEAD`."""
    return [(variant.name, *_cells(variant.packing, variant.tflite_bytes)) for variant in report.variants
            if variant.packing is not None]


def _cells(packing: Packing, packed_bytes: int) -> tuple[str, ...]:
    """Bytes on the way, RAM and time that decoding costs, and on what it was proven."""
    codes = [tensor.coding for tensor in packing.tensors if tensor.coding]
    shown = ", ".join(f"{codes.count(code)} {code}" for code in dict.fromkeys(codes)) or "none"
    arena = f"{packing.unpacked_arena.value:,.0f} to {packing.arena.value:,.0f} bytes"
    return (f"{packing.unpacked_bytes:,} bytes", f"{packing.shrunk_bytes:,} bytes", f"{packed_bytes:,} bytes", shown,
            arena, f"{figure_text(packing.latency_ratio)} times",
            f"equal bit for bit on {plural(packing.proven_samples, 'sample')} ({packing.proven_on})")
