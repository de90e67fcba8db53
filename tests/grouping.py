"""How `make test` divides the test files between its processes: who shares a process, and what comes first.

A fixture of the whole session is made once a process. Files that share a dear one are therefore given to the same
process, and what takes longest is given out first, so that none is left with a minute's work when the others are done.
"""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent
SMALL_RUN, TRAININGS = "the small run", "the trained models"
SHARED = {SMALL_RUN: {"small_run", "small_folder"}, TRAININGS: {"trained", "pruned", "float_tflite", "qat_model"}}
"""Fixtures by the name of the group that the files which ask for them make up."""
LONGEST_FIRST = (
    "tests/pipeline/test_faults.py", TRAININGS, "tests/pipeline/test_guides.py", SMALL_RUN,
    "tests/stages/models/test_importing.py", "tests/stages/models/test_bridge_zoo.py", "tests/stages/test_interface.py",
    "tests/stages/models/test_applications.py", "tests/stages/test_client.py", "tests/stages/test_evaluate.py",
    "tests/test_package.py", "tests/stages/test_mixing_engines.py", "tests/stages/models/test_coverage.py",
    "tests/stages/test_calibrate.py")
"""Groups and files that take longest by processor seconds; the others follow, those of most tests first."""


@cache
def group_of(file: str) -> str:
    """The group of a test file, given from the repository's root: the file itself where it shares nothing."""
    path = TESTS.parent / file
    text = path.read_text("utf-8") if path.is_file() else ""
    for group, fixtures in SHARED.items():
        if any(name in text for name in fixtures) and fixtures & _arguments(text):
            return group
    return file


def _arguments(text: str) -> set[str]:
    """Names of the arguments of a module's functions; pytest fills those of tests and fixtures with fixtures."""
    return {argument.arg for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)
            for argument in node.args.args}


def longest_first(items: list[pytest.Item]) -> None:
    """Put the tests in the order in which they are given out; those of a group stay together, in their order."""
    groups = {item: group_of(_file(item.nodeid)) for item in items}
    counts = Counter(groups.values())
    places = {group: place for place, group in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: (places.get(groups[item], len(places)), -counts[groups[item]], groups[item]))


def scheduler(config: pytest.Config, log: Any) -> Any:
    """In place of xdist's `--dist loadfile`: the same with groups for files, in the order of the tests."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class LoadGroups(LoadFileScheduling):
        """Gives out groups of files whole."""

        def _split_scope(self, nodeid: str) -> str:
            """The group of a test."""
            return group_of(_file(nodeid))

    config.option.loadscopereorder = False
    return LoadGroups(config, log)


def _file(nodeid: str) -> str:
    """The file of a test."""
    return nodeid.partition("::")[0]
