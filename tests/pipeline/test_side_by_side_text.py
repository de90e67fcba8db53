"""The table at several widths, its notes, and the CSV."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from rich.console import Console

from device_profiles.loader import load_profile, names
from pipeline.side_by_side import SideBySide, side_by_side
from pipeline.side_by_side_text import csv_text, notes, show
from tests.device_profiles.handmade import conv_model


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> SideBySide:
    """A small int8 model on every shipped device."""
    path = tmp_path_factory.mktemp("model") / "conv.tflite"
    path.write_bytes(conv_model(np.ones((3, 3, 3, 2), np.int8), "INT8", scales=(1.0,), zero_points=(0,)))
    return side_by_side(path, [load_profile(name) for name in names()], "name", False)


def shown(found: SideBySide, width: int) -> list[str]:
    out = io.StringIO()
    show(found, Console(file=out, width=width, highlight=False))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 100, 120, 140, 200])
def test_each_device_has_one_line_at_any_width(found: SideBySide, width: int) -> None:
    lines = shown(found, width)
    assert max(map(len, lines)) <= width
    start = next(number for number, line in enumerate(lines) if line.startswith("profile"))
    assert [line.split()[0] for line in lines[start + 1:lines.index("", start)]] == sorted(names())


def test_a_wider_terminal_shows_more(found: SideBySide) -> None:
    heads = [next(line for line in shown(found, width) if line.startswith("profile")).split("  ")
             for width in (80, 100, 120, 200)]
    titles = [{word.strip() for word in head if word.strip()} for head in heads]
    assert titles[0] == {"profile", "latency, ms", "by", "RAM", "verdict"}
    assert titles[1] - titles[0] == {"a second", "flash"}
    assert titles[2] - titles[1] == {"energy, µJ"}
    assert titles[3] - titles[2] == {"device"}


def test_the_notes_say_what_the_letters_mean_and_why_a_device_does_not_pass(found: SideBySide) -> None:
    lines = notes(found)
    assert "by board: published measurements of this device" in lines
    assert any(line.startswith("by core: ") for line in lines)
    assert any(line.startswith("cpu: unknown, latency_median_ms: ") and "measured" in line for line in lines)
    assert lines[-1].startswith("not judged from a file alone: accuracy_drop_points")


def test_equal_reasons_stand_once_with_all_their_devices(found: SideBySide) -> None:
    micro = [row.profile for row in found.devices if row.engine == "tflm" and not row.profile.startswith("corstone")]
    line = next(line for line in notes(found) if "ram_bytes" in line)
    assert line.startswith(", ".join(micro))


def test_the_csv_has_units_in_its_columns_and_plain_numbers(found: SideBySide) -> None:
    rows = {row["profile"]: row for row in csv.DictReader(io.StringIO(csv_text(found)))}
    assert sorted(rows) == sorted(names())
    device = next(row for row in found.devices if row.profile == "nucleo-l4r5zi")
    assert device.latency is not None
    assert float(rows["nucleo-l4r5zi"]["latency_ms"]) == pytest.approx(device.latency.value, rel=1e-5)
    assert float(rows["nucleo-l4r5zi"]["latency_low_ms"]) < device.latency.value
    assert (rows["cpu"]["latency_ms"], rows["cpu"]["flash_free_bytes"]) == ("", "")
    assert rows["nucleo-l4r5zi"]["flash_free_bytes"] == "2097152"
    assert rows["nucleo-l4r5zi"]["runs"] == "true"
