"""The tensor arena that a microcontroller needs: a graph with the kernels of its core and structures of 32 bits.

    least = persistent + max(plan, what planning takes)

`plan` is TFLM's own plan of activations and scratch buffers (`planner`), with the scratch of the core's kernel family
(`families`). Where the arena was measured on this host, its two parts anchor the figure: what the host's plan and
structures explain is taken off, and the device's put in its place, so that what they do not explain is kept.
"""

from __future__ import annotations

from device_profiles.microcontrollers import families
from device_profiles.microcontrollers.families import Family
from device_profiles.microcontrollers.lifetimes import activation_buffers, scratch_buffers
from device_profiles.microcontrollers.persistent import DEVICE, HOST, Layout, persistent_bytes, planning_bytes
from device_profiles.microcontrollers.planner import aligned, plan
from device_profiles.microcontrollers.reference import UNKNOWN
from device_profiles.records import Figure, Record
from device_profiles.tflite import Graph, Model

_OFFLINE_PLAN = "OfflineMemoryAllocation"
_MOST_OPERATORS = 1000  # the planner's time grows with the square of the buffers; ours and TFLM's alike
LOW_BYTES, HIGH_BYTES, EITHER_SHARE = 128, 1024, 0.01
"""How far an arena may be off: docs/microcontrollers.md has the published arenas that lie within."""


class ArenaSplit(Record):
    """An arena as TFLM reports it once a model is ready.

    Attributes:
        persistent_bytes: TFLM's structures and the kernels' parameters, which stay ("tail").
        non_persistent_bytes: the plan of activations and scratch buffers ("head").
    """

    persistent_bytes: int
    non_persistent_bytes: int

    @property
    def total_bytes(self) -> int:
        """Both."""
        return self.persistent_bytes + self.non_persistent_bytes


class OperatorScratch(Record):
    """The scratch buffers of one operator."""

    operator: int
    name: str
    size_bytes: int


class DeviceArena(Record):
    """An arena predicted for a kernel family.

    Attributes:
        family: whose kernels run.
        least_bytes: the least arena that the model loads into and runs in.
        persistent_bytes, non_persistent_bytes: its parts once the model is ready.
        activation_bytes: the plan without any scratch buffer.
        planning_bytes: what TFLM needs besides the persistent part while it makes the plan, and gives back.
        scratch: the operators' scratch buffers.
        anchored: whether the arena measured on this host stands behind it.
        unexplained_bytes: of the measured arena, what host plan and structures do not explain; part of the figure.
        unknown: operators whose scratch is not known, each with the reason; a lower bound then unless anchored.
        source: where the formulas are from.
    """

    family: Family
    least_bytes: int
    persistent_bytes: int
    non_persistent_bytes: int
    activation_bytes: int
    planning_bytes: int
    scratch: tuple[OperatorScratch, ...]
    anchored: bool
    unexplained_bytes: int
    unknown: tuple[str, ...]
    source: str

    @property
    def scratch_bytes(self) -> int:
        """What the scratch buffers add to the plan; those that fit into gaps add nothing."""
        return self.non_persistent_bytes - self.activation_bytes

    @property
    def figure(self) -> Figure:
        """The least arena with the bounds that published arenas were found in."""
        share = EITHER_SHARE * self.least_bytes
        anchor = "anchored to the arena measured here" if self.anchored else "from the graph alone"
        return Figure(value=self.least_bytes, unit="bytes", provenance="predicted",
                      interval=(self.least_bytes - LOW_BYTES - share, self.least_bytes + HIGH_BYTES + share),
                      method=f"TFLM's plan with {families.NAMES[self.family]}, on a 32-bit core; {anchor}")


def device_arena(model: Model, family: Family, measured: ArenaSplit | None = None) -> DeviceArena | None:
    """The arena on a 32-bit core; None where TFLM would not plan it so, for which `why_not` has the reason.

    Args:
        model: the tflite model.
        family: whose kernels the firmware runs.
        measured: as the tflite-micro wheel reports it on this host.
    """
    graph = model.graphs[0]
    if why_not(model):
        return None
    kept_extra, plan_extra = _unexplained(graph, measured) if measured else (0, 0)
    activations = activation_buffers(graph)
    scratch = scratch_buffers(graph, lambda of, operator: families.scratch(of, operator, family))
    planned = plan([*activations, *scratch]).total_bytes + plan_extra
    stays = max(0, persistent_bytes(graph, family, DEVICE, len(scratch)) + kept_extra)
    planning = planning_bytes(graph, DEVICE, len(activations) + len(scratch), len(scratch))
    return DeviceArena(
        family=family, least_bytes=aligned(stays + max(planned, planning)), persistent_bytes=stays,
        non_persistent_bytes=planned, activation_bytes=plan(activations).total_bytes, planning_bytes=planning,
        scratch=operator_scratch(graph, family), anchored=measured is not None,
        unexplained_bytes=kept_extra + plan_extra, unknown=_unknown(graph), source=families.sources(family))


def why_not(model: Model) -> str:
    """Why an arena cannot be foreseen; "" where it can."""
    if len(model.graphs) > 1:
        return "operators run other graphs"
    if _OFFLINE_PLAN in model.metadata:
        return "the file holds a plan of its own"
    if len(model.graphs[0].operators) > _MOST_OPERATORS:
        return f"it has more than {_MOST_OPERATORS:,} operators, which no microcontroller's model has"
    if model.outside_buffers:
        return (f"{model.outside_buffers} constants stand behind the FlatBuffer, which TFLM does not read: it would "
                "compute with memory that nobody has set; write the file again with its weights inside")
    return ""


def operator_scratch(graph: Graph, family: Family) -> tuple[OperatorScratch, ...]:
    """The operators that ask for scratch memory."""
    sizes = ((operator, sum(families.scratch(graph, operator, family))) for operator in graph.operators)
    return tuple(OperatorScratch(operator=operator.index, name=operator.label, size_bytes=size)
                 for operator, size in sizes if size)


def host_arena(graph: Graph, layout: Layout = HOST) -> ArenaSplit:
    """What the wheel should report for a graph, by the same formulas: TFLM's own kernels on this host."""
    scratch = scratch_buffers(graph, lambda of, operator: families.scratch(of, operator, "reference"))
    return ArenaSplit(persistent_bytes=persistent_bytes(graph, "reference", layout, len(scratch)),
                      non_persistent_bytes=plan([*activation_buffers(graph), *scratch]).total_bytes)


def _unexplained(graph: Graph, measured: ArenaSplit) -> tuple[int, int]:
    """(persistent, plan) bytes that were measured and not foreseen."""
    foreseen = host_arena(graph)
    return (measured.persistent_bytes - foreseen.persistent_bytes,
            measured.non_persistent_bytes - foreseen.non_persistent_bytes)


def _unknown(graph: Graph) -> tuple[str, ...]:
    found = dict.fromkeys(operator.name for operator in graph.operators if operator.name in UNKNOWN)
    return tuple(f"{name}: {UNKNOWN[name]}" for name in found)
