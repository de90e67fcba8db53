"""How to take channels out: measures of importance held against each other, and channel counts that kernels like.

    python benchmarks/slim_trial.py importance --data FOLDER --model FILE [--shares 0.3 0.5] [--train 4000] [--epochs 4]
    python benchmarks/slim_trial.py hearings --data FOLDER --model FILE --kept 8,32,32,32,64 16,16,32,48,64
        --train 45000 --epochs 6
    python benchmarks/slim_trial.py widths [--formats float32 int8]
    python benchmarks/slim_trial.py latency --model FILE [--shares 0.3 0.4 0.5] [--format float32]

`importance`: a trained model for 32x32 images (--model, .h5) and a folder of images `train/<class>`, `test/<class>`
(--data). For each measure and share of the MACs: accuracy on 2,000 test images after the removal, and after a short
fine-tuning on a sample of the training images. `hearings`: whether an audition tells which channel counts (--kept) are
better: the model without its first residual branch is trained for --epochs, then with each choice of counts for one
epoch of 25,000 images with two seeds, heard with batch normalization's moving averages as they are and with statistics
taken anew; and the accuracy on the test images after --epochs of all images. `widths`: milliseconds in litert, one
thread, of a 3x3 convolution on a 16x16 map by its number of channels, all models in turns. `latency`: milliseconds
saved by slimming for milliseconds measured here, against slimming for MACs, without any fine-tuning. Each prints one
JSON line a row.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

SEED, TESTED, VALIDATED, WHOLE_TEST = 3, 2000, 500, 10_000
AUGMENT = {"horizontal_flip": True, "shift": 0.125, "padding": "zero"}
HEARD, HEARD_ON = 25_000, 5000
WIDTHS = (4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64)


def images(folder: Path, each: int) -> tuple[np.ndarray, np.ndarray]:
    """The same number of images of every class, in the order of their names.  # x (n, 32, 32, 3) float32, y (n,)."""
    from PIL import Image

    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    files = [(file, label) for label, path in enumerate(classes) for file in sorted(path.iterdir())[:each]]
    return (np.stack([np.asarray(Image.open(file), np.float32) for file, _ in files]),
            np.array([label for _, label in files]))


