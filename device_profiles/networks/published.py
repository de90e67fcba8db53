"""The published measurements that ship with the project, as records. The columns are documented in the package."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal, cast

from device_profiles.networks.builder import BuildFormat

Kernels = Literal["ruy", "xnnpack", "tflm", "tflm-reference", "x-cube-ai", "vendor"]
"""Whose inner loops ran: TFLite's own (ruy), XNNPACK, TFLM's optimized ones (CMSIS-NN, ESP-NN) or its plain C ones,
ST's, another vendor's."""

_FILE = "data/published_latency.csv"
_LAYER = "layer"


@dataclass(frozen=True)
class PublishedRow:
    """One published measurement; figures that were not published are None. Columns: see the package's docstring."""

    device: str
    core: str
    clock_hz: float | None
    clock: str
    threads: int | None
    runtime: str
    kernels: Kernels
    network: str
    number_format: BuildFormat
    dtype: str
    latency_ms: float
    energy_uj: float | None
    energy_of: str
    ram_kib: float | None
    flash_kib: float | None
    source: str
    family: str


def published_rows() -> tuple[PublishedRow, ...]:
    """The rows of whole networks, in the order of the file."""
    return tuple(row for row in _rows() if row.family != _LAYER)


def published_layers() -> tuple[PublishedRow, ...]:
    """The rows of kernels alone: no interpreter ran around them, so that they say nothing of its overhead."""
    return tuple(row for row in _rows() if row.family == _LAYER)


@lru_cache(maxsize=1)
def _rows() -> tuple[PublishedRow, ...]:
    with (files("device_profiles") / _FILE).open(encoding="utf-8") as file:
        return tuple(_row(row) for row in csv.DictReader(file))


def _row(row: dict[str, str]) -> PublishedRow:
    threads = _number(row["threads"])
    return PublishedRow(
        device=row["device"], core=row["core"], clock_hz=_number(row["clock_hz"]), clock=row["clock"],
        threads=None if threads is None else int(threads), runtime=row["runtime"],
        kernels=cast(Kernels, row["kernels"]), network=row["network"],
        number_format=cast(BuildFormat, row["format"]), dtype=row["dtype"], latency_ms=float(row["latency_ms"]),
        energy_uj=_number(row["energy_uj"]), energy_of=row["energy_of"], ram_kib=_number(row["ram_kib"]),
        flash_kib=_number(row["flash_kib"]), source=row["source"], family=row["family"])


def _number(text: str) -> float | None:
    return float(text) if text else None
