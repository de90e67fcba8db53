"""Small profiles and workloads for tests of the check, with round numbers."""

from __future__ import annotations

from typing import Any

from device_profiles.schema import Profile
from device_profiles.workload import OperatorWork, TensorUse, Workload

_SOURCE = "invented for a test"


def fact(value: object) -> dict[str, object]:
    """A fact as a profile's YAML holds it."""
    return {"value": value, "source": _SOURCE}


def measured_profile(**limits: float) -> Profile:
    """This host, measured in litert with one thread."""
    return Profile.model_validate({
        "name": "here", "device": "this host", "class": "cpu", "threads": 1, "limits": limits,
        "engine": {"name": "litert", "version": "2.3.0", "source": _SOURCE}, "operators": fact("all"),
        "formats": fact(["float32", "float16", "dynamic", "int8", "int16x8"]), "latency": {"kind": "measured"}})


def micro_profile(*, ram: int = 8192, flash: int = 65_536, power_w: float | None = None, **limits: float) -> Profile:
    """A microcontroller with TFLM: 1 M MACs a second, no overheads, factor 2; so 1,000 MACs take 1 ms [0.5 to 2]."""
    latency: dict[str, Any] = {
        "kind": "predicted", "level": 0.8, "bandwidth_bytes_per_s": fact(1e12), "operator_overhead_s": fact(0),
        "throughput_per_s": {"int8": fact({"conv": 1e6, "fully_connected": 1e6})}, "inference_overhead_s": fact(0),
        "parallel_efficiency": fact(0), "uncertainty_factor": fact(2.0), "validated_macs": fact([1, 10**9])}
    document: dict[str, Any] = {
        "name": "micro", "device": "a board", "class": "iot", "threads": 1, "limits": limits, "latency": latency,
        "engine": {"name": "tflm", "version": "dev", "source": _SOURCE}, "operators": fact(["CONV_2D"]),
        "formats": fact(["int8"]), "hardware": {
            "core": fact("Cortex-M4"), "cores": fact(1), "clock_hz": fact(1e8), "instruction_set": fact(["dsp"]),
            "ram_bytes": fact(max(ram, 16_384)), "arena_bytes": fact(ram), "flash_bytes": fact(flash)}}
    if power_w is not None:
        document["active_power_w"] = fact(power_w)
    return Profile.model_validate(document)


def workload(*, macs: int = 1000, operator: str = "CONV_2D", number_format: str = "int8", peak: int = 1000,
             size: int = 10_000) -> Workload:
    """One operator on int8 tensors that does nothing but multiply and accumulate: all its other counts are 0."""
    tensor = TensorUse(name="x", shape=(1, 10), dtype="int8", size_bytes=10, constant=False)
    counts: dict[str, Any] = {name: 0 for name, field in OperatorWork.model_fields.items() if field.is_required()}
    work = OperatorWork.model_validate(counts | {
        "index": 0, "name": operator, "version": 1, "kernel": "conv", "arithmetic": "int8", "options": {},
        "inputs": (tensor,), "outputs": (tensor,), "macs": macs, "once": False})
    return Workload(operators=(work,), inputs=(tensor,), outputs=(tensor,), number_format=number_format, macs=macs,
                    parameters=10, weight_bytes=10, sparsity=0.0, activation_peak_bytes=peak, tflite_bytes=size,
                    signatures=(), graphs=1)
