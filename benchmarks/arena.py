"""Arena and flash as foreseen, against what TFLM reports here and what others have published.

    python benchmarks/arena.py FILE.tflite ... [--out FILE]     against the tflite-micro wheel, part by part
    python benchmarks/arena.py --published [--out FILE]         against published RAM of rebuilt networks
    python benchmarks/arena.py --flash                          fit the code's size by operator, print its error
    python benchmarks/arena.py --table                          the results as Markdown

The wheel runs TFLM's own kernels on this host, so there the plan and the structures are checked to the byte. Published
figures are of 32-bit boards with CMSIS-NN. What they count differs by source (docs/workload.md): EdgeMark gives the
whole program's static memory with the least arena that worked, searched in steps (512 bytes for small networks, 1,024
and 2,048 for others): what lies above the foreseen arena is the program, TFLM's own objects, the step, and the error.
Only figures whose meaning is stated are used.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from device_profiles.microcontrollers import Family, device_arena, host_arena  # noqa: E402
from device_profiles.networks import PublishedRow, published_rows  # noqa: E402
from device_profiles.networks.catalog import network_model  # noqa: E402
from device_profiles.tflite import Model, read_tflite  # noqa: E402

OUT = ROOT / "benchmarks/results/arena.json"
KIB = 1024
PROGRAM_BYTES = 3568
"""EdgeMark's base program without a network, static memory (docs/source/results/index.md there)."""
OBJECTS_BYTES = 448
"""TFLM's own objects: what its smallest network's 5,040 bytes leave after the program and an arena of 1,024."""
BASE_FLASH_BYTES = 28000
"""The same program's code."""
TABLES_BYTES = 2068
"""Softmax's two tables in int16 and their alignment: EdgeMark's classifiers end in a softmax that is not rebuilt."""
RUNTIMES = ("tflm-cmsis-nn", "tflm-cmsis-nn-os")
_LARGE_BYTES = 16 * KIB
_TOGETHER = ("CONV_2D, MEAN", "CONV_2D, flatten", "CONV_2D, ADD, AVERAGE_POOL_2D",
             "CONV_2D, DEPTHWISE_CONV_2D, AVERAGE_POOL_2D")
"""Convolutions were published with one of these; flatten is RESHAPE with SHAPE, STRIDED_SLICE and PACK."""
TENSOR_BYTES, CHANNEL_BYTES = 215, 24
"""What a converted file has besides its constants: per tensor, and per output channel of an int8 convolution (scale and
zero point of kernel and bias). Eight converted networks are within 20 % of it."""


def against_wheel(paths: list[Path]) -> list[dict[str, Any]]:
    """Foreseen and reported parts of each file's arena."""
    from stages.engines.client import EngineWorker

    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            content = path.read_bytes()
            foreseen = host_arena(read_tflite(content).graphs[0])
            with EngineWorker("tflm", log=Path(folder) / "log.txt", model=path.name) as worker:
                loaded = worker.load(content)
            lines.append({"file": path.stem, "operators": len(read_tflite(content).graphs[0].operators),
                          "plan_bytes": loaded.arena_non_persistent_bytes,
                          "plan_foreseen_bytes": foreseen.non_persistent_bytes,
                          "stays_bytes": loaded.arena_persistent_bytes,
                          "stays_foreseen_bytes": foreseen.persistent_bytes})
            print(lines[-1], flush=True)
    return lines


def against_published() -> list[dict[str, Any]]:
    """EdgeMark's NUCLEO-L4R5ZI rows and Ambiq's tensor arena against the foreseen arena."""
    lines, seen = [], set()
    for row in published_rows():
        key = (row.device, row.runtime, row.network, row.number_format, row.ram_kib)
        if row.ram_kib is None or key in seen or not (_is_edgemark(row) or row.device.startswith("apollo510")):
            continue
        seen.add(key)
        family: Family = "cmsis-nn-mve" if row.device.startswith("apollo510") else "cmsis-nn-dsp"
        found = device_arena(network_model(row.network, row.number_format), family)
        if found is None:
            continue
        tables = TABLES_BYTES if row.number_format == "int16x8" and _lacks_softmax(row) else 0
        low, high = found.figure.interval or (0.0, 0.0)
        program = PROGRAM_BYTES + OBJECTS_BYTES if _is_edgemark(row) else 0
        lines.append({"device": row.device, "runtime": row.runtime, "network": row.network,
                      "format": row.number_format, "published_bytes": round(row.ram_kib * KIB),
                      "meaning": "program" if _is_edgemark(row) else "arena",
                      "foreseen_bytes": found.least_bytes + tables, "scratch_bytes": found.scratch_bytes,
                      "inside": low <= row.ram_kib * KIB - program - tables <= high})
    return lines


def _is_edgemark(row: PublishedRow) -> bool:
    return row.device == "nucleo-l4r5zi" and row.runtime in RUNTIMES


def _lacks_softmax(row: PublishedRow) -> bool:
    """Whether EdgeMark's network ends in a softmax and the rebuilt one does not: classifiers do."""
    names = {operator.name for operator in network_model(row.network, row.number_format).graphs[0].operators}
    return (row.network.startswith(("mlp", "edgemark_cnn")) and not row.network.endswith("-1")
            and "SOFTMAX" not in names)


