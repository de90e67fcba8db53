"""`litesmith profiles compare`, typed."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from device_profiles.loader import names
from tests.device_profiles.handmade import conv_model
from tests.test_architecture import imported


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "conv.tflite"
    path.write_bytes(conv_model(np.ones((3, 3, 3, 2), np.int8), "INT8", scales=(1.0,), zero_points=(0,)))
    return path


def test_every_shipped_device_is_in_the_table(typed, model):
    done = typed("profiles", "compare", "conv.tflite", "--no-tflm")
    assert done.code == 0, done.err
    first = [line.split()[0] for line in done.out.splitlines() if line.strip()]
    assert set(names()) <= set(first)


def test_json_csv_and_the_choice_of_devices(typed, model, tmp_path):
    (tmp_path / "mine.yaml").write_text("name: mine\nlike: pixel-4\n")
    chosen = ("profiles", "compare", "conv.tflite", "--no-tflm", "--profiles", "mine.yaml,iot", "--sort", "name")
    told = json.loads(typed(*chosen, "--json").out)
    assert [row["profile"] for row in told["devices"]] == ["iot", "mine"]
    assert told["number_format"] == "int8"
    rows = list(csv.DictReader(io.StringIO(typed(*chosen, "--csv").out)))
    assert [row["profile"] for row in rows] == ["iot", "mine"]
    assert len(json.loads(typed(*chosen, "--all", "--json").out)["devices"]) == len(names()) + 1


@pytest.mark.parametrize(("words", "found"), [
    (("none.tflite",), "no such file"), (("cut.tflite",), "damaged"), (("conv.tflite", "--profiles", "iott"), "'iot'"),
    (("conv.tflite", "--profiles", "iot,,cpu"), "has an empty name"), (("conv.tflite", "--sort", "size"), "'size'"),
    (("conv.tflite", "--csv", "--json"), "--csv and --json together"), ((".",), "is a folder")])
def test_what_cannot_be_is_one_clean_error(typed, model, words, found):
    (model.parent / "cut.tflite").write_bytes(model.read_bytes()[:300])
    done = typed("profiles", "compare", *words)
    assert done.code in (1, 2)
    assert found in done.err
    assert "Traceback" not in done.err


def test_tensorflow_is_not_imported():
    loaded = imported("from pipeline.side_by_side import chosen_profiles\nimport pipeline.side_by_side_text\n"
                      "import pipeline.cli.device_table\nchosen_profiles(('pixel-4',), False)")
    assert not {"tensorflow", "tf_keras", "scipy", "ai_edge_litert", "tflite_micro"} & set(loaded)
