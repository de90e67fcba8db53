"""Peak resident memory of each stage on N samples and on 2 N: data larger than memory must leave it flat.

    python benchmarks/memory.py [--samples 11000] [--source npz images dataset] [--task classification anomaly]

A data set of 64x64x3 bytes is made on the spot, N and 2 N samples; by default 2 N samples are 1.0 GiB as float32. Each
stage runs in a process of its own, over all of its data: training walks a whole epoch of a tiny model, evaluation the
whole test split.

    stage       the stage's own process, TensorFlow and all
    engine      the engine workers that it starts, the largest of them
    2N / N      what counts; above 1.10 the stage is not flat

Splits are read row by row from 64 MiB of float32 on (`--in-memory-mib`), where litesmith itself begins at 512: so all
splits are read so at N already. `examine` looks at 5,000 samples (`examine.samples`), where litesmith looks at 20,000.
Peaks are `VmHWM` of each process; `ru_maxrss` would count what a process inherits when it is forked. The last line is
JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

SIDE, CLASSES = 64, 4
SHAPE = (SIDE, SIDE, 3)
SAMPLE_BYTES = SIDE * SIDE * 3
BLOCK = 250
"""Samples that are made at a time."""
STAGES = {"classification": ("prepare", "examine", "train", "baseline", "quantize", "convert", "evaluate"),
          "anomaly": ("prepare", "train", "baseline", "convert", "evaluate")}
FLAT = 1.10


# -- data ----------------------------------------------------------------------------------------------------------


def block(start: int, count: int) -> tuple[Any, Any]:
    """Some samples: noise, brighter the higher the class.  # (count, 64, 64, 3) uint8, (count,) int64."""
    import numpy as np

    rng = np.random.default_rng(start)
    y = np.arange(start, start + count) % CLASSES
    return (rng.integers(0, 128, (count, *SHAPE), np.uint8) + (32 * y[:, None, None, None]).astype(np.uint8)), y


def make_npz(folder: Path, samples: int) -> dict[str, Any]:
    """`data.npz`, written block by block."""
    import numpy as np

    with zipfile.ZipFile(folder / "data.npz", "w") as archive:
        with archive.open("x.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False,
                                                        "shape": (samples, *SHAPE)})
            for start in range(0, samples, BLOCK):
                file.write(block(start, min(BLOCK, samples - start))[0].tobytes())
        with archive.open("y.npy", "w") as file:
            np.save(file, np.arange(samples) % CLASSES)
    return {"kind": "npz", "path": str(folder / "data.npz")}


def make_images(folder: Path, samples: int) -> dict[str, Any]:
    """A folder of JPEG files, a folder per class."""
    from PIL import Image

    for label in range(CLASSES):
        (folder / f"images/{label}").mkdir(parents=True)
    for start in range(0, samples, BLOCK):
        x, y = block(start, min(BLOCK, samples - start))
        for row, (image, label) in enumerate(zip(x, y, strict=True), start):
            Image.fromarray(image).save(folder / f"images/{label}/{row:06d}.jpg")
    return {"kind": "image_folder", "path": str(folder / "images")}


def make_dataset(folder: Path, samples: int) -> dict[str, Any]:  # noqa: ARG001
    """A function of this module that returns a `tf.data.Dataset`."""
    return {"kind": "function", "path": "memory:dataset", "arguments": {"samples": samples}}


def dataset(samples: int) -> Any:
    """What `make_dataset` names."""
    import tensorflow as tf

    def batches() -> Any:
        for start in range(0, samples, BLOCK):
            yield block(start, min(BLOCK, samples - start))

    return tf.data.Dataset.from_generator(batches, output_signature=(
        tf.TensorSpec((None, *SHAPE), tf.uint8), tf.TensorSpec((None,), tf.int64)))


SOURCES = {"npz": make_npz, "images": make_images, "dataset": make_dataset}


# -- one stage, in a process of its own ------------------------------------------------------------------------------


