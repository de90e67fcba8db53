"""Every architecture of `keras.applications` over the bridge: is it bridged, proven, taken by TFMOT's QAT, converted?

    python benchmarks/bridge_table.py [NAME ...] [--again] [--minutes 30] [--docs]

Each is built in Keras 3 for 96x96x3 inputs and 10 classes (logits), with random weights: biases, scales and batch
normalization statistics are drawn, too, so that no layer is a neutral one. One process each; what is in
`benchmarks/results/bridge_table.json` is not done again. First all are bridged and proven, then converted, then QAT
is asked, smallest model first. The table in docs/bridge.md follows; `--docs` writes it from the JSON file and stops.

QAT is what the quantize stage does: the bridged model folded (`stages/models/folding.py`), then wrapped by TFMOT.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

PAGE = Path(__file__).parent.parent / "docs" / "bridge.md"
BEGIN, END = "<!-- table: benchmarks/bridge_table.py --docs -->", "<!-- end of table -->"
RESULTS = Path(__file__).parent / "results" / "bridge_table.json"
SIZE, CLASSES, SAMPLES, SEED = 96, 10, 8, 3
SCALED_INSIDE = ("ConvNeXt", "EfficientNet", "MobileNetV3")  # these take 0..255; the others -1..1
HEAD = """\
| architecture | parameters | layers | bridged | largest difference | on outputs up to | seconds | QAT | tflite |
|---|---|---|---|---|---|---|---|---|"""


def names() -> list[str]:
    """All architectures, by name."""
    import keras

    return sorted(name for name in dir(keras.applications)
                  if name[0].isupper() and callable(getattr(keras.applications, name)))


def randomized(model: Any, x: Any) -> None:
    """Draw every weight; batch normalization's statistics are nearly those of `x`.

    A few samples leave some channels almost without variance, and dividing by it would make a network that no training
    gives: one that magnifies rounding by a thousand. So a quarter of the layer's mean variance is added to each.
    """
    import keras

    rng = np.random.default_rng(SEED)
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    for weight in model.trainable_variables:
        kind = weight.path.split("/")[-1]
        if kind in ("gamma", "beta", "bias") or len(weight.shape) == 1:
            middle = 0.0 if kind in ("beta", "bias") else 1.0
            weight.assign(rng.normal(middle, 0.1, weight.shape).astype(np.float32))
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(x, training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        variance = np.asarray(norm.moving_variance)
        norm.moving_variance.assign(variance + variance.mean() / 4)


def built(name: str) -> tuple[Any, Any]:
    """(model, samples) of an architecture."""
    import keras

    keras.utils.set_random_seed(SEED)
    model = getattr(keras.applications, name)(weights=None, input_shape=(SIZE, SIZE, 3), classes=CLASSES,
                                              classifier_activation=None)
    rng = np.random.default_rng(SEED)
    contrast, bottom = rng.random((2, SAMPLES, 1, 1, 3), dtype=np.float32)
    x = bottom + (1 - bottom) * contrast * rng.random((SAMPLES, SIZE, SIZE, 3), dtype=np.float32)  # all within 0..1
    return model, x * 255 if name.startswith(SCALED_INSIDE) else x * 2 - 1


def measure(name: str) -> dict[str, Any]:
    """Bridge and proof of one architecture."""
    from device_profiles.errors import ModelError
    from stages.models.bridge import bridge, prove

    model, x = built(name)
    randomized(model, x)
    row: dict[str, Any] = {"parameters": model.count_params(), "input": SIZE}
    start = time.perf_counter()
    try:
        bridged = bridge(model)
        row |= {"bridge_s": round(time.perf_counter() - start, 1), "layers": bridged.layers,
                "rewritten_layers": len(bridged.changed)}
        start = time.perf_counter()
        proof = prove(model, bridged.model, x)
    except ModelError as error:
        return row | {"bridged": False, "bridged_why": str(error)}
    return row | {"bridged": True, "largest_difference": proof.largest_difference, "scale": proof.scale,
                  "fused_difference": proof.fused_difference, "samples": proof.samples,
                  "prove_s": round(time.perf_counter() - start, 1)}


def converted(name: str) -> dict[str, Any]:
    """Whether the converter takes the bridged model: `yes`, or its reason."""
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    from stages.models.bridge import bridge

    start = time.perf_counter()
    try:
        size = len(tf.lite.TFLiteConverter.from_keras_model(bridge(built(name)[0]).model).convert())
    except (ConverterError, ValueError, RuntimeError) as error:
        return {"tflite": str(error).split("\n", 1)[0]}
    return {"tflite": "yes", "tflite_bytes": size, "tflite_s": round(time.perf_counter() - start, 1)}


def quantized(name: str) -> dict[str, Any]:
    """Whether TFMOT takes the bridged and folded model, and which kinds of layers it leaves in float."""
    from device_profiles.errors import ModelError
    from stages.models.bridge import bridge
    from stages.models.folding import fold
    from stages.models.qat import quantize_aware

    folded = fold(bridge(built(name)[0]).model)
    try:
        _, floats = quantize_aware(folded.model)
    except ModelError as error:
        return {"qat": "no", "qat_why": error.found}
    left = sorted({type(folded.model.get_layer(name)).__name__ for name in floats})
    return {"qat": "partly" if floats else "yes", "qat_float_layers": len(floats), "qat_float_kinds": left,
            "qat_rewritten_layers": len(folded.changed)}


PHASES = {"bridged": measure, "tflite": converted, "qat": quantized}


def run_one(name: str, phase: str, minutes: float) -> dict[str, Any]:
    """One phase of one architecture in a process of its own."""
    command = [sys.executable, __file__, name, "--phase", phase]
    root = str(Path(__file__).parent.parent)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=minutes * 60, check=False,
                              env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": root})
    except subprocess.TimeoutExpired:
        return {phase: None, f"{phase}_why": f"not done within {minutes:g} minutes"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {phase: None, f"{phase}_why": f"exit {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"}
    return dict(json.loads(lines[-1]))


def shown(name: str, row: dict[str, Any]) -> str:
    """One line of the table."""
    if not row.get("bridged"):
        why = " ".join(str(row.get("bridged_why", "")).split())
        return f"| `{name}` | | | {f'no: {why}' if why else 'not tried'} | | | | | |"
    far = f"{row['largest_difference']:.1e}"
    if row.get("fused_difference"):
        far += f" ({row['fused_difference']:.1e} with fused kernels)"
    return (f"| `{name}` | {row['parameters']:,} | {row['layers']:,} | yes | {far} | "
            f"{row['scale']:.2f} | {row['bridge_s']:.1f} | {shown_qat(row)} | "
            f"{row.get('tflite') or row.get('tflite_why', 'not tried')} |")


def shown_qat(row: dict[str, Any]) -> str:
    """The column on quantization-aware training."""
    if row.get("qat") == "partly":
        return f"{row['qat_float_layers']} layers in float: {', '.join(row['qat_float_kinds'])}"
    return "yes" if row.get("qat") == "yes" else str(row.get("qat_why", "not tried"))


def table(rows: dict[str, Any]) -> str:
    """The table: a line for each architecture there is."""
    return "\n".join([HEAD, *(shown(name, rows.get(name, {})) for name in names())])


def write_page(rows: dict[str, Any]) -> None:
    """Put the table into docs/bridge.md, between its marks."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--phase", choices=tuple(PHASES), default="")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--docs", action="store_true")
    words = parser.parse_args()
    if words.phase:
        print(json.dumps(PHASES[words.phase](words.names[0])))
        return
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if words.docs:
        write_page(rows)
        return
    for phase in PHASES:
        chosen = words.names or names()
        for name in chosen if phase == "bridged" else sorted(chosen, key=lambda name: rows[name].get("layers", 0)):
            undone = rows.get(name, {}).get(phase) is None and (phase == "bridged" or rows[name]["bridged"])
            if words.again or undone:
                rows[name] = rows.get(name, {}) | run_one(name, phase, words.minutes)
                RESULTS.write_text(json.dumps(dict(sorted(rows.items())), indent=1) + "\n")
                write_page(rows)
                print(shown(name, rows[name]), flush=True)


if __name__ == "__main__":
    main()
