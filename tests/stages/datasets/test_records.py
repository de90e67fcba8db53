"""The registry of sources."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from stages import prepare
from stages.datasets import SOURCES
from stages.datasets.records import SPLITS


def test_splits_come_in_the_order_of_their_use() -> None:
    assert SPLITS == ("train", "validation", "test")


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_source_keeps_the_contract_and_bears_its_own_name(name: str) -> None:
    source = SOURCES[name]
    assert source.Settings.model_fields["kind"].default == name
    assert callable(source.load)
    assert callable(source.source_digest)
    assert isinstance(source.LIBRARIES, tuple)


def test_a_source_can_be_named_by_a_word_or_spelled_out(tmp_path: Path) -> None:
    assert prepare.Settings(source="digits") == prepare.Settings(source={"kind": "digits"})
    assert prepare.Settings(source={"kind": "npz", "path": tmp_path}).source.path == tmp_path


@pytest.mark.parametrize("source", ["digist", {"kind": "npz"}, {"kind": "digits", "path": "x"}])
def test_an_unknown_or_incomplete_source_is_refused(source: object) -> None:
    with pytest.raises(ValidationError, match="source"):
        prepare.Settings(source=source)
