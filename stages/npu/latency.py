"""How long an inference takes on a core with an NPU: Vela says it of the one, the profile's predictor of the other."""

from __future__ import annotations

from device_profiles.predictor import predict_latency
from device_profiles.records import Figure
from device_profiles.schema import Profile
from device_profiles.workload import OperatorWork, Workload
from stages.records.npu import CompileResult

_MOST_NAMED = 5


def left_to_cpu(workload: Workload, compiled: CompileResult) -> Workload:
    """The work of the operators that stay on the CPU, of a model whose others the NPU runs."""
    left = {one.index for one in compiled.left_on_cpu}
    kept = tuple(op for op in workload.operators if op.index in left)
    return workload.model_copy(update={"operators": kept, "macs": sum(op.macs for op in kept)})


def whole_latency(left: Workload, profile: Profile, compiled: CompileResult) -> tuple[Figure | None, str]:
    """The latency of NPU and CPU, which take turns; or why there is none.

    Both intervals' ends are added, as if both erred the same way. Where Vela's part has no interval, the sum has none.

    Args:
        left: the work that stays on the CPU, see `left_to_cpu`.
        profile: whose `latency` predicts that work.
        compiled: with Vela's latency of the rest.
    """
    npu = compiled.latency
    if npu is None:
        return None, "nothing runs on the NPU"
    if not left.operators:
        return npu, ""
    rest = predict_latency(left, profile)
    if rest.figure is None:
        return None, (f"{npu.value:.3g} ms on the NPU by {compiled.compiler}, but the time of what stays on the CPU "
                      f"({_named(left.operators)}) is not known: {rest.reason}")
    cpu = rest.figure
    interval = (npu.interval[0] + cpu.interval[0], npu.interval[1] + cpu.interval[1]
                ) if npu.interval and cpu.interval else None
    return Figure(value=npu.value + cpu.value, unit="ms", provenance="predicted", interval=interval,
                  level=min(npu.level, cpu.level),
                  method=f"{npu.value:.3g} ms on the NPU: {npu.method}; {cpu.value:.3g} ms on the CPU "
                         f"({_named(left.operators)}): {cpu.method}"), ""


def _named(operators: tuple[OperatorWork, ...]) -> str:
    """`2 ELU, 1 QUANTIZE`, the first few kinds."""
    labels = [op.label for op in operators]
    kinds = sorted(set(labels), key=lambda label: (-labels.count(label), label))
    more = f" and {len(kinds) - _MOST_NAMED} more kinds" if len(kinds) > _MOST_NAMED else ""
    return ", ".join(f"{labels.count(kind)} {kind}" for kind in kinds[:_MOST_NAMED]) + more
