"""Five architectures of `keras.applications`, from a `.keras` file of Keras 3 through the pipeline to int8 and QAT.

    python benchmarks/keras3_applications.py [NAME ...] [--data cifar10_jpeg.tar] [--samples 200] [--work FOLDER]
    python benchmarks/keras3_applications.py --table

Each is built in Keras 3 for 96x96x3 inputs and 10 classes and all its weights are drawn, batch normalization statistics
included (no weights are downloaded). Only the head is fitted, in closed form (ridge regression on what the backbone
gives for half of the images), so accuracies say little: look at how many predictions change, and at the
largest difference of a probability. Images are drawn on the spot, ten kinds of coloured stripes in noise, or taken from
a tar of JPEG files `train/<class>/...` (`--data`), enlarged to 96x96.

Every architecture runs in a process of its own: `model.save`, then `pipeline.run` up to `evaluate` for float32, int8,
pruned50-int8 (one epoch) and int8qat (one epoch). A line of JSON each goes to `--out`; what is there is not done again.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from bridge_table import SCALED_INSIDE, randomized  # noqa: E402

NAMES = ("MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "DenseNet121", "ResNet50V2")
VARIANTS = ("float32", "int8", "pruned50-int8", "int8qat")
OUT = HERE / "results" / "keras3_applications.jsonl"
SIZE, CLASSES, SEED, RIDGE = 96, 10, 3, 1e-2
HEAD = """\
| architecture | layers | bridged | float32 bytes | int8 bytes | int8 | pruned50-int8 | int8qat | seconds |
|---|---|---|---|---|---|---|---|---|"""


def drawn_images(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Stripes whose direction and colour tell the class, in noise: x (count, 96, 96, 3) uint8, y (count,)."""
    rng = np.random.default_rng(SEED)
    y = np.arange(count) % CLASSES
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
    x = np.empty((count, SIZE, SIZE, 3), np.uint8)
    for image, label in zip(x, y, strict=True):
        angle = np.pi * label / CLASSES
        wave = np.sin(40 * (rows * np.sin(angle) + columns * np.cos(angle)) + rng.uniform(0, 6))
        tint = 40 * np.cos(angle * 2 + np.arange(3))
        image[:] = np.clip(128 + 50 * wave[..., None] + tint + rng.normal(0, 40, image.shape), 0, 255)
    return x, y.astype(np.int64)


