"""A change over a variant's entry: what holds already is kept."""

from __future__ import annotations

from typing import Any

from device_profiles.errors import StageError
from device_profiles.records import Record
from pipeline.calls import Call
from pipeline.config import RunConfig, VariantEntry, from_mapping
from pipeline.runner import Outcome, Watcher
from pipeline.trying import Quieted, changed_entry, lines_of
from stages.records import Change


def changed(entry: dict[str, Any], settings: dict[str, Any], run: dict[str, Any] | None = None,
            **more: str) -> dict[str, Any]:
    """The changed entry, as a run file would have it."""
    config = from_mapping(run) if run else RunConfig()
    change = Change(text="", settings=settings, format=more.get("format", ""))
    return changed_entry(VariantEntry.model_validate(entry), change, config).model_dump(mode="json", exclude_unset=True)


def test_layers_are_added_to_those_that_the_entry_or_the_run_keep_already() -> None:
    keep = {"quantize": {"int4_keep": ["3:CONV_2D"]}}
    assert changed({"name": "int4", "quantize": {"int4_keep": ("0:CONV_2D",)}}, keep) == {
        "name": "int4", "quantize": {"int4_keep": ["0:CONV_2D", "3:CONV_2D"]}}
    assert changed({"name": "int4"}, keep, {"quantize": {"int4_keep": ["1:CONV_2D", "3:CONV_2D"]}}) == {
        "name": "int4", "quantize": {"int4_keep": ["1:CONV_2D", "3:CONV_2D"]}}


def test_a_format_that_is_fixed_leaves_a_mixed_variant_its_budget_and_its_other_layers() -> None:
    fix = {"quantize": {"mixed": {"fixed": {"conv2": "int8"}}}}
    run = {"quantize": {"mixed": {"budget": 11000, "fixed": {"conv1": "float32"}}}}
    assert changed({"name": "mixed"}, fix, run)["quantize"]["mixed"] == {
        "budget": 11000, "fixed": {"conv1": "float32", "conv2": "int8"}}
    own = {"name": "mixed", "quantize": {"mixed": {"budget": 9000.0}}}
    assert changed(own, fix, run)["quantize"]["mixed"] == {"budget": 9000, "fixed": {"conv2": "int8"}}


def test_another_format_starts_from_the_change_alone() -> None:
    mixed = {"quantize": {"mixed": {"formats": ["int8", "float32"], "fixed": {"conv1": "float32"}}}}
    found = changed({"name": "slim40-int8"}, mixed, {"quantize": {"mixed": {"budget": 11000}}}, format="mixed")
    assert found == {"name": "slim40-mixed", **mixed}


def test_a_plain_value_takes_the_place_of_the_old_one() -> None:
    own = {"name": "int8", "quantize": {"calibration_samples": 2, "algorithm": "mse"}}
    assert changed(own, {"quantize": {"calibration_samples": 200}})["quantize"] == {
        "calibration_samples": 200, "algorithm": "mse"}


class Told(Watcher):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def test_a_change_that_cannot_be_made_is_no_failure_to_a_watcher() -> None:
    told = Told()
    call = Call(label="quantize:mixed", stage="quantize", options=Record(), inputs={}, key="k", versions={})
    for outcome in (Outcome(call, "failed", error=StageError("no room")), Outcome(call, "made")):
        Quieted(told).ended(outcome)
    assert [(each.status, each.error) for each in told.outcomes] == [("kept", None), ("made", None)]


def test_an_entry_is_written_as_a_run_file_has_it() -> None:
    entry = VariantEntry.model_validate({"name": "int8", "quantize": {"algorithm": "mse"}})
    assert list(lines_of(entry)) == ["- name: int8", '  quantize: {"algorithm": "mse"}']
