"""Tables as samples: roles of columns, labels by task, and what each element of the vector is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from pydantic import ValidationError

from device_profiles.errors import DataError
from stages.datasets import tabular, tabular_files
from stages.datasets.records import Chunk, LabelKind
from stages.datasets.tabular import Settings, TabularReader

TEXT = "age,sex,income,label,site\n1,m,2.5,yes,a\n3,f,4,no,b\n5,m,4,yes,a\n7,f,8,no,b\n"


def write(folder: Path, text: str = TEXT, **settings: Any) -> Settings:
    (folder / "t.csv").write_text(text)
    return Settings(kind="csv", path=folder / "t.csv", **settings)


def read(settings: Settings, labels: LabelKind = "classes") -> tuple[list[Chunk], TabularReader]:
    reader = tabular.open_reader(settings, labels)
    assert isinstance(reader, TabularReader)
    return list(reader.chunks()), reader


def test_columns_become_a_vector_and_labels_classes(tmp_path: Path) -> None:
    (chunk,), reader = read(write(tmp_path, group="site"))
    assert chunk.x.tolist() == [[1, 0, 1, 2.5], [3, 1, 0, 4], [5, 0, 1, 4], [7, 1, 0, 8]]
    assert chunk.x.dtype == np.float32
    assert chunk.y is not None
    assert chunk.y.tolist() == [1, 0, 1, 0]
    assert (reader.class_names, reader.total) == (("no", "yes"), 4)
    assert list(chunk.groups) == ["a", "b", "a", "b"]


def test_slice_columns_go_with_the_samples_and_not_into_the_vector(tmp_path: Path) -> None:
    (chunk,), _ = read(write(tmp_path, TEXT.replace("7,f,8,no,b", "7,f,8,no,"), slices=["site"]))
    assert dict(chunk.slices) == {"site": ["a", "b", "a", "(missing)"]}
    assert chunk.x.shape == (4, 4)


def test_a_slice_column_that_features_name_too_stays_in_the_vector_as_a_number(tmp_path: Path) -> None:
    (chunk,), _ = read(write(tmp_path, slices=["age"], features=["age", "income"]))
    assert chunk.x.tolist() == [[1, 2.5], [3, 4], [5, 4], [7, 8]]
    assert dict(chunk.slices) == {"age": ["1", "3", "5", "7"]}


def test_a_slice_column_that_is_not_there_is_refused_with_the_near_miss(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column 'sight'; did you mean 'site'"):
        read(write(tmp_path, slices=["sight"]))


def test_features_json_says_what_each_element_is(tmp_path: Path) -> None:
    _, reader = read(write(tmp_path, TEXT.replace("2.5", ""), drop=["site"], missing="category"))
    reader.write_extras(tmp_path)
    features = json.loads((tmp_path / "features.json").read_text())
    assert tabular.element_names(features) == ["age", "sex=f", "sex=m", "income", "income is missing"]
    assert features["elements"][3] == {"element": 3, "column": "income", "kind": "number",
                                       "fill": pytest.approx(16 / 3, rel=1e-6)}


def test_features_keep_the_order_that_is_asked_for(tmp_path: Path) -> None:
    (chunk,), _ = read(write(tmp_path, features=["income", "age"]))
    assert chunk.x.tolist()[0] == [2.5, 1]


def test_parquet_gives_what_csv_gives(tmp_path: Path) -> None:
    settings = write(tmp_path, categorical=["age"])
    pandas.read_csv(tmp_path / "t.csv").to_parquet(tmp_path / "t.parquet")
    (one,), first = read(settings)
    (other,), second = read(Settings(kind="parquet", path=tmp_path / "t.parquet", categorical=("age",)))
    assert np.array_equal(one.x, other.x)
    assert first.class_names == second.class_names


def test_whole_number_labels_are_sorted_by_value(tmp_path: Path) -> None:
    (chunk,), reader = read(write(tmp_path, "a,label\n1,10\n2,9\n3,10\n"))
    assert reader.class_names == ("9", "10")
    assert chunk.y is not None
    assert chunk.y.tolist() == [1, 0, 1]


def test_a_class_may_be_called_na(tmp_path: Path) -> None:
    _, reader = read(write(tmp_path, "a,label\n1,NA\n2,None\n"))
    assert reader.class_names == ("NA", "None")


def test_several_columns_are_several_classes_or_values(tmp_path: Path) -> None:
    settings = write(tmp_path, "a,p,q\n1,0,1\n2,1,1\n", targets=["q", "p"])
    (chunk,), reader = read(settings, "multilabel")
    assert chunk.y is not None
    assert (chunk.y.tolist(), chunk.y.dtype, reader.class_names) == ([[1, 0], [1, 1]], np.uint8, ("q", "p"))
    (chunk,), reader = read(settings, "values")
    assert chunk.y is not None
    assert (chunk.y.dtype, reader.class_names) == (np.float32, ())


def test_one_column_of_values_is_a_flat_array(tmp_path: Path) -> None:
    (chunk,), _ = read(write(tmp_path, "a,price\n1,2.5\n2,3\n", label="price"), "values")
    assert chunk.y is not None
    assert chunk.y.tolist() == [2.5, 3.0]


def test_splits_come_from_a_column_or_from_files(tmp_path: Path) -> None:
    (chunk,), _ = read(write(tmp_path, "a,label,part\n1,x,train\n2,y,Val\n3,x,\n4,y,test\n", split="part"))
    assert list(chunk.splits) == ["train", "validation", "", "test"]
    (tmp_path / "u.csv").write_text("a,label\n9,y\n")
    (tmp_path / "t.csv").write_text("a,label\n1,x\n")
    chunks, _ = read(Settings(kind="csv", path={"test": tmp_path / "u.csv", "train": tmp_path / "t.csv"}))
    assert [(chunk.x.tolist(), list(chunk.splits)) for chunk in chunks] == [([[1]], ["train"]), ([[9]], ["test"])]


def test_means_are_of_training_rows_alone(tmp_path: Path) -> None:
    (chunk,), _ = read(write(tmp_path, "a,label,part\n1,x,train\n3,y,\n,x,train\n100,y,test\n", split="part",
                             missing="mean"))
    assert chunk.x[:, 0].tolist() == [1, 3, 2, 100]


def test_a_column_that_turns_to_text_late_is_read_as_text_from_the_start(tmp_path: Path,
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular_files, "CELLS", 0)  # 1,000 rows a frame: the first one holds nothing but numbers
    codes = ["007"] * 1000 + ["x"] * 1001
    lines = "".join(f"{code},{i % 2}\n" for i, code in enumerate(codes))
    chunks, reader = read(write(tmp_path, "code,label\n" + lines))
    reader.write_extras(tmp_path)
    assert tabular.element_names(json.loads((tmp_path / "features.json").read_text())) == ["code=007", "code=x"]
    x = np.concatenate([chunk.x for chunk in chunks])
    assert x.sum(axis=0).tolist() == [1000, 1001]
    assert reader.total == 2001


@pytest.mark.parametrize(("text", "settings", "labels", "message"), [
    ("a,labl\n1,x\n", {}, "classes", "has no column 'label'; did you mean 'labl'?"),
    ("a,label\n1,x\n", {"features": ["aa"]}, "classes", "has no column 'aa'; did you mean 'a'?"),
    ("a,label\n1,x\n", {"group": "who"}, "classes", "has no column 'who'"),
    ("a,label\n1,x\n", {"drop": ["a"]}, "classes", "has no column for the input"),
    ("a,label\n1,x\n2,\n", {}, "classes", "the label 'label' is missing in"),
    ("a,label,g\n1,x,p\n2,x,\n", {"group": "g"}, "classes", "the group 'g' is missing in"),
    ("a,label\n1,x\n", {}, "values", "the label 'label' is 'x' in"),
    ("a,label\n1,2\n1,\n", {}, "values", "the label 'label' is 'nan' in"),
    ("a,label\n1,x\n", {}, "multilabel", "multilabel with the column 'label' alone"),
    ("a,p,q\n1,0,1\n2,0,2\n", {"targets": ["p", "q"]}, "multilabel", "the label 'q' is '2' in"),
    ("a,p,q\n1,0,1\n", {"targets": ["p", "q"]}, "classes", "classification with 2 target columns"),
    ("a,label,s\n1,x,trian\n", {"split": "s"}, "classes", "the split is 'trian' in"),
])
def test_columns_that_do_not_fit_are_named(tmp_path: Path, text: str, settings: dict[str, Any], labels: LabelKind,
                                           message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(write(tmp_path, text, **settings), labels)
    assert message in caught.value.found
    assert caught.value.allowed


@pytest.mark.parametrize(("settings", "message"), [
    ({"label": "a", "targets": ["b"]}, "either label or targets"), ({"label": "a", "group": "a"}, "'a' is named twice"),
    ({"path": []}, "names no file"), ({"path": {"test": "x.csv"}}, "no file for train"),
    ({"delimiter": ", "}, "at most 1"),
])
def test_settings_that_contradict_themselves_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(**{"kind": "csv", "path": "t.csv", **settings})
    assert message in str(caught.value)


def test_the_digest_follows_the_content_of_every_file(tmp_path: Path) -> None:
    settings = write(tmp_path)
    (tmp_path / "u.csv").write_text(TEXT)
    both = Settings(kind="csv", path=(tmp_path / "t.csv", tmp_path / "u.csv"))
    before = tabular.source_digest(both)
    assert before != tabular.source_digest(settings)
    (tmp_path / "u.csv").write_text(TEXT.replace("2.5", "2.6"))
    assert tabular.source_digest(both) != before
