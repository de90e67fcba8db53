"""`litesmith explain` typed on the small run and on files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.pipeline.cli.conftest import go


def test_a_variant_is_explained_layer_by_layer(typed, small_folder):
    done = go(typed, small_folder, "explain", "int8", "--samples", "40", "--json")
    found = json.loads(done.out)
    assert (done.code, found["variant"], found["reference"], found["samples"]) == (0, "int8", "float32", 40)
    assert [layer["matching"] for layer in found["layers"] if layer["original"]].count("order") == 0
    assert found["shares_at_outputs"]
    assert 0.5 < sum(layer["share"] for layer in found["layers"]) <= 1 + 1e-9
    assert [step["name"] for step in found["steps"]] == ["int8"]


def test_a_variant_trained_with_quantization_is_held_against_its_own_weights_in_float(typed, small_folder):
    done = go(typed, small_folder, "explain", "pruned75-int8qat", "--json")
    found = json.loads(done.out)
    assert found["reference"] == "pruned75-int8qat in float"
    assert [step["part"] for step in found["steps"]] == ["training", "quantization"]
    assert any(layer["matching"] == "order" for layer in found["layers"])
    assert "zeros" in [each["kind"] for each in found["slow"]]


def test_people_get_the_verdict_first_and_no_wide_line(typed, small_folder):
    done = go(typed, small_folder, "explain", "int8")
    assert done.code == 0
    assert done.out.startswith("int8 ")
    assert "within chance" in done.out.splitlines()[0]  # so no heading says that it fell
    assert "Why it fell" not in done.out
    assert "Why it is not faster" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_change_is_made_and_measured_against_the_variant(typed, small_folder):
    done = go(typed, small_folder, "explain", "int8", "--try", "--json", "-s",
              "variants=[float32, {name: int8, quantize: {calibration_samples: 1}}]")
    found = json.loads(done.out)
    assert done.code == 0
    measured = [trial for trial in found["trials"] if trial["status"] == "measured"]
    assert measured, found["summary"]
    assert measured[0]["lines"][0] == "- name: int8"
    assert measured[0]["gain"]["interval"][0] <= measured[0]["gain"]["value"] <= measured[0]["gain"]["interval"][1]
    assert measured[0]["tflite_bytes"] > 0


def test_a_variant_with_nothing_to_try_says_so(typed, small_folder):
    done = go(typed, small_folder, "explain", "float32", "--try", "--samples", "8")
    assert (done.code, done.err.count("Traceback")) == (0, 0)
    assert "--try: nothing was found that one change would mend, so there is nothing to try" in " ".join(
        done.out.split())
    assert "times as" not in done.out  # it is no faster or slower than itself


@pytest.mark.parametrize(("words", "said"), [
    (("int9",), "unknown number format 'int9'; did you mean"), (("float16",), "the run has no variant 'float16'"),
    (("x.tflite",), "has no float model to be held against"), (("int8", "--samples", "0"), "--samples 0"),
    (("int8", "--train"), "--try is not there"),
    (("x.tflite", "--float", "y.tflite", "--samples", "z.npy"), "x.tflite: no such file"),
    (("x.tflite", "--float", "y.tflite"), "needs samples to run on"),
    (("x.tflite", "--float", "y.tflite", "--try"), "through a run"),
], ids=["grammar", "not-in-the-run", "no-float", "no-samples", "train-without-try", "no-file", "no-data", "try-files"])
def test_wrong_usage_is_one_message_and_exits_with_2(typed, small_folder, words, said):
    done = go(typed, small_folder, "explain", *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_two_files_are_held_against_each_other_on_given_samples(typed, tmp_path, tiny_tflites, tiny_samples):
    for name in ("int8", "float32"):
        (tmp_path / f"{name}.tflite").write_bytes(tiny_tflites[name])
    np.save(tmp_path / "x.npy", tiny_samples)
    words = ("explain", "int8.tflite", "--float", "float32.tflite", "--samples", "x.npy", "--json")
    found = json.loads(typed(*words).out)
    assert (found["samples"], found["drop"], found["variant"]) == (64, None, "int8.tflite")
    assert 0 <= found["changed"] <= 1
    np.save(tmp_path / "x.npy", tiny_samples[:, :3])
    done = typed(*words)
    assert done.code == 1
    assert "do not fit" in done.err
    (tmp_path / "x.npy").write_text("text")
    assert "no array can be read" in typed(*words).err
