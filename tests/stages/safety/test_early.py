"""What the run file alone says of slices and corruptions, by source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from device_profiles.errors import UsageError
from stages.datasets import AnySettings, Source
from stages.safety import early


def source(**values: Any) -> AnySettings:
    found: AnySettings = TypeAdapter(Source).validate_python(values)
    return found


PATTERN = r"(?P<light>day|night)_(?P<site>\w)/"
FEATURES = {"x": {"shape": (4,)}, "label": {}, "speaker": {}}


@pytest.mark.parametrize(("given", "columns"), [
    ({"kind": "digits"}, ()), ({"kind": "tfds", "name": "mnist"}, ()), ({"kind": "keras", "name": "mnist"}, ()),
    ({"kind": "csv", "path": "a.csv", "slices": ("site", "light")}, ("site", "light")),
    ({"kind": "csv", "path": "a.csv", "slices": ("site",), "group": "patient"}, ("site", "group")),
    ({"kind": "image_folder", "path": "a", "slices": PATTERN}, ("light", "site")),
    ({"kind": "audio_folder", "path": "a", "group": r"(?P<group>\d+)_"}, ("group",)),
    ({"kind": "tfrecord", "path": "a", "features": FEATURES}, ()),
    ({"kind": "tfrecord", "path": "a", "features": FEATURES, "group": "speaker"}, ("group",)),
    ({"kind": "function", "path": "a.b:c"}, None), ({"kind": "npz", "path": "missing.npz"}, None)],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "")
def test_each_source_says_which_slice_columns_it_gives(given: dict[str, Any], columns: tuple[str, ...] | None) -> None:
    assert source(**given).slice_columns() == columns


def test_an_npz_file_gives_the_columns_of_its_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    rows = np.zeros(3)
    np.savez(path, **{"x_train": rows, "y_train": rows, "slice_train.light": rows, "slice_test.light": rows,
                      "groups_train": rows})
    assert source(kind="npz", path=path).slice_columns() == ("light", "group")
    np.savez(path, x=rows, y=rows, slice=rows)
    assert source(kind="npz", path=path).slice_columns() == ("slice",)
    path.write_bytes(b"no archive")
    assert source(kind="npz", path=path).slice_columns() is None  # prepare says what is wrong with it


def test_a_column_that_is_not_there_is_refused_with_the_near_miss() -> None:
    table = source(kind="csv", path="a.csv", slices=("light", "site"))
    with pytest.raises(UsageError, match="no slice column 'lihgt'; did you mean 'light'") as caught:
        early.check_slices(("site", "lihgt"), table)
    assert (caught.value.allowed, caught.value.next_step) == ("light, site", "name columns under data.source.slices")
    early.check_slices(("light", "site"), table)
    early.check_slices(("anything",), source(kind="function", path="a.b:c"))


@pytest.mark.parametrize(("given", "step"), [
    ({"kind": "tfds", "name": "mnist"}, "which may return slices: {kind: function"),
    ({"kind": "keras", "name": "mnist"}, "which may return slices: {kind: function"),
    ({"kind": "tfrecord", "path": "a", "features": FEATURES}, "name data.source.group"),
    ({"kind": "image_folder", "path": "a"}, "name columns under data.source.slices")],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "")
def test_a_source_without_slices_says_what_to_do_for_a_column_and_for_a_limit(given: dict[str, Any],
                                                                              step: str) -> None:
    for check, asked in ((early.check_slices, ("light",)), (early.check_limits, (early.SLICE,))):
        with pytest.raises(UsageError, match=f"source '{given['kind']}' gives no") as caught:
            check(asked, source(**given))
        assert step in caught.value.next_step
    early.check_limits(("worst_class_drop_points",), source(**given))


def test_a_limit_on_slices_is_kept_where_columns_or_groups_may_be() -> None:
    early.check_limits((early.SLICE,), source(kind="csv", path="a.csv", group="patient"))
    early.check_limits((early.SLICE,), source(kind="npz", path="missing.npz"))


def test_corruptions_that_do_not_fit_what_the_source_gives_are_refused() -> None:
    table, digits = source(kind="csv", path="a.csv"), source(kind="digits")
    with pytest.raises(UsageError, match="'blur' does not fit vectors") as caught:
        early.check_corruptions(("noise", "blur"), "auto", table)
    assert caught.value.allowed == "noise"
    with pytest.raises(UsageError, match=r"'gain' does not fit images\n"):
        early.check_corruptions(("gain",), "auto", digits)
    with pytest.raises(UsageError, match="'time_shift' does not fit images"):
        early.check_corruptions(("time_shift",), "auto", digits)
    early.check_corruptions(("time_shift",), "features", digits)
    early.check_corruptions(("noise", "blur", "brightness", "shift"), "auto", digits)
    early.check_corruptions("auto", "auto", table)
    early.check_corruptions(("gain",), "auto", source(kind="function", path="a.b:c"))


def test_gain_needs_a_front_end_that_keeps_loudness() -> None:
    early.check_corruptions(("gain",), "auto", source(kind="audio_folder", path="a"))
    with pytest.raises(UsageError, match="takes loudness away"):
        early.check_corruptions(("gain",), "auto", source(kind="audio_folder", path="a",
                                                          front_end={"normalize_clip": "peak"}))
    with pytest.raises(UsageError, match="no front end says"):
        early.check_corruptions(("gain",), "features", source(kind="digits"))


def test_a_layout_that_the_samples_cannot_have_is_refused() -> None:
    with pytest.raises(UsageError, match="source 'csv' are vectors, not images") as caught:
        early.check_layout("image", source(kind="csv", path="a.csv"))
    assert caught.value.allowed == "auto, vector"
    early.check_layout("features", source(kind="digits"))
    early.check_layout("image", source(kind="tfds", name="mnist"))