def run_stage(name: str, work: Path, source: dict[str, Any], task: str, in_memory_bytes: int) -> None:
    """Run one stage into `work/<name>`."""
    from stages import baseline, convert, evaluate, examine, prepare, quantize, train
    from stages.context import StageContext
    from stages.datasets import prepared
    from stages.tasks.settings import TaskSettings

    prepared.IN_MEMORY_BYTES = in_memory_bytes
    settings = TaskSettings(kind=task, normal_classes=("0", "1") if task == "anomaly" else ())  # type: ignore[arg-type]
    out, scratch = work / name, work / f"{name}-scratch"
    for folder in (out, scratch):
        folder.mkdir()
    context = StageContext(out=out, scratch=scratch, log=work / "log.txt")
    data, model = work / "prepare", work / "train"
    found: Any
    if name == "prepare":
        found = prepare.run(options=prepare.Options(source=source, task=settings), context=context)  # type: ignore[arg-type]
    elif name == "examine":
        found = examine.run(data=data, options=examine.Options(samples=5000), context=context)  # type: ignore[call-arg]
    elif name == "train":
        build_model(task, work, data)
        found = train.run(model=work / "model", data=data, context=context,
                          options=train.Options(epochs=1, patience=0, task=settings))
    elif name == "baseline":
        found = baseline.run(model=model, data=data, options=baseline.Options(task=settings), context=context)
    elif name == "quantize":
        found = quantize.run(data=data, options=quantize.Options(format="int8", task=settings), context=context)
    elif name == "convert":
        found = convert_both(convert, work, context)
    else:
        found = evaluate.run(tflite=work / "convert", data=data, baseline=work / "baseline", context=context,
                             options=evaluate.Options(engines=("litert",), variant="int8", task=settings))
    (out / "result.json").write_text(found.model_dump_json(), "utf-8")


def build_model(task: str, work: Path, data: Path) -> None:
    """A tiny model for the task, as the model stage would leave it."""
    import tf_keras as keras

    from stages.models.files import save_model

    layers = keras.layers
    first = [layers.Input(SHAPE), layers.Conv2D(8, 3, 4, padding="same", activation="relu")]
    last = [layers.GlobalAveragePooling2D(), layers.Dense(CLASSES, activation="softmax")]
    if task == "anomaly":
        last = [layers.Conv2DTranspose(3, 4, 4, padding="same")]
    (work / "model").mkdir()
    save_model(keras.Sequential([*first, *last]), work / "model")
    shutil.copyfile(data / "preprocessing.json", work / "model" / "preprocessing.json")


def convert_both(convert: Any, work: Path, context: Any) -> Any:
    """The float32 tflite model, and int8 from it where there is a recipe."""
    from dataclasses import replace

    if not (work / "quantize").exists():
        return convert.run(source=work / "train", options=convert.Options(format="float32"), context=context)
    (work / "float32").mkdir()
    convert.run(source=work / "train", options=convert.Options(format="float32"),
                context=replace(context, out=work / "float32"))
    return convert.run(source=work / "float32", recipe=work / "quantize", options=convert.Options(format="int8"),
                       context=context)


# -- measuring -----------------------------------------------------------------------------------------------------


def peak_kib(pid: int | str) -> int:
    """`VmHWM` of a process; 0 once it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM")), 0)


def children(pid: int) -> list[int]:
    """Processes below one, however far."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            direct = [int(word) for word in task.read_text().split()]
        except OSError:
            continue
        found += [each for child in direct for each in (child, *children(child))]
    return found


