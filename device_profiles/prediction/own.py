"""The latency of a workload on a board with measurements of its own. Plain Python, as `calibrated`.

    latency  = sum over terms j of  amount_j * datasheet_j * exp(correction_j)
    interval = [x / f, x * f],  f = exp(scale * sqrt(misfit^2 + g^T C g + (reach * distance)^2))

as for a published board, with the corrections, their covariance C and the scales that `own_fit` found and the profile
keeps (`own_records.OwnCalibration`); g are the shares of the terms.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence

from device_profiles.errors import UsageError
from device_profiles.prediction.calibrated import (
    FIT_FORMATS,
    LARGEST_FACTOR,
    format_of,
    operator_share,
    setup_of,
    too_wide,
    unpredictable,
)
from device_profiles.prediction.cores import FitFormat, find_core, priors
from device_profiles.prediction.effects import Setup
from device_profiles.prediction.fit_file import COVARIANCE_UNIT
from device_profiles.prediction.intervals import distance_outside
from device_profiles.prediction.own_records import OwnCalibration
from device_profiles.prediction.records import OperatorPrediction, Prediction
from device_profiles.prediction.terms import MEANING, TERMS, Amounts, Term, inference_amounts, operator_amounts
from device_profiles.records import Figure
from device_profiles.schema import Calibrated, Profile
from device_profiles.workload import Workload

_MS = 1e3
_Seconds = dict[FitFormat, dict[Term, float]]


def predict_own(workload: Workload, profile: Profile, model: Calibrated, own: OwnCalibration) -> Prediction:
    """Predict the latency of one inference (batch 1) in steady state, with an 80 % and a 95 % interval.

    Args:
        workload: of the tflite model.
        profile: of the device.
        model: its latency section.
        own: what its user's measurements gave.

    Returns:
        The figure, or the reason why there is none.
    """
    try:
        setup = setup_of(profile, model)
        prices = _prices(setup, own)
    except UsageError as error:
        return Prediction(figure=None, reason=error.found)
    if isinstance(found := amounts_by_format(workload, prices), str):
        return Prediction(figure=None, reason=found)
    own_format = FIT_FORMATS.get(workload.number_format, "float32")
    operators, total = [], {own_format: _seconds(inference_amounts(), prices[own_format])}
    for op in workload.operators:
        chosen = format_of(op, own_format)
        seconds = _seconds(operator_amounts(op), prices[chosen])
        operators.append(operator_share(op, seconds))
        _add(total.setdefault(chosen, {}), seconds)
    return _prediction(workload, own, total, tuple(operators), own_format)


def amounts_by_format(workload: Workload, known: Iterable[FitFormat]) -> dict[FitFormat, Amounts] | str:
    """The terms of a whole inference by the format whose prices they have; or why it cannot be priced."""
    own_format = FIT_FORMATS.get(workload.number_format, "float32")
    if reason := unpredictable(workload, tuple(known), own_format):
        return reason
    total: dict[FitFormat, Amounts] = {own_format: inference_amounts()}
    for op in workload.operators:
        _add(total.setdefault(format_of(op, own_format), {}), operator_amounts(op))
    return total


def basis_digest(setup: Setup, formats: Iterable[FitFormat]) -> str:
    """A digest of what corrections are relative to: what the terms mean, and the datasheet's prices of a setup."""
    tables = {each: [f"{price:.6g}" for price in _datasheet(setup, each).values()] for each in sorted(formats)}
    text = json.dumps([list(TERMS), dict(MEANING), tables], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _datasheet(setup: Setup, number_format: FitFormat) -> dict[Term, float]:
    """Seconds a unit, by term."""
    return priors(find_core(setup.core), number_format, setup.clock_hz, setup.threads, setup.small_threads)


def _prices(setup: Setup, own: OwnCalibration) -> dict[FitFormat, dict[Term, float]]:
    """Seconds a unit by format and term.

    Raises:
        UsageError: the core is not known, or the corrections were made for other terms, another core, clock or number
            of threads.
    """
    if own.basis != basis_digest(setup, own.corrections):
        raise UsageError("this profile's own corrections were made for another core, clock, number of threads or "
                         "version of the predictor: run 'litesmith profiles calibrate' again with your measurements")
    return {each: {term: datasheet * math.exp(log)
                   for (term, datasheet), log in zip(_datasheet(setup, each).items(), logs, strict=True)}
            for each, logs in own.corrections.items()}


def _seconds(amounts: Amounts, prices: Mapping[Term, float]) -> dict[Term, float]:
    return {term: amount * prices[term] for term, amount in amounts.items()}


def _add(total: dict[Term, float], more: Mapping[Term, float]) -> None:
    for term, value in more.items():
        total[term] = total.get(term, 0.0) + value


def _prediction(workload: Workload, own: OwnCalibration, total: _Seconds,
                operators: tuple[OperatorPrediction, ...], own_format: FitFormat) -> Prediction:
    """Sum up and put the intervals around."""
    latency_s = sum(sum(seconds.values()) for seconds in total.values())
    doubt = sum(_variance(own.covariances[each], [seconds.get(term, 0.0) / latency_s for term in TERMS])
                for each, seconds in total.items())
    distance = distance_outside(workload.macs, *own.macs[own_format])
    narrow, wide = own.scales.factors(doubt, distance)
    if narrow > LARGEST_FACTOR:
        return Prediction(figure=None, reason=too_wide(narrow, "measured"))
    ms = latency_s * _MS
    figure = Figure(value=ms, unit="ms", provenance="predicted", level=0.8, interval=(ms / narrow, ms * narrow),
                    method=_method(own, narrow, distance), samples=len(own.measurements))
    return Prediction(figure=figure, operators=operators, widened=distance > 0, wide_interval=(ms / wide, ms * wide),
                      own_error=own.error)


def _variance(triangle: Sequence[int], shares: Sequence[float]) -> float:
    """shares^T C shares, C by its upper triangle."""
    values = iter(triangle)
    total = sum(next(values) * first * second * (1 if column == row else 2)
                for row, first in enumerate(shares) for column, second in enumerate(shares) if column >= row)
    return max(0.0, total * COVARIANCE_UNIT)


def _method(own: OwnCalibration, factor: float, distance: float) -> str:
    """How value and interval were computed, for people."""
    rows = len(own.measurements)
    text = (f"calibrated on {rows} own measurement{'s' if rows > 1 else ''} and the published ones; "
            f"conformal interval, factor {factor:.3g}")
    return f"{text}, widened: the model's MACs are outside the measured ones" if distance else text
