"""`.keras` archives: members that lead out, bombs, pickles; what is harmless passes."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from stages.models.untrusted.archive import scan_archive
from stages.models.untrusted.records import Finding, ScanLimits
from tests.stages.models import hostile

LIMITS = ScanLimits()


def only(path: Path, limits: ScanLimits = LIMITS) -> Finding:
    found = scan_archive(path, (), limits)
    assert len(found) == 1, found
    return found[0]


def test_a_harmless_archive_has_no_findings(tmp_path: Path) -> None:
    given = hostile.archive(tmp_path / "m.keras", extra=[("assets/layers/vocabulary.txt", b"a\nb\n")])
    assert scan_archive(given, (), LIMITS) == []


@pytest.mark.parametrize("name", ["../evil.py", "/tmp/evil.py", "assets/../../evil", "..\\evil.py", "C:\\evil.py"])
def test_a_member_that_points_outside_is_found_and_not_unpacked(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    found = only(hostile.archive(folder / "m.keras", extra=[(name, b"evil")]))
    assert found.what == "a member that points outside"
    assert found.where == repr(name)
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]


def test_a_symbolic_link_is_found(tmp_path: Path) -> None:
    found = only(hostile.archive(tmp_path / "m.keras", extra=[(hostile.symlink("assets/link"), b"/etc/passwd")]))
    assert (found.what, found.where) == ("a symbolic link", "'assets/link'")


def test_a_name_that_stands_there_twice_is_found(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        given = hostile.archive(tmp_path / "m.keras", extra=[("config.json", b"{}")])
    assert only(given).what == "2 members of one name"


@pytest.mark.parametrize("name", ["assets/state.pkl", "assets/module.PT"])
def test_a_pickle_is_found_by_its_name_and_not_read(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "marker"
    found = only(hostile.archive(tmp_path / "m.keras", extra=[(name, hostile.pickled(marker))]))
    assert (found.what, found.where) == ("a Python pickle", repr(name))
    assert not marker.exists()


def test_an_array_of_objects_is_found_and_not_unpickled(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    content = hostile.pickled_npz(marker)
    found = only(hostile.archive(tmp_path / "m.keras", extra=[("model.weights.npz", content)]))
    assert found.what == "a numpy array of Python objects"
    assert found.where == "model.weights.npz: 'weights.npy'"
    assert not marker.exists()


def test_a_member_that_keras_does_not_write_is_found(tmp_path: Path) -> None:
    found = only(hostile.archive(tmp_path / "m.keras", extra=[("setup.py", b"")]))
    assert (found.what, found.where) == ("a member that Keras does not write", "'setup.py'")


def test_a_bomb_is_found_before_it_is_unpacked(tmp_path: Path) -> None:
    given = hostile.archive(tmp_path / "m.keras", extra=[("assets/zeros", bytes(32 << 20))])
    found = only(given)
    assert found.what.startswith("33,554,432 bytes packed into ")
    assert found.where == "'assets/zeros'"


def test_limits_on_bytes_and_members_hold(tmp_path: Path) -> None:
    given = hostile.archive(tmp_path / "m.keras")
    assert only(given, ScanLimits(members=2)).what == "3 members"
    total = sum(member.file_size for member in zipfile.ZipFile(given).infolist())
    assert scan_archive(given, (), ScanLimits(unpacked_bytes=total)) == []
    assert only(given, ScanLimits(unpacked_bytes=total - 1)).what == f"{total:,} bytes once it is unpacked"


def test_a_description_above_the_limit_is_not_read(tmp_path: Path) -> None:
    given = hostile.archive(tmp_path / "m.keras", config="[" * 5_000)
    found = only(given, ScanLimits(config_bytes=4_999))
    assert found.what == "a description of the layers of 5,000 bytes"


@pytest.mark.parametrize("keep", [200, 900])
def test_a_truncated_archive_is_a_finding_and_no_crash(tmp_path: Path, keep: int) -> None:
    given = hostile.archive(tmp_path / "m.keras")
    given.write_bytes(given.read_bytes()[:keep])
    assert only(given).what == "a zip archive that is damaged"


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    given = hostile.archive(tmp_path / "m.keras", extra=[("assets/text", b"")], config=json.dumps(hostile.sequential()))
    content = bytearray(given.read_bytes())
    content[content.index(b"Sequential")] ^= 1
    given.write_bytes(content)
    assert "Bad CRC-32" in only(given).why


def test_members_that_share_their_bytes_are_found(tmp_path: Path) -> None:
    given = hostile.archive(tmp_path / "m.keras", weights=bytes(1000))
    content = bytearray(given.read_bytes())
    for _ in range(2):  # the sizes in the directory's entry for the weights stand 20 bytes after its signature
        at = content.rindex(b"PK\x01\x02") + 20
        content[at:at + 8] = (500_000).to_bytes(4, "little") * 2
    given.write_bytes(content)
    assert "members that overlap" in [finding.what for finding in scan_archive(given, (), LIMITS)]


def test_the_weights_inside_are_looked_into(tmp_path: Path) -> None:
    path = hostile.h5_with(tmp_path / "w.h5", "soft link", tmp_path)
    found = only(hostile.archive(tmp_path / "m.keras", weights=path.read_bytes()))
    assert found.where == "model.weights.h5: /model_weights/dense/kernel:0"
