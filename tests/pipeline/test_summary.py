from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipeline.summary import caption, folded, milliseconds, summary_table, variant_cells, winner_lines


def figure(value, unit="fraction"):
    return {"value": value, "unit": unit}


def report():
    metrics = {"litert": {"score": "accuracy", "figures": {}, "drop": None},
               "tflite-runtime": {"score": "accuracy", "figures": {"accuracy": figure(0.98214)},
                                  "drop": figure(0.31, "points")}}
    latency = {"litert": {"median": None}, "tflite-runtime": {"median": figure(0.0183, "ms")}}
    good = {"name": "pruned75-clustered16-int8qat", "tflite_bytes": 1234567, "metrics": metrics, "latency": latency,
            "verdict": {"cpu": "pass", "mobile": "undecided", "iot": "unknown"}}
    bad = {"name": "int8", "tflite_bytes": 9, "metrics": {}, "latency": {},
           "verdict": {"cpu": "fail", "mobile": "fail", "iot": "fail"}}
    winner = {"winner": "pruned75-clustered16-int8qat", "reason": "the smallest [of] 1"}
    return {"score": "accuracy", "variants": [good, bad],
            "profiles": {"cpu": winner, "mobile": {"winner": None, "reason": "none passes"},
                         "iot": {"winner": None, "reason": "none passes"}}}


def test_cells_come_from_the_first_engine_that_has_figures():
    assert variant_cells(report()["variants"][0]) == ["pruned75-clustered16-int8qat", "1,234,567", "98.2 %", "+0.3",
                                                      "18.3 µs"]


def test_a_score_without_unit_is_shown_as_a_number_and_the_table_names_it():
    found = report() | {"score": "R2"}
    metrics = {"score": "r2", "figures": {"r2": figure(0.9127, "")}, "drop": figure(0.4, "points")}
    found["variants"][0]["metrics"] = {"litert": metrics}
    assert variant_cells(found["variants"][0])[2:4] == ["0.913", "+0.4"]
    assert [column.header for column in summary_table(found).columns][:4] == ["variant", "bytes", "R2", "drop"]
    assert "in litert: R2, drop in points" in caption(found)


def test_the_caption_names_the_engine_that_measured():
    assert caption(report()).startswith("measured on this host in tflite-runtime: ")


def test_a_variant_without_figures_has_dashes_not_zeros():
    assert variant_cells(report()["variants"][1]) == ["int8", "9", "-", "-", "-"]


def test_the_table_fits_80_columns_and_stars_the_winner():
    out = io.StringIO()
    Console(file=out, width=80).print(summary_table(report()))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "pass ★" in out.getvalue()
    assert "undecided" in out.getvalue()


def test_three_times_undecided_fits_80_columns():
    found = report()
    verdict = dict.fromkeys(("cpu", "mobile", "iot"), "undecided")
    found["variants"][0] |= {"name": "pruned75-int8qat", "verdict": verdict}
    out = io.StringIO()
    Console(file=out, width=80).print(summary_table(found))
    line = next(line for line in out.getvalue().splitlines() if "pruned75" in line)
    assert line.split()[-3:] == ["undecided"] * 3
    assert len(line.rstrip()) <= 80


def test_a_long_name_is_folded_at_its_hyphens_and_a_short_one_is_not():
    assert folded("clustered16-int8-packed") == "clustered16-\nint8-packed"
    assert folded("pruned75-clustered16-int8qat") == "pruned75-\nclustered16-\nint8qat"
    assert folded("pruned75-int8-packed") == "pruned75-int8-packed"
    out = io.StringIO()
    Console(file=out, width=80).print(summary_table(report()))
    assert [line.split()[0] for line in out.getvalue().splitlines()[1:4]] == ["pruned75-", "clustered16-", "int8qat"]


def test_a_reason_is_shown_as_it_is_without_markup():
    assert winner_lines(report())[0].endswith("the smallest \\[of] 1")


@pytest.mark.parametrize(("value", "text"), [(0.00632, "6.32 µs"), (0.38, "380 µs"), (1.0, "1 ms"), (15.24, "15.2 ms")])
def test_latency_has_three_digits_and_its_unit(value, text):
    assert milliseconds(figure(value, "ms")) == text


def test_a_calibration_study_is_a_row_for_each_number_of_samples():
    from rich.console import Console

    from pipeline.summary import study_table

    drop = {"value": 0.5}
    study = {"score_name": "accuracy", "enough": 10, "points": [
        {"samples": 1, "scores": [0.5, 0.7], "drops": [{"value": 20.0}, {"value": 40.0}], "range_shares": [0.2, 0.4]},
        {"samples": 10, "scores": [0.9, 0.9], "drops": [drop, drop], "range_shares": [1.0, 1.0]}]}
    console = Console(width=80)
    with console.capture() as capture:
        console.print(study_table(study))
    head, first, second = capture.get().splitlines()
    assert head.split()[:2] == ["samples", "accuracy"]
    assert first.split() == ["1", "60.0", "%", "50.0", "%", "70.0", "%", "+30.0", "30", "%"]
    assert second.split()[-3:] == ["%", "←", "enough"]
