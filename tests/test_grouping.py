"""Groups of test files: found by their fixtures, kept whole, and given out in an order of which nothing is stale."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from tests.grouping import LONGEST_FIRST, SHARED, SMALL_RUN, TESTS, TRAININGS, group_of, longest_first, scheduler


@pytest.mark.parametrize(("file", "group"), [
    ("tests/pipeline/test_session.py", SMALL_RUN), ("tests/pipeline/cli/test_explaining.py", SMALL_RUN),
    ("tests/stages/test_prune.py", TRAININGS), ("tests/stages/slimming/test_rounds.py", TRAININGS),
    ("tests/stages/test_worker.py", "tests/stages/test_worker.py"), ("tests/absent.py", "tests/absent.py")])
def test_a_file_belongs_to_the_group_whose_fixture_it_asks_for(file: str, group: str) -> None:
    assert group_of(file) == group


def test_everything_in_the_order_is_there() -> None:
    assert [name for name in LONGEST_FIRST if name not in SHARED and not (TESTS.parent / name).is_file()] == []
    assert [name for name in LONGEST_FIRST if name not in SHARED and group_of(name) != name] == []
    assert len(set(LONGEST_FIRST)) == len(LONGEST_FIRST)


@dataclass(frozen=True)
class Item:
    """As much of a collected test as is looked at."""

    nodeid: str


def test_what_takes_longest_comes_first_and_groups_stay_whole_in_their_order() -> None:
    given = ["tests/few.py::a", "tests/many.py::b", "tests/many.py::a", "tests/stages/test_train.py::a",
             "tests/pipeline/test_faults.py::a", "tests/stages/test_prune.py::a"]
    items: list[Any] = [Item(name) for name in given]
    longest_first(items)
    assert [item.nodeid for item in items] == [
        "tests/pipeline/test_faults.py::a", "tests/stages/test_train.py::a", "tests/stages/test_prune.py::a",
        "tests/many.py::b", "tests/many.py::a", "tests/few.py::a"]


def test_other_distributions_than_by_file_are_left_to_xdist() -> None:
    config: Any = SimpleNamespace(getvalue=lambda name: {"dist": "worksteal"}[name])
    assert scheduler(config, None) is None


def test_tests_are_given_out_by_group() -> None:
    option = SimpleNamespace(loadscopereorder=True)
    config: Any = SimpleNamespace(getvalue=lambda name: {"dist": "loadfile", "tx": ["2*popen"]}[name], option=option)
    made = scheduler(config, None)
    assert made._split_scope("tests/stages/test_prune.py::test_x[a::b]") == TRAININGS
    assert made._split_scope("tests/stages/test_worker.py::test_y") == "tests/stages/test_worker.py"
    assert option.loadscopereorder is False
