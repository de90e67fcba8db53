"""The report stage: its files, that they are the same on every run, and that the JSON follows its schema."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from device_profiles.errors import StoreError
from stages import report
from stages.context import StageContext
from stages.examining.thumbnails import write_thumbnails
from stages.reporting.record import Report
from stages.reporting.sources import Sources
from tests.stages.sample_run import VARIANTS, examination, model, sources, thumbnails

FILES = ("report.html", "report.json", "report.md", "report.schema.json", "score_bytes.png", "score_latency.png")


def _artifacts(folder: Path, found: Sources) -> dict[str, object]:
    """The made-up run as artifact folders."""
    def put(name: str, result: object) -> Path:
        place = folder / name
        place.mkdir(parents=True)
        (place / "result.json").write_text(result.model_dump_json(), encoding="utf-8")  # type: ignore[attr-defined]
        return place

    return {
        "data": put("data", found.data), "baseline": put("baseline", found.baseline),
        "benchmark": put("benchmark", found.benchmark), "check": put("check", found.check),
        "trainings": {name: put(f"training/{name}", one) for name, one in found.trainings.items()},
        "tflites": {name: put(f"tflite/{name}", one) for name, one in found.converted.items()},
        "evaluations": {name: put(f"evaluation/{name}", one) for name, one in found.evaluated.items()}}


OPTIONS = report.Options(run="digits", litesmith="0.1.0", versions={"tensorflow": "2.21.0"}, config="data: digits\n")


def _run(folder: Path, context: StageContext, found: Sources | None = None,
         options: report.Options = OPTIONS) -> report.ReportResult:
    return report.run(**_artifacts(folder, found or sources()), options=options, context=context)  # type: ignore[arg-type]


def test_all_files_are_written_and_named_in_the_result(tmp_path: Path, context: StageContext) -> None:
    result = _run(tmp_path / "a", context)
    assert result.files == FILES
    assert sorted(path.name for path in context.out.iterdir()) == list(FILES)
    assert result.winners == {"cpu": "int8", "mobile": "int8", "iot": "int8"}


def test_the_same_artifacts_give_the_same_bytes(tmp_path: Path, context: StageContext) -> None:
    _run(tmp_path / "a", context)
    first = {path.name: path.read_bytes() for path in context.out.iterdir()}
    _run(tmp_path / "b", context)
    assert {path.name: path.read_bytes() for path in context.out.iterdir()} == first


def test_report_json_reads_back_as_the_record_and_names_what_issue_readers_look_for(tmp_path: Path,
                                                                                    context: StageContext) -> None:
    _run(tmp_path / "a", context)
    text = (context.out / "report.json").read_text(encoding="utf-8")
    record = Report.model_validate_json(text)
    assert [variant.name for variant in record.variants] == list(VARIANTS)
    document = json.loads(text)
    int8 = document["variants"][3]
    assert (int8["name"], int8["tflite"], int8["tflite_bytes"], int8["arena_bytes"]) == (
        "int8", "../models/int8.tflite", 26_480, 4_912)
    assert int8["metrics"]["litert"]["figures"]["accuracy"]["unit"] == "fraction"
    assert int8["latency"]["litert"]["median"]["provenance"] == "measured"
    assert int8["verdicts"]["iot"]["tflite_bytes"]["verdict"] == "pass"
    assert document["profiles"]["iot"]["winner"] == "int8"
    assert (document["schema_version"], document["task"], document["score"]) == (2, "classification", "accuracy")


def test_every_key_of_the_json_is_in_the_schema(tmp_path: Path, context: StageContext) -> None:
    _run(tmp_path / "a", context)
    schema = json.loads((context.out / "report.schema.json").read_text(encoding="utf-8"))
    document = json.loads((context.out / "report.json").read_text(encoding="utf-8"))
    assert set(document) == set(schema["properties"]) == set(schema["required"])
    assert set(document["variants"][0]) == set(schema["$defs"]["VariantReport"]["properties"])
    assert schema["additionalProperties"] is False


def test_the_title_replaces_the_name_of_the_run(tmp_path: Path, context: StageContext) -> None:
    _run(tmp_path / "a", context, options=OPTIONS.model_copy(update={"title": "Digits on a board"}))
    assert (context.out / "report.md").read_text(encoding="utf-8").startswith("# Digits on a board\n")


def test_a_loss_that_is_not_a_number_becomes_null_and_the_json_stays_strict(tmp_path: Path,
                                                                            context: StageContext) -> None:
    found = sources()
    training = found.trainings["float32"]
    assert training.history is not None
    broken = training.history.model_copy(update={"loss": (math.nan, *training.history.loss[1:])})
    trainings = found.trainings | {"float32": training.model_copy(update={"history": broken})}
    _run(tmp_path / "a", context, found.model_copy(update={"trainings": trainings}))
    text = (context.out / "report.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    assert json.loads(text)["trainings"]["float32"]["loss"][0] is None
    Report.model_validate_json(text)


def test_a_post_training_format_has_no_curves(tmp_path: Path, context: StageContext) -> None:
    _run(tmp_path / "a", context)
    document = json.loads((context.out / "report.json").read_text(encoding="utf-8"))
    assert list(document["trainings"]) == ["float32", "pruned75", "clustered16", "int8qat"]
    assert document["trainings"]["pruned75"]["sparsity"] == 0.75


def test_the_models_origin_and_a_closer_look_come_from_artifacts_that_may_be_missing(tmp_path: Path,
                                                                                    context: StageContext) -> None:
    artifacts = _artifacts(tmp_path / "a", sources())
    for role, result in (("model", model()), ("examination", examination())):
        folder = tmp_path / role
        folder.mkdir()
        (folder / "result.json").write_text(result.model_dump_json(), encoding="utf-8")
    write_thumbnails(tmp_path / "examination", thumbnails())
    report.run(**artifacts, model=tmp_path / "model", examination=tmp_path / "examination",  # type: ignore[arg-type]
               options=OPTIONS, context=context)
    document = json.loads((context.out / "report.json").read_text(encoding="utf-8"))
    assert document["model"]["proof"] == 3.1e-6
    assert document["examination"]["near_duplicates"]["pairs"][0]["second"] == {
        "split": "test", "index": 4, "name": "", "label": "9"}
    assert (context.out / "report.html").read_text(encoding="utf-8").count('<img src="data:image/png') == 5
    assert "| train 12, 7/0012.png (7) | test 4 (9) | 0.9912 |" in (context.out / "report.md").read_text("utf-8")
    assert "1 test sample nearly repeats a train sample" in [remark["text"] for remark in document["remarks"]]
    _run(tmp_path / "b", context)
    document = json.loads((context.out / "report.json").read_text(encoding="utf-8"))
    assert (document["model"], document["examination"]) == (None, None)


def test_a_training_that_is_none_is_a_store_error(tmp_path: Path, context: StageContext) -> None:
    artifacts = _artifacts(tmp_path / "a", sources())
    artifacts["trainings"] = {"float32": artifacts["data"]}
    with pytest.raises(StoreError, match=r"result\.json is not a TrainingOutcome"):
        report.run(**artifacts, options=OPTIONS, context=context)  # type: ignore[arg-type]
