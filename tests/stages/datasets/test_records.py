"""What readers hand over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stages.datasets.records import SPLITS, Chunk, Reader


def test_splits_come_in_the_order_of_their_use() -> None:
    assert SPLITS == ("train", "validation", "test")


def test_a_reader_has_nothing_more_to_write_unless_it_says_so(tmp_path: Path) -> None:
    class Plain(Reader):
        def chunks(self) -> Iterator[Chunk]:
            yield Chunk(np.zeros((1, 1), np.uint8), None)

    reader = Plain()
    reader.write_extras(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert (reader.class_names, reader.skipped, reader.total) == ((), [], 0)
