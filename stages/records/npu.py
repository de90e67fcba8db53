"""What Vela made of a tflite model for one NPU: which operator runs where, and what it says of memory and cycles."""

from __future__ import annotations

from typing import Literal

from device_profiles.records import Figure, Record
from stages.records.base import EngineStatus, StageResult

CompileStatus = EngineStatus | Literal["skipped"]


class NpuOperator(Record):
    """An operator of the tflite model as it was before.

    Attributes:
        index: position in its graph.
        operator: its name: "CONV_2D", "CUSTOM 'x'".
        output: name of its first output.
        on: where it runs once compiled.
        why: what Vela says against it where it stays on the CPU.
        cycles: Vela's estimate of the NPU's clock cycles, waiting for memory included; 0 on the CPU, and for an
            operator that Vela needs nothing for.
        macs: multiply-accumulates as Vela counts them, in the shape that it gives the operator.
    """

    index: int
    operator: str
    output: str
    on: Literal["npu", "cpu"]
    why: str = ""
    cycles: int = 0
    macs: int = 0


class NpuCycles(Record):
    """Clock cycles of one inference by what the NPU is busy with; they overlap, so `total` is not their sum."""

    npu: int
    sram: int
    dram: int
    on_chip_flash: int
    off_chip_flash: int
    total: int


class NpuMemory(Record):
    """Bytes by memory: tensors, weights and commands of the NPU, and the tensors of operators on the CPU."""

    sram: int
    dram: int
    on_chip_flash: int
    off_chip_flash: int


class CompileResult(StageResult):
    """One tflite model compiled for one NPU.

    Attributes:
        status: "ok"; "skipped" for a model that has nothing for the NPU; else what stood in the way, in `message`.
        compiler: "Vela 5.2.0".
        accelerator, system_config, memory_mode: what it was compiled for, as Vela calls it.
        clock_hz: of the NPU.
        tflite_bytes, sha256: of the compiled file, which is what is shipped; None where there is none.
        blocks: pieces that the NPU runs in one go; between two of them the CPU has its turn.
        operators: of the tflite model before, in their order.
        cycles, memory, macs: as Vela states them; None where nothing was compiled.
        latency: of what runs on the NPU, ms: cycles over clock, and the profile's overhead. Its interval is the
            profile's, for Vela states none.
    """

    status: CompileStatus
    message: str = ""
    compiler: str
    accelerator: str
    system_config: str
    memory_mode: str
    clock_hz: float | None = None
    tflite_bytes: int | None = None
    sha256: str | None = None
    blocks: int = 0
    operators: tuple[NpuOperator, ...] = ()
    cycles: NpuCycles | None = None
    memory: NpuMemory | None = None
    macs: int = 0
    latency: Figure | None = None

    @property
    def left_on_cpu(self) -> tuple[NpuOperator, ...]:
        """The operators that the CPU runs."""
        return tuple(one for one in self.operators if one.on == "cpu")
