"""Latency and energy of a workload on a profiled device, predicted.

A profile of `kind: calibrated` is predicted by `prediction.calibrated`, or by `prediction.own` where it has
measurements of its own. One of `kind: predicted` states its own rates for a roofline over the operators. For one
operator on one core:

    compute = work / throughput + loops / loops_per_s        (the loops of convolutions; by their kind)
    latency = max(compute, bytes / bandwidth) / (1 + (threads - 1) * parallel_efficiency) + operator_overhead

`work` is MACs, or element operations for a kernel that does not multiply and accumulate. The sum over the operators and
`inference_overhead` is the latency; `uncertainty_factor` f gives the interval [x / f, x * f].
S. Williams, A. Waterman, D. Patterson: "Roofline: an insightful visual performance model", CACM 52(4), 2009.
"""

from __future__ import annotations

from typing import cast

from device_profiles.operators import VIEWS
from device_profiles.prediction.calibrated import predict_calibrated
from device_profiles.prediction.energy import energy_by_power, published_power
from device_profiles.prediction.own import predict_own
from device_profiles.prediction.records import OperatorPrediction, Prediction
from device_profiles.records import Figure
from device_profiles.schema import MICRO_ENGINE, Arithmetic, Calibrated, Loop, Predicted, Profile
from device_profiles.workload import OperatorWork, Workload

_MS = 1e3

__all__ = ["OperatorPrediction", "Prediction", "predict_energy", "predict_latency"]


def predict_latency(workload: Workload, profile: Profile) -> Prediction:
    """Predict the latency of one inference (batch 1) in steady state.

    Args:
        workload: of the tflite model.
        profile: of the device; its `threads` are the threads.

    Returns:
        The figure with its interval, or the reason why there is none: a device that is measured, an operator or an
        arithmetic of which the profile states no throughput, control flow.
    """
    model = profile.latency
    if isinstance(model, Calibrated):
        if model.own is not None:
            return predict_own(workload, profile, model, model.own)
        return predict_calibrated(workload, profile, model)
    if not isinstance(model, Predicted):
        return Prediction(figure=None, reason=f"profile '{profile.name}' is measured, not predicted")
    reason = _unpredictable(workload, model)
    if reason:
        return Prediction(figure=None, reason=reason)
    shares = tuple(_operator(op, model, profile) for op in workload.operators)
    latency_ms = sum(share.latency_ms for share in shares) + model.inference_overhead_s.value * _MS
    low, high = model.validated_macs.value
    inside = low <= workload.macs <= high
    # Outside what was validated nothing proves the factor; its square is a convention, not a measurement.
    factor = model.uncertainty_factor.value if inside else model.uncertainty_factor.value ** 2
    figure = Figure(value=latency_ms, unit="ms", provenance="predicted", level=model.level,
                    interval=(latency_ms / factor, latency_ms * factor), method=_method(profile, factor, inside))
    return Prediction(figure=figure, operators=shares, widened=not inside)


def predict_energy(profile: Profile, latency: Figure | None) -> Figure | None:
    """Energy of one inference: the power while an inference runs, times the latency.

    Over 27 MLPerf Tiny submissions the power of a board changes little with the network, so one power serves all. A
    calibrated profile takes the power that was published for its device; other profiles state one.

    Args:
        profile: of the device.
        latency: in ms, measured or predicted.

    Returns:
        uJ with the latency's interval and provenance "predicted"; None without a latency or a power.
    """
    if latency is None:
        return None
    if profile.active_power_w is not None:
        return energy_by_power(profile.active_power_w.value, "", latency)
    power = published_power(profile.latency.device) if isinstance(profile.latency, Calibrated) else None
    if power is None:
        return None
    where = "the chip's supply rail" if power.energy_of == "rail" else "the whole board at the wall, idle included"
    return energy_by_power(power.power_w, f"{where}, median of {power.rows} published rows", latency, power.spread)


def _method(profile: Profile, factor: float, inside: bool) -> str:
    """How value and interval were computed, for people."""
    text = f"roofline over operators, {profile.threads} thread{'s' if profile.threads > 1 else ''}; factor {factor:.3g}"
    return text if inside else f"{text} (squared: the model's MACs are outside the validated range)"


def _unpredictable(workload: Workload, model: Predicted) -> str:
    """Why a workload cannot be predicted, or an empty string."""
    if workload.has_control_flow:
        return "the model has control flow, so its work depends on the data"
    for op in workload.operators:
        missing = _missing(op, model)
        if missing:
            return f"operator {op.index} ({op.label}): {missing}"
    return ""


def _missing(op: OperatorWork, model: Predicted) -> str:
    """What the profile does not state about an operator."""
    if op.once or op.name in VIEWS:
        return ""
    if op.kernel == "other":
        return "its cost is not known"
    if not _throughput_per_s(op, model):
        return f"the profile states no throughput for {op.kernel} in {op.arithmetic} arithmetic"
    return ""


def _throughput_per_s(op: OperatorWork, model: Predicted) -> float:
    """Of one core; 0 where the profile states none.

    An operator without MACs on integers that are no activations (shapes, indexes) goes at the slowest stated rate.
    """
    table = model.throughput_per_s.get(cast(Arithmetic, op.arithmetic))
    if table is not None:
        return table.value.get(op.kernel, 0.0)
    if op.macs or op.arithmetic != "other":
        return 0.0
    return min((rates.value[op.kernel] for rates in model.throughput_per_s.values() if op.kernel in rates.value),
               default=0.0)


def _loops_s(op: OperatorWork, model: Predicted) -> float:
    """Seconds that a convolution kernel of one core spends besides multiplying."""
    rates = model.loops_per_s.get(cast(Arithmetic, op.arithmetic))
    if rates is None or not op.output_taps:
        return 0.0
    counts: dict[Loop, int] = {"window_taps": op.window_taps, "output_taps": op.output_taps,
                               "outputs": op.output_elements}
    return sum(counts[loop] / per_s for loop, per_s in rates.value.items())


def _operator(op: OperatorWork, model: Predicted, profile: Profile) -> OperatorPrediction:
    """The latency of one operator, and what bounds it."""
    overhead_s = model.operator_overhead_s.value
    if op.once and profile.engine.name != MICRO_ENGINE:
        overhead_s = 0.0  # litert runs an operator on constants once, at load
    if op.once or op.name in VIEWS:
        return _share(op, 0.0, 0.0, overhead_s)
    speedup = 1 + (profile.threads - 1) * model.parallel_efficiency.value
    compute_s = (op.macs or op.element_ops) / _throughput_per_s(op, model) + _loops_s(op, model)
    moved = op.weight_bytes + op.input_bytes + op.output_bytes
    return _share(op, compute_s / speedup, moved / model.bandwidth_bytes_per_s.value / speedup, overhead_s)


def _share(op: OperatorWork, compute_s: float, memory_s: float, overhead_s: float) -> OperatorPrediction:
    bound = "compute" if compute_s >= memory_s else "memory"
    if overhead_s >= max(compute_s, memory_s):
        bound = "overhead"
    return OperatorPrediction(index=op.index, operator=op.label, kernel=op.kernel, bound=bound,
                              latency_ms=(max(compute_s, memory_s) + overhead_s) * _MS)
