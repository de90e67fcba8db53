"""Instructions and memory accesses of one inference of tflite models on emulated Arm cores, as a table.

    python benchmarks/instructions.py MODEL.tflite... [--engine litert] [--cpu cortex-a72 --cpu cortex-a76] [--runs 3]

Needs `litesmith doctor --install arm-emulator`. What it prints does not depend on this machine's speed. A run is a
fresh emulated process; "between runs" is how far the medians of the runs lie apart, "within" the widest range of a
run's six rounds. A line of JSON for each model and core follows the table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from stages.engines.client import EngineWorker
from stages.engines.targets.counting import InstructionCounts, count_inference
from stages.engines.targets.emulated import EmulatedTarget
from stages.engines.targets.names import parse


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--engine", default="litert")
    parser.add_argument("--cpu", action="append", default=[])
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    lines = []
    print(f"| model | engine | core | instructions | between runs | within | memory accesses |\n{'|---' * 7}|")
    for path in given.models:
        for cpu in given.cpu or ["cortex-a72", "cortex-a76"]:
            found = [count(path.read_bytes(), given.engine, cpu) for _ in range(given.runs)]
            print(row(path.stem, given.engine, cpu, found), flush=True)
            lines.append(json.dumps({
                "model": path.stem, "engine": given.engine, "engine_version": found[0].engine_version, "cpu": cpu,
                "instructions": [each.instructions.value for each in found],
                "ranges": [each.instructions.interval for each in found],
                "accesses": [each.accesses.value for each in found]}))
    print("\n" + "\n".join(lines))


def row(model: str, engine: str, cpu: str, found: list[InstructionCounts]) -> str:
    """A line of the table: medians of the runs."""
    values = [each.instructions.value for each in found]
    within = max((high - low) / each.instructions.value for each in found
                 for low, high in [each.instructions.interval or (0, 0)])
    return (f"| {model} | {engine} {found[0].engine_version} | `{cpu}` | {np.median(values):,.0f} | "
            f"{100 * (max(values) / min(values) - 1):.3f} % | {100 * within:.3f} % | "
            f"{np.median([each.accesses.value for each in found]):,.0f} |")


def count(tflite: bytes, engine: str, cpu: str) -> InstructionCounts:
    """One model on one core, fed random values."""
    text = f"emulated:{cpu}"
    with tempfile.TemporaryDirectory() as folder, EmulatedTarget(text, parse(text)) as target:
        log = Path(folder) / "log.txt"
        with EngineWorker(engine, log=log) as worker:
            loaded = worker.load(tflite)
        generator = np.random.default_rng(0)
        samples = {name: generator.random((4, *each.shape[1:]), dtype=np.float32)
                   for name, each in zip(loaded.input_names, loaded.inputs, strict=True)}
        return count_inference(target, engine, tflite, samples, log=log)


if __name__ == "__main__":
    main()
