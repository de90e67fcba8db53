"""Pydantic's errors become faults of the file: the right place, the right model, one fault a cause."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field, ValidationError

from device_profiles.records import Record
from device_profiles.strictyaml_faults import Fault, faults_of
from device_profiles.strictyaml_tree import Spot, read_tree


class Inner(Record):
    size: int = Field(description="how big")
    unit: Literal["mm", "cm"] = "mm"


class Outer(Record):
    inner: Inner | None = None
    either: Inner | str = "x"
    named: dict[str, Inner] = Field(default_factory=dict)
    pairs: tuple[tuple[str, Inner], ...] = ()
    some: tuple[int, ...] = Field((1,), min_length=1)


def faults(text: str) -> list[Fault]:
    import json

    tree = read_tree(text, "f.yaml")
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate_json(json.dumps(tree.data), strict=True)
    return faults_of(tree, Outer, caught.value)


def test_faults_come_in_the_order_of_the_file_and_not_of_the_model() -> None:
    found = faults("named: {a: {size: x}}\ninner: {size: y}\n")
    assert [fault.path for fault in found] == [("named", "a", "size"), ("inner", "size")]


def test_a_unit_inside_a_tuple_in_a_tuple_is_found_at_its_place() -> None:
    (fault,) = faults("pairs:\n  - [a, {size: 1, unit: km}]\n")
    assert (fault.path, fault.spot) == (("pairs", 0, 1, "unit"), Spot(2, 25))
    assert (fault.found, fault.allowed) == ("'pairs[0][1].unit' is the text 'km'", "mm, cm")


def test_an_unknown_key_inside_a_tuple_has_the_inner_models_keys() -> None:
    found = faults("pairs:\n  - [a, {size: 1, units: mm}]\n")
    assert (found[0].allowed, found[0].next_step) == ("size, unit", "did you mean 'unit'?")


def test_a_fault_inside_one_branch_of_a_union_hides_the_opinion_of_the_other_branch() -> None:
    (fault,) = faults("either: {size: x}\n")
    assert (fault.path, fault.allowed) == (("either", "size"), "a whole number")


def test_a_value_that_no_branch_takes_lists_what_each_would() -> None:
    (fault,) = faults("either: 5\n")
    assert fault.allowed == "a mapping, or text"


def test_a_wrong_item_hides_that_the_list_is_then_too_short() -> None:
    (fault,) = faults("some: [x]\n")
    assert fault.path == ("some", 0)


def test_a_missing_key_stands_at_the_mapping_that_lacks_it() -> None:
    (fault,) = faults("named:\n  a: {unit: mm}\n")
    assert (fault.spot, fault.found, fault.allowed) == (Spot(2, 3), "the key 'named.a.size' is missing", "how big")
