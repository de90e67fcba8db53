"""Columns as elements of a vector, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from device_profiles.errors import DataError
from stages.datasets.tabular_columns import (
    MOST_CATEGORIES,
    ColumnScan,
    Element,
    Missing,
    as_numbers,
    elements_of,
    encode,
    sort_texts,
)
from stages.datasets.tabular_files import Frame


def frame(**columns: list[Any]) -> Frame:
    return Frame(pandas.DataFrame(columns), Path("t.csv"), "", 1)


def scanned(cells: list[Any], *, categorical: bool = False, trains: list[bool] | None = None) -> ColumnScan:
    scan = ColumnScan("c", categorical)
    scan.add(frame(c=cells), np.array(trains or [True] * len(cells)))
    return scan


def encoded(cells: list[Any], missing: Missing = "error", **options: Any) -> list[list[float]]:
    return encode(frame(c=cells), elements_of(scanned(cells, **options), missing)).tolist()


def test_a_number_is_one_element() -> None:
    assert encoded([1, 2.5, -3]) == [[1], [2.5], [-3]]


def test_truth_values_are_1_and_0_however_they_are_spelled() -> None:
    assert as_numbers(pandas.Series([True, False])).tolist() == [1, 0]
    assert as_numbers(pandas.Series(["True", "false", "7"])).tolist() == [1, 0, 7]
    assert np.isnan(as_numbers(pandas.Series([True, None, "x"], dtype=object))[1:]).all()


def test_a_category_is_a_1_among_0s_in_sorted_order() -> None:
    assert encoded(["b", "a", "b", "c"]) == [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_numbers_can_be_categories_when_the_user_says_so() -> None:
    assert encoded(["10", "9"], categorical=True) == [[0, 1], [1, 0]]  # 9 before 10


def test_a_missing_number_becomes_the_mean_of_the_training_rows() -> None:
    assert encoded([1.0, None, 3.0, 50.0], "mean", trains=[True, True, True, False]) == [[1], [2], [3], [50]]


def test_a_missing_number_can_be_flagged() -> None:
    assert encoded([1.0, None, 3.0], "category") == [[1, 0], [2, 1], [3, 0]]


def test_a_missing_category_is_no_category_or_one_of_its_own() -> None:
    assert encoded(["a", None, "b"], "mean") == [[1, 0], [0, 0], [0, 1]]
    assert encoded(["a", None, "b"], "category") == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_counts_add_up_over_frames() -> None:
    scan = ColumnScan("c")
    for start, cells in ((1, [1.0, 2.0]), (3, [None, 6.0])):
        scan.add(Frame(pandas.DataFrame({"c": cells}), Path("t.csv"), "", start), np.array([True, True]))
    assert (scan.numbers, scan.missing, scan.total / scan.counted) == (3, 1, 3.0)
    assert scan.first_missing == "t.csv, row 3"


@pytest.mark.parametrize(("cells", "missing", "message"), [
    ([1, 2, "oops"], "error", "holds numbers and, in t.csv, row 3: 'oops', text"),
    ([1, None], "error", "1 cells of the column 'c' are missing, the first in t.csv, row 2"),
    (["a", None], "error", "1 cells of the column 'c' are missing"),
    ([None, None], "mean", "no number in the training rows"),
    ([1.0, float("inf")], "error", "holds inf in t.csv, row 2"),
    ([f"t{i}" for i in range(MOST_CATEGORIES + 1)], "error", f"more than {MOST_CATEGORIES} categories"),
])
def test_cells_that_make_no_vector_are_named(cells: list[Any], missing: Missing, message: str) -> None:
    with pytest.raises(DataError) as caught:
        encoded(cells, missing)
    assert message in caught.value.found
    assert caught.value.next_step


def test_a_few_numbers_among_texts_are_categories() -> None:
    assert scanned(["a", "b", "7"]).is_category
    assert encoded(["a", "b", "7"], categorical=True) == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_whole_numbers_are_sorted_by_value_and_others_as_text() -> None:
    assert sort_texts({"10", "9", "-1"}) == ["-1", "9", "10"]
    assert sort_texts({"10", "9", "x"}) == ["10", "9", "x"]


def test_an_element_says_only_what_applies() -> None:
    assert Element("c", "number").as_json() == {"column": "c", "kind": "number"}
    assert Element("c", "category", "x").as_json() == {"column": "c", "kind": "category", "category": "x"}
