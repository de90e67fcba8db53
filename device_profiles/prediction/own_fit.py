"""A board's own corrections, learned from the measurements of one user: the published fit is the prior.

With m the published log corrections of a setup (number format f, threads t) and amounts times datasheet prices x_ij:

    latency_i = sum_j x_ij * exp(m[f, t, j] + own[f, t, j])
    own[f, t] = u + d[f] + s[f, t]        u: this board; d: its kernels for a format; s: a number of threads
    log latency_i = log measured_i + e_i,  e_i ~ N(0, noise^2 + variance of the measurement)

u, d and s are Gaussian about zero. The covariance of d holds what the published rows leave open as well (Laplace's
approximation, as the fit stores it). So one measurement mostly moves all prices together, and many of them tell kernels
apart.

The minimum is found by Gauss-Newton, in the dual: with S the shares of the terms in each predicted latency, P the prior
covariance and V the noise, a round solves (S P S^T + V) a = r - S own. Needs numpy; a prediction does not (`own`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from device_profiles.prediction.cores import CoreClass, FitFormat, find_core, priors
from device_profiles.prediction.effects import Setup, effects_of
from device_profiles.prediction.fit_file import FormatFit, load_fit, log_prices, variance
from device_profiles.prediction.intervals import Scales
from device_profiles.prediction.terms import TERMS, Amounts

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

NOISE = 0.1
"""What a network differs by that no price explains, in logs; chosen with the scales."""
SCALES: Mapping[CoreClass, Scales] = MappingProxyType({
    "cpu": Scales(misfit=NOISE, level_80=1.0, level_95=1.75), "mcu": Scales(misfit=NOISE, level_80=1.15, level_95=2.2)})
"""Of the intervals, by what `benchmarks/own_measurements.py` found on boards that the published fit had not seen."""
_LIKE_PUBLISHED = (0.15, 0.07)
_BOARD, _FORMAT = (0.2, 0.1), (0.2, 0.15)
"""Spreads of u, d and s: what a clock, a governor, flash or a build of one's own may change. A board of a published
device differs less from it than one that nobody published from its core's mean."""
_ROUNDS, _TOLERANCE, _HALVINGS = 50, 1e-9, 8
Key = tuple[FitFormat, int]
"""(number format, threads)."""


@dataclass(frozen=True)
class OwnRow:
    """One measurement.

    Attributes:
        amounts: of the terms, by number format of the operators.
        threads: that shared the work.
        seconds: of one inference.
        variance: of the logarithm of `seconds`, from the samples' spread.
        network: rows of one network are left out together.
    """

    amounts: Mapping[FitFormat, Amounts]
    threads: int
    seconds: float
    variance: float = 0.0
    network: str = ""


@dataclass(frozen=True)
class Prior:
    """What the published rows say of one setup.

    Attributes:
        seconds: one unit of each term by the datasheet, (terms,).
        mean: log corrections, (terms,).
        covariance: of them, (terms, terms).
    """

    seconds: Array
    mean: Array
    covariance: Array


@dataclass(frozen=True)
class Spreads:
    """Standard deviations in logs, (common to all terms, of each term alone), of u, d and s; `loose` is the fit's."""

    board: tuple[float, float]
    per_format: tuple[float, float]
    per_setup: tuple[float, float]
    loose: tuple[float, ...]


@dataclass(frozen=True)
class LeftOutRow:
    """A row predicted without its network.

    Attributes:
        before, after: log(predicted / measured) by the published fit, and by the corrections from the other rows.
        variance: of the log prediction after.
    """

    before: float
    after: float
    variance: float


def published_prior(setup: Setup, number_format: FitFormat) -> Prior:
    """The prior of a setup from the shipped fit; what the chain of effects lacks is open by its spread."""
    import numpy as np

    core = find_core(setup.core)
    own, effects = load_fit().fits[core.core_class][number_format], effects_of(setup, number_format)
    prices = priors(core, number_format, setup.clock_hz, setup.threads, setup.small_threads)
    return Prior(np.array([prices[term] for term in TERMS]), np.array(log_prices(own, effects)),
                 _covariance(own, effects))


def _covariance(fit: FormatFit, effects: Sequence[tuple[str, str]]) -> Array:
    """Of the summed corrections of a chain of effects, (terms, terms): C_jk from the variances of sums of two terms."""
    import numpy as np

    ones = np.eye(len(TERMS))
    own = [variance(fit, effects, each.tolist()) for each in ones]
    total = np.diag(np.array(own))
    for row in range(len(TERMS)):
        for column in range(row):
            both = variance(fit, effects, (ones[row] + ones[column]).tolist())
            total[row, column] = total[column, row] = (both - own[row] - own[column]) / 2
    return total


def published_spreads(setup: Setup, fit: FormatFit) -> Spreads:
    """How far a board of one's own may be from what the fit expects."""
    if setup.device:
        return Spreads(_LIKE_PUBLISHED, (0.0, 0.0), _LIKE_PUBLISHED, fit.loose)
    return Spreads(_BOARD, _FORMAT, _LIKE_PUBLISHED, fit.loose)


