"""Markdown for terminals and pull requests: winners first, pictures before tables, and nothing breaks a table."""

from __future__ import annotations

import re

import pytest

from stages.reporting.assemble import build_report
from stages.reporting.markdown import check_summary, escape, markdown_report
from tests.stages.sample_run import check, figure, heading, sources

PICTURES = {"tflite_bytes": "score_bytes.png", "latency": "score_latency.png"}


@pytest.fixture(scope="module")
def text() -> str:
    return markdown_report(build_report(sources(), heading()), PICTURES)


def test_winners_come_first_then_pictures_then_the_other_tables(text: str) -> None:
    parts = ("## Winners", "score_bytes.png", "score_latency.png", "## Files", "## litert", "## Trainings",
             "## Verdicts", "## Data", "## Host and versions")
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_every_row_of_a_table_has_as_many_cells_as_its_head(text: str) -> None:
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        counts = {len(re.findall(r"(?<!\\)\|", row)) for row in block.splitlines()}
        assert len(counts) == 1, block


def test_figures_carry_interval_and_provenance(text: str) -> None:
    assert "3.93 ms [2.36 to 5.50], predicted" in text
    assert ("| int8 | 97.8 % [96.5 to 99.1] | 0.56 points [-0.14 to 1.26] | 2 of 360 | 97.8 % [96.5 to 99.1] "
            "| 0.0262 ms") in text


def test_a_refusal_stands_where_its_figures_would(text: str) -> None:
    assert "| float16 | refused: hybrid models are not supported: node 1 CONV\\_2D" in text


def test_limits_that_are_not_passed_are_listed_with_the_reason(text: str) -> None:
    row = next(line for line in text.splitlines() if line.startswith("| mobile | float32 | energy"))
    assert row.endswith("| not obtained | at most 500 µJ | no figure | ? unknown | the profile states no power |")


def test_special_characters_and_newlines_do_not_break_a_cell() -> None:
    assert escape("a|b\nc <i> *x* \x1b") == "a\\|b c \\<i\\> \\*x\\* \\\\x1b"


def test_the_summary_for_ci_holds_every_variant_and_profile() -> None:
    summary = check_summary(check())
    assert summary.startswith("### litesmith: 3 of 3 profiles")
    assert "| int16x8 | ✓ pass | ✓ pass | ≈ undecided |" in summary
    assert "| cpu | **int8** | int8: 26,480 bytes" in summary


def test_a_profile_without_a_winner_shows_none_and_the_reason() -> None:
    found = check()
    lost = found.profiles["iot"].model_copy(update={"winner": None, "reason": "None of 9 variants passes."})
    result = found.model_copy(update={"profiles": found.profiles | {"iot": lost}})
    report = build_report(sources().model_copy(update={"check": result}), heading())
    assert "| iot | NUCLEO-L4R5ZI (Cortex-M4) | none |  | None of 9 variants passes. |" in markdown_report(report, {})


def test_a_split_arena_says_what_of_it_stays(text: str) -> None:
    found = build_report(sources(), heading())
    run = found.variants[0].latency["tflm"]
    split = found.variants[0].model_copy(update={"arena_bytes": 4912, "latency": {"tflm": run.model_copy(
        update={"arena_persistent": figure(1900, "bytes")})}})
    made = markdown_report(found.model_copy(update={"variants": (split, *found.variants[1:])}), PICTURES)

    assert "| 4,912 bytes, of which 1,900 stay |" in made
    assert ", of which" not in text
