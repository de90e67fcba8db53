"""A user's table of measurements: what each row becomes, and what is refused with line and column."""

from __future__ import annotations

import math
from hashlib import sha256
from pathlib import Path

import pytest

from device_profiles.errors import ConfigError
from device_profiles.prediction.measurements import Measurement, read_measurements
from tests.device_profiles.handmade import conv_model

HEAD = "model,latency_ms,format,threads,samples,spread_ms,runtime\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a tflite model in float32."""
    (tmp_path / "conv.tflite").write_bytes(conv_model())
    (tmp_path / "cut.tflite").write_bytes(conv_model()[:200])
    return tmp_path


def read(folder: Path, text: str) -> list[Measurement]:
    (folder / "m.csv").write_text(text)
    return read_measurements(folder / "m.csv")


def test_a_file_and_a_network_by_name_become_workloads(folder: Path) -> None:
    found = read(folder, HEAD + "conv.tflite,0.5,float32,2,100,0.1,tflm 1\nds_cnn,12,int8,,,,\n")
    first, second = found
    assert (first.workload.macs, first.threads, first.latency_ms, first.runtime) == (216, 2, 0.5, "tflm 1")
    assert first.sha256 == sha256(conv_model()).hexdigest()
    # the median of 100 normal samples has a standard error of sqrt(pi / 2) * 0.1 / 10, over 0.5 ms
    assert first.variance == pytest.approx(math.pi / 2 * (0.01 / 0.5) ** 2)
    assert (second.workload.macs, second.sha256, second.threads, second.variance) == (2_656_768, "", None, 0.0)


def test_models_with_the_same_macs_in_the_same_kernels_are_one_network(folder: Path) -> None:
    text = "model,format,latency_ms\nds_cnn,float32,9\nds_cnn,int8,4\nautoencoder,int8,1\n"
    float32, int8, other = read(folder, text)
    assert float32.network() == int8.network()
    assert other.network() != int8.network()


@pytest.mark.parametrize(("row", "column", "found", "next_step"), [
    ("none.tflite,1,,,,,", 1, "there is no file", ""),
    ("cut.tflite,1,,,,,", 1, "damaged", "make or copy the file again"),
    ("ds_cnn,1,,,,,", 1, "'ds_cnn' is a network by name, and its format is not given",
     "add a column 'format'; a file's name ends in .tflite"),
    ("ds_cn,1,int8,,,,", 1, "'ds_cn' is no network; and it does not end in .tflite", "did you mean 'ds_cnn'?"),
    ("ds_cnn,1,int7,,,,", 10, "unknown format 'int7'", ""),
    ("conv.tflite,1,int8,,,,", 15, "format 'int8', but conv.tflite is float32",
     "name the file that was measured, or leave the cell empty"),
    ("conv.tflite,1.5 ms,,,,,", 13, "'1.5 ms' is no number", "write the number without 'ms'"),
    ("conv.tflite,0,,,,,", 13, "0 is no time of an inference", ""),
    ("conv.tflite,inf,,,,,", 13, "inf is no time of an inference", ""),
    ("conv.tflite,nan,,,,,", 13, "nan is no time of an inference", ""),
    ("conv.tflite,1,,300,,,", 16, "'300' is no number of threads", ""),
    ("conv.tflite,1,,,1.5,,", 17, "'1.5' is no number of samples", ""),
    ("conv.tflite,1,,,,50,", 18, "a spread of 50 ms around 1 ms", "")])
def test_a_row_that_cannot_be_is_refused_at_its_place(folder: Path, row: str, column: int, found: str,
                                                      next_step: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(folder, f"{HEAD}{row}\n")
    assert found in raised.value.found
    assert (raised.value.line, raised.value.column, raised.value.next_step) == (2, column, next_step)


def test_a_model_that_was_measured_twice_is_refused_even_under_another_name(folder: Path) -> None:
    (folder / "copy.tflite").write_bytes(conv_model())
    with pytest.raises(ConfigError, match=r"the same file as conv.tflite was measured in line 2 already"):
        read(folder, "model,latency_ms\nconv.tflite,1\ncopy.tflite,2\n")
    assert len(read(folder, "model,latency_ms,threads\nconv.tflite,1,1\nconv.tflite,2,2\n")) == 2


def test_two_runtimes_in_one_file_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="two runtimes in one file: litert 2, tflm 1") as raised:
        read(folder, "model,latency_ms,threads,runtime\nconv.tflite,1,1,litert 2\nconv.tflite,2,2,tflm 1\n")
    assert raised.value.line == 3
