"""Bare words for a source in the run file, and the mappings that they are short for.

| word | short for |
|---|---|
| `digits` | `{kind: digits}` |
| `tfds:mnist`, `keras:cifar10` | `{kind: tfds, name: mnist}`, `{kind: keras, name: cifar10}` |
| `data.npz`, `table.csv`, `table.tsv`, `table.parquet` | `{kind: npz, path: data.npz}` and so on |
| a folder | `{kind: image_folder, path: ...}`, or `audio_folder` where its first sample is a WAV file |
| `package.module:function` | `{kind: function, path: package.module:function}` |
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from device_profiles.errors import with_near_miss

_NAMED = ("tfds", "keras")
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_FILES: dict[str, dict[str, Any]] = {".npz": {"kind": "npz"}, ".csv": {"kind": "csv"},
                                     ".tsv": {"kind": "csv", "delimiter": "\t"}, ".parquet": {"kind": "parquet"}}
_IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
ALLOWED = ("digits, tfds:NAME, keras:NAME, a .npz, .csv or .parquet file, a folder, package.module:function, "
           "or {kind: ...}")
MOST_ENTRIES = 10_000
"""How many entries of a folder are looked at for the first sample."""


def spelled_out(value: Any, kinds: Sequence[str], refusal: Callable[[str, str], Exception]) -> Any:
    """The mapping that a word is short for; what is no word is left as it is.

    Args:
        value: as it stands in the run file.
        kinds: the sources there are.
        refusal: makes the error for a word that is short for nothing, from found and allowed.
    """
    if isinstance(value, dict) and isinstance(value.get("kind"), str) and value["kind"] not in kinds:
        raise refusal(with_near_miss(f"no source is called '{value['kind']}'", value["kind"], kinds), ", ".join(kinds))
    if not isinstance(value, str):
        return value
    found = _mapping(value, kinds)
    if found is None:
        what = f"no source is called '{value}', and there is no such folder"
        raise refusal(with_near_miss(what, value, [*kinds, *(f"{name}:" for name in _NAMED)]), ALLOWED)
    return found


def _mapping(word: str, kinds: Sequence[str]) -> dict[str, Any] | None:
    """What a word is short for, or None."""
    if word in kinds:
        return {"kind": word}
    head, mark, tail = word.partition(":")
    if mark and head in _NAMED:
        return {"kind": head, "name": tail}
    path = Path(word)
    if path.suffix.lower() in _FILES:
        return {**_FILES[path.suffix.lower()], "path": word}
    if path.is_dir():
        return {"kind": _folder_kind(path), "path": word}
    return {"kind": "function", "path": word} if _FUNCTION.fullmatch(word) else None


def _folder_kind(folder: Path) -> str:
    """`audio_folder` where the first image or WAV file below is a WAV file, else `image_folder`."""
    seen = 0
    for _, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            suffix = Path(name).suffix.lower()
            if suffix == ".wav":
                return "audio_folder"
            seen += 1
            if suffix in _IMAGES or seen > MOST_ENTRIES:
                return "image_folder"
    return "image_folder"
