from __future__ import annotations

import json
import re

import pytest


def test_inspect_counts_macs_and_asks_every_engine(typed, tmp_path, tiny_tflites):
    (tmp_path / "tiny.tflite").write_bytes(tiny_tflites["int8"])
    done = typed("inspect", "tiny.tflite")
    assert done.code == 0
    # conv: 6*6 outputs * 4 channels * 3*3*2 taps = 2,592; depthwise: 3*3 * 4 * 3*3 = 324; dense: 4 * 3 = 12
    assert "MACs        2,928" in done.out
    assert "CONV_2D" in done.out
    assert re.search(r"tflm \S+: accepts it, loads in [\d.]+ ms, arena [\d,]+ bytes", done.out)
    found = json.loads(typed("inspect", "tiny.tflite", "--json", "--no-engines").out)
    assert found["workload"]["macs"] == 2928
    assert found["engines"] == []


def test_inspect_says_which_engine_refuses_and_why(typed, tmp_path, tiny_tflites):
    (tmp_path / "tiny.tflite").write_bytes(tiny_tflites["float16"])
    answers = {a["engine"]: a for a in json.loads(typed("inspect", "tiny.tflite", "--json").out)["engines"]}
    assert answers["litert"]["status"] == "ok"
    assert answers["tflm"]["status"] == "refused"
    assert answers["tflm"]["message"]


@pytest.mark.parametrize(("content", "words"), [
    (b"", "empty"), (b"\x1c\x00\x00\x00TFL3", ""), (b"PK\x03\x04 a zip archive, not a model", ""),
    (None, "no such file")])
def test_inspect_refuses_what_is_no_tflite_model_in_one_message(typed, tmp_path, content, words):
    if content is not None:
        (tmp_path / "bad.tflite").write_bytes(content)
    done = typed("inspect", "bad.tflite")
    assert done.code in (1, 2)
    assert "bad.tflite" in done.err or "tflite" in done.err
    assert words in done.err
    assert "Traceback" not in done.err
