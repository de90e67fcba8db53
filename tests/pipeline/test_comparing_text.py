"""A comparison and a baseline as people read them."""

from __future__ import annotations

import shutil
from dataclasses import replace

from pipeline.comparing_text import baseline_lines, result_lines
from pipeline.gate import SAME_BYTES
from pipeline.latency import LatencyGate
from stages.comparing.trial import Rule
from tests.stages.comparing_models import IDENTITY, LONGER

QUICK = LatencyGate("litert", rule=Rule(budget_s=1e6))


def test_lines_for_people_begin_with_the_claim_and_name_what_differs(sides, machine):
    found = QUICK.compare(sides / "a", sides / "b")
    lines = result_lines(found)
    assert lines[0].startswith("float32: slower, +")
    text = "\n".join(lines)
    assert "  operators   1 -> 2 (+100.0 %): RELU float32 0 -> 1" in text
    assert f"  bytes       {len(IDENTITY):,} -> {len(LONGER):,}" in text
    assert "  arena       1,000 each, bytes in tflm" in text
    assert "  MACs        9 each" in text
    assert "  outputs     output: equal to the last bit" in text
    assert f"int8: not measured: {SAME_BYTES}" in text
    alone = replace(QUICK, variants=("int8",))
    assert "  files       the same bytes" in result_lines(alone.compare(sides / "a", sides / "b"))
    assert "  noise floor A against itself 1.00" in text
    assert "only in A: old" in lines
    assert "only in B: new" in lines


def test_lines_of_a_baseline_say_where_and_what(sides, machine):
    shutil.rmtree(sides / "b")
    kept = QUICK.make_baseline(sides / "one.tflite", sides / "base.json")
    lines = baseline_lines(kept, sides / "base.json")
    assert "litert 2.3.0, 1 thread, on " in lines[0]
    assert lines[1].startswith("  one         1.0")
    assert "kept as base.tflites/one-" in lines[1]
    assert "not kept" in baseline_lines(QUICK.make_baseline(sides / "one.tflite", sides / "c.json", keep=False),
                                        sides / "c.json")[1]
