from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.errors import VariantError
from stages.variants import FORMATS, parse_variant


def test_a_bare_format_is_a_variant():
    variant = parse_variant("int16x8")
    assert (variant.format, variant.pruned, variant.clustered, variant.is_qat) == ("int16x8", None, None, False)


def test_tokens_are_read_in_order():
    variant = parse_variant("pruned75-clustered16-int8qat")
    assert (variant.pruned, variant.clustered, variant.format, variant.is_qat) == (75, 16, "int8qat", True)


def test_every_token_has_its_field():
    variant = parse_variant("distilled-slim40-pruned2of4-clustered8-int8qat-packed")
    assert variant.model_dump() == {
        "name": "distilled-slim40-pruned2of4-clustered8-int8qat-packed", "distilled": True, "slim": 40, "pruned": 50,
        "pattern": "2of4", "clustered": 8, "format": "int8qat", "packed": True}
    assert [token for token, _ in variant.describe()] == variant.name.split("-")


def test_each_token_is_described():
    assert parse_variant("pruned75-clustered16-int8").describe() == [
        ("pruned75", "75 % of the weights set to zero, then fine-tuned"),
        ("clustered16", "16 shared values per layer, zeros kept, then fine-tuned"),
        ("int8", FORMATS["int8"])]


@pytest.mark.parametrize(("name", "words"), [
    ("pruned75", "has no number format"),
    ("clustered16-pruned75-int8", "out of order"),
    ("pruned50-pruned75-int8", "doubled"),
    ("int8-pruned75", "must come last"),
    ("int8-float32", "must come last"),
    ("pruned0-int8", "out of range"),
    ("pruned100-int8", "out of range"),
    ("clustered1-int8", "out of range"),
    ("clustered257-int8", "out of range"),
    ("slim96-int8", "out of range"),
    ("int8-distilled", "must come last"),
    ("pruned2of3-int8", "unknown token"),
    ("float32-packed", "weights cannot be packed"),
    ("packed-int8", "must come last|out of order"),
    ("slim40-packed", "for example 'slim40-int8-packed'"),
    ("prunned75-int8", "did you mean 'prunedNN'"),
    ("itn8", "did you mean 'int8'"),
    ("", "unknown number format"),
    ("-int8", "unknown token"),
    ("INT8", "unknown number format"),
    ("packed", "has no number format"),
    ("pruned75-pruned", "unknown number format"),
    ("pruned75-itn8-clustered16", "unknown token"),
])
def test_a_name_that_breaks_the_grammar_is_refused_with_the_reason(name, words):
    with pytest.raises(VariantError, match=words):
        parse_variant(name)


@given(st.integers(1, 99), st.integers(2, 256), st.sampled_from(sorted(FORMATS)))
def test_every_name_inside_the_grammar_is_read_back_as_it_was_built(pruned, clustered, number_format):
    name = f"pruned{pruned}-clustered{clustered}-{number_format}"
    variant = parse_variant(name)
    assert (variant.name, variant.pruned, variant.clustered, variant.format) == (name, pruned, clustered, number_format)


@given(st.text(max_size=30))
def test_any_text_is_a_variant_or_a_variant_error(text):
    with suppress(VariantError):
        assert parse_variant(text).name == text


@pytest.mark.parametrize(("name", "kind", "rest"), [
    ("pruned75-clustered16-int8qat", "pruned", "clustered16-int8qat"),
    ("pruned75-clustered16-int8qat", "clustered", "pruned75-int8qat"),
    ("int8", "pruned", "int8"),
])
def test_a_name_without_one_of_its_tokens(name, kind, rest):
    assert parse_variant(name).without(kind) == rest
