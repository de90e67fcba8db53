from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.pipeline.cli.conftest import go

ROOT = Path(__file__).parents[3]


def test_a_run_that_is_up_to_date_says_so_and_prints_the_table(typed, small_folder):
    done = go(typed, small_folder, "run")
    assert done.code == 0
    assert "nothing to do" in done.err
    assert "pruned75-int8qat" in done.out
    assert max(len(line) for line in done.out.splitlines() if "%" in line) <= 80


def test_a_run_with_json_prints_one_document(typed, small_folder):
    done = go(typed, small_folder, "run", "--json")
    found = json.loads(done.out)
    assert (found["fits"], found["exit_code"]) == (True, 0)
    assert Path(small_folder / found["report"]).is_file()
    assert set(found["winners"]) == {"cpu", "mobile", "iot"}


def test_quiet_prints_nothing(typed, small_folder):
    done = go(typed, small_folder, "run", "-q")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_a_limit_that_nothing_meets_exits_with_3_and_says_which(typed, small_folder):
    done = go(typed, small_folder, "run", "--set", "check.limits={cpu: {tflite_bytes: 100}}")
    assert done.code == 3
    assert "litesmith: no variant passes on cpu: " in done.err
    assert "at most 100 bytes" in done.err
    junit = ET.parse(small_folder / "runs" / "small" / "check" / "junit.xml").getroot()
    assert int(junit.get("failures")) > 0


def test_check_alone_exits_with_3_but_report_alone_with_0(typed, small_folder):
    words = ("--set", "check.limits={cpu: {tflite_bytes: 100}}")
    assert go(typed, small_folder, "check", *words).code == 3
    assert go(typed, small_folder, "report", *words).code == 0


def test_status_says_what_would_run_and_why(typed, small_folder):
    go(typed, small_folder, "run", "-q")
    assert "would run" in go(typed, small_folder, "status").out
    found = json.loads(go(typed, small_folder, "status", "--json", "--set", "train.epochs=3").out)
    why = {call["call"]: call["why"] for call in found["calls"]}
    assert why["prepare"] == "up to date"
    assert why["train"] == "epochs: 2 -> 3"
    assert "train would run" in why["convert:float32"]


def test_a_stage_s_command_makes_only_what_it_needs(typed, small_folder):
    done = go(typed, small_folder, "convert", "--variant", "int8", "--json")
    stages = {label.partition(":")[0] for label in json.loads(done.out)["calls"]}
    assert stages == {"prepare", "model", "train", "quantize", "convert"}


def test_verbose_prints_a_line_a_call(typed, small_folder):
    assert "convert:int8" in go(typed, small_folder, "run", "-v").err


def test_the_github_step_summary_gets_the_verdicts(typed, small_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    go(typed, small_folder, "run", "-q")
    text = (tmp_path / "summary.md").read_text()
    assert "iot" in text
    assert "int8" in text


def test_a_run_file_s_fault_is_shown_with_its_line_and_exits_with_2(typed, tmp_path):
    (tmp_path / "run.yaml").write_text("name: x\ntrain:\n  epoch: 3\n")
    done = typed("run", "-c", "run.yaml")
    assert done.code == 2
    assert "run.yaml:3:3" in done.err
    assert "epochs" in done.err
    assert not (tmp_path / "runs").exists()


def test_a_run_file_that_is_not_there_is_wrong_usage(typed):
    done = typed("run", "-c", "nowhere.yaml")
    assert done.code == 2
    assert "nowhere.yaml" in done.err


def test_nan_in_the_data_stops_the_run_with_1_and_one_message(typed, tmp_path):
    import numpy as np

    x = np.random.default_rng(0).random((60, 8, 8, 1)).astype(np.float32)
    x[3, 0, 0, 0] = np.nan
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(60) % 3)
    (tmp_path / "run.yaml").write_text("data: {source: {kind: npz, path: data.npz}}\n")
    done = typed("run", "-c", "run.yaml")
    assert done.code == 1
    assert "NaN" in done.err
    assert "Traceback" not in done.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_one_message(typed, tmp_path):
    (tmp_path / "runs").mkdir(mode=0o500)
    done = typed("run")
    assert done.code == 1
    assert "cannot be written" in done.err


def test_a_run_that_is_up_to_date_imports_no_tensorflow_and_no_engine(small_folder):
    command = [sys.executable, "-X", "importtime", "-m", "pipeline", "run", "-c", "run.yaml", "--store", "store"]
    done = subprocess.run(command, cwd=small_folder, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr[-500:]
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "pipeline" in imported
    assert not {"tensorflow", "tf_keras", "sklearn", "scipy", "matplotlib", "ai_edge_litert", "tflite_runtime",
                "tflite_micro"} & imported


@pytest.mark.parametrize(("model", "found"), [("small_cn", "did you mean 'small_cnn'"), ("nope.keras", "no model file"),
                                              ("applications/MobilNetV2", "did you mean 'applications/MobileNetV2'")])
def test_a_model_that_is_not_there_is_a_usage_error_with_the_near_miss(typed, model, found):
    done = typed("run", "--model", model)
    assert done.code == 2
    assert found in done.err
