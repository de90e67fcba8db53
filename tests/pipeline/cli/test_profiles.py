from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_profiles_are_listed_shown_with_sources_and_validated(typed, tmp_path):
    assert [row["name"] for row in json.loads(typed("profiles", "list", "--json").out)][:3] == ["cpu", "mobile", "iot"]
    shown = typed("profiles", "show", "iot").out
    assert "source: " in shown
    assert "clock_hz: " in shown
    good = (ROOT / "device_profiles" / "profiles" / "iot.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(good)
    assert typed("profiles", "validate", "mine.yaml").code == 0
    line = next(i for i, text in enumerate(good.splitlines(), 1) if text.startswith("threads:"))
    (tmp_path / "mine.yaml").write_text(good.replace("\nthreads: 1", "\nthreads: 1\nthread: 1"))
    done = typed("profiles", "validate", "mine.yaml")
    assert done.code == 2
    assert f"mine.yaml:{line + 1}:1" in done.err
    assert "threads" in done.err


def test_a_profile_that_nobody_has_is_wrong_usage(typed):
    done = typed("profiles", "show", "mobil")
    assert done.code == 2
    assert "did you mean 'mobile'" in done.err
