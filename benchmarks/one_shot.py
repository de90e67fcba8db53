"""What pruning and clustering cost a model before any fine-tuning: by scope, and by one kernel alone.

    python benchmarks/one_shot.py MODEL IMAGES [--samples 1000]

MODEL is a Keras file, IMAGES a folder of images, a folder a class. Accuracy is top-1 in Keras on as many images of each
class, drawn by a fixed seed. First the whole model with the smallest weights gone, by global ranking and with the same
share in each layer; then each kernel alone: points lost at 75 % zeros by its part of the global ranking, at 75 % of its
own, in the pattern 2of4, and with 16 and 4 shared values. Every line is JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stages.clustering import nearest_values
from stages.pruning.budget import share_out
from stages.pruning.kernels import read_kernels, variable_of
from stages.pruning.sensitivity import in_pattern, without_smallest

SPARSITIES = (0.3, 0.5, 0.6, 0.7, 0.8)
SEED = 0


def read_images(folder: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """As many images of each class.  # (images, height, width, 3) float32 in 0..255, (images,) int64."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    rng = np.random.default_rng(SEED)
    chosen = [(path, label) for label, one in enumerate(classes)
              for path in rng.choice(sorted(one.iterdir()), count // len(classes), replace=False)]
    return (np.stack([np.asarray(Image.open(path).convert("RGB"), np.float32) for path, _ in chosen]),
            np.array([label for _, label in chosen]))


def accuracy_of(model: Any, x: np.ndarray, y: np.ndarray) -> Callable[[dict[str, np.ndarray]], float]:
    """A function from kernels by layer to the percentage of right answers with them; the model is put back."""
    import tensorflow as tf

    forward = tf.function(lambda batch: model(batch, training=False))

    def measure(kernels: dict[str, np.ndarray]) -> float:
        before = read_kernels(model, kernels)
        try:
            for name, kernel in kernels.items():
                variable_of(model.get_layer(name)).assign(kernel)
            given = np.concatenate([forward(x[start:start + 250]).numpy() for start in range(0, len(x), 250)])
        finally:
            for name, kernel in before.items():
                variable_of(model.get_layer(name)).assign(kernel)
        return round(100 * float((given.argmax(axis=1) == y).mean()), 1)

    return measure


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--samples", type=int, default=1000)
    given = parser.parse_args()
    import tf_keras as keras

    model = keras.models.load_model(given.model, compile=False)
    measure, kernels = accuracy_of(model, *read_images(given.images, given.samples)), read_kernels(model)
    base = measure({})
    print(json.dumps({"model": given.model.name, "samples": given.samples, "accuracy_percent": base}))
    for sparsity in SPARSITIES:
        row: dict[str, Any] = {"sparsity": sparsity}
        for scope in ("global", "layer"):
            shares = share_out(kernels, sparsity, scope)
            row[f"{scope}_accuracy_percent"] = measure(
                {name: without_smallest(name, kernel, shares[name]) for name, kernel in kernels.items()})
        print(json.dumps(row))
    shares = share_out(kernels, 0.75, "global")
    for name, kernel in kernels.items():
        changes = {"global75": without_smallest(name, kernel, shares[name]),
                   "own75": without_smallest(name, kernel, 0.75),
                   "2of4": in_pattern(kernel), "16_values": nearest_values(kernel, 16),
                   "4_values": nearest_values(kernel, 4)}
        lost = {f"{change}_points": round(base - measure({name: new}), 1) for change, new in changes.items()}
        print(json.dumps({"kernel": name, "shape": kernel.shape, "global75_share": round(shares[name], 3)} | lost))


if __name__ == "__main__":
    main()
