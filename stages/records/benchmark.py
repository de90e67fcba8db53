"""How long a tflite model takes, and on what."""

from __future__ import annotations

from device_profiles.records import Figure, Record
from stages.records.base import EngineStatus, StageResult
from stages.records.targets import Conditions, Host

__all__ = ["BenchmarkResult", "EngineBenchmark", "Host", "OperatorTime"]


class OperatorTime(Record):
    """Time of one operator of the tflite model, where the engine gives it."""

    index: int
    operator: str
    latency_ms: float


class EngineBenchmark(Record):
    """One tflite model measured in one engine.

    Attributes:
        load: from bytes to a model that can be invoked, ms.
        first_inference: the first one, ms.
        median, p90, p99, minimum: of one inference (batch 1), ms; a percentile is None where the samples do not
            support it.
        throughput: inferences a second at batch 1.
        peak_memory: resident set of the worker at its highest, less its baseline before the model was loaded, bytes.
        arena: bytes of the tensor arena, exact (tflm only).
        arena_persistent, arena_non_persistent: of the arena in use, what stays (TFLM's structures and the kernels'
            parameters), and the plan of activations and scratch buffers.
        samples_ms: every sample, in order, in the artifact's `samples.json`; here a summary for plots: the deciles
            0, 10, ... 100 %.
        rounds: how many interleaved rounds the samples came in.
        instructions, accesses: of one inference, and reads and writes of memory among them (an emulated target alone,
            which in turn has no latency).
    """

    engine: str
    engine_version: str
    status: EngineStatus
    message: str = ""
    threads: int = 1
    cpus: tuple[int, ...] = ()
    load: Figure | None = None
    first_inference: Figure | None = None
    median: Figure | None = None
    p90: Figure | None = None
    p99: Figure | None = None
    minimum: Figure | None = None
    throughput: Figure | None = None
    peak_memory: Figure | None = None
    arena: Figure | None = None
    arena_persistent: Figure | None = None
    arena_non_persistent: Figure | None = None
    deciles_ms: tuple[float, ...] = ()
    rounds: int = 0
    operator_times: tuple[OperatorTime, ...] = ()
    instructions: Figure | None = None
    accesses: Figure | None = None


class BenchmarkResult(StageResult):
    """Every variant in every engine: `variants[name][engine]`.

    Attributes:
        host: the machine that the workers ran on.
        target: how it was reached.
        conditions: its state before and after; None where nothing ran.
    """

    host: Host
    target: str = "host"
    conditions: Conditions | None = None
    variants: dict[str, dict[str, EngineBenchmark]]
