"""Numbers are spelt with their unit, separators and interval, and text is safe for XML."""

from __future__ import annotations

import math

import pytest

from stages.reporting.text import (
    axis_scale,
    figure_name,
    figure_text,
    kib,
    listing,
    plural,
    printable,
    quantity,
    samples_text,
    shortened,
    significant,
)
from tests.stages.sample_run import figure


@pytest.mark.parametrize(("value", "text"), [
    (0.0214, "0.0214"), (0.00004567, "0.0000457"), (1.0, "1.00"), (12.345, "12.3"), (123.4, "123"), (1234.5, "1,234"),
    (0.0, "0"), (-0.5, "-0.500"), (math.nan, "not a number"), (math.inf, "infinite"), (-math.inf, "-infinite")])
def test_significant_keeps_three_digits_and_never_an_exponent(value: float, text: str) -> None:
    assert significant(value) == text


@pytest.mark.parametrize(("value", "unit", "text"), [
    (25_840, "bytes", "25,840 bytes"), (0.98333, "fraction", "98.3 %"), (0.5, "points", "0.50 points"),
    (0.412, "ms", "0.412 ms"), (2427.2, "1/s", "2,427 inferences/s"), (31.4, "uJ", "31.4 µJ"),
    (0.08, "nats", "0.0800 nats"), (0.9527, "", "0.953"), (-0.21, "", "-0.210"), (52.14, "target", "52.1"),
    (0.00123, "value", "0.00123"),
    (math.nan, "bytes", "not a number bytes")])
def test_each_unit_has_one_spelling(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


@pytest.mark.parametrize(("key", "name"), [
    ("accuracy", "accuracy"), ("f1", "macro F1"), ("r2", "R2"), ("auc", "ROC AUC"), ("log_loss", "log loss"),
    ("own_metric", "own metric")])
def test_figures_have_the_names_that_the_field_gives_them(key: str, name: str) -> None:
    assert figure_name(key) == name


def test_an_axis_has_percent_for_shares_and_the_unit_else() -> None:
    assert axis_scale(figure(0.9, "fraction")) == (100.0, ", %")
    assert axis_scale(figure(0.9, "")) == axis_scale(None) == (1.0, "")
    assert axis_scale(figure(3.0, "uJ")) == (1.0, ", µJ")


def test_a_kib_has_1024_bytes() -> None:
    assert (kib(1024), kib(26_480), kib(2_400_000)) == ("1.0 KiB", "25.9 KiB", "2,344 KiB")


def test_a_figure_brings_its_interval_and_a_missing_one_says_so() -> None:
    assert figure_text(figure(0.983, "fraction", spread=0.013)) == "98.3 % [97.0 to 99.6]"
    assert figure_text(figure(4912, "bytes")) == "4,912 bytes"
    assert figure_text(None) == "not obtained"


def test_the_source_of_a_figure_names_provenance_samples_and_level() -> None:
    assert samples_text(figure(4912, "bytes")) == "measured, exact count"
    assert samples_text(figure(1.2, "ms")) == "measured, one value"
    assert samples_text(figure(1.2, "ms", samples=1500, spread=0.1)) == "measured, 1,500 samples, 95 % interval"
    assert samples_text(figure(1.2, "ms", spread=0.1, provenance="predicted")) == "predicted, 95 % interval"


def test_control_characters_and_lone_surrogates_are_spelt_out() -> None:
    assert printable("a\x1b[31mb\x00c\td\udc80") == "a\\x1b[31mb\\x00c\td\\xdc80"


def test_a_long_text_is_cut_at_a_word() -> None:
    assert shortened("short") == "short"
    assert shortened("one two three", 9) == "one two …"


def test_lists_and_plurals_read_as_english() -> None:
    assert [listing("abc"[:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert (plural(1, "variant"), plural(1200, "variant")) == ("1 variant", "1,200 variants")
