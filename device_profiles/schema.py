"""What a device profile says. Every fact carries its source; limits are choices of the user and carry none.

A profile is written as YAML, see `docs/profiles.md`; `loader` reads it.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from device_profiles import plausible
from device_profiles.prediction.own_records import OwnCalibration
from device_profiles.records import Record
from device_profiles.strictyaml import refusal

DeviceClass = Literal["cpu", "mobile", "iot"]
EngineName = Literal["litert", "tflite-runtime", "tflm"]
MICRO_ENGINE: EngineName = "tflm"
"""TensorFlow Lite for Microcontrollers: one thread, one graph in one arena whose bytes it reports, no delegates. On a
host it runs reference kernels, so that its times there say nothing of a microcontroller's."""
Format = Literal["float32", "float16", "dynamic", "int8", "int16x8", "int4"]
"""Number format of a tflite model, as a device sees it: `int8qat` is `int8` there."""
Arithmetic = Literal["float32", "hybrid", "int8", "int16x8"]
"""What one operator's kernel computes in: float16 weights are unpacked to float32 before."""
KernelClass = Literal["conv_1x1", "conv", "depthwise", "fully_connected", "pooling", "elementwise", "copy", "softmax",
                      "recurrent", "other"]
Loop = Literal["window_taps", "output_taps", "outputs"]
"""What a convolution kernel does besides multiplying; counted in `OperatorWork`."""
Accelerator = Literal["ethos-u55-32", "ethos-u55-64", "ethos-u55-128", "ethos-u55-256", "ethos-u65-256",
                      "ethos-u65-512", "ethos-u85-128", "ethos-u85-256", "ethos-u85-512", "ethos-u85-1024",
                      "ethos-u85-2048"]
"""Arm's NPUs as Vela names them: kind, then multiply-accumulates a cycle."""
T = TypeVar("T")


class Fact(Record, Generic[T]):
    """A value and where it comes from: a datasheet, a published benchmark, a measurement that can be made again."""

    value: T = Field(description="the fact")
    source: str = Field(min_length=8, description="where the value comes from: datasheet, publication or measurement")


def _in(allowed: plausible.Range) -> AfterValidator:
    """A validator that lets pass what a device can have, and says which unit was meant otherwise."""
    return AfterValidator(lambda value: plausible.check(value, allowed))


ClockHz = Annotated[float, _in(plausible.CLOCK_HZ)]
MemoryBytes = Annotated[int, _in(plausible.MEMORY_BYTES)]
FlashBytes = Annotated[int, _in(plausible.FLASH_BYTES)]
Positive = Annotated[float, Field(gt=0)]
Rate = Annotated[float, Field(gt=0), _in(plausible.RATE_PER_S)]
Overhead = Annotated[float, Field(ge=0), _in(plausible.OVERHEAD_S)]
Points = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]


class Hardware(Record):
    """The device itself.

    Attributes:
        core: of the core that runs the model, the big one of a big.LITTLE: "Cortex-M4F".
        cores: how many of them.
        small_cores: how many smaller ones there are beside them, on which threads beyond `cores` run.
        clock_hz: of `core`.
        instruction_set: features that kernels use: "neon", "dotprod", "fp16", "dsp", "fpu", "avx2".
        ram_bytes: of the whole device.
        arena_bytes: RAM that is free for the tensor arena or the interpreter.
        flash_bytes: where the tflite model is kept on a microcontroller; None where there is a file system.
    """

    core: Fact[str]
    cores: Fact[Annotated[int, Field(ge=1, le=1024)]]
    small_cores: Fact[Annotated[int, Field(ge=1, le=1024)]] | None = None
    clock_hz: Fact[ClockHz]
    instruction_set: Fact[tuple[str, ...]]
    ram_bytes: Fact[MemoryBytes]
    arena_bytes: Fact[MemoryBytes]
    flash_bytes: Fact[FlashBytes] | None = None

    @property
    def all_cores(self) -> int:
        """Big and small ones."""
        return self.cores.value + (self.small_cores.value if self.small_cores else 0)


class Engine(Record):
    """What executes a tflite model on the device.

    Attributes:
        name: one of the project's engines.
        version: the version that the profile's facts hold for.
        source: where the list of formats and operators of that version is written.
    """

    name: EngineName
    version: str = Field(min_length=1, description="the engine's version, or 'any'")
    source: str = Field(min_length=8, description="where the engine's formats and operators are written")


SAFETY_LIMITS = ("predictions_changed_share", "worst_class_drop_points", "worst_slice_drop_points",
                 "corrupted_changed_share", "calibration_error_points", "calibration_rise_points")
