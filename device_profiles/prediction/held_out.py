"""The error of the fit on rows that it has not seen. Not needed to predict.

Ways to leave rows out:

    family       the rows of one network family on one board: a new network on a measured device
    family_all   the rows of one network family on every board: a network unlike any that was measured
    device       the rows of one board: a device that was never measured
    network      the rows of one network on one board: one more network of a kind that was measured there
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from device_profiles.prediction.dataset import Sample, as_rows
from device_profiles.prediction.effects import Setup
from device_profiles.prediction.fitting import Fitted, Options, Rows, fit

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]
Scheme = Literal["family", "family_all", "device", "network"]
SCHEMES: tuple[Scheme, ...] = ("family", "family_all", "device")
"""Those that the stored errors have."""
_NEAREST: tuple[Callable[[Setup], object], ...] = (
    lambda setup: setup.key, lambda setup: (setup.kernels, setup.core), lambda setup: setup.kernels, lambda _: None)
_ROUNDS, _TOLERANCE = 20, 1e-5  # from the fit to all rows; what it knows of the rows left out must be forgotten


@dataclass(frozen=True)
class LeftOut:
    """One row, predicted without it.

    Attributes:
        log_error: log(predicted / published).
        variance: of the log prediction by the fit's covariance, without the network's own misfit.
        naive_log_error: of the rule "milliseconds per MAC", from the same rows.
    """

    sample: Sample
    scheme: Scheme
    log_error: float
    variance: float
    naive_log_error: float


def left_out(chosen: Sequence[Sample], options: Options, scheme: Scheme, full: Fitted,
             only: str = "") -> list[LeftOut]:
    """Every row that can be left out so that rows remain to fit.

    A board that has one family only is not in `family`: without that family it is not a measured device.

    Args:
        chosen: rows of one class and format.
        options: of the fit.
        scheme: what is left out together.
        full: the fit to all of them, to begin at.
        only: a board; leave out rows of no other.
    """
    import numpy as np

    rows, found = as_rows(chosen), []
    quick = replace(options, rounds=_ROUNDS, tolerance=_TOLERANCE)
    for group in _groups(chosen, scheme):
        if only and {chosen[i].board for i in group} != {only}:
            continue
        out = np.zeros(len(chosen), bool)
        out[group] = True
        kept, held = np.flatnonzero(~out), np.flatnonzero(out)
        if not len(kept):
            continue
        fitted = fit(rows.take(kept), quick, full)
        errors, variances = _errors(fitted, rows.take(held))
        rest = [chosen[i] for i in kept]
        found += [LeftOut(chosen[i], scheme, float(error), float(variance), naive_log_error(rest, chosen[i]))
                  for i, error, variance in zip(held, errors, variances, strict=True)]
    return found


def _groups(chosen: Sequence[Sample], scheme: Scheme) -> Iterator[list[int]]:
    """Positions that are left out together."""
    families: dict[str, set[str]] = {}
    for sample in chosen:
        families.setdefault(sample.board, set()).add(sample.row.family)
    keys: dict[Scheme, Callable[[Sample], tuple[str, ...]]] = {
        "family": lambda s: (s.board, s.row.family), "family_all": lambda s: (s.row.family,),
        "device": lambda s: (s.board,), "network": lambda s: (s.board, s.row.network)}
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, sample in enumerate(chosen):
        if scheme != "family" or len(families[sample.board]) > 1:
            groups.setdefault(keys[scheme](sample), []).append(number)
    yield from groups.values()


def _errors(fitted: Fitted, held: Rows) -> tuple[Array, Array]:
    """(log errors, variances) of rows that were left out; the covariance is made once a setup."""
    import numpy as np

    errors, variances = [], []
    covariances: dict[tuple[tuple[str, str], ...], Array] = {}
    for x, effects, observed in zip(held.seconds, held.effects, held.observed, strict=True):
        if effects not in covariances:
            covariances[effects] = fitted.setup_covariance(effects)
        parts = x * np.exp(fitted.log_prices(effects))
        shares = parts / parts.sum()
        errors.append(np.log(parts.sum() / observed))
        variances.append(max(0.0, float(shares @ covariances[effects] @ shares)))
    return np.array(errors), np.array(variances)


def naive_log_error(rest: Sequence[Sample], sample: Sample) -> float:
    """log(predicted / published) of the rule "cycles per MAC": the median of what is nearest among the other rows.

    Nearest: the same setup; else the same kernels on the same core; else the same kernels; else all. Always of the
    same number format.
    """
    import math

    rest = [s for s in rest if s.number_format == sample.number_format]
    for nearest in _NEAREST:
        rates = [_cycles(s) / s.macs for s in rest if nearest(s.setup) == nearest(sample.setup) and s.macs]
        if rates:
            return math.log(median(rates) * max(sample.macs, 1) / _cycles(sample))
    return math.nan


def _cycles(sample: Sample) -> float:
    """Clock cycles of one inference."""
    return sample.row.latency_ms / 1e3 * sample.setup.clock_hz
