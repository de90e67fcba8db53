"""`litesmith profiles calibration` prints the error that was found on rows left out."""

from __future__ import annotations

import json


def test_the_table_has_every_class_and_way_of_leaving_out_next_to_the_naive_rule(typed):
    done = typed("profiles", "calibration")
    assert done.code == 0
    for words in ("application processors: a network family left out", "microcontrollers: a whole board left out",
                  "median error", "in 80 % interval", "ms per MAC: median"):
        assert words in done.out


def test_json_has_a_line_a_board_with_shares_from_0_to_1(typed):
    lines = json.loads(typed("profiles", "calibration", "--json").out)
    overall = [line for line in lines if line["device"] == "all"]
    assert {(line["device_class"], line["scheme"]) for line in overall} == {
        (each, scheme) for each in ("cpu", "mcu") for scheme in ("family", "family_all", "device", "energy")}
    assert all(0 <= line["coverage_80"] <= line["coverage_95"] <= 1 for line in lines)


def test_one_board_can_be_asked_for(typed):
    lines = json.loads(typed("profiles", "calibration", "--device", "nucleo-l4r5zi", "--json").out)
    assert {line["device"] for line in lines} == {"nucleo-l4r5zi"}
    assert lines[0]["rows"] > 8


def test_a_board_that_nobody_measured_is_wrong_usage_with_the_near_miss(typed):
    done = typed("profiles", "calibration", "--device", "nucleo-l4r5z")
    assert done.code == 2
    assert "did you mean 'nucleo-l4r5zi'" in done.err
