"""Top-1 of tflite models in a bare interpreter loop, held against what a run of litesmith says of them.

    python benchmarks/reference_accuracy.py RUN_FOLDER IMAGES [--variants float32 int8]

RUN_FOLDER is a run of `examples/resnet8_cifar10`, IMAGES the folder of test images, a folder a class. Nothing here
imports litesmith: images are decoded with Pillow, the input is quantized as its tensor says, `q = round(x / scale) +
zero_point`, one image at a time on one thread, classes in alphabetical order. The numbers of right answers must be
equal, not close; it exits with 1 where they are not. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def read_images(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """All images and the places of their classes.  # (images, height, width, 3) uint8, (images,) int64."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    paths = [(path, label) for label, one in enumerate(classes) for path in sorted(one.iterdir())]
    x = np.stack([np.asarray(Image.open(path).convert("RGB")) for path, _ in paths])
    return x, np.array([label for _, label in paths])


def right_answers(tflite: Path, x: np.ndarray, y: np.ndarray) -> int:
    """The loop that everybody writes."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(tflite), num_threads=1)
    interpreter.allocate_tensors()
    given, out = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    right = 0
    for image, label in zip(x, y, strict=True):
        values = image[None].astype(np.float32)
        if given["dtype"] != np.float32:
            scale, zero_point = given["quantization"]
            limits = np.iinfo(given["dtype"])
            values = np.clip(np.round(values / np.float32(scale)) + zero_point, limits.min, limits.max)
        interpreter.set_tensor(given["index"], values.astype(given["dtype"]))
        interpreter.invoke()
        right += int(interpreter.get_tensor(out["index"])[0].argmax() == label)
    return right


def litesmith_says(run: Path, variant: str) -> tuple[int, int]:
    """Right answers and images, from the run's figures."""
    found: dict[str, Any] = json.loads((run / "figures" / "evaluate" / f"{variant}.json").read_text("utf-8"))
    metrics = found["engines"]["litert"]["metrics"]
    return round(metrics["figures"]["accuracy"]["value"] * metrics["samples"]), metrics["samples"]


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--variants", nargs="+", default=["float32", "int8"])
    given = parser.parse_args()
    x, y = read_images(given.images)
    rows = []
    for variant in given.variants:
        right, (said, samples) = right_answers(given.run / "models" / f"{variant}.tflite", x, y), \
            litesmith_says(given.run, variant)
        equal = (right, len(y)) == (said, samples)
        rows.append({"variant": variant, "loop": right, "litesmith": said, "images": len(y), "equal": equal})
        print(f"{variant:<8} loop {right:,} of {len(y):,} ({100 * right / len(y):.2f} %), litesmith {said:,} of "
              f"{samples:,}: {'equal' if equal else 'NOT EQUAL'}", flush=True)
    print(json.dumps({"run": given.run.name, "rows": rows, "ai-edge-litert": version("ai-edge-litert")}))
    return 0 if all(row["equal"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
