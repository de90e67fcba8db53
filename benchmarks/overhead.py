"""What the pipeline costs over doing it by hand: `litesmith run` against a plain TFMOT script, in turn.

    python benchmarks/overhead.py [--pairs 3]

Both make the same nine variants with the same epochs in a process of their own, from nothing. `litesmith run` also
evaluates in three engines, measures latency, checks three profiles and writes the report; the script only counts right
answers. So a second ratio leaves out what the stages benchmark, check and report took. Prints the wall times, both
ratios pair by pair, and one JSON line.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
VARIANTS = ("float32", "float16", "dynamic", "int8", "int8qat", "int16x8", "pruned75-int8", "pruned75-int8qat",
            "clustered16-int8")
"""Of the default run those that `by_hand.py` makes."""


def timed(command: list[str], folder: Path) -> float:
    """Seconds of one command; its output is kept in the folder."""
    start = time.perf_counter()
    with (folder / "out.txt").open("w") as out:
        subprocess.run(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT, check=True)
    return time.perf_counter() - start


def epochs_of(run: Path) -> dict[str, int]:
    """How many epochs each training of a run took."""
    def count(place: str) -> int:
        return len(json.loads((run / "figures" / place).read_text())["history"]["loss"])

    return {"float": count("train/float.json"), "prune": count("prune/pruned75.json"),
            "cluster": count("prune/clustered16.json"), "qat": count("quantize/int8qat.json"),
            "pqat": count("quantize/pruned75-int8qat.json")}


def measuring_s(run: Path) -> float:
    """Seconds of the stages that the script has no counterpart of."""
    calls = json.loads((run / "manifest.json").read_text())["calls"]
    return sum(calls[stage]["seconds"] for stage in ("benchmark", "check", "report"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    pairs = parser.parse_args().pairs
    ours, theirs, making, accuracy = [], [], [], {}
    asked = [word for name in VARIANTS for word in ("--variant", name)]
    for pair in range(pairs):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            ours.append(timed([sys.executable, "-m", "pipeline", "run", *asked], Path(one)))
            epochs = epochs_of(Path(one) / "runs" / "digits")
            making.append(ours[-1] - measuring_s(Path(one) / "runs" / "digits"))
            theirs.append(timed([sys.executable, str(HERE / "by_hand.py"), "out", json.dumps(epochs)], Path(other)))
            accuracy = json.loads((Path(other) / "out.txt").read_text().splitlines()[-1])
        print(f"pair {pair + 1}: litesmith run {ours[-1]:.1f} s, by hand {theirs[-1]:.1f} s, "
              f"ratio {ours[-1] / theirs[-1]:.2f}, without benchmark, check and report {making[-1] / theirs[-1]:.2f}",
              flush=True)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    making_ratios = [a / b for a, b in zip(making, theirs, strict=True)]
    print(f"epochs: {epochs}")
    print(json.dumps({
        "litesmith_run_s": [round(s, 1) for s in ours], "by_hand_s": [round(s, 1) for s in theirs],
        "ratio_median": round(statistics.median(ratios), 3), "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
        "ratio_without_measuring": [round(ratio, 3) for ratio in making_ratios],
        "by_hand_accuracy": {k: v["accuracy"] for k, v in accuracy.items()},
        "cpu": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "tensorflow": version("tensorflow"),
        "tensorflow_model_optimization": version("tensorflow-model-optimization")}))


if __name__ == "__main__":
    main()
