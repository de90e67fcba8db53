"""Where a run's figures were obtained, in the words of a report."""

from __future__ import annotations

from device_profiles.records import Provenance, Record
from stages.records import EngineBenchmark
from stages.records.targets import Conditions

HOST = "host"


class Place(Record):
    """The target of a stage.

    Attributes:
        target: as it was written: "host", "ssh:pi@raspberrypi", "emulated:cortex-a72".
        device: what stands there, as far as it is known: "Raspberry Pi 4 Model B Rev 1.4".
        provenance: of what is measured there.
    """

    target: str = HOST
    device: str = ""
    provenance: Provenance = "measured"

    @property
    def words(self) -> str:
        """`this host`, or the device with its target."""
        if self.target == HOST:
            return "this host"
        plain = self.target.partition(",")[0]
        return f"{self.device} ({plain})" if self.device else plain


def place_of(target: str, conditions: Conditions | None = None) -> Place:
    """A target, with the board (else the processor; of an emulated core its name) that the conditions there name."""
    if target == HOST:
        return Place()
    emulated = target.partition(":")[0].partition(",")[0] == "emulated"
    device = conditions.device if conditions else None
    name = "" if device is None else device.board or device.host.cpu
    if device is not None and emulated and device.core_names:
        name = device.core_names[0]
    return Place(target=target, device=name, provenance="emulated" if emulated else "measured")


def untimed(run: EngineBenchmark) -> str:
    """What there is of a benchmark without a latency: what was counted, or why there is nothing."""
    if run.instructions is not None:
        told = f"{run.instructions.value:,.0f} instructions"
        more = f", {run.accesses.value:,.0f} memory accesses" if run.accesses is not None else ""
        return f"{told}{more} ({run.instructions.provenance}: no latency)"
    return f"{run.status}: {run.message}" if run.message else run.status


def obtained(evaluated: Place, benchmarked: Place) -> str:
    """`measured on this host`; where they differ, what was obtained where."""
    if evaluated == benchmarked.model_copy(update={"device": evaluated.device}):
        return f"{benchmarked.provenance} on {benchmarked.words}"
    what = "latency" if benchmarked.provenance == "measured" else "instruction counts"
    return (f"scores {evaluated.provenance} on {evaluated.words}, {what} {benchmarked.provenance} on "
            f"{benchmarked.words}")
