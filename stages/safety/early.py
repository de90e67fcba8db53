"""What the run file alone says of slices and corruptions: what cannot be is refused before a sample is read.

Each source's settings say which slice columns it gives (`slice_columns`; None where only the samples can tell), and
what kind of samples. What is not known here is looked at again where it is used.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, get_args

from device_profiles.errors import UsageError, with_near_miss
from stages.datasets import AnySettings
from stages.safety.corruptions import KINDS, LAYOUT_TEXT, Kind, Layout
from stages.safety.slices import GROUP

SLICE = "worst_slice_drop_points"
_SAMPLES: dict[str, Layout] = {"digits": "image", "image_folder": "image", "audio_folder": "features", "csv": "vector",
                               "parquet": "vector"}
"""What the samples of a source are; the others' shapes are known when they are read."""
_POSSIBLE: dict[Layout, tuple[Layout, ...]] = {"image": ("image", "features"), "features": ("features", "image"),
                                               "vector": ("vector",)}
"""By what the samples are, the layouts that their shape lets them be read as."""
_FUNCTION = ("read the data with a function of yours, which may return slices: {kind: function, path: "
             "package.module:function} (docs/your-data.md)")


def check_slices(wanted: Sequence[str], source: AnySettings) -> None:
    """Refuse columns that a source does not give.

    Args:
        wanted: `evaluate.slices`.
        source: of the data.

    Raises:
        UsageError: one is not there.
    """
    known = source.slice_columns()
    if known is None:
        return
    for name in wanted:
        if name not in known:
            found = f"there is no slice column '{name}'" if known else f"the source '{source.kind}' gives no slices"
            raise UsageError(with_near_miss(found, name, known), ", ".join(known) or "no columns",
                             _how(source, name))


def check_limits(asked: Collection[str], source: AnySettings) -> None:
    """Refuse a limit on slices where a source gives none.

    Args:
        asked: names of limits.
        source: of the data.

    Raises:
        UsageError: the limit is there and no column can be.
    """
    if SLICE in asked and source.slice_columns() == ():
        raise UsageError(f"the limit {SLICE} needs slices, and the source '{source.kind}' gives none",
                         "no limit on slices, or data with slice columns or groups", _how(source, ""))


def check_corruptions(kinds: str | Sequence[str], layout: str, source: AnySettings) -> None:
    """Refuse corruptions that do not fit what a source gives.

    Args:
        kinds: `baseline.corruptions.kinds`.
        layout: `baseline.corruptions.layout`.
        source: of the data.

    Raises:
        UsageError: one does not fit.
    """
    given = _SAMPLES.get(source.kind)
    if given is None or isinstance(kinds, str):
        return
    read_as: Layout = given if layout == "auto" else layout  # type: ignore[assignment]
    why = _no_gain(source)
    possible = [kind for kind in get_args(Kind) if kind in KINDS[read_as] and not (kind == "gain" and why)]
    for kind in kinds:
        if kind not in possible:
            more = f", and {why}" if kind == "gain" and read_as == "features" else ""
            raise UsageError(f"the corruption '{kind}' does not fit {LAYOUT_TEXT[read_as]}{more}", ", ".join(possible),
                             "change baseline.corruptions.kinds, or baseline.corruptions.layout where the samples are "
                             "something else")


def check_layout(layout: str, source: AnySettings) -> None:
    """Refuse a layout that the samples of a source cannot have.

    Args:
        layout: `baseline.corruptions.layout`.
        source: of the data.

    Raises:
        UsageError: it cannot be.
    """
    given = _SAMPLES.get(source.kind)
    if given is not None and layout != "auto" and layout not in _POSSIBLE[given]:
        raise UsageError(f"samples of the source '{source.kind}' are {LAYOUT_TEXT[given]}, not "
                         f"{LAYOUT_TEXT[layout]}", f"auto, {', '.join(_POSSIBLE[given])}",  # type: ignore[index]
                         "leave baseline.corruptions.layout out")


def _how(source: AnySettings, name: str) -> str:
    """How a source is made to give a column."""
    fields: dict[str, Any] = type(source).model_fields
    if "slices" in fields:
        return "name columns under data.source.slices"
    if source.kind == "npz":
        return f"put an array slice.{name or 'NAME'} into the file, a value for each sample"
    if GROUP in fields and source.kind != "digits":
        return f"name data.source.group, whose values are slices, or {_FUNCTION}"
    return _FUNCTION


def _no_gain(source: AnySettings) -> str:
    """Why a source's samples cannot be made louder; empty where they can."""
    front_end = getattr(source, "front_end", None)
    if front_end is None:
        return "no front end says what loudness is in them"
    if front_end.normalize_clip != "none":
        return f"the front end takes loudness away (normalize_clip: {front_end.normalize_clip})"
    return ""
