"""One pass over a source: what is kept, counted and refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import DataError
from stages.datasets.collecting import collect
from stages.datasets.records import Chunk, Reader
from stages.records import SkippedSample


class Given(Reader):
    """A source of the chunks that a test hands it."""

    def __init__(self, *chunks: Chunk, skipped: int = 0) -> None:
        super().__init__(class_names=("a", "b"), total=4)
        self._chunks = chunks
        self.skipped = [SkippedSample(name=f"{i}.png", reason="truncated") for i in range(skipped)]

    def chunks(self) -> Iterator[Chunk]:
        yield from self._chunks


def chunk(*values: float, **more: object) -> Chunk:
    x = np.repeat(np.array(values, np.float32)[:, None], 2, axis=1)
    x[:, 1] += 1
    return Chunk(x=x, y=np.zeros(len(values), np.int64), **more)  # type: ignore[arg-type]


def test_chunks_become_one_file_with_labels_names_and_digests(tmp_path: Path) -> None:
    seen = []
    found = collect(Given(chunk(1, 2, names=["u", "v"], groups=["g", "h"], splits=["", "test"]),
                          chunk(1, names=["w"], groups=["g"], splits=["train"])), tmp_path,
                    lambda done, total: seen.append((done, total)))
    assert found.rows()[:].tolist() == [[1, 2], [2, 3], [1, 2]]
    assert (found.names, found.groups, found.given) == (["u", "v", "w"], ["g", "h", "g"], ["", "test", "train"])
    assert found.digests[0] == found.digests[2] != found.digests[1]
    assert found.y is not None
    assert found.y.shape == (3,)
    assert (found.lowest, found.highest, found.class_names) == (1, 3, ("a", "b"))
    assert seen == [(2, 4), (3, 4)]


def test_odd_samples_are_counted_where_they_are(tmp_path: Path) -> None:
    bad = chunk(1, 2, 3)
    bad.x[1, 0] = np.nan
    bad.x[2] = 5
    found = collect(Given(chunk(9), bad), tmp_path, lambda done, total: None)
    assert found.not_finite == [2]
    assert found.constant == 1


@pytest.mark.parametrize(("chunks", "message"), [
    ((), "no samples"),
    ((chunk(1), Chunk(x=np.zeros((1, 3), np.float32), y=np.zeros(1))), "differ in shape or type"),
    ((Chunk(x=np.zeros((1, 3)), y=np.zeros(1)),), "samples of float64"),
    ((chunk(1, splits=["tset"]),), "a split 'tset'"),
    ((chunk(1, 2, names=["u", "v"]), chunk(3)), "2 names for 3 samples"),
    ((chunk(1, 2), Chunk(x=np.zeros((1, 2), np.float32), y=None)), "2 labels for 3 samples"),
])
def test_what_no_split_could_use_is_refused(tmp_path: Path, chunks: tuple[Chunk, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        collect(Given(*chunks), tmp_path, lambda done, total: None)


def test_a_source_in_which_nothing_can_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no samples; 2 could not be read, the first is 0\.png: truncated"):
        collect(Given(skipped=2), tmp_path, lambda done, total: None)
