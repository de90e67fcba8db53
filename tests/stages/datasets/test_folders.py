"""Folders of samples: layouts that are taken, and those that are refused with the folder's name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from device_profiles.errors import DataError
from stages.datasets.folders import Rules, check_pattern, folder_digest, list_folder, slice_columns

RULES = Rules((".png", ".jpg"), (".gif",))


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def test_files_come_in_order_with_class_and_name(tmp_path: Path) -> None:
    listing = list_folder(make(tmp_path, "b/2.png", "b/10.png", "a/x/y.JPG", "a/z.png"), RULES)
    assert [(file.name, file.label) for file in listing.files] == [
        ("a/x/y.JPG", "a"), ("a/z.png", "a"), ("b/10.png", "b"), ("b/2.png", "b")]
    assert listing.class_names == ("a", "b")
    assert all(file.path.read_bytes() == file.name.encode() for file in listing.files)


def test_a_train_folder_makes_splits_and_classes_lie_below(tmp_path: Path) -> None:
    listing = list_folder(make(tmp_path, "test/b/1.png", "Train/a/1.png", "Train/b/1.png", "val/a/1.png"), RULES)
    assert [(file.split, file.label) for file in listing.files] == [
        ("train", "a"), ("train", "b"), ("validation", "a"), ("test", "b")]


def test_a_class_called_valid_is_a_class_without_a_train_folder(tmp_path: Path) -> None:
    assert list_folder(make(tmp_path, "valid/1.png", "invalid/1.png"), RULES).class_names == ("invalid", "valid")


def test_hidden_files_and_other_types_are_passed_over_and_related_ones_named(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "a/.2.png", "a/.hidden/3.png", ".git/4.png", "__MACOSX/5.png", "a/notes.txt", "a/6.GIF",
         "readme.md")
    listing = list_folder(tmp_path, RULES)
    assert [file.name for file in listing.files] == ["a/1.png"]
    assert listing.others == ("a/6.GIF",)


def test_patterns_give_label_and_group(tmp_path: Path) -> None:
    rules = Rules((".png",), labels_from=r"^(?P<label>\d)_", group=r"_(?P<group>\w+?)_")
    listing = list_folder(make(tmp_path, "0_ann_1.png", "1_bob_1.png"), rules)
    assert [(file.label, file.group) for file in listing.files] == [("0", "ann"), ("1", "bob")]


def test_linked_folders_are_followed_and_a_circle_is_not(tmp_path: Path) -> None:
    make(tmp_path / "store", "cats/1.png")
    make(tmp_path / "data", "dogs/1.png")
    (tmp_path / "data" / "cats").symlink_to(tmp_path / "store" / "cats")
    (tmp_path / "data" / "dogs" / "again").symlink_to(tmp_path / "data" / "dogs")
    assert [file.name for file in list_folder(tmp_path / "data", RULES).files] == ["cats/1.png", "dogs/1.png"]


def test_a_relative_folder_gives_the_same_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a/1.png")
    monkeypatch.chdir(tmp_path)
    assert [file.name for file in list_folder(Path(), RULES).files] == ["a/1.png"]


def test_a_name_that_is_not_utf8_can_be_written(tmp_path: Path) -> None:
    folder = make(tmp_path, "a/1.png") / "a"
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    assert [file.name for file in list_folder(tmp_path, RULES).files] == ["a/1.png", "a/\\xff.png"]


@pytest.mark.parametrize(("names", "message"), [
    ((), "holds no class folder"),
    (("1.png", "2.png", "a/1.png"), "holds 2 file(s) outside of any class folder, the first is 1.png"),
    (("a/1.png", "b/notes.txt"), "b holds no .jpg, .png file"),
    (("train/a/1.png", "test/notes.txt"), "test holds no class folder"),
    (("train/a/1.png", "train/1.png"), "train holds 1 file(s) outside of any class folder"),
    (("train/a/1.png", "extra/a/1.png"), "beside it 'extra'"),
    (("train/a/1.png", "val/a/1.png", "valid/a/1.png"), "holds val and valid"),
    (("test/a/1.png", "val/a/1.png"), "holds test, val and no train folder"),
])
def test_another_layout_is_refused_with_the_folder(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError) as caught:
        list_folder(make(tmp_path, *names), RULES)
    assert message in caught.value.found
    assert str(tmp_path) in caught.value.found
    assert caught.value.allowed


def test_a_pattern_that_misses_a_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"finds no 'group' in a/x1\.png"):
        list_folder(make(tmp_path, "a/s1.png", "a/x1.png"), Rules((".png",), group=r"s(?P<group>\d)"))


@pytest.mark.parametrize("make_file", [False, True])
def test_what_is_no_folder_is_refused(tmp_path: Path, make_file: bool) -> None:
    path = tmp_path / "data"
    if make_file:
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"data cannot be read: (Not a directory|No such file)"):
        list_folder(path, RULES)


@pytest.mark.parametrize(("pattern", "message"), [("(", "not a regular expression"), ("a", r"\(\?P<label>")])
def test_a_pattern_without_its_part_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_pattern(pattern, "label")


def test_the_digest_follows_content_name_and_class_but_not_time(tmp_path: Path) -> None:
    def digest() -> str:
        return folder_digest(list_folder(tmp_path, RULES), None)

    make(tmp_path, "a/1.png", "b/1.png")
    seen = [digest()]
    os.utime(tmp_path / "a/1.png", (1, 1))
    assert digest() == seen[0]
    (tmp_path / "a/1.png").write_bytes(b"other")
    seen.append(digest())
    (tmp_path / "a/1.png").rename(tmp_path / "a/2.png")
    seen.append(digest())
    (tmp_path / "b").rename(tmp_path / "c")
    seen.append(digest())
    assert len(set(seen)) == 4


def test_each_named_part_of_the_slice_pattern_is_a_column(tmp_path: Path) -> None:
    make(tmp_path, "a/day_rome_1.png", "b/night_oslo_2.png")
    rules = Rules((".png",), slices=r"/(?P<light>day|night)_(?P<city>[a-z]+)_")
    assert slice_columns(list_folder(tmp_path, rules).files) == {"light": ["day", "night"], "city": ["rome", "oslo"]}
    assert slice_columns(()) == {}
    with pytest.raises(DataError, match="finds no 'light' in a/day_rome_1"):
        list_folder(tmp_path, Rules((".png",), slices=r"(?P<light>dusk)"))
    with pytest.raises(ValueError, match="has no named part"):
        check_pattern("day|night", "")
