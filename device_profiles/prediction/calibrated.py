"""The latency of a workload by the calibrated model. Plain Python: no numpy, no scipy, no TensorFlow."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from device_profiles.errors import UsageError, with_near_miss
from device_profiles.prediction.cores import CoreClass, FitFormat, find_core, priors
from device_profiles.prediction.effects import Setup, board, effects_of
from device_profiles.prediction.fit_file import FormatFit, PredictorFit, load_fit, log_prices, variance
from device_profiles.prediction.intervals import Known, distance_outside
from device_profiles.prediction.records import OperatorPrediction, Prediction
from device_profiles.prediction.terms import TERMS, Amounts, Term, inference_amounts, operator_amounts
from device_profiles.records import Figure
from device_profiles.schema import Calibrated, Profile
from device_profiles.workload import OperatorWork, Workload

_MS = 1e3
LARGEST_FACTOR = 4.0
"""An 80 % interval that reaches further than this both ways is no prediction: the answer is `unknown`."""
_OVERHEAD: tuple[Term, ...] = ("inference", "operator", "parallel")
_MEMORY: tuple[Term, ...] = ("weights", "activations")
FIT_FORMATS: Mapping[str, FitFormat] = {"float32": "float32", "int8": "int8", "uint8": "int8", "int16x8": "int16x8"}
"""Number format of a model or an operator -> that of the rows whose prices it has."""
_DEFAULT_RUNTIMES = {"litert": ("xnnpack-2023", "xnnpack"), "tflite-runtime": ("tflite-2.11.0", "ruy"),
                     "tflm": ("tflm-cmsis-nn", "tflm")}
"""The published runtime nearest to an engine, where a profile names none."""


@dataclass(frozen=True)
class _Priced:
    """A setup's prices in one number format.

    Attributes:
        prices: seconds a unit, by term.
        effects: of the setup.
    """

    fit: FormatFit
    prices: Mapping[Term, float]
    effects: tuple[tuple[str, str], ...]


_Part = tuple[_Priced, Amounts, OperatorWork | None]


def predict_calibrated(workload: Workload, profile: Profile, model: Calibrated) -> Prediction:
    """Predict the latency of one inference (batch 1) in steady state, with an 80 % and a 95 % interval.

    Args:
        workload: of the tflite model.
        profile: of the device; its threads are the setup's, and its core and clock where the device was not measured.
        model: which device and runtime of the fit stand for it.

    Returns:
        The figure, or the reason why there is none.
    """
    fit = load_fit()
    try:
        setup = setup_of(profile, model)
        core = find_core(setup.core)
    except UsageError as error:
        return Prediction(figure=None, reason=error.found)
    own_format = FIT_FORMATS.get(workload.number_format, "float32")
    priced = {each: _priced(fit, setup, core.core_class, each) for each in fit.fits.get(core.core_class, {})}
    reason = unpredictable(workload, priced, own_format)
    if reason:
        return Prediction(figure=None, reason=reason)
    parts: list[_Part] = [(priced[own_format], inference_amounts(), None)]
    parts += [(priced[format_of(op, own_format)], operator_amounts(op), op) for op in workload.operators]
    return _prediction(workload, setup, fit, own_format, parts)


def setup_of(profile: Profile, model: Calibrated) -> Setup:
    """The setup of a profile; of a measured device with the core and the clock that it was measured at.

    Raises:
        UsageError: the profile states no hardware, or a device of which nothing was published.
    """
    if profile.hardware is None:
        raise UsageError(f"profile '{profile.name}' states no core and no clock, which a calibrated prediction needs")
    runtime, kernels = _runtime(model, *_DEFAULT_RUNTIMES[profile.engine.name])
    core, clock_hz = profile.hardware.core.value, profile.hardware.clock_hz.value
    if model.device:
        own = [setup for setup in load_fit().setups.values() if setup.device == model.device]
        if not own:
            raise UsageError(with_near_miss(f"nothing was published of a device '{model.device}'", model.device,
                                            sorted({setup.device for setup in load_fit().setups.values()})))
        same = [setup for setup in own if (setup.runtime, setup.threads) == (runtime, profile.threads)]
        if same:
            return same[0]
        core, clock_hz = own[0].core, own[0].clock_hz
    small = max(0, profile.threads - profile.hardware.cores.value)  # the big cores are taken first
    return Setup(device=model.device, core=core, clock_hz=clock_hz, threads=profile.threads, runtime=runtime,
                 kernels=kernels, small_threads=small)


def _runtime(model: Calibrated, runtime: str, kernels: str) -> tuple[str, str]:
    """(runtime, kernels): as named; else the device's last one with the engine's kernels; else the engine's own."""
    setups = load_fit().setups.values()
    if model.runtime:
        return model.runtime, next((s.kernels for s in setups if s.runtime == model.runtime), kernels)
    own = [s.runtime for s in setups if (s.device, s.kernels) == (model.device, kernels)]
    return (runtime if runtime in own else max(own, key=_version, default=runtime)), kernels


def _version(runtime: str) -> list[int]:
    """The numbers in a runtime's key, so that 2.11 comes after 2.7."""
    return [int(number) for number in re.findall(r"\d+", runtime)]


