"""Published rows as rows of the fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from device_profiles.networks import PublishedRow
from device_profiles.prediction import dataset
from device_profiles.prediction.dataset import Sample, as_rows, expected_logs, samples, seconds
from device_profiles.prediction.terms import TERMS

ROW = PublishedRow(
    device="nucleo-l4r5zi", core="cortex-m4", clock_hz=120e6, clock="stated", threads=1, runtime="tflm-cmsis-nn",
    kernels="tflm", network="ds_cnn", number_format="int8", dtype="int8", latency_ms=110.0, energy_uj=None,
    energy_of="", ram_kib=None, flash_kib=None, source="somewhere", family="ds_cnn")


def made(monkeypatch: pytest.MonkeyPatch, *rows: PublishedRow) -> tuple[Sample, ...]:
    monkeypatch.setattr(dataset, "published_rows", lambda: rows)
    return samples()


def test_a_row_becomes_a_sample_with_its_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    (sample,) = made(monkeypatch, ROW)
    assert (sample.core_class, sample.board, sample.number_format) == ("mcu", "nucleo-l4r5zi", "int8")
    assert sample.macs == 2656768
    assert sample.setup.key == "nucleo-l4r5zi/tflm-cmsis-nn/1"


def test_what_is_measured_again_counts_once_with_its_median(monkeypatch: pytest.MonkeyPatch) -> None:
    again = [replace(ROW, latency_ms=value) for value in (100.0, 130.0, 110.0)]
    found = made(monkeypatch, *again)
    assert [sample.row.latency_ms for sample in found] == [110.0]


@pytest.mark.parametrize("changes", [{"clock_hz": None}, {"threads": None}, {"number_format": "dynamic"},
                                     {"runtime": "tflm-cmsis-nn-os"}], ids=["clock", "threads", "format", "build"])
def test_rows_that_cannot_be_compared_are_left_out(changes: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(made(monkeypatch, ROW, replace(ROW, network="autoencoder", **changes))) == 1  # type: ignore[arg-type]


def test_seconds_are_amounts_times_prior_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    (sample,) = made(monkeypatch, ROW)
    prior = dict(zip(TERMS, seconds(sample.amounts, sample.setup, "int8"), strict=True))
    assert prior["inference"] == pytest.approx(2500 / 120e6)
    assert prior["depthwise"] == pytest.approx(sample.amounts["depthwise"] * 2.0 / 0.5 / 120e6)
    assert prior["conv"] == 0


def test_rows_of_the_fit_stand_in_the_order_of_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = as_rows(made(monkeypatch, ROW, replace(ROW, network="autoencoder", latency_ms=9.0)))
    assert rows.observed == pytest.approx([0.110, 0.009])
    assert rows.seconds.shape == (2, len(TERMS))
    assert rows.effects[0] == rows.effects[1]


def test_what_is_expected_of_a_runtime_is_in_the_rows_and_not_in_the_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    (sample,) = made(monkeypatch, replace(ROW, runtime="hale", kernels="vendor"))
    rows = as_rows([sample])
    row = dict(zip(TERMS, rows.seconds[0], strict=True))
    assert row["operator"] == pytest.approx(sample.amounts["operator"] * 2000 / 120e6 * 0.0820850)
    assert row["conv_1x1"] == pytest.approx(sample.amounts["conv_1x1"] * 2.4 / 120e6)
    logs = dict(zip(TERMS, expected_logs(rows.effects[0]), strict=True))
    assert (logs["inference"], logs["operator"], logs["conv_1x1"]) == (-2.5, -2.5, 0)
