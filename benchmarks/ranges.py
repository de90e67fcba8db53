"""Where int8 ranges of activations should end: at the extremes of the calibration samples, or where 8 bits round best?

    python benchmarks/ranges.py --model resnet8.h5 --data cifar10_jpeg [--sizes 200 500] [--draws 3]

The model (a trained `.h5` whose inputs are 0..255) becomes float32 by the plain TFLite converter and int8 by
litesmith's own conversion, with each method, number of samples and draw. All images under `test/` are run in litert.
Prints a line a draw and the means; `--out` keeps them as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

OUT = HERE / "results" / "ranges.json"
METHODS = ("extremes", "mse")
BATCH = 100


def images(folder: Path, per_class: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images of a folder a class: x (n, height, width, 3) float32, y (n,); of each class the first ones, or all."""
    from PIL import Image

    found = [(file, label) for label, kind in enumerate(sorted(path for path in folder.iterdir() if path.is_dir()))
             for file in sorted(kind.iterdir())[:per_class or None]]
    x = np.stack([np.asarray(Image.open(file).convert("RGB"), np.float32) for file, _ in found])
    return x, np.array([label for _, label in found])


def predictions(content: bytes, x: np.ndarray) -> np.ndarray:
    """Classes that a tflite model gives in litert, one thread.  # (n,)."""
    from ai_edge_litert.interpreter import Interpreter

    work = Interpreter(model_content=content, num_threads=1)
    work.resize_tensor_input(work.get_input_details()[0]["index"], [BATCH, *x.shape[1:]])
    work.allocate_tensors()
    taken, given = work.get_input_details()[0], work.get_output_details()[0]
    scale, zero = taken["quantization"]
    found = []
    for start in range(0, len(x) // BATCH * BATCH, BATCH):
        part = x[start:start + BATCH]
        fed = np.clip(np.round(part / scale) + zero, -128, 127).astype(np.int8) if scale else part
        work.set_tensor(taken["index"], fed)
        work.invoke()
        found.append(work.get_tensor(given["index"]).argmax(axis=1))
    return np.concatenate(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 500])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    words = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*preserve_all_tensors.*")
    rows = measure(words)
    for size in words.sizes:
        for method in METHODS:
            drops = [row["drop_points"] for row in rows if (row["method"], row["samples"]) == (method, size)]
            changed = [row["changed"] for row in rows if (row["method"], row["samples"]) == (method, size)]
            print(f"{method}, {size} samples: drop {np.mean(drops):.2f} points ({min(drops):.2f} to {max(drops):.2f}), "
                  f"{np.mean(changed):.0f} predictions changed")
    words.out.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


def measure(words: argparse.Namespace) -> list[dict[str, Any]]:
    """A row a method, size and draw."""
    import tensorflow as tf
    import tf_keras as keras

    from stages.converting.quantizing import PostTraining
    from stages.recipes import rules_for

    content = tf.lite.TFLiteConverter.from_keras_model(keras.models.load_model(words.model, compile=False)).convert()
    train, (x, y) = images(words.data / "train", 500)[0], images(words.data / "test")
    reference, rows = predictions(content, x), []
    y = y[:len(reference)]
    for size in words.sizes:
        for draw in range(words.draws):
            samples = train[np.random.default_rng(draw).permutation(len(train))[:size]]
            for method in METHODS:
                work = PostTraining(content, rules_for("int8"), None, method)
                found = predictions(work.quantize(work.calibrate(samples)), x)
                drop = 100 * float((reference == y).mean() - (found == y).mean())
                rows.append({"method": method, "samples": size, "draw": draw, "drop_points": round(drop, 2),
                             "changed": int((found != reference).sum()), "test_samples": len(found)})
                print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
