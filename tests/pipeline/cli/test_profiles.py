from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_profiles_are_listed_shown_with_sources_and_validated(typed, tmp_path):
    assert [row["name"] for row in json.loads(typed("profiles", "list", "--json").out)][:3] == ["cpu", "mobile", "iot"]
    shown = typed("profiles", "show", "iot").out
    assert "source: " in shown
    assert "clock_hz: " in shown
    assert "like: nucleo-l4r5zi\n" in shown
    good = (ROOT / "device_profiles" / "profiles" / "nucleo-l4r5zi.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(good)
    assert typed("profiles", "validate", "mine.yaml").code == 0
    line = next(i for i, text in enumerate(good.splitlines(), 1) if text.startswith("threads:"))
    (tmp_path / "mine.yaml").write_text(good.replace("\nthreads: 1", "\nthreads: 1\nthread: 1"))
    done = typed("profiles", "validate", "mine.yaml")
    assert done.code == 2
    assert f"mine.yaml:{line + 1}:1" in done.err
    assert "threads" in done.err


def test_each_profile_says_how_far_off_its_latency_is_known_to_be(typed):
    listed = {row["name"]: row for row in json.loads(typed("profiles", "list", "--json").out)}
    assert (listed["cpu"]["median_error"], listed["cpu"]["error_of"]) == (None, "host")
    assert (listed["raspberry-pi-5"]["error_of"], listed["pixel-4"]["error_of"]) == ("core and clock", "this board")
    stated = json.loads(typed("profiles", "show", "pixel-4", "--json").out)["stated_error"]
    assert stated["median_error"] == listed["pixel-4"]["median_error"]
    assert typed("profiles", "show", "pixel-4").out.splitlines()[-1] == f"error of the latency: {stated['text']}"
    percent = f"{100 * stated['median_error']:.1f} %"
    assert any(line.startswith("pixel-4 ") and percent in line for line in typed("profiles", "list").out.splitlines())


def test_a_profile_that_nobody_has_is_wrong_usage(typed):
    done = typed("profiles", "show", "mobil")
    assert done.code == 2
    assert "did you mean 'mobile'" in done.err
