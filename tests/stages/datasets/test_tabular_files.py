"""CSV and Parquet files as frames: rows are counted, faults are named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas
import pytest

from device_profiles.errors import DataError
from stages.datasets import tabular_files
from stages.datasets.tabular_files import Frame, Table


def csv(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def frames(table: Table, columns: Sequence[str], text: Sequence[str] = ()) -> list[Frame]:
    return list(table.frames(columns, text))


def test_rows_are_numbered_from_1_in_each_file_and_across_frames(tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular_files, "CELLS", 0)  # the least: 1,000 rows a frame
    one = csv(tmp_path / "a.csv", "a,b\n" + "".join(f"{i},0\n" for i in range(2500)))
    other = csv(tmp_path / "b.csv", "b,a\n0,7\n")
    table = Table("csv", [("train", one), ("test", other)])
    found = frames(table, ["a"])
    assert [(frame.split, frame.start, len(frame.data)) for frame in found] == [
        ("train", 1, 1000), ("train", 1001, 1000), ("train", 2001, 500), ("test", 1, 1)]
    assert found[1].data["a"].iloc[3] == 1003
    assert found[1].place(3) == f"{one}, row 1004"
    assert found[3].data["a"].tolist() == [7]


def test_text_columns_keep_what_other_columns_take_for_missing(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "a,b\nNA,NA\n007,007\n,\n")
    (frame,) = frames(Table("csv", [("", path)], missing=("", "NA")), ["a", "b"], ["b"])
    assert frame.data["a"].isna().tolist() == [True, False, True]
    assert frame.data["b"].tolist()[:2] == ["NA", "007"]
    assert frame.data["b"].isna().tolist() == [False, False, True]


def test_quotes_blanks_a_byte_order_mark_and_other_delimiters_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfname; b\n"x; y"; 2\n"two\nlines"; 3\n')
    table = Table("csv", [("", path)], ";")
    assert table.columns() == ("name", "b")
    (frame,) = frames(table, ["name", "b"])
    assert frame.data.to_numpy().tolist() == [["x; y", 2], ["two\nlines", 3]]


def test_parquet_is_read_in_batches_with_text_where_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular_files, "CELLS", 0)
    categories = pandas.Categorical(["x", "y", None] * 500)
    data = pandas.DataFrame({"a": range(1500), "b": categories, "c": [True, False] * 750})
    data.to_parquet(tmp_path / "a.parquet")
    found = frames(Table("parquet", [("", tmp_path / "a.parquet")]), ["b", "a"], ["a", "b"])
    assert [(frame.start, len(frame.data)) for frame in found] == [(1, 1000), (1001, 500)]
    assert found[1].data["a"].iloc[0] == "1000"
    assert found[0].data["b"].tolist()[:2] == ["x", "y"]
    assert found[0].data["b"].isna().sum() == 333


@pytest.mark.parametrize(("text", "message"), [
    ("", "is empty"),
    ("1,2\n3,4\n", "numbers, not names"),
    ("a,a\n1,2\n", "two columns called 'a'"),
    ("a;b\n1;2\n", "a single column 'a;b'"),
    ("a,b\n1,2,3\n", "2 column names and 3 cells in row 1"),
    ("a,b\n1,2\n1,2,3\n", "Expected 2 fields in line 3, saw 3"),
    ('a,b\n1,"2\n', "EOF inside string"),
])
def test_a_csv_that_is_none_says_what_and_where(tmp_path: Path, text: str, message: str) -> None:
    table = Table("csv", [("", csv(tmp_path / "a.csv", text))])
    with pytest.raises(DataError) as caught:
        frames(table, table.columns()[:1])
    assert message in caught.value.found
    assert "a.csv" in caught.value.found


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("a,b\nä,1\n".encode("latin-1"))
    with pytest.raises(DataError, match="is not UTF-8"):
        frames(Table("csv", [("", tmp_path / "a.csv")]), ["a"])


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_a_damaged_parquet_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.parquet cannot be read as parquet"):
        Table("parquet", [("", tmp_path / "a.parquet")]).columns()


def test_a_parquet_column_of_dates_or_lists_is_refused_by_its_type(tmp_path: Path) -> None:
    pandas.DataFrame({"day": pandas.to_datetime(["2024-01-01"]), "list": [[1, 2]]}).to_parquet(tmp_path / "a.parquet")
    table = Table("parquet", [("", tmp_path / "a.parquet")])
    with pytest.raises(DataError, match="the column 'day' holds timestamp"):
        frames(table, ["day"])
    with pytest.raises(DataError, match="the column 'list' holds list"):
        frames(table, ["list"])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_missing_file_is_named(tmp_path: Path, kind: tabular_files.TableKind) -> None:
    with pytest.raises(DataError, match=r"there is no data file .*nowhere"):
        Table(kind, [("", tmp_path / "nowhere")]).columns()


def test_files_of_other_columns_are_refused(tmp_path: Path) -> None:
    files = [("", csv(tmp_path / "a.csv", "a,b\n1,2\n")), ("", csv(tmp_path / "b.csv", "a,c\n1,2\n"))]
    with pytest.raises(DataError, match=r"a\.csv has a column 'b', .*b\.csv does not"):
        Table("csv", files).columns()
