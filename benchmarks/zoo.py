"""What each model that can be named costs: parameters, MACs, bytes as float32 and int8, and what TFMOT takes of it.

    python benchmarks/zoo.py [NAME ...] [--side 96] [--out benchmarks/results/zoo.jsonl]

Each name is built untrained, converted by the plain TFLite converter as float32 and as int8 (ranges from 16 random
samples: bytes do not depend on them), counted, and made quantization-aware. One JSON line a model; a model whose line
is in the file already is passed over, so the run can be broken off and taken up again. Own models are built at their
reference inputs, applications at SIDE x SIDE (or their least side, if larger) for 10 classes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from device_profiles.errors import ModelError
from device_profiles.workload import read_workload
from stages.models import BUILDERS, build_model
from stages.models.applications import PREFIX, is_backbone, least_side
from stages.models.folding import fold
from stages.models.qat import quantize_aware

REFERENCE_INPUTS: dict[str, tuple[tuple[int, ...], int]] = {
    "small_cnn": ((8, 8, 1), 10), "mlp": ((30,), 2), "resnet8": ((32, 32, 3), 10), "ds_cnn": ((49, 10, 1), 12),
    "mobilenet_v1_025": ((96, 96, 3), 2), "autoencoder": ((640,), 0),
}
APPLICATIONS = ("MobileNet", "MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "ResNet50V2", "DenseNet121",
                "EfficientNetV2B0", "NASNetMobile", "ResNet50", "RegNetX002", "VGG16", "Xception", "ConvNeXtTiny")


def convert(model: Any, int8: bool) -> bytes:
    """A tflite model by the plain converter; int8 inside and out."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if int8:
        samples = np.random.default_rng(0).normal(0, 1, (16, 1, *model.input_shape[1:])).astype(np.float32)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample] for sample in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def quantization_aware(model: Any) -> dict[str, Any]:
    """Whether TFMOT's 8-bit scheme covers every layer; else its refusal, which names the first one."""
    try:
        quantize_aware(fold(model).model, may_stay_float=False)
    except ModelError as error:
        return {"qat": "in part or not", "qat_message": error.found}
    return {"qat": "whole"}


def measure(name: str, side: int) -> dict[str, Any]:
    """One line of the table."""
    if name in REFERENCE_INPUTS:
        shape, classes = REFERENCE_INPUTS[name]
    else:
        shape, classes = (max(side, least_side(name)),) * 2 + (3,), 10
    start = time.perf_counter()
    model = build_model(name, shape, classes)
    line = {"model": name, "input_shape": shape, "outputs": model.output_shape[-1], "layers": len(model.layers),
            "parameters": model.count_params(), "build_s": round(time.perf_counter() - start, 1),
            "backbone_layers": sum(is_backbone(layer.name) for layer in model.layers) if name not in BUILDERS else 0}
    for number_format in ("float32", "int8"):
        try:
            tflite = convert(model, number_format == "int8")
        except (RuntimeError, ValueError, TypeError) as error:
            line[f"{number_format}_error"] = str(error).strip().splitlines()[0]
            continue
        work = read_workload(tflite)
        line |= {"macs": work.macs, f"{number_format}_bytes": len(tflite),
                 f"{number_format}_operators": len(work.operators),
                 f"{number_format}_peak_bytes": work.activation_peak_bytes}
    return line | quantization_aware(model)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*BUILDERS, *(PREFIX + name for name in APPLICATIONS)])
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "zoo.jsonl")
    words = parser.parse_args()
    import tf_keras as keras

    done = {json.loads(line)["model"] for line in words.out.read_text().splitlines()} if words.out.exists() else set()
    for name in words.names:
        if name in done:
            continue
        keras.backend.clear_session()
        line = measure(name, words.side)
        with words.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
