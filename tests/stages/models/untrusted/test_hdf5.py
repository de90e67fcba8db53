"""HDF5 files: links and storage that lead outside, filters, sizes, and the description inside."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from stages.models.untrusted.hdf5 import scan_hdf5, scan_hdf5_head
from stages.models.untrusted.records import Finding, ScanLimits
from tests.stages.models import hostile

LIMITS = ScanLimits()


def found_in(path: Path, limits: ScanLimits = LIMITS) -> list[Finding]:
    return scan_hdf5(path, "m.h5", (), limits)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["secret"] = np.arange(4, dtype=np.float32)
    return path


@pytest.mark.parametrize(("trick", "what"), [
    ("external link", "an external link to '/secret' in the file '{secret}'"),
    ("soft link", "a soft link to '/somewhere/else'"),
    ("external storage", "a data set kept in the file '{secret}'"),
    ("virtual", "a virtual data set"),
])
def test_what_reaches_outside_is_found_by_path(tmp_path: Path, secret: Path, trick: str, what: str) -> None:
    found = found_in(hostile.h5_with(tmp_path / "m.h5", trick, secret))
    assert [finding.what for finding in found] == [what.format(secret=secret)]
    assert found[0].where == "m.h5: /model_weights/dense/kernel:0"


def test_a_link_to_a_missing_file_is_found_because_it_is_not_followed(tmp_path: Path) -> None:
    found = found_in(hostile.h5_with(tmp_path / "m.h5", "external link", tmp_path / "missing.h5"))
    assert "missing.h5" in found[0].what


def test_a_loop_of_hard_links_ends(tmp_path: Path) -> None:
    assert found_in(hostile.h5_with(tmp_path / "m.h5", "hard loop", tmp_path)) == []


def test_a_data_set_that_claims_more_than_the_limit_is_found_unread(tmp_path: Path) -> None:
    path = hostile.h5_model(tmp_path / "m.h5", hostile.sequential())
    with h5py.File(path, "a") as file:
        file.create_dataset("bomb", (1 << 40,), np.float32, chunks=(1 << 20,))
    assert path.stat().st_size < 1 << 20
    assert [finding.what for finding in found_in(path)] == [f"data sets of {4 << 40:,} bytes in all"]


def test_a_filter_that_would_load_a_plugin_is_found(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((4,))
        plan.set_filter(32_001, h5py.h5z.FLAG_OPTIONAL)
        h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((4,)), plan)
        file.create_dataset("zipped", data=np.zeros(100), compression="gzip", shuffle=True)
        file.create_dataset("lzf", data=np.zeros(100), compression="lzf")
    assert [(finding.what, finding.where) for finding in found_in(path)] == [
        ("a data set packed with filter 32001", "m.h5: /x")]


def test_the_number_of_objects_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        for number in range(12):
            file.create_group(f"g{number}")
    assert found_in(path, ScanLimits(nodes=12)) == []
    assert [finding.what for finding in found_in(path, ScanLimits(nodes=11))] == ["more than 11 objects"]


def test_a_lambda_in_the_description_is_found(tmp_path: Path) -> None:
    evil = {"class_name": "Lambda", "config": {"name": "evil", "function": ["4wEAAAA=", None, None]}}
    found = found_in(hostile.h5_model(tmp_path / "m.h5", hostile.sequential(evil)))
    assert [(finding.what, finding.where) for finding in found] == [
        ("a Lambda layer", "m.h5: model_config: layer 'evil'")]


def test_a_description_above_the_limit_is_not_looked_into(tmp_path: Path) -> None:
    path = hostile.h5_model(tmp_path / "m.h5", hostile.sequential(*[hostile.dense()] * 50))
    found = found_in(path, ScanLimits(config_bytes=1_000))
    assert len(found) == 1
    assert found[0].what.startswith("a description of the layers of ")


@pytest.mark.parametrize("keep", [8, 100, 1_000])
def test_a_truncated_file_is_a_finding_and_no_crash(tmp_path: Path, keep: int) -> None:
    path = hostile.h5_model(tmp_path / "m.h5", hostile.sequential())
    path.write_bytes(path.read_bytes()[:keep])
    assert [finding.what for finding in found_in(path)] == ["HDF5 that is damaged"]


def test_the_head_tells_the_keras_and_whether_there_is_a_model(tmp_path: Path) -> None:
    head = scan_hdf5_head(hostile.h5_model(tmp_path / "m.h5", hostile.sequential(), version="2.3.0-tf"))
    assert (head.has_model, head.version) == (True, "2.3.0-tf")
    (tmp_path / "w.h5").write_bytes(hostile.hdf5())
    head = scan_hdf5_head(tmp_path / "w.h5")
    assert (head.has_model, head.version) == (False, "")