def summary(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """How far the published figures lie above the foreseen arena with the program, in bytes and as a share."""
    edgemark = [line for line in lines if line["meaning"] == "program"]
    above = [line["published_bytes"] - PROGRAM_BYTES - OBJECTS_BYTES - line["foreseen_bytes"] for line in edgemark]
    shares = [over / line["foreseen_bytes"] for over, line in zip(above, edgemark, strict=True)
              if line["foreseen_bytes"] >= _LARGE_BYTES]
    return {"rows": len(above), "inside": sum(line["inside"] for line in edgemark), "median_above_bytes": median(above),
            "least_above_bytes": min(above), "most_above_bytes": max(above), "rows_of_16_kib": len(shares),
            "median_share_of_16_kib": round(median(shares), 4), "largest_share_of_16_kib": round(max(shares), 4)}


def fit_flash(runtime: str) -> dict[str, Any]:
    """Least squares of published program sizes over the operators that occur."""
    import numpy as np

    names = ("SOFTMAX", "MAX_POOL_2D", *_TOGETHER)
    rows, sizes, labels, seen = [], [], [], set()
    for row in published_rows():
        key = (row.network, row.number_format)
        if row.flash_kib is None or row.device != "nucleo-l4r5zi" or row.runtime != runtime or key in seen:
            continue
        seen.add(key)
        model = network_model(row.network, row.number_format)
        rows.append([1, *(name in _terms(model, row) for name in names)])
        sizes.append(row.flash_kib * KIB - BASE_FLASH_BYTES - _file_bytes(model))
        labels.append(row.network)
    used, code = np.array(rows, float), np.array(sizes)
    tiny = np.array([label.startswith("mlp layers=1-") for label in labels])  # another program: left out, and told
    found = np.linalg.lstsq(used[~tiny], code[~tiny], rcond=None)[0]
    error = code - used @ found
    return {"runtime": runtime, "rows": int((~tiny).sum()),
            "bytes": {name: round(float(size)) for name, size in zip(("core", *names), found, strict=True)},
            "largest_error_bytes": round(float(np.abs(error[~tiny]).max())),
            "error_deviation_bytes": round(float(error[~tiny].std())),
            "largest_error_of_1_input_networks_bytes": round(float(error[tiny].max())) if tiny.any() else 0}


def _terms(model: Model, row: PublishedRow) -> set[str]:
    """Operators, or groups of them, that can be told apart in what was published."""
    names = {operator.name for operator in model.graphs[0].operators}
    terms = names & {"SOFTMAX", "MAX_POOL_2D"} | ({"SOFTMAX"} if _lacks_softmax(row) else set())
    if "CONV_2D" not in names:
        return terms
    last = next((name for name in ("ADD", "DEPTHWISE_CONV_2D", "MEAN") if name in names), "flatten")
    return terms | {next(group for group in _TOGETHER if last in group)}


def _file_bytes(model: Model) -> int:
    graph = model.graphs[0]
    channels = sum(graph.tensors[operator.outputs[0]].shape[-1] for operator in graph.operators
                   if operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D")
                   and graph.tensors[operator.inputs[1]].dtype == "int8")
    return model.size_bytes + TENSOR_BYTES * len(graph.tensors) + CHANNEL_BYTES * channels


def table(kept: dict[str, Any]) -> str:
    """The results as Markdown."""
    rows = ["| tflite model | operators | plan | foreseen | stays | foreseen |", "|---|---|---|---|---|---|"]
    rows += [f"| {line['file']} | {line['operators']} | {line['plan_bytes']:,} | {line['plan_foreseen_bytes']:,} | "
             f"{line['stays_bytes']:,} | {line['stays_foreseen_bytes']:,} |" for line in kept.get("wheel", [])]
    rows += ["", "| network | format | published | means | foreseen arena | above it | less the program |",
             "|---|---|---|---|---|---|---|"]
    for line in kept.get("published", []):
        above = line["published_bytes"] - line["foreseen_bytes"]
        rest = f"{above - PROGRAM_BYTES:,}" if line["meaning"] == "program" else "-"
        rows.append(f"| {line['network']} | {line['format']} | {line['published_bytes']:,} | {line['meaning']} | "
                    f"{line['foreseen_bytes']:,} | {above:,} | {rest} |")
    return "\n".join(rows)


def main() -> None:
    """Measure, show, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--published", action="store_true")
    parser.add_argument("--flash", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--out", type=Path, default=OUT)
    words = parser.parse_args()
    kept: dict[str, Any] = json.loads(words.out.read_text()) if words.out.exists() else {}
    if words.table:
        print(table(kept))
        return
    if words.files:
        kept["wheel"] = against_wheel(words.files)
    if words.published:
        kept["published"] = against_published()
        kept["summary"] = summary(kept["published"])
        print(json.dumps(kept["summary"]))
    if words.flash:
        kept["flash"] = [fit_flash(runtime) for runtime in RUNTIMES]
        print(json.dumps(kept["flash"], indent=1))
    words.out.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
