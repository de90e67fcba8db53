from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from pipeline import cli
from tests.pipeline.small import SMALL

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def small_folder(small_run):
    """A folder in which the small run is up to date, with its run file."""
    folder, _ = small_run
    (folder / "run.yaml").write_text(json.dumps(SMALL))
    return folder


def go(typed, small_folder, *words):
    return typed(*words, "-c", "run.yaml", "--store", "store", folder=small_folder)


# -- help and small commands ------------------------------------------------------------------------------------------


def test_help_lists_every_command_in_the_order_of_the_work_and_the_exit_codes(typed):
    done = typed("--help")
    assert done.code == 0
    names = re.findall(r"^  ([a-z]+) ", done.out.split("Commands:")[1].split("Exit codes")[0], re.MULTILINE)
    assert names == list(cli.main.commands)
    assert "3 does not fit" in done.out


@pytest.mark.parametrize("name", list(cli.main.commands))
def test_every_command_has_help_of_its_own(typed, name):
    done = typed(name, "--help")
    assert done.code == 0
    assert len(done.out.splitlines()) > 5


@pytest.mark.parametrize("command", [c for c in cli.main.commands.values() if c.name != "profiles"],
                         ids=lambda c: c.name)
def test_every_command_takes_json_and_debug(command):
    options = {word for option in command.params for word in option.opts}
    assert {"--json", "--debug"} <= options


def test_version_is_printed(typed):
    assert typed("--version").out.startswith("litesmith, version 0.")


def test_a_mistyped_command_gets_the_near_miss_and_exit_code_2(typed):
    done = typed("trian")
    assert done.code == 2
    assert "did you mean 'train'" in done.err
    assert done.out == ""


def test_an_unknown_option_is_wrong_usage(typed):
    done = typed("run", "--fast")
    assert done.code == 2
    assert "--fast" in done.err


def test_python_dash_m_pipeline_is_the_same_command():
    done = subprocess.run([sys.executable, "-m", "pipeline", "variants", "int9"], capture_output=True, text=True,
                          cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "unknown number format 'int9'; did you mean 'int8'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_fault_of_litesmith_itself_is_one_message_and_debug_shows_the_traceback():
    code = ("import sys; sys.argv = ['litesmith', 'variants', *{words}]\nfrom pipeline import cli\n"
            "import stages.variants as v\nv.parse_variant = lambda name: 1 / 0\ncli.entry()")
    plain = subprocess.run([sys.executable, "-c", code.format(words="['int8']")], capture_output=True, text=True,
                           cwd=ROOT, check=False)
    debug = subprocess.run([sys.executable, "-c", code.format(words="['int8', '--debug']")], capture_output=True,
                           text=True, cwd=ROOT, check=False)
    assert (plain.returncode, debug.returncode) == (1, 1)
    assert "ZeroDivisionError" in plain.stderr
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr


def test_variants_explains_the_grammar_and_names(typed):
    assert "clusteredNN" in typed("variants").out
    done = typed("variants", "pruned75-int8qat")
    assert "75 % of the weights set to zero" in done.out
    assert json.loads(typed("variants", "int8", "--json").out) == {
        "int8": {"int8": "8-bit weights and activations, ranges from a calibration set (post-training)"}}


def test_an_error_with_json_is_json_on_stdout_too(typed):
    done = typed("variants", "int9", "--json")
    assert done.code == 2
    assert json.loads(done.out)["error"]["found"].startswith("variant 'int9'")


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


def test_profiles_are_listed_shown_with_sources_and_validated(typed, tmp_path):
    assert [row["name"] for row in json.loads(typed("profiles", "list", "--json").out)][:3] == ["cpu", "mobile", "iot"]
    shown = typed("profiles", "show", "iot").out
    assert "source: " in shown
    assert "clock_hz: " in shown
    good = (ROOT / "device_profiles" / "profiles" / "iot.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(good)
    assert typed("profiles", "validate", "mine.yaml").code == 0
    line = next(i for i, text in enumerate(good.splitlines(), 1) if text.startswith("threads:"))
    (tmp_path / "mine.yaml").write_text(good.replace("\nthreads: 1", "\nthreads: 1\nthread: 1"))
    done = typed("profiles", "validate", "mine.yaml")
    assert done.code == 2
    assert f"mine.yaml:{line + 1}:1" in done.err
    assert "threads" in done.err


def test_a_profile_that_nobody_has_is_wrong_usage(typed):
    done = typed("profiles", "show", "mobil")
    assert done.code == 2
    assert "did you mean 'mobile'" in done.err


# -- inspect ----------------------------------------------------------------------------------------------------------


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


# -- runs -------------------------------------------------------------------------------------------------------------


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
    assert "tflite_bytes" in done.out or "100 bytes" in done.out
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
    assert stages == {"prepare", "train", "quantize", "convert"}


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


def test_doctor_starts_every_engine_and_reports_the_machine(typed):
    found = {check["name"]: check for check in json.loads(typed("doctor", "--json").out)}
    assert found["engine litert"]["good"] is True
    assert "cores" in found["machine"]["found"]
    assert found["tensorflow"]["found"] == "2.21.0"


def test_a_run_that_is_up_to_date_imports_no_tensorflow_and_no_engine(small_folder):
    command = [sys.executable, "-X", "importtime", "-m", "pipeline", "run", "-c", "run.yaml", "--store", "store"]
    done = subprocess.run(command, cwd=small_folder, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr[-500:]
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "pipeline" in imported
    assert not {"tensorflow", "tf_keras", "sklearn", "scipy", "matplotlib", "ai_edge_litert", "tflite_runtime",
                "tflite_micro"} & imported
