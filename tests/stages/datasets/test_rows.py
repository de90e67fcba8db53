"""Rows of a file: appended, read where they are indexed, never all at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest

from device_profiles.errors import StoreError
from stages.datasets.rows import RowPlacer, Rows, RowWriter, slices

NUMBERS = np.arange(24, dtype=np.float32).reshape(6, 2, 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with RowWriter(tmp_path / "x.npy") as writer:
        writer.append(NUMBERS[:4])
        writer.append(NUMBERS[4:])
    return tmp_path / "x.npy"


def test_what_was_appended_is_an_npy_file_that_numpy_reads(file: Path) -> None:
    assert np.array_equal(np.load(file), NUMBERS)


@pytest.mark.parametrize("key", [slice(None), slice(1, 3), slice(5, 2), slice(0, 6, 2), slice(-2, None), [5, 0, 0, -1],
                                 np.array([True, False, False, True, False, False]), np.array([], np.int64)])
def test_indexing_gives_what_the_array_itself_would_give(file: Path, key: object) -> None:
    assert np.array_equal(Rows(file)[key], NUMBERS[key])  # type: ignore[index]


def test_one_number_gives_one_row(file: Path) -> None:
    assert Rows(file)[2].tolist() == [[8, 9], [10, 11]]
    assert Rows(file)[-1].tolist() == [[20, 21], [22, 23]]


def test_it_has_the_shape_type_and_length_of_what_it_gives(file: Path) -> None:
    halved = Rows(file, lambda rows: (rows[..., 0] / 2).astype(np.float16))
    assert (halved.shape, halved.dtype, len(halved), halved.ndim, halved.nbytes) == ((6, 2), np.float16, 6, 2, 24)
    assert halved[1].tolist() == [2, 3]


def test_loading_all_gives_the_same_as_row_by_row(file: Path) -> None:
    rows = Rows(file, lambda values: values + 1)
    assert np.array_equal(rows.load(), NUMBERS + 1)
    assert np.array_equal(np.asarray(rows), NUMBERS + 1)


def test_structured_rows_come_back_by_field(tmp_path: Path) -> None:
    values = np.zeros(3, [("image", np.uint8, (2, 2, 1)), ("age", np.float32, (1,))])
    values["age"][:, 0] = [1, 2, 3]
    with RowWriter(tmp_path / "x.npy") as writer:
        writer.append(values)
    rows = Rows(tmp_path / "x.npy")
    assert rows[[2, 0]]["age"].ravel().tolist() == [3, 1]
    assert rows.dtype == values.dtype


def test_no_rows_are_a_file_of_no_rows(tmp_path: Path) -> None:
    with RowWriter(tmp_path / "x.npy") as writer:
        writer.append(NUMBERS[:0])
    assert Rows(tmp_path / "x.npy")[:].shape == (0, 2, 2)


@pytest.mark.parametrize("row", [6, -7, [0, 6]])
def test_a_row_that_is_not_there_is_an_index_error(file: Path, row: int | list[int]) -> None:
    with pytest.raises(IndexError, match="of 6"):
        Rows(file)[row]


def test_rows_of_another_shape_or_type_are_refused(tmp_path: Path) -> None:
    with RowWriter(tmp_path / "x.npy") as writer:
        writer.append(NUMBERS)
        with pytest.raises(ValueError, match="rows of float32"):
            writer.append(NUMBERS[:, :1])
        with pytest.raises(ValueError, match="rows of float64"):
            writer.append(NUMBERS.astype(np.float64))


def test_a_file_that_ends_early_says_at_which_row(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-8])
    rows = Rows(file)
    assert rows[4].tolist() == [[16, 17], [18, 19]]
    with pytest.raises(StoreError, match="ends before row 6"):
        rows[5]


@pytest.mark.parametrize("content", [None, b"", b"not numpy", b"\x93NUMPY\x01\x00"])
def test_what_is_no_npy_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(StoreError, match=r"x\.npy cannot be read"):
        Rows(tmp_path / "x.npy")


def test_pickled_objects_and_other_orders_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}, {}]), allow_pickle=True)
    np.save(tmp_path / "fortran.npy", np.asfortranarray(NUMBERS[:, :, 0]))
    for name in ("objects", "fortran"):
        with pytest.raises(StoreError):
            Rows(tmp_path / f"{name}.npy")


def test_walking_through_a_file_does_not_take_its_size_in_memory(tmp_path: Path) -> None:
    with RowWriter(tmp_path / "x.npy") as writer:
        for _ in range(64):
            writer.append(np.ones((256, 1024), np.float32))  # 64 MiB in all
    rows, process = Rows(tmp_path / "x.npy"), psutil.Process()
    order = np.random.default_rng(0).permutation(len(rows))
    before = process.memory_info().rss
    total = sum(float(rows[order[part]].sum()) for part in slices(len(rows), 4096, 1 << 20))
    assert total == 64 * 256 * 1024
    assert process.memory_info().rss - before < 16 << 20


RECORDS = np.array([(i, [i, 0]) for i in range(6)], [("a", "u1"), ("b", "f4", (2,))])


@pytest.mark.parametrize("values", [NUMBERS, RECORDS])
def test_rows_placed_in_any_order_make_the_file_that_numpy_writes(values: np.ndarray, tmp_path: Path) -> None:
    with RowPlacer(tmp_path / "x.npy", 6) as file:
        for start, stop in ((4, 6), (0, 1), (1, 4), (0, 1)):
            file.put(start, values[start:stop])
    np.save(tmp_path / "wanted.npy", values)
    assert (tmp_path / "x.npy").read_bytes() == (tmp_path / "wanted.npy").read_bytes()


def _put_and_fail(file: RowPlacer) -> None:
    file.put(4, NUMBERS[4:])
    file.put(0, NUMBERS.reshape(7, 3))


def test_nothing_is_left_of_a_file_whose_rows_did_not_all_come(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="reshape"), RowPlacer(tmp_path / "x.npy", 6) as file:
        _put_and_fail(file)
    assert list(tmp_path.iterdir()) == []


def test_slices_cover_all_rows_in_parts_of_the_size_asked_for() -> None:
    assert [(part.start, part.stop) for part in slices(10, 3, 12)] == [(0, 4), (4, 8), (8, 10)]
    assert list(slices(0, 3)) == []
    assert [(part.start, part.stop) for part in slices(2, 100, 1)] == [(0, 1), (1, 2)]
