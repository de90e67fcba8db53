"""numpy files: arrays of objects are found by their header."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from stages.models.untrusted.arrays import scan_npy, scan_npz
from stages.models.untrusted.records import ScanLimits
from tests.stages.models import hostile

LIMITS = ScanLimits()


def saved(array: np.ndarray) -> io.BytesIO:
    buffer = io.BytesIO()
    np.save(buffer, array)
    buffer.seek(0)
    return buffer


def test_plain_arrays_have_no_findings() -> None:
    assert scan_npy(saved(np.zeros((3, 2), np.float32)), "a.npy") == []


@pytest.mark.parametrize("dtype", [object, [("name", "O"), ("size", "<i4")]])
def test_arrays_of_objects_are_found(dtype: object) -> None:
    found = scan_npy(saved(np.zeros(2, dtype)), "a.npy")
    assert [(finding.what, finding.where) for finding in found] == [("a numpy array of Python objects", "a.npy")]


def test_a_pickle_instead_of_an_array_is_found_and_not_read(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    found = scan_npy(io.BytesIO(hostile.pickled(marker)), "a.npy")
    assert [finding.what for finding in found] == ["a numpy array that is damaged or a Python pickle"]
    assert not marker.exists()


def test_every_array_of_an_archive_is_looked_at(tmp_path: Path) -> None:
    found = scan_npz(hostile.pickled_npz(tmp_path / "marker"), "w.npz", LIMITS)
    assert [finding.where for finding in found] == ["w.npz: 'weights.npy'"]


def test_an_archive_above_the_limit_or_damaged_is_found() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(1000))
    assert scan_npz(buffer.getvalue(), "w.npz", LIMITS) == []
    assert "1 arrays of 8," in scan_npz(buffer.getvalue(), "w.npz", ScanLimits(unpacked_bytes=1000))[0].what
    assert scan_npz(b"PK\x03\x04", "w.npz", LIMITS)[0].what == "an .npz archive that is damaged"
