from __future__ import annotations

import pytest

from device_profiles.errors import TfliteError, UsageError
from pipeline.inspection import EngineAnswer, describe, inspect_file


@pytest.fixture
def int8(tmp_path, tiny_tflites):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_tflites["int8"])
    return path


def test_without_engines_none_is_started(int8):
    found = inspect_file(int8, engines=False)
    assert found.engines == ()
    assert found.workload.number_format == "int8"
    assert found.workload.tflite_bytes == int8.stat().st_size


def test_a_folder_is_told_from_a_missing_file(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        inspect_file(tmp_path)
    with pytest.raises(UsageError, match="no such file"):
        inspect_file(tmp_path / "x.tflite")


def test_a_truncated_file_is_a_tflite_error(int8):
    int8.write_bytes(int8.read_bytes()[:200])
    with pytest.raises(TfliteError):
        inspect_file(int8)


def test_the_lines_name_each_operator_once_in_order(int8):
    lines = describe(inspect_file(int8, engines=False))
    named = [line.split()[1] for line in lines if line.strip()[:1].isdigit()]
    assert named[:2] == ["CONV_2D", "DEPTHWISE_CONV_2D"]
    assert lines[0].startswith(f"{int8}: ")


def test_an_engine_that_refuses_is_shown_with_its_words(int8):
    found = inspect_file(int8, engines=False).model_copy(update={"engines": (
        EngineAnswer(engine="tflm", version="1", status="refused", message="operator X"),
        EngineAnswer(engine="litert", version="2", status="ok", load_ms=1.234),
        EngineAnswer(engine="tflm", version="1", status="ok", load_ms=2.0, arena_bytes=6176))})
    assert describe(found)[-3:] == ["tflm 1: refused: operator X", "litert 2: accepts it, loads in 1.23 ms",
                                    "tflm 1: accepts it, loads in 2.00 ms, arena 6,176 bytes"]


def test_each_operator_has_its_class_shapes_macs_and_bytes(int8):
    first = inspect_file(int8, engines=False).workload.operators[0]
    lines = describe(inspect_file(int8, engines=False))
    head = next(line for line in lines if "computes in" in line)
    assert head.split()[:3] == ["operator", "class", "ver"]
    assert head.endswith("empty lanes")
    row = next(line for line in lines if line.split()[:2] == ["0", "CONV_2D"])
    shapes = ["x".join(map(str, use.shape)) for use in (first.inputs[0], first.inputs[1], first.outputs[0])]
    assert row.split()[2] == first.kernel
    assert row.split()[4:10] == ["int8", *shapes, f"{first.macs:,}", f"{first.weight_bytes:,}"]
    assert f"{first.input_bytes + first.output_bytes:,}" in row


def test_the_classes_add_up_to_the_whole(int8):
    found = inspect_file(int8, engines=False)
    lines = describe(found)
    start = next(i for i, line in enumerate(lines) if line.startswith("class "))
    rows = [line.split() for line in lines[start + 1:lines.index("", start)]]
    assert {row[0] for row in rows} == {op.kernel for op in found.workload.operators}
    assert sum(int(row[1]) for row in rows) == len(found.workload.operators)
    assert sum(int(row[2].replace(",", "")) for row in rows) == found.workload.macs


def test_channels_that_leave_vector_lanes_empty_are_named_and_explained(int8):
    found = inspect_file(int8, engines=False)
    ragged = [op for op in found.workload.operators if op.empty_lanes()]
    lines = describe(found)
    assert ragged
    assert sum(line.rstrip().endswith("%") and line.strip()[:1].isdigit() for line in lines) == len(ragged)
    assert any("no multiple of 8" in line for line in lines)
