"""Image folders: samples in a fixed order, broken images named and skipped."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from device_profiles.errors import DataError
from stages.datasets import image_folder
from stages.datasets.image_folder import Settings
from stages.datasets.records import Chunk, LabelKind, Reader


def image(path: Path, value: int, size: tuple[int, int] = (4, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size[1], size[0]), (value, 0, 0)).save(path)


def read(settings: Settings, labels: LabelKind = "classes") -> tuple[list[Chunk], Reader]:
    reader = image_folder.open_reader(settings, labels)
    return list(reader.chunks()), reader


def joined(chunks: list[Chunk], what: str) -> Any:
    return np.concatenate([getattr(chunk, what) for chunk in chunks])


def test_images_come_in_the_order_of_their_paths_whatever_thread_is_first(tmp_path: Path,
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_folder, "BLOCK", 2)
    monkeypatch.setattr(image_folder, "CHUNK_BYTES", 4 * 4 * 3 * 7)
    for i in range(40):
        image(tmp_path / ("odd" if i % 2 else "even") / f"{i:02}.png", i)
    chunks, reader = read(Settings(path=tmp_path))
    expected = [*range(0, 40, 2), *range(1, 40, 2)]
    assert joined(chunks, "x")[:, 0, 0, 0].tolist() == expected
    assert joined(chunks, "x").dtype == np.uint8
    assert joined(chunks, "y").tolist() == [0] * 20 + [1] * 20
    assert joined(chunks, "names").tolist() == [f"{'odd' if i % 2 else 'even'}/{i:02}.png" for i in expected]
    assert max(len(chunk.x) for chunk in chunks) == 7
    assert (reader.class_names, reader.total, reader.skipped) == (("even", "odd"), 40, [])


def test_broken_images_are_skipped_with_their_reason_and_the_rest_stays_in_line(tmp_path: Path) -> None:
    for i in range(5):
        image(tmp_path / "a" / f"{i}.png", i)
    image(tmp_path / "b" / "0.png", 9)
    (tmp_path / "a" / "1.png").write_bytes(b"")
    (tmp_path / "a" / "3.png").write_bytes((tmp_path / "a" / "3.png").read_bytes()[:50])
    (tmp_path / "a" / "5.gif").write_bytes(b"GIF89a")
    chunks, reader = read(Settings(path=tmp_path, size=(2, 2)))
    assert joined(chunks, "x")[:, 0, 0, 0].tolist() == [0, 2, 4, 9]
    assert joined(chunks, "y").tolist() == [0, 0, 0, 1]
    reasons = {skipped.name: skipped.reason for skipped in reader.skipped}
    assert set(reasons) == {"a/1.png", "a/3.png", "a/5.gif"}
    assert reasons["a/1.png"] == "an empty file"
    assert reasons["a/5.gif"] == "not of the formats JPEG, PNG, BMP"


def test_images_of_two_sizes_need_a_size(tmp_path: Path) -> None:
    image(tmp_path / "a" / "1.png", 1, (4, 6))
    image(tmp_path / "b" / "2.png", 1, (5, 6))
    with pytest.raises(DataError, match=r"a/1\.png is 4x6 pixels \(height x width\), b/2\.png is 5x6") as caught:
        read(Settings(path=tmp_path))
    assert caught.value.next_step == "set data.source.size: [4, 6]"
    assert read(Settings(path=tmp_path, size=(3, 2)))[0][0].x.shape == (2, 3, 2, 3)


def test_splits_and_groups_go_with_the_samples(tmp_path: Path) -> None:
    for name in ("train/a/ann1.png", "train/b/bob1.png", "test/a/eve1.png", "test/b/eve2.png"):
        image(tmp_path / name, 1)
    chunks, _ = read(Settings(path=tmp_path, color="gray", group=r"/(?P<group>[a-z]+)\d\.png$"))
    assert joined(chunks, "splits").tolist() == ["train", "train", "test", "test"]
    assert joined(chunks, "groups").tolist() == ["ann", "bob", "eve", "eve"]
    assert chunks[0].x.shape[1:] == (4, 4, 1)


def test_slices_of_the_path_go_with_the_samples(tmp_path: Path) -> None:
    for name in ("a/day1", "a/night1", "b/day2"):
        image(tmp_path / f"{name}.png", 3)
    chunks, _ = read(Settings(path=tmp_path, slices=r"/(?P<light>[a-z]+)\d"))
    assert [dict(chunk.slices) for chunk in chunks] == [{"light": ["day", "night", "day"]}]


def test_numbers_in_names_are_values(tmp_path: Path) -> None:
    for name in ("age_7.5.png", "age_12.png"):
        image(tmp_path / name, 1)
    settings = Settings(path=tmp_path, labels_from=r"age_(?P<label>.+)\.png")
    chunks, reader = read(settings, "values")
    assert (joined(chunks, "y").tolist(), reader.class_names) == ([12.0, 7.5], ())
    assert read(settings)[1].class_names == ("12", "7.5")
    image(tmp_path / "age_old.png", 1)
    with pytest.raises(DataError, match=r"labels_from finds 'old' in age_old\.png"):
        read(settings, "values")


@pytest.mark.parametrize("labels", ["multilabel", "values"])
def test_labels_that_folders_cannot_give_are_refused_with_a_way_out(tmp_path: Path, labels: Any) -> None:
    image(tmp_path / "a" / "1.png", 1)
    with pytest.raises(DataError) as caught:
        read(Settings(path=tmp_path), labels)
    assert "kind: function" in caught.value.next_step


@pytest.mark.parametrize(("setting", "message"), [
    ({"size": [0, 4]}, "1 to 4096"), ({"extensions": [".jpgg"]}, "did you mean '.jpg'"),
    ({"extensions": []}, "at least 1"),
    ({"group": "("}, "not a regular expression"), ({"labels_from": "a"}, "no part called 'label'"),
    ({"colour": "gray"}, "Extra inputs"), ({"fit": "squeeze"}, "'stretch', 'crop' or 'pad'"),
])
def test_settings_that_mean_nothing_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(path=Path(), **setting)
    assert message in str(caught.value)


def test_extensions_may_be_spelled_without_dot_and_bring_their_format(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.new("L", (2, 2), 5).save(tmp_path / "a" / "1.gif")
    settings = Settings(path=tmp_path, extensions=("GIF",), color="gray")
    assert read(settings)[0][0].x.shape == (1, 2, 2, 1)


def test_the_digest_needs_no_decoding_and_follows_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image(tmp_path / "data" / "a" / "1.png", 1)
    settings, cache = Settings(path=tmp_path / "data"), tmp_path / "cache.json"
    monkeypatch.setitem(sys.modules, "PIL", None)
    before = image_folder.source_digest(settings, cache)
    assert before.startswith("image_folder:sha256:")
    assert image_folder.source_digest(settings, cache) == before
    (tmp_path / "data" / "a" / "1.png").write_bytes(b"other")
    assert image_folder.source_digest(settings, cache) != before
