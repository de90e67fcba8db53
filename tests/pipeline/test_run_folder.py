from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime

import pytest

from device_profiles.errors import StoreError
from pipeline.calls import Plan
from pipeline.config import RunConfig
from pipeline.run_folder import RunFolder, git_state, open_folder
from pipeline.runner import Outcome
from pipeline.store import Store
from tests.pipeline.fakes import call

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def kept(store, label, **files):
    """An outcome whose artifact has these files."""
    made = call(label)
    with store.lock(made.key):
        folder = store.begin(made.key)
        for name, text in files.items():
            (folder / name.replace("_", ".")).write_text(text)
        return Outcome(made, "made", store.keep(made.key, folder, '{"summary": "did it"}'), "did it", (), 1.234)


@pytest.fixture
def laid_out(tmp_path):
    store = Store(tmp_path / "store")
    outcomes = [kept(store, "train", model_keras="K"), kept(store, "convert:int8", model_tflite="T"),
                kept(store, "quantize:int8qat", model_keras="the float structure alone"),
                kept(store, "convert:pruned75-float32", model_tflite="intermediate"),
                kept(store, "check", junit_xml="<x/>"), kept(store, "report", report_html="<html>")]
    plan = Plan({o.call.label: o.call for o in outcomes}, {"int8": "convert:int8"})
    return RunFolder(tmp_path / "runs" / "x"), plan, {o.call.label: o for o in outcomes}


def test_files_lie_where_people_look_for_them(laid_out):
    folder, plan, outcomes = laid_out
    folder.lay_out(plan, outcomes)
    files = {str(p.relative_to(folder.path)) for p in folder.path.rglob("*") if p.is_file()}
    assert files == {
        "models/float.keras", "models/int8.tflite", "check/junit.xml", "report/report.html", "figures/train/float.json",
        "figures/convert/int8.json", "figures/quantize/int8qat.json",
        "figures/convert/pruned75-float32.json", "figures/check/check.json",
        "figures/report/report.json"}


def test_a_second_time_nothing_is_written(laid_out):
    folder, plan, outcomes = laid_out
    assert folder.lay_out(plan, outcomes) == 10
    assert folder.lay_out(plan, outcomes) == 0


def test_the_manifest_keeps_calls_that_this_command_did_not_touch(laid_out):
    folder, plan, outcomes = laid_out
    folder.write_manifest(RunConfig(), plan, outcomes, ["litesmith", "run"], START)
    only = {"train": outcomes["train"]}
    folder.write_manifest(RunConfig(), Plan({"train": plan.calls["train"]}), only, ["litesmith", "train"], START)
    manifest = folder.manifest()
    assert set(manifest["calls"]) == set(plan.calls)
    assert manifest["command"] == ["litesmith", "train"]
    assert manifest["started"] == "2026-01-02T03:04:05+00:00"
    assert manifest["calls"]["train"]["seconds"] == 1.23


@pytest.mark.parametrize("text", ["", "[]", '{"schema_version": 99}'])
def test_a_manifest_that_cannot_be_read_is_no_manifest(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    assert RunFolder(tmp_path).manifest() == {}


def test_the_run_file_in_the_folder_gives_the_same_config(laid_out):
    from device_profiles import strictyaml

    folder, plan, outcomes = laid_out
    config = RunConfig().only(["int8"])
    folder.write_manifest(config, plan, outcomes, [], START)
    assert strictyaml.load(folder.path / "litesmith.yaml", RunConfig) == config


def test_git_state_tells_commit_and_dirty_tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert git_state() == {}

    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True, capture_output=True)

    git("init", "-q")
    (tmp_path / "f").write_text("1")
    git("add", "f")
    git("commit", "-qm", "one")
    clean = git_state()
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (tmp_path / "f").write_text("2")
    assert git_state() == {"commit": clean["commit"], "dirty": True}


def test_a_file_in_the_way_is_a_store_error(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(StoreError, match="is a file"):
        open_folder(tmp_path, "x")


def test_figures_are_json(laid_out):
    folder, plan, outcomes = laid_out
    folder.lay_out(plan, outcomes)
    assert json.loads((folder.path / "figures/train/float.json").read_text()) == {"summary": "did it"}
