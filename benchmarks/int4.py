"""What each ingredient of the int4 recipe gains, on one float32 tflite model.

    python benchmarks/int4.py FLOAT_TFLITE PREPARED [--samples N] [--test N] [--out FILE]

FLOAT_TFLITE is a float32 tflite model, PREPARED a folder that the prepare stage wrote (`litesmith artifacts prepare`
names it). Every row is the model quantized another way and scored in litert on the test split: bytes, points of drop
with the paired interval, signal-to-noise of the outputs against float, seconds to make. One JSON line a row.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from stages import calibration
from stages.bench import Bench, whole_split
from stages.converting.quantizing import PostTraining
from stages.datasets.prepared import read_split
from stages.engines import host
from stages.mixing.trials import Runner, noise_share
from stages.recipes import WeightRecipe, rules_for
from stages.tasks.settings import TaskSettings

ROWS: tuple[tuple[str, WeightRecipe | None], ...] = (
    ("int8, nearest", None),
    ("int8, mse scales", WeightRecipe(algorithm="mse")),
    ("int8, octav scales", WeightRecipe(algorithm="octav")),
    ("int8, bias correction", WeightRecipe(bias_correction=True)),
    ("int8, gptq and bias correction", WeightRecipe(algorithm="gptq", bias_correction=True)),
    ("int4, nearest", WeightRecipe(bits=4)),
    ("int4, octav scales", WeightRecipe(bits=4, algorithm="octav")),
    ("int4, mse scales", WeightRecipe(bits=4, algorithm="mse")),
    ("int4, bias correction", WeightRecipe(bits=4, bias_correction=True)),
    ("int4, mse scales and bias correction", WeightRecipe(bits=4, algorithm="mse", bias_correction=True)),
    ("int4, gptq and bias correction", WeightRecipe(bits=4, algorithm="gptq", bias_correction=True)),
    ("int4, gptq", WeightRecipe(bits=4, algorithm="gptq")),
    ("int4, gptq, first layer in 8 bits", WeightRecipe(bits=4, algorithm="gptq", keep=("first",))),
    ("int4, gptq, first and last in 8 bits", WeightRecipe(bits=4, algorithm="gptq", keep=("first", "last"))),
)


def main() -> None:
    """Print the table and write the lines."""
    options = _arguments()
    content = options.tflite.read_bytes()
    train = read_split(options.prepared, "train", in_memory_bytes=0)
    rows = calibration.choose(train.y, options.samples, options.seed)
    samples = np.asarray(train.x[rows])
    lines = []
    with tempfile.TemporaryDirectory() as name, Runner(test_bench(options.prepared, options.test,
                                                                  Path(name))) as runner:
        reference = runner.outputs(content, "float32")
        print(f"float32: {len(content):,} bytes, score {runner.bench.score(reference):.4f} on {runner.bench.count:,} "
              f"test samples; {len(samples)} calibration samples, seed {options.seed}")
        for name, recipe in ROWS:
            start = time.perf_counter()
            work = PostTraining(content, rules_for("int8"), recipe)
            made = work.quantize(work.calibrate(samples), work.fit(samples))
            seconds = time.perf_counter() - start
            outputs = runner.outputs(made, name)
            drop, noise = runner.bench.drop(reference, outputs, 0, 1000), noise_share(reference, outputs)
            line = {"recipe": name, "tflite_bytes": len(made), "drop_points": round(drop.value, 3),
                    "drop_interval": [round(each, 3) for each in drop.interval or ()],
                    "snr_db": round(-10 * math.log10(noise), 2), "seconds": round(seconds, 2),
                    "calibration_samples": len(samples), "test_samples": runner.bench.count, "seed": options.seed,
                    "model": options.tflite.name, "float_bytes": len(content)}
            lines.append(json.dumps(line))
            low, high = line["drop_interval"]
            print(f"{name:42} {len(made):9,} bytes  drop {drop.value:6.2f} ({low:.2f} to {high:.2f})  "
                  f"{line['snr_db']:6.2f} dB  {seconds:5.1f} s", flush=True)
    if options.out:
        with options.out.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")


def test_bench(prepared: Path, samples: int, folder: Path) -> Bench:
    """Test samples, drawn evenly from the classes.

    Args:
        prepared: a prepare artifact.
        samples: how many at most.
        folder: where they are written.
    """
    bench = whole_split(prepared, "test", TaskSettings(), engine="litert", workers=len(host.cores()), timeout_s=300.0,
                        log=folder / "log.txt")
    rows = np.sort(calibration.draw(bench.truth.y, 0)[:samples])
    stored = np.load(bench.samples, mmap_mode="r")
    np.save(folder / "samples.npy", stored[rows])
    return replace(bench, samples=folder / "samples.npy", truth=replace(bench.truth.part(rows), x=None))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tflite", type=Path)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--samples", type=int, default=200, help="calibration samples")
    parser.add_argument("--test", type=int, default=2000, help="test samples at most")
    parser.add_argument("--seed", type=int, default=1, help="of the choice of calibration samples")
    parser.add_argument("--out", type=Path, help="append the lines to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
