"""`litesmith profiles calibrate`, typed: the file that it writes, and faults with line and column."""

from __future__ import annotations

import json

from device_profiles.loader import load_profile
from tests.device_profiles.handmade import conv_model

TABLE = "model,format,latency_ms\nds_cnn,int8,140\nautoencoder,int8,9\nvisual_wake_words,int8,420\n"


def test_a_shipped_profile_is_calibrated_into_a_file_of_its_own(typed, tmp_path):
    (tmp_path / "m.csv").write_text(TABLE)
    done = typed("profiles", "calibrate", "nucleo-l4r5zi", "-m", "m.csv")
    assert done.code == 0, done.err
    profile = load_profile(tmp_path / "nucleo-l4r5zi-calibrated.yaml")
    assert profile.name == "nucleo-l4r5zi-calibrated"
    assert profile.latency.device == "nucleo-l4r5zi"
    assert [row.latency_ms for row in profile.latency.own.measurements] == [140, 9, 420]
    assert profile.latency.own.source.startswith("m.csv, sha256 ")
    assert "how far off, each of 3 networks predicted without its own 3 rows:" in done.out
    again = typed("profiles", "calibrate", "nucleo-l4r5zi", "-m", "m.csv")
    assert again.code == 2
    assert "is there already" in again.err
    shown = typed("profiles", "show", "nucleo-l4r5zi-calibrated.yaml")
    assert shown.code == 0, shown.err


def test_a_user_s_own_file_keeps_its_comments(typed, tmp_path):
    (tmp_path / "mine.yaml").write_text("# bought in 2024\nname: mine\nlike: nucleo-l4r5zi\nthreads: 1  # of one\n")
    (tmp_path / "m.csv").write_text(TABLE)
    done = typed("profiles", "calibrate", "mine.yaml", "-m", "m.csv", "-o", "ours.yaml", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["own"]["error"]["networks"] == 3
    assert told["path"] == "ours.yaml"
    text = (tmp_path / "ours.yaml").read_text()
    assert "# bought in 2024\nname: ours\nlike: nucleo-l4r5zi\nthreads: 1  # of one\n" in text
    assert load_profile(tmp_path / "ours.yaml").latency.own is not None


def test_a_calibrated_profile_can_be_calibrated_anew(typed, tmp_path):
    (tmp_path / "m.csv").write_text(TABLE)
    assert typed("profiles", "calibrate", "nucleo-l4r5zi", "-m", "m.csv", "-o", "a.yaml").code == 0
    (tmp_path / "m.csv").write_text(TABLE.replace("140", "160"))
    done = typed("profiles", "calibrate", "a.yaml", "-m", "m.csv", "-o", "a.yaml", "--force")
    assert done.code == 0, done.err
    own = load_profile(tmp_path / "a.yaml").latency.own
    assert [row.latency_ms for row in own.measurements] == [160, 9, 420]
    assert (tmp_path / "a.yaml").read_text().count("latency:") == 1


def test_faults_of_the_table_have_file_line_and_column_and_write_nothing(typed, tmp_path):
    (tmp_path / "conv.tflite").write_bytes(conv_model())
    for text, found in (("model,latncy_ms\n", "m.csv:1:7: unknown column 'latncy_ms'"),
                        ("model,latency_ms\nnone.tflite,2\n", "m.csv:2:1: there is no file none.tflite"),
                        ("model,format,latency_ms\nds_cnn,int8,120000\n", "m.csv:2:13: 120000 ms is"),
                        ("model,latency_ms\nconv.tflite,2\nconv.tflite,3\n", "m.csv:3:13: 'conv.tflite' was measured")):
        (tmp_path / "m.csv").write_text(text)
        done = typed("profiles", "calibrate", "nucleo-l4r5zi", "-m", "m.csv")
        assert done.code == 2
        assert found in done.err
        assert not (tmp_path / "nucleo-l4r5zi-calibrated.yaml").exists()


def test_a_profile_of_this_host_and_a_missing_file_are_refused(typed, tmp_path):
    (tmp_path / "m.csv").write_text(TABLE)
    done = typed("profiles", "calibrate", "cpu", "-m", "m.csv")
    assert (done.code, "states no core and no clock" in done.err) == (2, True)
    done = typed("profiles", "calibrate", "iot", "-m", "none.csv")
    assert (done.code, "none.csv: there is no such file" in done.err) == (2, True)
    done = typed("profiles", "calibrate", "iot")
    assert (done.code, "--measurements" in done.err) == (2, True)


def test_show_has_a_line_a_measurement_and_counts_long_lists(typed, tmp_path):
    (tmp_path / "m.csv").write_text(TABLE)
    assert typed("profiles", "calibrate", "nucleo-l4r5zi", "-m", "m.csv", "-o", "a.yaml").code == 0
    shown = typed("profiles", "show", "a.yaml").out
    assert "      model ds_cnn, format int8, threads 1, macs 2,656,768, latency_ms 140, " in shown
    terms = len(load_profile(tmp_path / "a.yaml").latency.own.terms)
    assert f"      int8: {terms} numbers\n" in shown
    assert f"      int8: {terms * (terms + 1) // 2} numbers\n" in shown
