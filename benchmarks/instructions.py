"""Instructions and memory accesses of one inference of tflite models on emulated Arm cores, as a table.

    python benchmarks/instructions.py MODEL.tflite... [--engine litert] [--cpu cortex-a72 --cpu max]

Needs `litesmith doctor --install arm-emulator`. What it prints does not depend on this machine's speed.
"""

from __future__ import annotations

import argparse
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
    given = parser.parse_args()
    print("| model | engine | cpu | instructions | range | memory accesses |\n|---|---|---|---|---|---|")
    for path in given.models:
        for cpu in given.cpu or ["cortex-a72", "max"]:
            found = count(path.read_bytes(), given.engine, cpu)
            low, high = found.instructions.interval or (0, 0)
            print(f"| {path.stem} | {given.engine} {found.engine_version} | `{cpu}` | "
                  f"{found.instructions.value:,.0f} | {low:,.0f} to {high:,.0f} | {found.accesses.value:,.0f} |",
                  flush=True)


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
