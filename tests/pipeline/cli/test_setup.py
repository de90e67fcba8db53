from __future__ import annotations

import json


def test_variants_explains_the_grammar_and_names(typed):
    assert "clusteredNN" in typed("variants").out
    done = typed("variants", "pruned75-int8qat")
    assert "75 % of the weights set to zero" in done.out
    assert json.loads(typed("variants", "int8", "--json").out) == {
        "int8": {"int8": "8-bit weights and activations, ranges from a calibration set (post-training)"}}


def test_init_writes_the_commented_run_file_once(typed, tmp_path):
    assert typed("init").code == 0
    text = (tmp_path / "litesmith.yaml").read_text()
    assert text.startswith("# litesmith run file")
    (tmp_path / "litesmith.yaml").write_text("mine")
    done = typed("init")
    assert done.code == 2
    assert "--force" in done.err
    assert (tmp_path / "litesmith.yaml").read_text() == "mine"
    assert typed("init", "--force").code == 0
    assert (tmp_path / "litesmith.yaml").read_text() == text


def test_doctor_starts_every_engine_and_reports_the_machine(typed):
    found = {check["name"]: check for check in json.loads(typed("doctor", "--json").out)}
    assert found["engine litert"]["good"] is True
    assert "cores" in found["machine"]["found"]
    assert found["tensorflow"]["found"] == "2.21.0"
