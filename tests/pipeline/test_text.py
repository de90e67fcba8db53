from __future__ import annotations

from pipeline.text import columns


def test_columns_are_as_wide_as_their_content_and_numbers_stand_right():
    assert columns(["name", "n"], [["a", 1], ["long", 100]], right=frozenset({1})) == [
        "name    n",
        "a       1",
        "long  100",
    ]


def test_no_line_ends_in_blanks():
    assert columns(["a", "b"], [["x", ""]]) == ["a  b", "x"]