def images_of(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images of each class of a tar, enlarged: x (count, 96, 96, 3) uint8, y (count,)."""
    from PIL import Image

    taken: dict[str, list[np.ndarray]] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            split, _, name = member.name.partition("/")
            found = taken.setdefault(name.split("/")[0], []) if split == "train" and member.isfile() else None
            if found is not None and len(found) < count // CLASSES:
                image = Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB")
                found.append(np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)))
            if sum(map(len, taken.values())) >= count // CLASSES * CLASSES:
                break
    names = sorted(taken)
    x = np.stack([image for name in names for image in taken[name]])
    return x, np.repeat(np.arange(len(names)), [len(taken[name]) for name in names])


def built(name: str, x: np.ndarray, y: np.ndarray) -> Any:
    """The Keras 3 model with random weights and a fitted head; `x` as the model takes it."""
    import keras

    keras.utils.set_random_seed(SEED)
    model = getattr(keras.applications, name)(weights=None, input_shape=(SIZE, SIZE, 3), classes=CLASSES,
                                              classifier_activation="softmax")
    randomized(model, x[:32])
    head = next(layer for layer in reversed(model.layers) if layer.weights)
    features = keras.Model(model.inputs, head.input).predict(x, batch_size=32, verbose=0)
    flat = features.reshape(len(x), -1).astype(np.float64)
    middle, spread = flat.mean(0), flat.std() + 1e-9
    given = (flat - middle) / spread
    wanted = 6 * np.eye(CLASSES)[y] - 3
    solved = np.linalg.solve(given.T @ given + RIDGE * len(x) * np.eye(given.shape[1]), given.T @ wanted) / spread
    kernel, bias = head.weights
    kernel.assign(solved.reshape(kernel.shape))
    bias.assign(-middle @ solved)
    return model


def measure(name: str, data: Path | None, samples: int, work: Path) -> dict[str, Any]:
    """One architecture through the pipeline."""
    import pipeline

    start = time.perf_counter()
    x, y = images_of(data, samples) if data else drawn_images(samples)
    scaled = name.startswith(SCALED_INSIDE)
    given = x.astype(np.float32) if scaled else x.astype(np.float32) / 127.5 - 1
    half = np.arange(len(x)) // CLASSES % 2 == 0
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    model = built(name, given[half], y[half])
    model.save(folder / "model.keras")
    np.savez(folder / "images.npz", x=x, y=y)
    config = {
        "name": name, "seed": SEED, "variants": list(VARIANTS), "profiles": ["cpu"],
        "model": {"source": str(folder / "model.keras"), "timeout_s": 3000},
        "data": {"source": {"kind": "npz", "path": str(folder / "images.npz")},
                 "normalization": "none" if scaled else "symmetric"},
        "prune": {"epochs": 1, "batch_size": 16, "learning_rate": 1e-4},
        "quantize": {"epochs": 1, "batch_size": 16, "learning_rate": 1e-4, "calibration_samples": 64},
    }
    built_s = time.perf_counter() - start
    result = pipeline.run(config, runs=folder / "runs", store=folder / "store", stage="evaluate")
    return {"architecture": name, "data": data.name if data else "drawn", "samples": len(x),
            "test_samples": tested(result), "build_s": round(built_s, 1), "run_s": round(result.seconds, 1),
            **bridging(result), "variants": {variant: figures(result, variant) for variant in VARIANTS}}


def tested(result: Any) -> int:
    """How many samples the test split has."""
    found = result.result("baseline") or {}
    return int(found.get("metrics", {}).get("samples", 0))


def bridging(result: Any) -> dict[str, Any]:
    """What the model stage says."""
    taken = result.result("model") or {}
    return {"parameters": taken.get("parameters"), "layers": taken.get("layers"), "proof": taken.get("proof"),
            "float_accuracy": accuracy(result.result("baseline") or {})}


def accuracy(found: dict[str, Any]) -> float | None:
    """The accuracy in a stage's result, if it has one."""
    metrics = found.get("metrics")
    return round(metrics["figures"]["accuracy"]["value"], 3) if metrics else None


def figures(result: Any, variant: str) -> dict[str, Any]:
    """Bytes, agreement and seconds of a variant, or the message that says why there is none."""
    called = [outcome for outcome in result.outcomes.values() if outcome.call.name == variant]
    errors = [str(outcome.error) for outcome in called if outcome.error]
    if errors:
        return {"message": errors[0]}
    by_stage = {outcome.call.stage: outcome.artifact.result() for outcome in called if outcome.artifact}
    if "evaluate" not in by_stage:
        return {"message": "not made: what it rests on failed"}
    engine = by_stage["evaluate"]["engines"]["litert"]
    row = {"tflite_bytes": by_stage["convert"]["tflite_bytes"], "accuracy": accuracy(engine),
           "changed": engine["changed"], "largest_difference": engine["largest_difference"],
           "seconds": round(sum(outcome.seconds for outcome in called), 1)}
    quantized = by_stage.get("quantize", {})
    return row | {key: len(quantized[key]) for key in ("rewritten", "not_quantized") if quantized.get(key)} | (
        {"warnings": by_stage["convert"]["warnings"]} if by_stage["convert"].get("warnings") else {})


def shown(row: dict[str, Any]) -> str:
    """One line of the table."""
    if "error" in row:
        return f"| `{row['architecture']}` | | {row['error']} | | | | | | |"
    variants, count = row["variants"], row["test_samples"]
    size = {name: f"{found['tflite_bytes']:,}" if "tflite_bytes" in found else "" for name, found in variants.items()}
    changed = {name: f"{found['changed']} of {count} ({found['largest_difference']:.2g})" if "changed" in found
               else " ".join(found["message"].split()) for name, found in variants.items()}
    rewritten = variants["int8qat"].get("rewritten", 0)
    qat = changed["int8qat"] + (f"; {rewritten} layers rewritten" if rewritten else "")
    return (f"| `{row['architecture']}` | {row['layers']} | {row['proof']:.1e} | {size['float32']} | {size['int8']} | "
            f"{changed['int8']} | {changed['pruned50-int8']} | {qat} | {row['run_s']:.0f} |")


def run_one(name: str, words: argparse.Namespace, work: Path) -> dict[str, Any]:
    """One architecture in a process of its own."""
    command = [sys.executable, __file__, name, "--alone", "--samples", str(words.samples), "--work", str(work)]
    done = subprocess.run([*command, *(["--data", str(words.data)] if words.data else [])], capture_output=True,
                          text=True, check=False, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"architecture": name, "error": f"exit {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"}
    return dict(json.loads(lines[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(NAMES))
    parser.add_argument("--data", type=Path, help="a tar of JPEG files train/<class>/...")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--work", type=Path, help="where runs and stores are kept; by default nothing is kept")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--table", action="store_true", help="print the table of what is there, and stop")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.alone:
        print(json.dumps(measure(words.names[0], words.data, words.samples, words.work)))
        return
    rows = [json.loads(line) for line in words.out.read_text("utf-8").splitlines()] if words.out.exists() else []
    done = {row["architecture"] for row in rows}
    with tempfile.TemporaryDirectory() as temporary:
        for name in () if words.table else [name for name in words.names if name not in done]:
            row = run_one(name, words, (words.work or Path(temporary)).resolve())
            rows.append(row)
            if "error" not in row:
                with words.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
    print("\n".join([HEAD, *map(shown, rows)]))


if __name__ == "__main__":
    main()
