"""How much faster an evaluation runs a tflite model over a data set than the loop that everybody writes.

    python benchmarks/evaluation_speed.py [MODEL.tflite ...] [--engine litert] [--repeats 7] [--samples 20000]

The plain loop is a process of its own: one thread, one image at a time, `set_tensor`, `invoke`, `get_tensor`. The
evaluation starts from the float32 samples on disk, quantizes, batches, shares out over one worker process per core, and
dequantizes. Loop and evaluation take turns; the middle and the range over the repeats are printed.

    running     from the moment the first worker has loaded the model, against a loop over inputs quantized beforehand
    from_float  the same against a loop that quantizes each image, as it must to start where the evaluation starts
    all         with the start of the workers, against the loop of `running` without its start
    ceiling     as many bare loops at once as there are workers, against one: what the machine has to give just now
    cpu         processor seconds an image, loop over evaluation: what is saved whatever else the machine does

Without a MODEL, two are built with TensorFlow: one the size of MLPerf Tiny's ResNet-8 (12.5 million MACs at 32x32x3)
and one of a tenth of its work, as float32 and int8. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from stages.engines import host, registry
from stages.engines.pool import Job, Predictions, predict_file

LOOP = """
import sys, time
import numpy as np
from {module} import Interpreter
interpreter = Interpreter(sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
i, o = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
samples = np.load(sys.argv[2])
scale, zero_point = i["quantization"]
limits = np.iinfo(i["dtype"]) if i["dtype"] != np.float32 else None

def quantized(x):
    if i["dtype"] == np.float32:
        return x
    return np.clip(np.round(x / scale) + zero_point, limits.min, limits.max).astype(i["dtype"])

def run(samples, prepare):
    start, cpu = time.perf_counter(), time.process_time()
    for row in range(len(samples)):
        interpreter.set_tensor(i["index"], prepare(samples[row:row + 1]))
        interpreter.invoke()
        interpreter.get_tensor(o["index"])
    return len(samples) / (time.perf_counter() - start), len(samples) / (time.process_time() - cpu)

run(samples[:50], quantized)
bare, bare_cpu = run(quantized(samples), lambda x: x)
print(bare, bare_cpu, run(samples, quantized)[0])
"""


RATIOS = {"running": (0, 0), "from_float": (0, 2), "all": (1, 0), "cpu": (2, 1)}
"""Which rate of the evaluation is divided by which of the loop."""

COLUMNS = ("ceiling", *RATIOS)


def loop_rates(engine: str, model: Path, samples: Path, processes: int = 1) -> np.ndarray:
    """Images a second of the bare loop, the same per processor second, and of the loop that quantizes each image.

    With several processes: the sum of as many loops at once, each on all samples.
    """
    code = LOOP.format(module=registry.ENGINES[engine].module)
    command = [sys.executable, "-c", code, str(model), str(samples)]
    loops = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
             for _ in range(processes)]
    rates = np.array([[float(rate) for rate in loop.communicate()[0].split()] for loop in loops])
    return rates.sum(axis=0)


def evaluation_rates(engine: str, model: Path, samples: Path, workers: int, batch: int,
                     folder: Path) -> tuple[float, float, float]:
    """Images a second of the evaluation: once it runs, with the start of its workers, and per processor second."""
    job = Job(engine=engine, tflite=model.read_bytes(), model=model.stem, samples=samples,
              batch=batch, workers=workers, timeout_s=600, log=folder / "engines.log")
    start = time.perf_counter()
    found: Predictions = predict_file(job, lambda *_: None)
    whole = time.perf_counter() - start
    count = len(found.outputs)
    return count / found.running_s, count / whole, count / found.cpu_s


def compare(engine: str, model: Path, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Take turns; ratios per repeat."""
    from stages.engines.client import EngineWorker

    with EngineWorker(engine, log=folder / "engines.log") as worker:
        shape = worker.load(model.read_bytes()).inputs[0].shape[1:]
    path = folder / "samples.npy"
    np.save(path, np.random.default_rng(0).random((options.samples, *shape), dtype=np.float32))
    loops, rates, ceilings = [], [], []
    for _ in range(options.repeats):
        loops.append(loop_rates(engine, model, path))
        ceilings.append(loop_rates(engine, model, path, options.workers)[0] / loops[-1][0])
        rates.append(evaluation_rates(engine, model, path, options.workers, options.batch, folder))
    ratios = {name: [rate[ours] / loop[theirs] for rate, loop in zip(rates, loops, strict=True)]
              for name, (ours, theirs) in RATIOS.items()} | {"ceiling": ceilings}
    result = {"model": model.stem, "engine": engine, "samples": options.samples,
              "loop_per_s": statistics.median(loop[0] for loop in loops),
              "evaluation_per_s": statistics.median(rate[0] for rate in rates)}
    for name, values in ratios.items():
        result |= {f"ratio_{name}": statistics.median(values), f"ratio_{name}_min": min(values),
                   f"ratio_{name}_max": max(values)}
    return result


def build_models(folder: Path) -> list[Path]:
    """ResNet-8 as in MLPerf Tiny (shape of the work, weights random), and a network of a tenth of its MACs."""
    import tf_keras as keras

    layers = keras.layers
    keras.utils.set_random_seed(1)

    def block(x: Any, filters: int, strides: int) -> Any:
        y = layers.Conv2D(filters, 3, strides, padding="same", activation="relu")(x)
        y = layers.Conv2D(filters, 3, padding="same")(y)
        if strides > 1:
            x = layers.Conv2D(filters, 1, strides, padding="same")(x)
        return layers.ReLU()(layers.Add()([x, y]))

    def net(stem_strides: int, blocks: dict[int, int]) -> Any:
        start = layers.Input((32, 32, 3))
        x = layers.Conv2D(16, 3, stem_strides, padding="same", activation="relu")(start)
        for filters, strides in blocks.items():
            x = block(x, filters, strides)
        x = layers.GlobalAveragePooling2D()(x)
        return keras.Model(start, layers.Dense(10, activation="softmax")(x))

    models = {"resnet8": net(1, {16: 1, 32: 2, 64: 2}), "tenth": net(2, {16: 1})}
    return [write(folder, f"{name}-{kind}", model, kind) for name, model in models.items()
            for kind in ("float32", "int8")]


def write(folder: Path, name: str, model: Any, kind: str) -> Path:
    """Convert with the plain converter; prints the MACs."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind == "int8":
        samples = np.random.default_rng(2).random((64, 1, 32, 32, 3), dtype=np.float32)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([row] for row in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    path = folder / f"{name}.tflite"
    path.write_bytes(converter.convert())
    macs = sum(int(np.prod(layer.kernel.shape)) * int(np.prod(layer.output_shape[1:-1]))
               for layer in model.layers if hasattr(layer, "kernel"))
    print(f"built {name}: {macs:,} MACs, {path.stat().st_size:,} bytes")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--engine", choices=list(registry.ENGINES), default="litert")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=0, help="0: as the evaluation chooses")
    parser.add_argument("--workers", type=int, default=len(host.cores()))
    options = parser.parse_args()
    machine = host.host()
    version = registry.engine_info(options.engine).version
    print(f"{machine.cpu}, {machine.cores} cores, {machine.system}, Python {machine.python}, "
          f"{options.engine} {version}, {options.workers} workers, batch {options.batch or 'chosen'}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = options.models or build_models(folder)
        print(f"{'model':<18}{'loop /s':>9}{'eval /s':>9}" + "".join(f"   {k + ' (range)':<19}" for k in COLUMNS))
        results = []
        for model in models:
            result = compare(options.engine, model, options, folder)
            results.append(result)
            print(f"{result['model']:<18}{result['loop_per_s']:>9,.0f}{result['evaluation_per_s']:>9,.0f}   "
                  + "   ".join(f"{result[f'ratio_{k}']:.2f} ({result[f'ratio_{k}_min']:.2f} to "
                               f"{result[f'ratio_{k}_max']:.2f})" for k in COLUMNS), flush=True)
    print(json.dumps({"host": machine.model_dump(), "engine": options.engine, "engine_version": version,
                      "workers": options.workers, "batch": options.batch, "repeats": options.repeats,
                      "results": results}))


if __name__ == "__main__":
    main()
