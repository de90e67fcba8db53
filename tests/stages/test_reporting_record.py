"""The report record writes strict JSON and knows its variants."""

from __future__ import annotations

import json
import math

import pytest

from stages.reporting.assemble import build_report
from stages.reporting.record import Report, finite, json_text, schema_text
from tests.stages.sample_run import heading, sources


def test_a_report_reads_back_equal() -> None:
    report = build_report(sources(), heading())
    assert Report.model_validate_json(json_text(report)) == report
    assert Report.model_validate_json(json_text(report, pretty=True)) == report


def test_not_a_number_and_infinity_become_null_at_any_depth() -> None:
    text = json_text({"a": [1.5, math.nan, {"b": -math.inf}], "c": (math.inf,)})
    assert text == '{"a":[1.5,null,{"b":null}],"c":[null]}'
    assert (finite(1.0), finite(math.nan), finite(None)) == (1.0, None, None)


def test_an_unknown_variant_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        build_report(sources(), heading()).variant("int4")


def test_the_schema_requires_every_key_and_describes_figures() -> None:
    schema = json.loads(schema_text())
    assert schema["$schema"].endswith("2020-12/schema")
    assert set(schema["required"]) == set(Report.model_fields)
    assert set(schema["$defs"]["Figure"]["required"]) == {
        "value", "unit", "provenance", "samples", "interval", "level", "method"}
