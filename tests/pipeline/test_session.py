from __future__ import annotations

import json
import shutil

import pytest

import pipeline
from device_profiles.errors import DataError, DoesNotFit, StoreError
from pipeline.config import from_mapping
from pipeline.session import Session
from pipeline.store import file_digest
from tests.pipeline.small import SMALL


def again(folder, **changes):
    return pipeline.run({**SMALL, **changes}, runs=folder / "runs", store=folder / "store")


def test_a_run_makes_every_variant_and_the_report(small_run):
    _, result = small_run
    assert result.failed == []
    assert {path.name for path in (result.folder / "models").glob("*.tflite")} == {
        "float32.tflite", "int8.tflite", "pruned75-int8qat.tflite"}
    assert {path.name for path in (result.folder / "report").iterdir()} >= {"report.json", "report.md", "report.html"}
    assert (result.folder / "check" / "junit.xml").is_file()
    assert [variant["name"] for variant in result.report["variants"]] == SMALL["variants"]
    assert result.fits is True


def test_the_manifest_says_what_was_run_from_what_with_what(small_run):
    _, result = small_run
    manifest = json.loads((result.folder / "manifest.json").read_text())
    call = manifest["calls"]["convert:int8"]
    assert call["files"]["model.tflite"] == file_digest(result.folder / "models" / "int8.tflite")
    assert call["inputs"] == {"source": "convert:float32", "recipe": "quantize:int8"}
    assert manifest["versions"]["tensorflow"] == "2.21.0"
    assert manifest["variants"]["int8"] == "convert:int8"


def test_a_second_run_makes_nothing(small_run):
    folder, _ = small_run
    result = again(folder)
    assert result.made == []
    assert result.report is not None


def test_deleting_the_run_folder_loses_nothing(small_run):
    folder, _ = small_run
    model = folder / "runs" / "small" / "models" / "int8.tflite"
    digest = file_digest(model)
    shutil.rmtree(folder / "runs")
    result = again(folder)
    assert result.made == []
    assert file_digest(model) == digest
    assert (folder / "runs" / "small" / "manifest.json").is_file()


def test_a_file_changed_by_hand_in_the_run_folder_is_put_right(small_run):
    folder, _ = small_run
    model = folder / "runs" / "small" / "models" / "int8.tflite"
    digest = file_digest(model)
    model.write_bytes(b"changed")
    again(folder)
    assert file_digest(model) == digest


def test_a_stage_run_alone_in_an_empty_store_makes_the_same_bytes_as_the_whole_run(small_run, tmp_path):
    _, whole = small_run
    session = Session(from_mapping(SMALL).only(["int8"]), tmp_path / "runs", tmp_path / "store")
    alone = session.run("convert")
    assert {outcome.call.stage for outcome in alone.outcomes.values()} == {"prepare", "model", "train", "quantize",
                                                                           "convert"}
    for label in ("train", "quantize:int8", "convert:int8"):
        assert alone.outcomes[label].artifact.digests == whole.outcomes[label].artifact.digests


def test_editing_one_stage_s_options_runs_that_stage_and_what_follows_alone(small_run):
    folder, _ = small_run
    result = again(folder, check={**SMALL["check"], "choice": "fastest"})
    assert {outcome.call.label for outcome in result.made} == {"check", "report"}


def test_a_flipped_byte_in_the_store_is_found_and_made_again_with_the_same_bytes(small_run):
    folder, first = small_run
    artifact = first.outcomes["convert:int8"].artifact
    file = artifact.folder / "model.tflite"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x40
    file.write_bytes(content)
    result = again(folder)
    assert [outcome.call.label for outcome in result.made] == ["convert:int8"]
    assert file_digest(file) == artifact.digests["model.tflite"]


def test_data_that_cannot_be_read_is_the_error_of_the_whole_run(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        pipeline.run({"data": {"source": {"kind": "npz", "path": str(tmp_path / "nowhere.npz")}}},
                     runs=tmp_path / "runs", store=tmp_path / "store")


def test_a_file_in_the_place_of_the_run_folder_is_named(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "small").write_text("in the way")
    with pytest.raises(StoreError, match="is a file"):
        again(tmp_path)


def test_require_fit_raises_where_a_required_profile_has_no_variant_and_names_it(small_run):
    folder, _ = small_run
    result = again(folder, check={"require": ["cpu"], "limits": {"cpu": {"tflite_bytes": 100}}})
    assert result.fits is False
    with pytest.raises(DoesNotFit, match="no variant passes on cpu: ") as caught:
        result.require_fit()
    assert caught.value.exit_code == 3


def test_require_fit_is_silent_where_all_required_profiles_have_one(small_run):
    folder, _ = small_run
    result = again(folder)
    assert result.fits is True
    result.require_fit()
