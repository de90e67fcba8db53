"""What a profile keeps of its user's own measurements; the fit of `own_fit`, as `own` reads it.

It stands in the profile under `latency.own`, written by `litesmith profiles calibrate`. Nothing of the package is
imported here but the base of records: the schema of profiles has these as fields.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from device_profiles.prediction.intervals import Scales
from device_profiles.records import Record

PricedFormat = Literal["float32", "int8", "int16x8"]
"""Formats that the predictor has prices for."""


class OwnMeasurement(Record):
    """One measurement, and what was predicted of it.

    Attributes:
        model: file or network, as the user wrote it.
        sha256: of the tflite model; empty for a network by name.
        format: of the model.
        threads: of the engine.
        macs: of the model.
        latency_ms: measured, of one inference.
        published_ms: predicted by the published fit alone.
        left_out_ms: predicted with the other networks' measurements; None where there are none.
    """

    model: str = Field(description="a file or a network")
    sha256: str = ""
    format: str = Field(description="number format of the model")
    threads: int = Field(ge=1, description="threads of the engine")
    macs: Annotated[int, Field(ge=0)] = Field(description="of the model")
    latency_ms: Annotated[float, Field(gt=0)] = Field(description="measured, of one inference")
    published_ms: Annotated[float, Field(gt=0)] = Field(description="predicted by the published fit alone")
    left_out_ms: Annotated[float, Field(gt=0)] | None = None


class OwnError(Record):
    """How far predictions were off on the user's own rows, each network left out in turn.

    Attributes:
        networks, rows: how many.
        median_before, worst_before: of |predicted / measured - 1|, by the published fit alone.
        median_after, worst_after: with the other networks' measurements.
        rows_inside_80: how many lay inside the 80 % interval.
    """

    networks: int = Field(ge=1, description="how many")
    rows: int = Field(ge=1, description="how many")
    median_before: float = Field(description="of |predicted / measured - 1|, by the published fit")
    worst_before: float = Field(description="of |predicted / measured - 1|, by the published fit")
    median_after: float = Field(description="of |predicted / measured - 1|, a network left out")
    worst_after: float = Field(description="of |predicted / measured - 1|, a network left out")
    rows_inside_80: int = Field(description="how many lay inside the 80 % interval")


class OwnCalibration(Record):
    """A board's own corrections.

    Attributes:
        source: the file of the measurements, its digest, the day.
        basis: digest of what the corrections correct; another one means that they no longer hold.
        terms: names of the terms, the order of `corrections` and `covariances`.
        corrections: of the datasheet's prices in logs, by number format.
        covariances: upper triangle row by row of their covariance, in units of 0.0001, by number format.
        macs: smallest and largest model that the prices rest on, by number format.
        scales: of the intervals.
        error: None with fewer than three networks, too few to say.
    """

    source: str = Field(min_length=8, description="the file of the measurements, its digest, the day")
    basis: str = Field(min_length=8, description="digest of what the corrections correct")
    measurements: Annotated[tuple[OwnMeasurement, ...], Field(min_length=1)] = Field(description="a list of rows")
    terms: tuple[str, ...] = Field(description="names of the terms")
    corrections: dict[PricedFormat, tuple[float, ...]] = Field(description="in logs, by number format")
    covariances: dict[PricedFormat, tuple[int, ...]] = Field(description="upper triangles, by number format")
    macs: dict[PricedFormat, tuple[int, int]] = Field(description="smallest and largest model, by number format")
    scales: Scales = Field(description="a mapping: misfit, level_80, level_95")
    error: OwnError | None = None
