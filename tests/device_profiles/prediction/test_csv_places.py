"""A table read strictly: every fault with its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles.errors import ConfigError
from device_profiles.prediction.csv_places import read_table


def table(folder: Path, text: str) -> Path:
    path = folder / "t.csv"
    path.write_bytes(text.encode())
    return path


def read(folder: Path, text: str) -> list[dict[str, str]]:
    rows = read_table(table(folder, text), ("model", "latency_ms"), ("note",))
    return [{name: cell.text for name, cell in row.items()} for row in rows]


def test_cells_are_trimmed_unquoted_and_empty_ones_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, '\ufeff# a comment\nmodel, latency_ms ,note\r\n\n"a, ""b""" , 12 ,\nc,13,slow\n')
    assert found == [{"model": 'a, "b"', "latency_ms": "12"}, {"model": "c", "latency_ms": "13", "note": "slow"}]


def test_a_cell_knows_its_line_and_column(tmp_path: Path) -> None:
    cell = read_table(table(tmp_path, "model,latency_ms\n\nabc,  7\n"), ("model", "latency_ms"), ())[0]["latency_ms"]
    assert (cell.line, cell.column, cell.excerpt) == (3, 7, "abc,  7")
    assert str(cell.refusal("too small", "more")).splitlines()[0] == f"{tmp_path / 't.csv'}:3:7: too small"


@pytest.mark.parametrize(("text", "place", "found", "next_step"), [
    ("model,latncy_ms\na,1\n", (1, 7), "unknown column 'latncy_ms'", "did you mean 'latency_ms'?"),
    ("model,latency_us\na,1\n", (1, 7), "unknown column 'latency_us'",
     "give the latency in milliseconds, as latency_ms"),
    ("model;latency_ms\na;1\n", (1, 1), "unknown column 'model;latency_ms'",
     "the cells are separated by semicolons; save the file with commas"),
    ("model,note\na,1\n", (1, 1), "the column latency_ms is missing", ""),
    ("note\na\n", (1, 1), "the columns model, latency_ms are missing", ""),
    ("model,model,latency_ms\n", (1, 7), "column 'model' stands twice", ""),
    ("model,latency_ms\na\n", (2, 1), "1 cell under 2 columns", "put quotes around a text that has a comma in it"),
    ("model,latency_ms\na,1,2\n", (2, 5), "3 cells under 2 columns", "put quotes around a text that has a comma in it"),
    ("model,latency_ms\na,\n", (2, 3), "latency_ms is empty", ""),
    ('model,latency_ms\n"a,1\n', (2, 1), "a quote that does not close, or stands inside a cell", ""),
    ('model,latency_ms\na"b",1\n', (2, 1), "a quote that does not close, or stands inside a cell", ""),
    ("model,latency_ms\n# none\n", (1, 1), "the file has a header and no measurement", ""),
    ("\n# nothing\n", (0, 0), "the file is empty", "")])
def test_a_fault_is_told_with_its_place(tmp_path: Path, text: str, place: tuple[int, int], found: str,
                                        next_step: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, text)
    error = raised.value
    assert ((error.line, error.column), error.found, error.next_step) == (place, found, next_step)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        read_table(tmp_path / "none.csv", ("a",), ())
    with pytest.raises(ConfigError, match="cannot be read"):
        read_table(tmp_path, ("a",), ())
    (tmp_path / "latin.csv").write_bytes(b"model\n\xe9\n")
    with pytest.raises(ConfigError, match="not UTF-8 text: byte 0xe9") as raised:
        read_table(tmp_path / "latin.csv", ("model",), ())
    assert raised.value.line == 2
    (tmp_path / "large.csv").write_bytes(b"a" * ((1 << 20) + 1))
    with pytest.raises(ConfigError, match="too large"):
        read_table(tmp_path / "large.csv", ("a",), ())
