"""Instructions of files, runs and baselines, with counts that are handed in: no emulator is started here."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from device_profiles.errors import EngineRefusal, EngineUnavailable, StoreError, TargetError, UsageError
from pipeline import instructions
from pipeline.baseline import kind_of, read_baseline
from pipeline.gate import SAME_BYTES
from pipeline.instructions import InstructionGate
from stages.comparing.instructions import InstructionBaseline
from tests.stages.comparing_models import IDENTITY, LONGER, SWAPPED
from tests.stages.targets.test_emulator import ABOUT
from tests.stages.test_comparing_instructions import counted

TAKES = {IDENTITY: 1000.0, SWAPPED: 1002.0, LONGER: 1100.0}


@pytest.fixture
def core(tmp_path, monkeypatch):
    """An emulated core without an emulator; the names of the models that it counted."""
    asked = []

    def count(target, engine, content, draw, *, log, model):
        asked.append(model)
        if model == "refused":
            raise EngineRefusal(engine, model, "no such operator")
        value = TAKES[content]
        return counted(value, value - 0.2, value + 0.2)

    (tmp_path / "about.json").write_text(ABOUT.model_dump_json())
    monkeypatch.setattr(instructions, "count_inference", count)
    for name, content in (("one", IDENTITY), ("slow", LONGER), ("equal", SWAPPED), ("refused", SWAPPED)):
        (tmp_path / f"{name}.tflite").write_bytes(content)
    for side, content in (("a", IDENTITY), ("b", LONGER)):
        (tmp_path / side / "models").mkdir(parents=True)
        (tmp_path / side / "models" / "int8.tflite").write_bytes(content)
        (tmp_path / side / "models" / "float32.tflite").write_bytes(SWAPPED)
    return InstructionGate(target=f"emulated:max,folder={tmp_path}"), asked


def test_two_files_are_counted_and_the_larger_count_is_said(core, tmp_path):
    found = core[0].compare(tmp_path / "one.tflite", tmp_path / "slow.tflite")
    pair = found.pairs[0]
    assert (pair.name, pair.instructions.claim, pair.instructions.how) == ("slow", "more", "counted")
    assert [each.value for each in pair.instructions.instructions] == [1000, 1100]
    assert core[0].judged(found).worse == {"slow": pair.instructions.why}
    assert pair.instructions.why.startswith("+10.00 % (+9.96 % to +10.04 %)")
    assert core[0].judged(found).failure.found.startswith("more instructions: slow +10.00 %")
    assert (found.core.target, found.core.engine_version) == ("emulated:max", "2.0.2")
    back = core[0].compare(tmp_path / "slow.tflite", tmp_path / "one.tflite")
    assert (back.pairs[0].instructions.claim, core[0].judged(back).worse) == ("fewer", {})


def test_runs_are_counted_variant_by_variant_and_equal_bytes_not_at_all(core, tmp_path):
    found = core[0].compare(tmp_path / "a", tmp_path / "b")
    assert {pair.name: pair.instructions.claim if pair.instructions else pair.reason for pair in found.pairs} == {
        "int8": "more", "float32": SAME_BYTES}
    assert core[1] == ["int8", "int8"]
    assert core[0].judged(found).missing == {}


def test_a_baseline_s_count_is_taken_where_the_core_is_the_same(core, tmp_path):
    path = tmp_path / "ci" / "instructions.json"
    written = core[0].make_baseline(tmp_path / "one.tflite", path)
    assert (kind_of(path), read_baseline(path, InstructionBaseline)) == ("instructions", written)
    assert (path.parent / written.models["one"].file).read_bytes() == IDENTITY
    core[1].clear()
    found = core[0].compare_with_baseline(tmp_path / "slow.tflite", path)
    assert (found.pairs[0].instructions.claim, found.pairs[0].instructions.how) == ("more", "kept")
    assert core[1] == ["slow"]
    equal = core[0].compare_with_baseline(tmp_path / "equal.tflite", path)
    assert equal.pairs[0].instructions.claim == "same"
    same = core[0].compare_with_baseline(tmp_path / "one.tflite", path)
    assert (same.pairs[0].instructions, same.pairs[0].reason) == (None, SAME_BYTES)


def test_with_another_emulator_the_kept_model_is_counted_anew(core, tmp_path):
    path = tmp_path / "base.json"
    core[0].make_baseline(tmp_path / "one.tflite", path)
    (tmp_path / "about.json").write_text(ABOUT.model_copy(update={"qemu": "8.2.0"}).model_dump_json())
    core[1].clear()
    found = core[0].compare_with_baseline(tmp_path / "slow.tflite", path)
    assert (found.pairs[0].instructions.claim, found.pairs[0].instructions.how) == ("more", "counted")
    assert core[1] == ["slow", "slow"]
    assert "it was counted with qemu 7.2.0 and not 8.2.0" in found.notes


def test_without_the_kept_model_a_count_of_another_emulator_is_refused(core, tmp_path):
    path = tmp_path / "base.json"
    core[0].make_baseline(tmp_path / "one.tflite", path, keep=False)
    assert not path.with_suffix(".tflites").exists()
    assert core[0].compare_with_baseline(tmp_path / "slow.tflite", path).pairs[0].instructions.claim == "more"
    (tmp_path / "about.json").write_text(ABOUT.model_copy(update={"python": "3.12.1"}).model_dump_json())
    found = core[0].compare_with_baseline(tmp_path / "slow.tflite", path)
    assert core[0].judged(found).missing["slow"].startswith(
        "its count is not comparable: it was made with python 3.11.2 and not 3.12.1")
    assert core[0].judged(found).failure.found.startswith("not counted: slow: its count is not comparable")


def test_other_samples_are_another_count(core, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((3, 4), np.float32))
    path, gate = tmp_path / "base.json", InstructionGate(target=core[0].target, samples=tmp_path / "x.npy")
    gate.make_baseline(tmp_path / "one.tflite", path)
    assert gate.compare_with_baseline(tmp_path / "slow.tflite", path).pairs[0].instructions.how == "kept"
    assert core[0].compare_with_baseline(tmp_path / "slow.tflite", path).pairs[0].instructions.how == "counted"


def test_a_kept_model_that_was_changed_is_refused(core, tmp_path):
    path = tmp_path / "base.json"
    kept = core[0].make_baseline(tmp_path / "one.tflite", path).models["one"].file
    (tmp_path / kept).write_bytes(LONGER)
    (tmp_path / "about.json").write_text(ABOUT.model_copy(update={"qemu": "8.2.0"}).model_dump_json())
    with pytest.raises(StoreError, match=r"is not the .one. that base\.json was"):
        core[0].compare_with_baseline(tmp_path / "slow.tflite", path)


def test_a_model_that_the_engine_refuses_is_named_and_writes_no_baseline(core, tmp_path):
    found = core[0].compare(tmp_path / "one.tflite", tmp_path / "refused.tflite")
    assert "no such operator" in core[0].judged(found).missing["refused"]
    with pytest.raises(EngineRefusal):
        core[0].make_baseline(tmp_path / "refused.tflite", tmp_path / "base.json")
    assert not (tmp_path / "base.json").exists()


@pytest.mark.parametrize(("named", "error", "words"), [
    ({"target": "host"}, UsageError, "the target host counts no instructions"),
    ({"target": "emulated,folder=/nowhere"}, TargetError, "no emulator is installed"),
    ({"engine": "tflm"}, EngineUnavailable, "has no wheel for Linux on Arm")], ids=["host", "nowhere", "tflm"])
def test_a_core_that_cannot_count_is_refused(core, tmp_path, named, error, words):
    with pytest.raises(error, match=words):
        replace(core[0], **named).compare(tmp_path / "one.tflite", tmp_path / "slow.tflite")


def test_a_kind_that_there_is_not_is_refused(tmp_path):
    (tmp_path / "base.json").write_text(json.dumps({"schema_version": 1, "kind": "joules"}))
    with pytest.raises(UsageError, match="a baseline of the kind 'joules'"):
        kind_of(tmp_path / "base.json")


def test_a_core_is_the_same_however_it_is_written(core, tmp_path):
    path = tmp_path / "base.json"
    InstructionGate(target=f"emulated,folder={tmp_path}").make_baseline(tmp_path / "one.tflite", path)
    longer = InstructionGate(target=f"emulated:cortex-a72,folder={tmp_path}")
    found = longer.compare_with_baseline(tmp_path / "slow.tflite", path)
    assert (found.core.target, found.pairs[0].instructions.how) == ("emulated:cortex-a72", "kept")
    other = core[0].compare_with_baseline(tmp_path / "slow.tflite", path)
    assert (other.core.target, other.pairs[0].instructions.how) == ("emulated:max", "counted")
