"""The device that an engine worker ran on, and the state that it was in before and after."""

from __future__ import annotations

from pydantic import Field

from device_profiles.records import Record


class Host(Record):
    """The machine that measured."""

    cpu: str
    architecture: str
    cores: int
    memory_bytes: int
    system: str
    python: str


class CoreGroup(Record):
    """Cores that share a clock.

    Attributes:
        cores: their numbers, ascending.
        governor: what chooses the frequency: "performance", "ondemand", "schedutil", ...; "" where it is not said.
        frequency_hz: at the moment of looking; 0 where it is not said, as the next three.
        lowest_hz, highest_hz: what the governor may choose from now.
        hardware_hz: the most that the hardware can do.
    """

    cores: tuple[int, ...]
    governor: str = ""
    frequency_hz: float = 0
    lowest_hz: float = 0
    highest_hz: float = 0
    hardware_hz: float = 0


class DeviceState(Record):
    """What changes on a device from one minute to the next.

    Attributes:
        groups: cores by clock; empty where the system says nothing (most virtual machines).
        temperatures_c: by thermal zone, in degrees Celsius.
        throttle: by name, counters and flags of throttling as the system keeps them.
        load_1min: processes that wanted a core, mean of the last minute.
        memory_free_bytes: that a new process could have.
        boot_id: another one after every start of the system.
    """

    groups: tuple[CoreGroup, ...] = ()
    temperatures_c: dict[str, float] = Field(default_factory=dict)
    throttle: dict[str, int] = Field(default_factory=dict)
    load_1min: float = 0
    memory_free_bytes: int = 0
    boot_id: str = ""


class Device(Record):
    """A device as it says of itself.

    Attributes:
        target: how it was reached: "host", "ssh:pi@raspberrypi", "emulated:cortex-a72".
        board: its name for people, or "".
        core_names: of its cores, by what the processor's identification register says: ("4 Cortex-A72",).
        host: processor, cores that may be used, memory, system, Python of the worker ("" where none runs there).
    """

    target: str
    board: str = ""
    core_names: tuple[str, ...] = ()
    host: Host


class Conditions(Record):
    """What a measurement was made under.

    Attributes:
        device: where.
        before, after: its state then.
        throttling: what was seen of it, in words; empty where nothing was.
    """

    device: Device
    before: DeviceState
    after: DeviceState
    throttling: tuple[str, ...] = ()


class OperatorDifference(Record):
    """The first operator whose output differs between this host and a target.

    Attributes:
        index: of the operator in the tflite model; None where none differs.
        operator, tensor: what it is, and its output.
        operators_equal: how many before it gave the same, bit for bit.
        share: of its output's elements that differ.
        largest: difference, in `unit`: steps of the quantized tensor, or the tensor's own ("").
        versions: of the engine, here and there.
    """

    index: int | None = None
    operator: str = ""
    tensor: str = ""
    operators_equal: int
    share: float = 0
    largest: float = 0
    unit: str = ""
    versions: tuple[str, str]
