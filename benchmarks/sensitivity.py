"""How long the sensitivity of layers takes against trying layers one at a time through the Keras converter.

    python benchmarks/sensitivity.py KERAS_MODEL PREPARED [--trials N] [--samples N]

The other way is TensorFlow's own for selective quantization: a converter for each trial, whose debug options deny
quantization to every layer but one, then the same samples through the same engine. It has int8 alone, so int8 trials
are compared; `--trials` of them are timed and their mean stands for all. Both ways calibrate with 200 samples.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stages import calibration, sensitivity
from stages.context import StageContext
from stages.datasets.prepared import read_split
from stages.mixing.trials import Runner, make_bench
from stages.records.sensitivity import LayerFormat
from stages.tasks.settings import TaskSettings

CALIBRATION = 200


def main() -> None:
    """Print both times and the ratio, then one JSON line."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    options = _arguments()
    import tensorflow as tf
    import tf_keras as keras

    model = keras.models.load_model(options.model, compile=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "float").mkdir()
        (folder / "float" / "model.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
        found: dict[str, float] = {}
        for formats in (("int8",), ("int8", "int4"), ("int8", "int16x8", "int4")):
            seconds, trials = _stage(folder, options, formats)
            print(f"sensitivity, {'+'.join(formats)}: {trials} trials, {seconds:.1f} s, {seconds / trials:.2f} s each")
            found["+".join(formats)] = seconds / trials
        by_converter = _converter(folder, model, options)
    ratio = by_converter / found["int8"]
    print(f"through the Keras converter: {by_converter:.2f} s a trial, {ratio:.1f} times as long")
    print(json.dumps({"model": options.model.name, "samples": options.samples, "ratio": round(ratio, 1),
                      "converter_seconds_per_trial": round(by_converter, 3),
                      "seconds_per_trial": {key: round(each, 3) for key, each in found.items()}}))


def _stage(folder: Path, options: argparse.Namespace, formats: tuple[LayerFormat, ...]) -> tuple[float, int]:
    """(seconds, trials) of the stage, calibration and 4-bit weights included."""
    place = folder / "-".join(formats)
    for part in ("out", "scratch"):
        (place / part).mkdir(parents=True)
    start = time.perf_counter()
    result = sensitivity.run(
        tflite=folder / "float", data=options.prepared,
        options=sensitivity.Options(formats=formats, samples=options.samples, calibration_samples=CALIBRATION),
        context=StageContext(out=place / "out", scratch=place / "scratch", log=place / "log.txt"))
    return time.perf_counter() - start, sum(len(layer.trials) for layer in result.layers)


def _converter(folder: Path, model: Any, options: argparse.Namespace) -> float:
    """Seconds of one trial through the converter, the mean of some."""
    train = read_split(options.prepared, "train", in_memory_bytes=0)
    samples = np.asarray(train.x[calibration.choose(train.y, CALIBRATION, 0)])
    bench = make_bench(options.prepared, TaskSettings(), samples=options.samples, seed=0, engine="litert", workers=2,
                       timeout_s=120.0, log=folder / "log.txt", folder=folder)
    names = [layer.label.split(" ")[1] for layer in _layers(folder)]
    with Runner(bench) as runner:
        runner.outputs((folder / "float" / "model.tflite").read_bytes(), "float32")
        start = time.perf_counter()
        for number in range(options.trials):
            kept = names[number % len(names)]
            runner.outputs(_one_layer(model, samples, [name for name in names if name != kept]), kept)
        return (time.perf_counter() - start) / options.trials


def _layers(folder: Path) -> Any:
    from stages.converting.weights import read_layers

    return read_layers((folder / "float" / "model.tflite").read_bytes())


def _one_layer(model: Any, samples: np.ndarray, denied: list[str]) -> bytes:
    """An int8 model with layers left in float, calibrated anew."""
    import tensorflow as tf

    def batches() -> Iterator[list[np.ndarray]]:
        for row in samples:
            yield [row[None]]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = batches
    debug = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=denied)
    debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_dataset=batches,
                                                         debug_options=debug)
    return bytes(debugger.get_nondebug_quantized_model())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--trials", type=int, default=3, help="trials through the converter that are timed")
    parser.add_argument("--samples", type=int, default=512, help="validation samples of a trial")
    return parser.parse_args()


if __name__ == "__main__":
    main()