def _priced(fit: PredictorFit, setup: Setup, core_class: CoreClass, number_format: FitFormat) -> _Priced:
    """Prior prices, corrected by the setup's effects."""
    own, effects = fit.fits[core_class][number_format], effects_of(setup, number_format)
    prior = priors(find_core(setup.core), number_format, setup.clock_hz, setup.threads, setup.small_threads)
    corrections = log_prices(own, effects)
    prices = {term: prior[term] * math.exp(log) for term, log in zip(TERMS, corrections, strict=True)}
    return _Priced(own, prices, effects)


def unpredictable(workload: Workload, priced: Collection[FitFormat], own_format: FitFormat) -> str:
    """Why a workload cannot be predicted with prices of these formats, or an empty string."""
    if workload.has_control_flow:
        return "the model has control flow, so its work depends on the data"
    if own_format not in priced:
        return f"nothing was published for {own_format} on devices of this kind"
    for op in workload.operators:
        if operator_amounts(op) and op.kernel == "other":
            return f"operator {op.index} ({op.label}): its cost is not known"
        needed = FIT_FORMATS.get(op.arithmetic)
        if needed not in priced and (op.macs or needed is not None):  # integers that are no activations need none
            return f"operator {op.index} ({op.label}): nothing was published for {op.arithmetic} arithmetic"
    return ""


def format_of(op: OperatorWork, own_format: FitFormat) -> FitFormat:
    """The format whose prices an operator has; integers that are no activations go with the model's."""
    return FIT_FORMATS.get(op.arithmetic, own_format)


def _seconds(priced: _Priced, amounts: Amounts) -> dict[Term, float]:
    return {term: amount * priced.prices[term] for term, amount in amounts.items()}


def _prediction(workload: Workload, setup: Setup, fit: PredictorFit, own_format: FitFormat,
                parts: Sequence[_Part]) -> Prediction:
    """Sum the parts and put the intervals around."""
    by_format: dict[int, tuple[_Priced, dict[Term, float]]] = {}
    operators = []
    for priced, amounts, op in parts:
        seconds = _seconds(priced, amounts)
        _, total = by_format.setdefault(id(priced), (priced, dict.fromkeys(TERMS, 0.0)))
        for term, value in seconds.items():
            total[term] += value
        if op is not None:
            operators.append(operator_share(op, seconds))
    latency_s = sum(sum(total.values()) for _, total in by_format.values())
    doubt = sum(variance(priced.fit, priced.effects, [total[term] / latency_s for term in TERMS])
                for priced, total in by_format.values())
    main = fit.fits[find_core(setup.core).core_class][own_format]
    distance = distance_outside(workload.macs, *main.macs)
    known: Known = "measured" if _measured(fit, setup) else "unmeasured"
    narrow, wide = main.scales[known].factors(doubt, distance)
    if narrow > LARGEST_FACTOR:
        return Prediction(figure=None, reason=too_wide(narrow, known))
    ms = latency_s * _MS
    figure = Figure(value=ms, unit="ms", provenance="predicted", level=0.8, interval=(ms / narrow, ms * narrow),
                    method=_method(setup, known, narrow, distance), samples=main.rows)
    scheme = "family" if known == "measured" else "device"
    error = fit.error(find_core(setup.core).core_class, board(setup.device), scheme)
    return Prediction(figure=figure, operators=tuple(operators), widened=distance > 0,
                      wide_interval=(ms / wide, ms * wide), held_out=error)


def _measured(fit: PredictorFit, setup: Setup) -> bool:
    """Whether rows of this device with these kernels are in the fit."""
    return any((each.device, each.kernels) == (setup.device, setup.kernels) for each in fit.setups.values())


def too_wide(factor: float, known: Known) -> str:
    """Why there is no figure where the 80 % interval reaches further than `LARGEST_FACTOR`."""
    what = "operators like these" if known == "measured" else "this device and operators like these"
    return (f"too little was published about {what}: the 80 % interval would reach a factor of {factor:.1f} both ways, "
            f"and from {LARGEST_FACTOR:g} on it is no prediction")


def _method(setup: Setup, known: Known, factor: float, distance: float) -> str:
    """How value and interval were computed, for people."""
    threads = f"{setup.threads} thread{'s' if setup.threads > 1 else ''}"
    text = (f"calibrated on published measurements, {known} device, {setup.runtime}, {threads}; "
            f"conformal interval, factor {factor:.3g}")
    return f"{text}, widened: the model's MACs are outside the fit's" if distance else text


def operator_share(op: OperatorWork, seconds: Mapping[Term, float]) -> OperatorPrediction:
    """An operator's latency, and which kind of term has the largest part in it."""
    overhead = sum(seconds.get(term, 0.0) for term in _OVERHEAD)
    memory = sum(seconds.get(term, 0.0) for term in _MEMORY)
    total = sum(seconds.values())
    parts = {"compute": total - overhead - memory, "memory": memory, "overhead": overhead}
    return OperatorPrediction(index=op.index, operator=op.label, kernel=op.kernel, latency_ms=total * _MS,
                              bound=max(parts, key=lambda kind: cast(float, parts[kind])))
