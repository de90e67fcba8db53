"""Rows of words about the model and the data: what was found, how it was looked for, and what was not looked at."""

from __future__ import annotations

from stages.records import LabelErrors, ModelResult, NearDuplicates, Sample
from stages.reporting.examination import examination_rows, model_rows, sample_place
from tests.stages.sample_run import examination, model


def test_the_models_origin_size_and_proof_are_told() -> None:
    rows = dict(model_rows(model()))
    assert rows["origin"] == "models/mine.keras"
    assert rows["kind"] == "Keras 3 file, bridged"
    assert (rows["parameters"], rows["layers"]) == ("78,666", "41")
    assert rows["translation"] == ("outputs differ by at most 3.1e-06 from the model as given, on 64 samples "
                                   "(training samples)")
    assert rows["written differently: act"] == "x * relu6(x + 3) / 6"


def test_what_is_not_known_of_a_model_is_left_out() -> None:
    rows = model_rows(ModelResult(summary="", origin="small_cnn", kind="builder", trained=False,
                                  trusted=("Lambda layer 'scale'",)))
    assert rows == [("origin", "small_cnn"), ("kind", "built by litesmith"), ("weights", "trained in this run"),
                    ("trusted", "Lambda layer 'scale'")]
    assert model_rows(None) == []


def test_every_finding_has_a_row() -> None:
    rows = dict(examination_rows(examination()))
    assert rows["examined"] == "all 1,797 samples"
    assert rows["near-duplicates across splits"] == (
        "0 pairs train/validation, 1 pair train/test (1 test sample), 0 pairs validation/test")
    assert rows["near-duplicates inside"] == "1 pair in train, 0 pairs in validation, 0 pairs in test"
    assert rows["values"] == ("0 to 16 as stored; 48.9 % of all at the lowest, 9.1 % at the highest; 2 samples with "
                              "more than a fifth of the values at one end")
    assert rows["groups in train"] == "6, of 20 to 240 samples (median 180)"
    assert rows["cross-validated check of labels"] == "accuracy 97.8 %, logistic regression, 5 folds"
    assert rows["suspected label errors"] == "1"


def test_a_sample_of_the_data_says_how_many_pairs_it_saw() -> None:
    part = examination().model_copy(update={"examined": {"train": 359, "validation": 120, "test": 120}})
    # 599 of 1,797 samples are a third; of all pairs a ninth
    assert examination_rows(part)[0] == ("examined", (
        "drawn by seed: 359 of 1,077 train, 120 of 360 validation, 120 of 360 test; of all pairs of samples about "
        "11.1 % were looked at"))


def test_what_was_left_out_says_why() -> None:
    found = examination().model_copy(update={
        "near_duplicates": NearDuplicates(left_out="30 samples tell too little"),
        "label_errors": LabelErrors(left_out="a sample may have any set of labels")})
    rows = dict(examination_rows(found))
    assert rows["near-duplicates"] == "not looked for: 30 samples tell too little"
    assert rows["suspected label errors"] == "none listed: a sample may have any set of labels"
    assert "looked for by" not in rows


def test_a_sample_is_named_by_split_row_name_and_label() -> None:
    sample = Sample(split="test", index=12, name="cat/0004.png", label="cat")
    assert sample_place(sample) == "test 12, cat/0004.png (cat)"
    assert sample_place(sample, label=False) == "test 12, cat/0004.png"
    assert sample_place(Sample(split="train", index=3)) == "train 3"