def measure(arguments: list[str]) -> dict[str, float]:
    """Run this file as a stage: peak MiB of the process, of its largest child, seconds."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, __file__, "--stage", *arguments], stdout=subprocess.PIPE)
    largest = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal largest
        while not done.wait(0.02):
            largest = max([largest, *map(peak_kib, children(process.pid))])

    watcher = threading.Thread(target=watch)
    watcher.start()
    text, _ = process.communicate()
    done.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{arguments[0]} failed")
    own = int(text.decode().split()[-1])
    return {"stage_mib": round(own / 1024, 1), "engine_mib": round(largest / 1024, 1),
            "seconds": round(time.perf_counter() - start, 1)}


def peaks(folder: Path, source: str, task: str, samples: int, in_memory_mib: int) -> dict[str, dict[str, float]]:
    """By stage, what it took on so many samples."""
    folder.mkdir()
    made = folder / "source.json"
    maker = multiprocessing.get_context("spawn").Process(target=write_source, args=(source, folder, samples, made))
    maker.start()
    maker.join()
    found = {}
    for stage in stages_of(source, task):
        found[stage] = measure([stage, str(folder), made.read_text(), task, str(in_memory_mib << 20)])
        print(f"{source} {task} {samples:,} {stage}: {found[stage]}", file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    return found


def write_source(source: str, folder: Path, samples: int, made: Path) -> None:
    """Make the data, in a process that ends: its memory is nobody's affair."""
    made.write_text(json.dumps(SOURCES[source](folder, samples)))


def stages_of(source: str, task: str) -> tuple[str, ...]:
    """What differs from source to source is reading; the other stages are measured on the first."""
    stages = STAGES[task]
    return stages if source == "npz" else ("prepare",)


def table(rows: list[dict[str, Any]], samples: int) -> str:
    """For docs: one line a stage."""
    lines = [f"| task | source | stage | {samples:,} samples, MiB | {2 * samples:,} samples, MiB | ratio |",
             "|---|---|---|---|---|---|"]
    for row in rows:
        engines = f" (engine {row['n']['engine_mib']:.0f}, {row['2n']['engine_mib']:.0f}: {row['engine_ratio']:.2f})" \
            if row["engine_ratio"] else ""
        lines.append(f"| {row['task']} | {row['source']} | `{row['stage']}` | {row['n']['stage_mib']:.0f} | "
                     f"{row['2n']['stage_mib']:.0f} | {row['ratio']:.2f}{engines} |")
    return "\n".join(lines)


def compare(given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """A row for each task, source and stage."""
    rows = []
    for task in given.task:
        for source in given.source if task == "classification" else given.source[:1]:
            once, twice = (peaks(folder / f"{task}-{source}-{count}", source, task, count, given.in_memory_mib)
                           for count in (given.samples, 2 * given.samples))
            for stage, n in once.items():
                n2 = twice[stage]
                engine = round(n2["engine_mib"] / n["engine_mib"], 3) if stage == "evaluate" else 0
                rows.append({"task": task, "source": source, "stage": stage, "n": n, "2n": n2,
                             "ratio": round(n2["stage_mib"] / n["stage_mib"], 3), "engine_ratio": engine})
    return rows


def main() -> None:
    """Measure, or with `--stage` be measured."""
    if sys.argv[1:2] == ["--stage"]:
        name, work, source, task, limit = sys.argv[2:]
        run_stage(name, Path(work), json.loads(source), task, int(limit))
        print(peak_kib("self"))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=11_000)
    parser.add_argument("--source", nargs="+", choices=list(SOURCES), default=list(SOURCES))
    parser.add_argument("--task", nargs="+", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--in-memory-mib", type=int, default=64)
    parser.add_argument("--work", type=Path, help="folder for the data; it needs 1.5 GiB")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        rows = compare(given, Path(folder))
    print(table(rows, given.samples))
    print(f"largest ratio {max(max(row['ratio'], row['engine_ratio']) for row in rows):.2f}, allowed {FLAT:.2f}")
    print(json.dumps({"samples": given.samples, "shape": SHAPE, "in_memory_mib": given.in_memory_mib, "rows": rows,
                      "cpu": platform.processor() or platform.machine(), "python": platform.python_version(),
                      "versions": {name: version(name) for name in ("tensorflow", "numpy", "ai-edge-litert")}}))


if __name__ == "__main__":
    main()