"""Limits on what a mean hides. docs/verdicts.md defines each."""
MEASURED_LIMITS = SAFETY_LIMITS[2:]
"""Those of them that are measured where a profile sets them; the others cost nothing and are always there."""


class Limits(Record):
    """What the user allows on the device; each is optional, and what is left out is not checked.

    `accuracy_drop_points` is in percentage points below the float Keras model, as is every limit that ends in
    `_points`; one that ends in `_share` is from 0 to 1. `docs/verdicts.md` defines each.
    """

    latency_median_ms: Positive | None = None
    latency_p90_ms: Positive | None = None
    tflite_bytes: Annotated[int, Field(gt=0)] | None = None
    arena_bytes: Annotated[int, Field(gt=0)] | None = None
    peak_memory_bytes: Annotated[int, Field(gt=0)] | None = None
    accuracy_drop_points: Points | None = None
    energy_uj: Positive | None = None
    predictions_changed_share: Share | None = None
    worst_class_drop_points: Points | None = None
    worst_slice_drop_points: Points | None = None
    corrupted_changed_share: Share | None = None
    calibration_error_points: Points | None = None
    calibration_rise_points: Points | None = None

    @model_validator(mode="after")
    def _p90_above_median(self) -> Self:
        median, p90 = self.latency_median_ms, self.latency_p90_ms
        if median is not None and p90 is not None and p90 < median:
            raise refusal(f"latency_p90_ms {p90:g} is below latency_median_ms {median:g}",
                          "a 90th percentile is at least the median")
        return self


class Measured(Record):
    """Latency is measured, on this host."""

    kind: Literal["measured"]


class Predicted(Record):
    """Latency is predicted by a roofline over the tflite model's operators (`predictor`).

    Attributes:
        throughput_per_s: by arithmetic, then by kernel class: MACs a second of one core for the classes that multiply
            and accumulate, elements (of the output; of the windows for pooling) a second for the others.
        bandwidth_bytes_per_s: at which one core moves weights and activations that are not in its registers.
        loops_per_s: by arithmetic, how many a second of what a convolution kernel does besides multiplying: taps copied
            into a window buffer (im2col), inner loops begun, outputs scaled and stored; left out where that is hidden.
        operator_overhead_s: of each operator's call.
        inference_overhead_s: of each inference.
        parallel_efficiency: share of each further core that helps, 0 to 1; 0 on a device with one core.
        uncertainty_factor: f in the interval [x / f, x * f] at `level`.
        validated_macs: smallest and largest model, in MACs, that the factor was found on; outside it is squared.
        level: the interval's level, from 0 to 1.
    """

    kind: Literal["predicted"]
    throughput_per_s: dict[Arithmetic, Fact[dict[KernelClass, Rate]]] = Field(min_length=1)
    bandwidth_bytes_per_s: Fact[Annotated[float, Field(gt=0), _in(plausible.BANDWIDTH_BYTES_PER_S)]]
    loops_per_s: dict[Arithmetic, Fact[dict[Loop, Rate]]] = Field(default_factory=dict)
    operator_overhead_s: Fact[Overhead]
    inference_overhead_s: Fact[Overhead]
    parallel_efficiency: Fact[Annotated[float, Field(ge=0, le=1)]]
    uncertainty_factor: Fact[Annotated[float, Field(gt=1, le=10)]]
    validated_macs: Fact[tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(gt=0)]]]
    level: float = Field(gt=0, lt=1, description="the level of the interval that uncertainty_factor gives, 0 to 1")


class Calibrated(Record):
    """Latency is predicted by the model that is calibrated on published measurements (`prediction`).

    Attributes:
        device: key of the device in the published measurements; empty for one that was never measured, which is
            predicted from its core and clock with a wider interval.
        runtime: key of a runtime there; empty for the one nearest to the profile's engine.
        own: corrections from the user's own measurements, written by `litesmith profiles calibrate`.
    """

    kind: Literal["calibrated"]
    device: str = Field("", pattern=r"^[a-z0-9.-]*$", description="key of a device in the published measurements")
    runtime: str = Field("", pattern=r"^[a-z0-9.-]*$", description="key of a runtime in the published measurements")
    own: OwnCalibration | None = None


