"""The published measurements as rows of the fit. Not needed to predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import cast

from device_profiles.networks import PublishedRow, network_workload, published_rows
from device_profiles.prediction.cores import CoreClass, FitFormat, priors
from device_profiles.prediction.effects import Setup, board, effects_of, expected
from device_profiles.prediction.fitting import Rows
from device_profiles.prediction.terms import TERMS, Amounts, workload_amounts

FORMATS: tuple[FitFormat, ...] = ("float32", "int8", "int16x8")
_OTHER_BUILDS = ("-nofpu", "-os", "-ofast", "-ccrx")
"""Runtimes of a board built with other settings than it ships with (no FPU, -Os, -Ofast, another compiler): experiments
that a profile cannot ask for, up to eight times slower."""
_BIG_CORES = {"firefly-rk3399": 2, "firefly-rk3588s": 4, "odroid-n2-plus": 4, "hikey960": 4, "huawei-mate-10-pro": 4}
"""Of boards whose rows ran on small cores too, by the MLPerf Inference system descriptions of their submissions."""
_INFERRED_THREADS = {("jetson-agx-orin", "xnnpack-2023", "float32"): 1}
"""Threads that a publication does not state but its figures do: 15 GMAC/s and 19 W there, against 31 W for uint8."""


@dataclass(frozen=True)
class Sample:
    """One measurement with what the fit needs of it."""

    row: PublishedRow
    setup: Setup
    number_format: FitFormat
    amounts: Amounts
    macs: int

    @property
    def core_class(self) -> CoreClass:
        """Application processor or microcontroller."""
        return self.setup.known_core().core_class

    @property
    def board(self) -> str:
        """What is left out together as one device."""
        return board(self.row.device)


def samples() -> tuple[Sample, ...]:
    """The published measurements, one for each setup, network and format: the median where there are several.

    A figure that is published twice, or measured again, would otherwise stand on both sides when it is left out. Rows
    without a number of threads are left out: several of them ran on an accelerator beside the core.
    """
    found: dict[tuple[object, ...], list[PublishedRow]] = {}
    for row in published_rows():
        threads = row.threads or _INFERRED_THREADS.get((row.device, row.runtime, row.number_format))
        if row.clock_hz is None or threads is None or row.number_format not in FORMATS:
            continue
        if row.runtime.endswith(_OTHER_BUILDS):
            continue
        key = (row.device, row.runtime, threads, row.network, row.number_format)
        found.setdefault(key, []).append(replace(row, threads=threads))
    return tuple(_sample(rows) for rows in found.values())


def _sample(rows: Sequence[PublishedRow]) -> Sample:
    row = replace(rows[0], latency_ms=median(each.latency_ms for each in rows))
    threads = row.threads or 1
    setup = Setup(device=row.device, core=row.core, clock_hz=row.clock_hz or 0.0, threads=threads, runtime=row.runtime,
                  kernels=row.kernels, small_threads=max(0, threads - _BIG_CORES.get(row.device, threads)))
    workload = network_workload(row.network, row.number_format)
    return Sample(row, setup, cast(FitFormat, row.number_format), workload_amounts(workload), workload.macs)


def seconds(amounts: Amounts, setup: Setup, number_format: FitFormat) -> list[float]:
    """Amounts times prior prices, by term."""
    prices = priors(setup.known_core(), number_format, setup.clock_hz, setup.threads, setup.small_threads)
    return [amounts.get(term, 0.0) * prices[term] for term in TERMS]


def expected_logs(effects: Sequence[tuple[str, str]]) -> list[float]:
    """What is expected of a chain of effects before any row, summed, by term."""
    return [sum(expected(effect).get(term, 0.0) for effect in effects) for term in TERMS]


def as_rows(chosen: Sequence[Sample]) -> Rows:
    """The arrays that the fit takes; all of one class. What is expected of their effects is in the seconds."""
    import numpy as np

    effects = [effects_of(s.setup, s.number_format) for s in chosen]
    prior = np.array([seconds(s.amounts, s.setup, s.number_format) for s in chosen])
    return Rows(seconds=prior * np.exp([expected_logs(chain) for chain in effects]),
                observed=np.array([s.row.latency_ms / 1e3 for s in chosen]), effects=effects,
                weights=np.ones(len(chosen)))
