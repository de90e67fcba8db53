"""What a teacher is worth to a student with few labels: scikit-learn's digits, the same student with and without one.

    python benchmarks/teaching.py [--labels 30 100] [--seeds 8] [--epochs 60] [--out FILE]

The teacher (`small_cnn`) is trained once on all training samples of the digits. For each number of labels and each
seed the student (`small_cnn` too, new weights) is trained on so many of them, drawn by the seed evenly from the
classes: once by the labels alone, once with the teacher beside them, by the defaults of `distil`, and once more with
`distil.dropout`. All have the same weights to begin with, the same samples, batches and epochs. Scored on the test
split. Prints one JSON line a seed, then for each number of labels the mean differences from the labels alone with
their 95 % intervals (Student's t over the seeds).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from stages import calibration, model, prepare, train  # noqa: E402
from stages.context import StageContext  # noqa: E402
from stages.datasets.prepared import Split, read_split  # noqa: E402
from stages.datasets.records import TEST  # noqa: E402
from stages.distillation import Distillation, Teacher  # noqa: E402
from stages.models.files import load_model  # noqa: E402
from stages.models.framework import tensorflow_turn  # noqa: E402
from stages.tasks.settings import TaskSettings  # noqa: E402
from stages.training import FitSettings, Lesson, fit, read_lesson  # noqa: E402

BATCH, RATE = 16, 3e-3


def surroundings(folder: Path) -> StageContext:
    """A stage's context below a folder."""
    for name in ("out", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return StageContext(folder / "out", folder / "scratch", folder / "log.txt")


def artifacts(folder: Path) -> tuple[Path, Path, Path]:
    """Data, an untrained model and the trained teacher."""
    data, untrained, teacher = (surroundings(folder / name) for name in ("data", "model", "teacher"))
    prepare.run(options=prepare.Options(seed=1), context=data)
    model.run(data=data.out, options=model.Options(seed=1), context=untrained)
    train.run(model=untrained.out, data=data.out, options=train.Options(seed=1), context=teacher)
    return data.out, untrained.out, teacher.out


def taught(lesson: Lesson, untrained: Path, seed: int, epochs: int, log: Path) -> Any:
    """A student after its training."""
    settings = FitSettings(epochs=epochs, batch_size=BATCH, learning_rate=RATE, patience=0)
    with tempfile.TemporaryDirectory() as text, tensorflow_turn(seed, log):
        student = renewed(load_model(untrained), seed)
        fit(student, lesson, settings, seed, surroundings(Path(text)))
        return student


def renewed(student: Any, seed: int) -> Any:
    """The model with kernels drawn anew by a seed."""
    rng = np.random.default_rng(seed)
    for weight in student.trainable_variables:
        if len(weight.shape) > 1:
            fan = math.prod(weight.shape[:-1])
            weight.assign(rng.normal(0, math.sqrt(2 / fan), weight.shape).astype(np.float32))
    return student


def score(student: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Accuracy in percent."""
    return 100 * float((np.asarray(student(x)).argmax(-1) == y).mean())


WAYS = {"taught": Distillation(), "taught_with_dropout": Distillation(dropout=True)}


def compared(lesson: Lesson, teacher: Path, few: int, seed: int, words: argparse.Namespace, untrained: Path,
             test: tuple[np.ndarray, np.ndarray], log: Path) -> dict[str, Any]:
    """One seed: the student without its teacher, and with it."""
    rows = np.sort(calibration.draw(lesson.train.y, seed)[:few])
    small = replace(lesson, train=Split(np.asarray(lesson.train.x[rows]), lesson.train.y[rows]))
    alone = score(taught(small, untrained, seed, words.epochs, log), *test)
    row: dict[str, Any] = {"labels": few, "seed": seed, "alone_percent": round(alone, 2)}
    for name, settings in WAYS.items():
        lessons = replace(small, teacher=Teacher(teacher, settings))
        found = score(taught(lessons, untrained, seed, words.epochs, log), *test)
        row |= {f"{name}_percent": round(found, 2), f"{name}_gain_points": round(found - alone, 2)}
    return row


def interval(gains: list[float]) -> tuple[float, float]:
    """95 % of Student's t around the mean."""
    from scipy.stats import t

    half = float(t.ppf(0.975, len(gains) - 1)) * stdev(gains) / math.sqrt(len(gains))
    return fmean(gains) - half, fmean(gains) + half


def summed(rows: list[dict[str, Any]], few: int, words: argparse.Namespace) -> dict[str, Any]:
    """All seeds of a number of labels."""
    line: dict[str, Any] = {"labels": few, "seeds": words.seeds, "epochs": words.epochs,
                            "alone_percent": round(fmean(row["alone_percent"] for row in rows), 2)}
    for name in WAYS:
        gains = [row[f"{name}_gain_points"] for row in rows]
        line[name] = {"percent": round(fmean(row[f"{name}_percent"] for row in rows), 2),
                      "gain_points": round(fmean(gains), 2),
                      "interval_points": [round(end, 2) for end in interval(gains)],
                      "seeds_won": sum(gain > 0 for gain in gains)}
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, nargs="+", default=[30, 100])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--out", type=Path, help="append the lines to this file")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        data, untrained, trained = artifacts(folder)
        lesson = read_lesson(data, TaskSettings())
        split = read_split(data, TEST)
        test = (np.asarray(split.x[:], np.float32), np.asarray(split.y))
        print(json.dumps({"teacher_percent": round(score(load_model(trained), *test), 2),
                          "teacher_samples": len(lesson.train.y), "test_samples": len(test[1])}), flush=True)
        for few in words.labels:
            rows = []
            for seed in range(1, words.seeds + 1):
                rows.append(compared(lesson, trained, few, seed, words, untrained, test, folder / "log.txt"))
                print(json.dumps(rows[-1]), flush=True)
            line = json.dumps(summed(rows, few, words))
            print(line, flush=True)
            if words.out:
                with words.out.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")


if __name__ == "__main__":
    main()