def read_lesson(words: argparse.Namespace, validated: int) -> Any:
    """So many training images as --train says, in random order, and others to validate with."""
    from stages.datasets.prepared import Preprocessing, Split
    from stages.tasks import make_task
    from stages.tasks.settings import TaskSettings
    from stages.training import Lesson

    x, y = images(words.data / "train", (words.train + validated) // 10)
    order = np.random.default_rng(SEED).permutation(len(x))
    x, y = x[order], y[order]
    return Lesson(Split(x[validated:], y[validated:]), Split(x[:validated], y[:validated]),
                  make_task(TaskSettings()), Preprocessing(inputs={}, class_names=tuple("0123456789")))


def importance(words: argparse.Namespace) -> None:
    """Accuracy by measure and share."""
    import tf_keras as keras

    from stages.context import StageContext
    from stages.fitting.statistics import renewing
    from stages.models.framework import tensorflow_turn
    from stages.slimming import importance as measures
    from stages.slimming.budget import Bounds
    from stages.slimming.cutting import Goal, narrow, survey
    from stages.training import FitSettings, fit

    lesson = read_lesson(words, VALIDATED)
    test_x, test_y = images(words.data / "test", TESTED // 10)
    statistics = FitSettings(statistics_batches=16)
    settings = FitSettings(epochs=words.epochs, learning_rate=1e-3, patience=0, augment=AUGMENT)
    for share in words.shares:
        for kind in ("taylor", "magnitude", "bn"):
            with tempfile.TemporaryDirectory() as text, tensorflow_turn(SEED, Path(text) / "log.txt"):
                model = keras.models.load_model(words.model, compile=False)
                surveyed = survey(model, (), Bounds())
                goal = Goal("macs", surveyed.macs(surveyed.all), share)
                scores = measures.measure(kind, model, surveyed.trace, lesson, 1024, SEED)
                found = narrow(surveyed, goal, scores, lesson.train.x[:16])
                renewing(found.model, lesson.train, statistics, SEED)(0)
                before = accuracy(found.model, test_x, test_y)  # with statistics taken anew, here and below
                scratch = Path(text)
                fit(found.model, lesson, settings, SEED, StageContext(scratch, scratch, scratch / "log.txt"))
                renewing(found.model, lesson.train, statistics, SEED)(0)
                print(json.dumps({"importance": kind, "share": share, "kept": found.kept.tolist(),
                                  "removed": round(1 - found.cost / goal.whole, 4),
                                  "accuracy_of_original": accuracy(model, test_x, test_y),
                                  "accuracy_after_removal": before, "epochs": words.epochs,
                                  "samples": len(lesson.train.y),
                                  "accuracy_after_fine_tuning": accuracy(found.model, test_x, test_y)}), flush=True)


def hearings(words: argparse.Namespace) -> None:
    """Validation loss of each choice of counts by two seeds, both ways, beside the accuracy after a longer training."""
    import tf_keras as keras

    from stages.context import StageContext
    from stages.fitting.statistics import renewing
    from stages.models.framework import tensorflow_turn
    from stages.slimming import importance as measures
    from stages.slimming.branches import find_branches, without
    from stages.slimming.budget import Bounds
    from stages.slimming.cutting import survey
    from stages.slimming.rebuild import rebuild
    from stages.training import FitSettings, fit

    lesson = read_lesson(words, HEARD_ON)
    test_x, test_y = images(words.data / "test", WHOLE_TEST // 10)
    anew = FitSettings(statistics_batches=20)
    long = FitSettings(epochs=words.epochs, batch_size=128, patience=0, augment=AUGMENT, statistics_batches=20)
    short = long.model_copy(update={"epochs": 1, "samples_per_epoch": HEARD, "statistics_batches": 0})

    def trained(model: Any, settings: FitSettings, seed: int) -> Any:
        renewing(model, lesson.train, anew, seed)(0)
        with tempfile.TemporaryDirectory() as text:
            return fit(model, lesson, settings, seed, StageContext(Path(text), Path(text), Path(text) / "log.txt"))

    def loss(model: Any) -> float:
        outputs = model.predict(lesson.validation.x, batch_size=256, verbose=0)
        return float(-np.log(outputs[np.arange(len(outputs)), lesson.validation.y] + 1e-7).mean())

    with tempfile.TemporaryDirectory() as text, tensorflow_turn(SEED, Path(text) / "log.txt"):
        whole = keras.models.load_model(words.model, compile=False)
        model = without(whole, find_branches(whole)[0])
        trained(model, long, SEED)
        surveyed = survey(model, (), Bounds())
        scores = measures.measure("taylor", model, surveyed.trace, lesson, 1024, SEED)
        for kept in words.kept:
            counts, heard = np.array([int(count) for count in kept.split(",")]), []
            for seed in (SEED, SEED + 1):
                narrower = rebuild(model, surveyed.removed(scores, counts))
                averages = trained(narrower, short, seed).validation_loss[-1]
                renewing(narrower, lesson.train, anew, seed)(0)
                heard.append((round(averages, 4), round(loss(narrower), 4)))
            narrower = rebuild(model, surveyed.removed(scores, counts))
            trained(narrower, long, SEED)
            print(json.dumps({"kept": counts.tolist(), "parameters": narrower.count_params(),
                              "heard_with_moving_averages": [one for one, _ in heard],
                              "heard_with_statistics_anew": [one for _, one in heard], "epochs": words.epochs,
                              "samples": len(lesson.train.y), "test_samples": len(test_y),
                              "accuracy": accuracy(narrower, test_x, test_y)}), flush=True)


def accuracy(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Share of right answers."""
    return float((model.predict(x, batch_size=256, verbose=0).argmax(1) == y).mean())


def widths(words: argparse.Namespace) -> None:
    """Milliseconds by the number of channels, of inputs and outputs alike."""
    import tf_keras as keras

    from stages.slimming.latency import as_tflite

    for number_format in words.formats:
        contents = {}
        for width in WIDTHS:
            keras.utils.set_random_seed(SEED)
            inputs = keras.layers.Input((16, 16, width))
            x = inputs
            for _ in range(6):
                x = keras.layers.Conv2D(width, 3, padding="same", activation="relu")(x)
            samples = np.random.default_rng(SEED).normal(size=(16, 16, 16, width)).astype(np.float32)
            contents[width] = as_tflite(keras.Model(inputs, x), number_format, samples, Path("/dev/null"))
        for width, ms in in_turns(contents).items():
            macs = 6 * 256 * 9 * width * width
            print(json.dumps({"format": number_format, "channels": width, "ms": round(ms, 5),
                              "giga_macs_per_s": round(macs / ms / 1e6, 2)}), flush=True)


def in_turns(contents: dict[int, bytes]) -> dict[int, float]:
    """Median milliseconds of each tflite model in litert, one thread, over 15 rounds."""
    from stages.benchmarking.trial import warm_up
    from stages.engines import host
    from stages.engines.client import EngineWorker

    found: dict[int, list[float]] = {key: [] for key in contents}
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        workers = {}
        for key, content in contents.items():
            worker = workers[key] = stack.enter_context(EngineWorker("litert", log=Path(folder) / "log.txt"))
            loaded = worker.load(content, threads=1, cpus=host.cores()[-1:])
            worker.feed(*(np.zeros((1, *info.shape[1:]), np.float32) for info in loaded.inputs))
            warm_up(worker, 0.3)
        for _ in range(15):
            for key, worker in workers.items():
                found[key].append(float(np.median(worker.measure(1000, 0.03))) / 1e6)
    return {key: float(np.median(values)) for key, values in found.items()}


def latency(words: argparse.Namespace) -> None:
    """Milliseconds saved by either budget."""
    import tf_keras as keras

    from device_profiles.loader import load_profile
    from stages.slimming.budget import Bounds
    from stages.slimming.cutting import Goal, narrow, survey
    from stages.slimming.importance import magnitude
    from stages.slimming.latency import make_clock

    model = keras.models.load_model(words.model, compile=False)
    samples = np.random.default_rng(SEED).uniform(0, 255, (16, *model.input_shape[1:])).astype(np.float32)
    clock = make_clock(load_profile("cpu"), words.format, model, samples, Path("/dev/null"))
    surveyed = survey(model, (), Bounds())
    scores, whole_ms = magnitude(model, surveyed.trace), clock(model)
    for share in words.shares:
        for budget in ("macs", "latency"):
            whole = whole_ms if budget == "latency" else surveyed.macs(surveyed.all)
            goal = Goal(budget, whole, share, clock if budget == "latency" else None)
            found = narrow(surveyed, goal, scores, samples)
            ms = clock(found.model)
            print(json.dumps({"format": words.format, "budget": budget, "share": share, "kept": found.kept.tolist(),
                              "macs_removed": round(1 - surveyed.macs(found.kept) / surveyed.macs(surveyed.all), 3),
                              "ms": round(ms, 4), "of_ms": round(whole_ms, 4),
                              "times_faster": round(whole_ms / ms, 2)}), flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("importance", "hearings", "widths", "latency"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.3, 0.5])
    parser.add_argument("--train", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--kept", nargs="+", default=[], help="channel counts of each space, with commas between")
    parser.add_argument("--formats", nargs="+", default=["float32", "int8"])
    parser.add_argument("--format", default="float32", choices=("float32", "int8"))
    words = parser.parse_args()
    {"importance": importance, "hearings": hearings, "widths": widths, "latency": latency}[words.what](words)


if __name__ == "__main__":
    main()
