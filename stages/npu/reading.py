"""Read what Vela says: cycles and memory from its CSV files, where each operator runs from the model that it wrote."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from io import StringIO

from device_profiles.errors import StageError
from device_profiles.tflite import Graph, Operator, read_tflite
from stages.npu.vela import Said
from stages.records.npu import NpuCycles, NpuMemory, NpuOperator

NPU_CODE = "ethos-u"
NO_REASON = "Vela gives no reason"
_REASON = re.compile(r"^Warning \(supported operators\) operator: (?P<kind>\S+), ofm: '(?P<output>.*)'$")
_KIB = 1024
_AREAS = ("sram", "dram", "on_chip_flash", "off_chip_flash")


def summary(said: Said) -> dict[str, str]:
    """The one row of the summary, by column.

    Raises:
        StageError: the file has no such row: another version of Vela.
    """
    rows = list(csv.DictReader(StringIO(said.summary)))
    needed = {"core_clock", "cycles_total", "nn_macs", *(f"{area}_memory_used" for area in _AREAS)}
    if len(rows) != 1 or not needed <= set(rows[0]):
        raise StageError("Vela's summary has another form than expected",
                         f"one row with {', '.join(sorted(needed))}", "install the version that litesmith names")
    return rows[0]


def cycles_of(row: Mapping[str, str]) -> NpuCycles:
    """Clock cycles by what the NPU is busy with."""
    areas = {area: _count(row[f"cycles_{area}_access"]) for area in _AREAS}
    return NpuCycles(npu=_count(row["cycles_npu"]), total=_count(row["cycles_total"]), **areas)


def memory_of(row: Mapping[str, str]) -> NpuMemory:
    """Bytes by memory; Vela writes KiB of 1024."""
    return NpuMemory(**{area: round(float(row[f"{area}_memory_used"]) * _KIB) for area in _AREAS})


def _count(text: str) -> int:
    return round(float(text))


def reasons_of(words: str) -> dict[str, str]:
    """By name of an operator's output, what Vela says against it.

    Vela splits an activation off the operator that it is fused into and names the activation then; both have the same
    output, so the reason finds the operator.
    """
    found: dict[str, list[str]] = defaultdict(list)
    lines = iter(words.splitlines())
    for line in lines:
        match = _REASON.match(line)
        if match is None:
            continue
        said = []
        for more in lines:
            if not more.strip():
                break
            said.append(more.strip().removeprefix("Reason: "))
        found[match["output"]].append("; ".join(said))
    return {output: "; ".join(dict.fromkeys(each)) for output, each in found.items()}


def cycles_by_output(per_operator: str, outputs: Iterable[str]) -> dict[str, tuple[int, int]]:
    """By output of an operator before, (cycles, MACs) of all that Vela made of it.

    Vela lists what it made in the order in which it runs, each with the name of a tensor. What it invented (the steps
    of a softmax) comes before what writes the operator's own output, and counts to that.
    """
    own, cycles, macs = set(outputs), Counter[str](), Counter[str]()
    waiting: list[Mapping[str, str]] = []
    name = ""
    for row in csv.DictReader(StringIO(per_operator)):
        waiting.append(row)
        if row["Name"] in own:
            name = row["Name"]
            _book(waiting, name, cycles, macs)
    _book(waiting, name, cycles, macs)
    return {name: (cycles[name], macs[name]) for name in cycles}


def _book(waiting: list[Mapping[str, str]], name: str, cycles: Counter[str], macs: Counter[str]) -> None:
    """Count the rows that wait to an operator's output; none wait afterwards."""
    for row in waiting:
        cycles[name] += _count(row["Op Cycles"])
        macs[name] += _count(row["MAC Count"])
    waiting.clear()


def operators_of(before: bytes, said: Said) -> tuple[tuple[NpuOperator, ...], int]:
    """Every operator of the model before with the place where it runs, and how many pieces the NPU runs.

    An operator is on the CPU when one that writes the same tensor is left in the compiled model.
    """
    old, new = read_tflite(before).graphs[0], read_tflite(said.compiled).graphs[0]
    left = {name for operator in new.operators if not is_npu(operator) for name in _outputs(new, operator)}
    reasons = reasons_of(said.words)
    outputs = {name for operator in old.operators for name in _outputs(old, operator)}
    costs = cycles_by_output(said.per_operator, outputs)
    found = tuple(_placed(operator, _outputs(old, operator), left, reasons, costs) for operator in old.operators)
    return found, sum(is_npu(operator) for operator in new.operators)


def is_npu(operator: Operator) -> bool:
    """Whether it is a piece that Vela has compiled."""
    return operator.name == "CUSTOM" and operator.custom_code == NPU_CODE


def _placed(operator: Operator, outputs: list[str], left: set[str], reasons: Mapping[str, str],
            costs: Mapping[str, tuple[int, int]]) -> NpuOperator:
    """One operator of the model before."""
    output = outputs[0] if outputs else ""
    if not left.isdisjoint(outputs):
        return NpuOperator(index=operator.index, operator=operator.label, output=output, on="cpu",
                           why=reasons.get(output) or NO_REASON)
    cycles, macs = costs.get(output, (0, 0))
    return NpuOperator(index=operator.index, operator=operator.label, output=output, on="npu", cycles=cycles,
                       macs=macs)


def _outputs(graph: Graph, operator: Operator) -> list[str]:
    """Names of an operator's outputs."""
    return [graph.tensors[number].name for number in operator.outputs if number >= 0]