def _spread(spread: tuple[float, float], loose: Sequence[float]) -> Array:
    import numpy as np

    common, own = spread
    return common ** 2 * np.ones((len(loose), len(loose))) + own ** 2 * np.diag(np.array(loose) ** 2)


class OwnFit:
    """The corrections of one board.

    Args:
        found: its measurements; each key of theirs has a prior.
        known: what the published rows say, by key.
        spreads: of u, d and s.
    """

    def __init__(self, found: Sequence[OwnRow], known: Mapping[Key, Prior], spreads: Spreads) -> None:
        import numpy as np

        self.rows, self.known, self.keys = found, known, list(known)
        self.at = {key: slice(i * len(TERMS), (i + 1) * len(TERMS)) for i, key in enumerate(self.keys)}
        self.prior = self._prior(spreads)
        self.base = np.array([self._seconds(row) for row in found]).reshape(len(found), len(self.prior))
        self.logs = np.log([row.seconds for row in found])
        self.noise = np.array([NOISE ** 2 + row.variance for row in found])
        self.own, self.shares = self._solve()

    def _prior(self, spreads: Spreads) -> Array:
        """P, (keys * terms, keys * terms)."""
        import numpy as np

        total = np.tile(_spread(spreads.board, spreads.loose), (len(self.keys), len(self.keys)))
        per_format, per_setup = (_spread(each, spreads.loose) for each in (spreads.per_format, spreads.per_setup))
        first = {number_format: self.known[number_format, threads].covariance
                 for number_format, threads in reversed(self.keys)}
        for key, rows in self.at.items():
            for other, columns in self.at.items():
                if key[0] == other[0]:
                    total[rows, columns] += first[key[0]] + per_format
            total[rows, rows] += per_setup
        return total

    def _seconds(self, row: OwnRow) -> Array:
        """Seconds of each term of each key by the published fit, (keys * terms,)."""
        import numpy as np

        total = np.zeros(len(self.keys) * len(TERMS))
        for number_format, amounts in row.amounts.items():
            prior = self.known[number_format, row.threads]
            units = np.array([amounts.get(term, 0.0) for term in TERMS])
            total[self.at[number_format, row.threads]] = units * prior.seconds * np.exp(prior.mean)
        return total

    def _solve(self) -> tuple[Array, Array]:
        """(own corrections (keys * terms,), shares of the terms there (rows, keys * terms))."""
        import numpy as np

        weights = np.zeros(len(self.prior))  # own = P weights
        shares, residual, loss = self._state(weights)
        for _ in range(_ROUNDS if self.rows else 0):
            gram = shares @ self.prior @ shares.T + np.diag(self.noise)
            target = -shares.T @ np.linalg.solve(gram, residual - shares @ (self.prior @ weights))
            step, before = target - weights, loss
            for _ in range(_HALVINGS):
                state = self._state(weights + step)
                if state[2] <= before:
                    weights, (shares, residual, loss) = weights + step, state
                    break
                step = step / 2
            if before - loss <= _TOLERANCE * max(1.0, before):
                break
        return self.prior @ weights, shares

    def _state(self, weights: Array) -> tuple[Array, Array, float]:
        """(shares, log predicted - log measured, what is minimized)."""
        import numpy as np

        own = self.prior @ weights
        parts = self.base * np.exp(own)
        total = parts.sum(axis=1)
        residual = np.log(total) - self.logs
        loss = float((residual ** 2 / self.noise).sum() + weights @ own)
        return parts / total[:, None], residual, loss

    def corrections(self, key: Key) -> Array:
        """Log corrections of the datasheet's prices, published and own together, (terms,)."""
        total: Array = self.known[key].mean + self.own[self.at[key]]
        return total

    def covariance(self) -> Array:
        """Of the corrections given the rows, (keys * terms, keys * terms)."""
        import numpy as np

        cross = self.shares @ self.prior
        gram = cross @ self.shares.T + np.diag(self.noise)
        total: Array = self.prior - cross.T @ np.linalg.solve(gram, cross)
        return total

    def predict(self, row: OwnRow, own: bool = True) -> tuple[float, float]:
        """(log seconds, their variance) of a row; without `own`, by the published fit alone."""
        import numpy as np

        parts = self._seconds(row) * (np.exp(self.own) if own else 1.0)
        shares = parts / parts.sum()
        covariance = self.covariance() if own else self.prior
        return float(np.log(parts.sum())), max(0.0, float(shares @ covariance @ shares))


def left_out_rows(found: Sequence[OwnRow], known: Mapping[Key, Prior], spreads: Spreads) -> list[LeftOutRow]:
    """Every row, predicted from those of other networks, in the order of the rows."""
    import math

    fits = {network: OwnFit([row for row in found if row.network != network], known, spreads)
            for network in {row.network for row in found}}
    left = []
    for row in found:
        fitted, measured = fits[row.network], math.log(row.seconds)
        (after, variance), (before, _) = fitted.predict(row), fitted.predict(row, own=False)
        left.append(LeftOutRow(before - measured, after - measured, variance))
    return left
