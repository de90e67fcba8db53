"""What a profile keeps of its own measurements is read as strictly as the rest."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from device_profiles.prediction.intervals import Scales
from device_profiles.prediction.own_records import OwnCalibration, OwnMeasurement

ROW = {"model": "a.tflite", "format": "int8", "threads": 1, "macs": 10, "latency_ms": 2.0, "published_ms": 1.0}
OWN = {"source": "m.csv, by hand", "basis": "0123456789abcdef", "measurements": [ROW], "terms": ["conv"],
       "corrections": {"int8": [0.5]}, "covariances": {"int8": [7]}, "macs": {"int8": [1, 10]},
       "scales": {"misfit": 0.1, "level_80": 1.0, "level_95": 2.0}}


def test_a_calibration_reads_back_as_it_was_written() -> None:
    own = OwnCalibration.model_validate(OWN)
    assert own.measurements[0] == OwnMeasurement(model="a.tflite", format="int8", threads=1, macs=10, latency_ms=2.0,
                                                 published_ms=1.0)
    assert own.scales == Scales(misfit=0.1, level_80=1.0, level_95=2.0)
    assert own.error is None
    assert OwnCalibration.model_validate_json(own.model_dump_json()) == own


@pytest.mark.parametrize(("changed", "where"), [
    ({"measurements": []}, "measurements"), ({"corrections": {"int4": [0.5]}}, "corrections"),
    ({"measurements": [ROW | {"latency_ms": 0}]}, "latency_ms"), ({"sources": "x"}, "sources"),
    ({"basis": "1"}, "basis")])
def test_what_cannot_be_is_refused(changed: dict[str, object], where: str) -> None:
    with pytest.raises(ValidationError, match=where):
        OwnCalibration.model_validate(OWN | changed)