class Npu(Record):
    """An Arm Ethos-U beside the core, as its compiler, Vela, is told of it. See docs/npu.md.

    Attributes:
        accelerator: which one.
        system_config: clock and memories, by the name of a section of the Vela ini file: "Ethos_U55_High_End_Embedded".
        memory_mode: which memory holds what, the same way: "Shared_Sram".
        sram_bytes: on-chip memory that the NPU's tensors may take.
        arena_cache_bytes: SRAM that Vela aims at; left out: what the memory mode says.
        ini: a Vela ini file of the device's own, beside the profile; once a profile is read, its text. Left out: Arm's.
        overhead_s: of an inference besides the NPU's own time: driver, messages to whoever starts it.
        uncertainty_factor: f in the interval [x / f, x * f] of Vela's time and overhead_s; left out: Vela states no
            error, and its latency decides no limit.
        level: the interval's level, from 0 to 1.
    """

    accelerator: Fact[Accelerator]
    system_config: Fact[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]]
    memory_mode: Fact[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]]
    sram_bytes: Fact[MemoryBytes]
    arena_cache_bytes: Fact[MemoryBytes] | None = None
    ini: Fact[Annotated[str, Field(min_length=1)]] | None = None
    overhead_s: Fact[Annotated[float, Field(ge=0, le=1)]] | None = None
    uncertainty_factor: Fact[Annotated[float, Field(gt=1, le=10)]] | None = None
    level: float = Field(0.8, gt=0, lt=1, description="the level of the interval that uncertainty_factor gives, 0 to 1")


class Profile(Record):
    """A device: what it is, what it can run, what it allows.

    Attributes:
        name: short name, as in the run file.
        like: the shipped profile that the file rests on; its facts stand here.
        device: the device for people.
        device_class: `class` in the file.
        formats: number formats of tflite models that the engine takes on this device.
        operators: "all" of the engine, or the builtin operators (and names of custom ones) that it takes.
        threads: how many the engine uses.
        target: where the device is to be reached; what is measured there stands over what is predicted.
        latency: how latency is obtained.
        hardware: the device's facts; None where the device is this host: the benchmark records it with its figures.
        npu: the accelerator beside the core, which runs what Vela compiles for it; `latency` is then the core's.
        active_power_w: drawn while an inference runs; energy is power times latency.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="a short name of a-z, 0-9 and '-'")
    like: str | None = Field(None, description="a shipped profile that states what this file does not")
    device: str = Field(min_length=1, description="the device, for people")
    device_class: DeviceClass = Field(alias="class", description="cpu, mobile or iot")
    hardware: Hardware | None = Field(None, description="a mapping of the device's facts")
    engine: Engine = Field(description="a mapping: name, version, source")
    formats: Fact[Annotated[tuple[Format, ...], Field(min_length=1)]] = Field(description="number formats, with source")
    operators: Fact[Literal["all"] | tuple[str, ...]] = Field(description="'all' or a list of operators, with source")
    threads: int = Field(ge=1, description="threads that the engine uses")
    target: str | None = Field(None, pattern=r"^(host|ssh:.+|adb|adb[:,].+)$",
                               description="where the device is to be reached: ssh:user@host, adb:serial")
    limits: Limits = Limits()
    latency: Annotated[Measured | Predicted | Calibrated, Field(discriminator="kind")] = Field(
        description="a mapping with kind: measured, predicted or calibrated")
    npu: Npu | None = None
    active_power_w: Fact[Annotated[float, Field(gt=0), _in(plausible.POWER_W)]] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.hardware is None and self.latency.kind != "measured":
            raise refusal(f"latency is {self.latency.kind} but there is no hardware", "a mapping 'hardware' of facts")
        if self.hardware is not None and self.threads > self.hardware.all_cores:
            raise refusal(f"threads {self.threads} is more than the device's {self.hardware.all_cores} cores",
                          f"1 to {self.hardware.all_cores}")
        if self.engine.name == MICRO_ENGINE and self.threads != 1:
            raise refusal(f"threads {self.threads} with engine {MICRO_ENGINE}", "1: it has no threads")
        if self.npu is not None and self.hardware is None:
            raise refusal("there is an npu but no hardware", "a mapping 'hardware' of facts")
        return self

    @model_validator(mode="after")
    def _plausible_for_its_class(self) -> Self:
        for name, allowed in plausible.BY_CLASS[self.device_class].items():
            of, at = (self, (name,)) if name in type(self).model_fields else (self.hardware, ("hardware", name))
            fact = getattr(of, name, None)
            if fact is not None:
                plausible.check(fact.value, allowed, (*at, "value"))
        known = self.hardware  # after the ranges, which name the unit that slipped
        if known is not None and known.arena_bytes.value > known.ram_bytes.value:
            raise refusal(f"arena_bytes {known.arena_bytes.value:,} is more than ram_bytes {known.ram_bytes.value:,}",
                          "at most the whole RAM", "check the units: both are in bytes", at=("hardware",))
        return self
