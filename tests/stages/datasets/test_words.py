"""Bare words for a source, and what they are short for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stages.datasets.words import spelled_out

KINDS = ("digits", "npz", "image_folder", "audio_folder", "csv", "parquet", "tfrecord", "tfds", "keras", "function")


def spell(value: Any) -> Any:
    return spelled_out(value, KINDS, lambda found, allowed: ValueError(f"{found} | {allowed}"))


@pytest.mark.parametrize(("word", "mapping"), [
    ("digits", {"kind": "digits"}),
    ("tfds:mnist", {"kind": "tfds", "name": "mnist"}),
    ("keras:cifar10", {"kind": "keras", "name": "cifar10"}),
    ("a/b.npz", {"kind": "npz", "path": "a/b.npz"}),
    ("B.CSV", {"kind": "csv", "path": "B.CSV"}),
    ("b.tsv", {"kind": "csv", "delimiter": "\t", "path": "b.tsv"}),
    ("b.parquet", {"kind": "parquet", "path": "b.parquet"}),
    ("my.data:load", {"kind": "function", "path": "my.data:load"}),
    ({"kind": "npz", "path": "x"}, {"kind": "npz", "path": "x"}),
    (7, 7),
])
def test_a_word_is_short_for_its_mapping(word: Any, mapping: Any) -> None:
    assert spell(word) == mapping


@pytest.mark.parametrize(("files", "kind"), [
    (["cats/1.jpg"], "image_folder"), (["yes/1.wav"], "audio_folder"), (["notes.txt", "yes/1.WAV"], "audio_folder"),
    ([], "image_folder"),
])
def test_a_folder_is_what_its_first_sample_is(tmp_path: Path, files: list[str], kind: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert spell(str(tmp_path)) == {"kind": kind, "path": str(tmp_path)}


@pytest.mark.parametrize(("word", "hint"), [
    ("digist", "did you mean 'digits'?"), ("imgs/", "no such folder"),
    ({"kind": "imagefolder"}, "did you mean 'image_folder'?"),
])
def test_an_unknown_word_is_refused_with_what_is_near(word: Any, hint: str) -> None:
    with pytest.raises(ValueError, match="no source is called") as caught:
        spell(word)
    assert hint in str(caught.value)
