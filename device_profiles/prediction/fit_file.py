"""The fit as package data: `data/predictor.json`, written by `benchmarks/fit_predictor.py`.

    fits[class][format]
        effects      "level:name" -> correction of each term, in logs
        covariances  chain of effects -> upper triangle of the covariance of their summed correction, row by row
        macs         smallest and largest network of the rows
        scales       measured and unmeasured devices -> `intervals.Scales`
    errors           the table of errors on rows left out, by class and device
    power_w          board -> power while an inference runs, from published energies
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

from device_profiles.prediction.cores import CoreClass, FitFormat
from device_profiles.prediction.effects import Setup
from device_profiles.prediction.intervals import Known, Scales
from device_profiles.prediction.records import HeldOutError
from device_profiles.prediction.terms import TERMS
from device_profiles.records import Record

FIT_FILE = "data/predictor.json"
COVARIANCE_UNIT = 1e-4
Effect = tuple[str, str]
Vector = tuple[float, ...]


class FormatFit(Record):
    """The fit of one class and number format.

    Attributes:
        effects: by "level:name".
        covariances: by the chain of the effects that are known, joined with "|"; in units of 0.0001.
        spreads: (common, own) standard deviation of an effect by its level, for effects without a row.
        loose: multiple of an effect's own spread that each term has.
        macs: smallest and largest network.
        rows: published measurements behind it.
        scales: for devices that were measured and for others.
    """

    effects: dict[str, Vector]
    covariances: dict[str, tuple[int, ...]]
    spreads: dict[str, tuple[float, float]]
    loose: Vector
    macs: tuple[int, int]
    rows: int
    scales: dict[Known, Scales]


class DeviceError(HeldOutError):
    """One line of the table of errors.

    Attributes:
        device: a board, or "all".
        device_class: "cpu" or "mcu".
        scheme: what was left out: `held_out.Scheme`.
    """

    device: str
    device_class: CoreClass
    scheme: str


class BoardPower(Record):
    """Power while an inference runs.

    Attributes:
        power_w: median of energy over latency.
        rows: how many publications give both.
        spread: 90th percentile of the factor between a row and the median.
        energy_of: "rail" (the chip alone) or "wall" (the whole board with its supply).
    """

    power_w: float
    rows: int
    spread: float
    energy_of: str


class PredictorFit(Record):
    """The whole file."""

    terms: tuple[str, ...]
    setups: dict[str, Setup]
    fits: dict[CoreClass, dict[FitFormat, FormatFit]]
    errors: tuple[DeviceError, ...]
    powers: dict[str, BoardPower]

    def error(self, device_class: CoreClass, device: str, scheme: str) -> HeldOutError | None:
        """A line of the table: of the device, else of its class."""
        for name in (device, "all"):
            for line in self.errors:
                if (line.device_class, line.device, line.scheme) == (device_class, name, scheme):
                    return HeldOutError(**{field: getattr(line, field) for field in HeldOutError.model_fields})
        return None


@lru_cache(maxsize=1)
def load_fit() -> PredictorFit:
    """The shipped fit."""
    return PredictorFit.model_validate(json.loads((files("device_profiles") / FIT_FILE).read_text(encoding="utf-8")))


def chain_key(effects: Sequence[Effect]) -> str:
    """The key of a chain of effects."""
    return "|".join(f"{level}:{name}" for level, name in effects)


def log_prices(fit: FormatFit, effects: Sequence[Effect]) -> list[float]:
    """Summed corrections of a setup, by term; an effect without rows corrects nothing."""
    known = [fit.effects[key] for effect in effects if (key := chain_key([effect])) in fit.effects]
    return [sum(column) for column in zip(*known, strict=True)] if known else [0.0] * len(TERMS)


def variance(fit: FormatFit, effects: Sequence[Effect], shares: Sequence[float]) -> float:
    """Of the log prediction, by the fit: shares^T C shares.

    A setup that no row has takes the covariance of the longest part of its chain that rows have, and the priors of the
    rest; that overstates the doubt where the rest is known from elsewhere.
    """
    for length in range(len(effects), 0, -1):
        stored = fit.covariances.get(chain_key(effects[:length]))
        if stored is not None:
            break
    else:
        stored, length = (0,) * (len(TERMS) * (len(TERMS) + 1) // 2), 0
    total = _quadratic(stored, shares) * COVARIANCE_UNIT
    squares = sum((share * loose) ** 2 for share, loose in zip(shares, fit.loose, strict=True))
    for level, _ in effects[length:]:
        common, own = fit.spreads[level]
        total += common ** 2 + own ** 2 * squares
    return max(0.0, total)


def _quadratic(triangle: Sequence[int], shares: Sequence[float]) -> float:
    """shares^T C shares, C by its upper triangle."""
    total, position = 0.0, 0
    for row, first in enumerate(shares):
        for column in range(row, len(shares)):
            total += triangle[position] * first * shares[column] * (1 if column == row else 2)
            position += 1
    return total
