"""What a variant takes on the microcontrollers among the profiles: arena and flash, as predicted for each core."""

from __future__ import annotations

from collections.abc import Iterable

from device_profiles.microcontrollers import ArenaSplit, DeviceArena, device_arena, family_of
from device_profiles.microcontrollers.flash import Flash, flash
from device_profiles.records import Figure, Record
from device_profiles.schema import MICRO_ENGINE, Profile
from device_profiles.tflite import Model, read_tflite
from stages.records import EngineBenchmark


class MicroFootprint(Record):
    """Arena and flash of one variant on one profile; None where there is no prediction."""

    arena: DeviceArena | None
    flash: Flash | None

    @property
    def arena_figure(self) -> Figure | None:
        """The arena."""
        return self.arena.figure if self.arena else None

    @property
    def flash_figure(self) -> Figure | None:
        """The flash."""
        return self.flash.figure if self.flash else None


def measured_split(run: EngineBenchmark | None) -> ArenaSplit | None:
    """The arena's two parts as TFLM reported them on this host."""
    if run is None or run.arena_persistent is None or run.arena_non_persistent is None:
        return None
    return ArenaSplit(persistent_bytes=int(run.arena_persistent.value),
                      non_persistent_bytes=int(run.arena_non_persistent.value))


def footprint(model: Model, profile: Profile, measured: ArenaSplit | None = None) -> MicroFootprint:
    """What a tflite model takes on one microcontroller.

    Args:
        model: the tflite model.
        profile: with the engine tflm.
        measured: its arena on this host, which anchors the prediction.
    """
    family = family_of(profile)
    names = [operator.custom_code or operator.name for graph in model.graphs for operator in graph.operators]
    arena = device_arena(model, family, measured)
    if arena is not None and arena.unknown and not arena.anchored:
        arena = None  # a lower bound decides nothing
    return MicroFootprint(arena=arena, flash=flash(model.size_bytes, names, family))


def footprints(content: bytes, profiles: Iterable[Profile], run: EngineBenchmark | None) -> dict[str, MicroFootprint]:
    """By profile, for those that run TFLM on a microcontroller without an NPU.

    Args:
        content: the tflite model's bytes.
        profiles: all that are checked.
        run: of TFLM in the benchmark; None where there was none.

    Raises:
        TfliteError: the bytes are no whole tflite model.
    """
    wanted = [profile for profile in profiles if profile.engine.name == MICRO_ENGINE and profile.npu is None
              and profile.hardware is not None]
    model = read_tflite(content) if wanted else None
    return {profile.name: footprint(model, profile, measured_split(run)) for profile in wanted if model is not None}
