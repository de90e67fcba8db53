"""Baseline files: what is written is read back, and what is damaged is refused with a word on what to do."""

from __future__ import annotations

import hashlib
import json

import pytest

from device_profiles.errors import StoreError, UsageError
from device_profiles.records import Figure
from pipeline.baseline import kept_content, kept_name, models_folder, read_baseline, write_baseline
from stages.comparing.baseline import Baseline, KeptModel
from stages.records import Host

CONTENT = b"a tflite model"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def written(tmp_path):
    """A baseline with one kept model, and its file."""
    path, source = tmp_path / "ci" / "latency.json", tmp_path / "int8.tflite"
    source.write_bytes(CONTENT)
    median = Figure(value=1.0, unit="ms", provenance="measured", samples=60, interval=(0.9, 1.1))
    model = KeptModel(sha256=DIGEST, tflite_bytes=len(CONTENT), file=f"latency.tflites/{kept_name('int8', DIGEST)}",
                      median=median, launch_medians_ms=(1.0, 1.01))
    machine = Host(cpu="c", architecture="a", cores=2, memory_bytes=1, system="s", python="3")
    baseline = Baseline(litesmith="1", made="2026-01-01", host=machine, fingerprint="f", engine="litert",
                        engine_version="2", threads=1, cpus=(1,), models={"int8": model})
    write_baseline(path, baseline, {"int8": source})
    return path, baseline


def test_a_baseline_reads_back_as_it_was_written_with_its_model_beside_it(written):
    path, baseline = written
    assert read_baseline(path, Baseline) == baseline
    assert models_folder(path).name == "latency.tflites"
    assert [each.name for each in models_folder(path).iterdir()] == [f"int8-{DIGEST[:8]}.tflite"]
    assert kept_content(path, "int8", baseline.models["int8"]) == CONTENT


def test_a_folder_that_moves_keeps_its_models(written, tmp_path):
    path, _ = written
    path.parent.rename(tmp_path / "elsewhere")
    moved = tmp_path / "elsewhere" / "latency.json"
    assert kept_content(moved, "int8", read_baseline(moved, Baseline).models["int8"]) == CONTENT


def test_a_kept_model_that_was_changed_is_refused_and_one_that_is_gone_is_none(written):
    path, baseline = written
    model = baseline.models["int8"]
    (path.parent / model.file).write_bytes(b"another")
    with pytest.raises(StoreError, match="is not the 'int8' that latency"):
        kept_content(path, "int8", model)
    (path.parent / model.file).unlink()
    assert kept_content(path, "int8", model) is None
    assert kept_content(path, "int8", model.model_copy(update={"file": None})) is None


def test_names_become_file_names():
    assert kept_name("slim40-int8", "abcdef0123") == "slim40-int8-abcdef01.tflite"
    assert kept_name("a/b c", "abcdef0123") == "a_b_c-abcdef01.tflite"


def test_a_baseline_that_is_not_there_says_how_one_is_written(tmp_path):
    with pytest.raises(UsageError) as caught:
        read_baseline(tmp_path / "none.json", Baseline)
    assert "--write-baseline" in caught.value.next_step


@pytest.mark.parametrize(("change", "words"), [
    (lambda data: "{", "is no JSON document"), (lambda data: "[]", "has the schema version None"),
    (lambda data: json.dumps({**data, "schema_version": 2}), "has the schema version 2"),
    (lambda data: json.dumps({**data, "threads": 0}), "threads: Input should be greater than or equal to 1"),
    (lambda data: json.dumps({**data, "colour": "red"}), "colour: Extra inputs are not permitted"),
], ids=["cut", "a list", "another version", "threads", "an unknown key"])
def test_a_damaged_baseline_is_refused_with_its_place(written, change, words):
    path, _ = written
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises(UsageError) as caught:
        read_baseline(path, Baseline)
    assert words in caught.value.found
    assert path.name in caught.value.found
