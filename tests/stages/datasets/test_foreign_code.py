"""Whatever foreign code raises becomes one error; what is the project's own, or a stop, is let through."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles.errors import DataError, StoreError
from stages.datasets.foreign_code import ForeignCode


class OddError(Exception):
    """An error that nobody expects."""


def fail(error: BaseException) -> None:
    raise error


def test_any_error_becomes_one_with_type_message_and_line() -> None:
    with pytest.raises(DataError) as caught, ForeignCode("my:code", "allowed", "next", Path(__file__)):
        fail(OddError("out of cheese"))
    assert caught.value.found.startswith("my:code raised OddError: out of cheese (")
    assert "test_foreign_code.py, line " in caught.value.found
    assert caught.value.found.endswith(": raise error)")
    assert (caught.value.allowed, caught.value.next_step) == ("allowed", "next")
    assert isinstance(caught.value.__cause__, OddError)


def test_no_line_is_named_where_no_source_is() -> None:
    with pytest.raises(DataError) as caught, ForeignCode("a download"):
        fail(ValueError("no such host"))
    assert caught.value.found == "a download raised ValueError: no such host"


@pytest.mark.parametrize("error", [StoreError("full"), KeyboardInterrupt(), SystemExit(3)])
def test_own_errors_and_stops_are_let_through(error: BaseException) -> None:
    with pytest.raises(type(error)), ForeignCode("my:code"):
        fail(error)
