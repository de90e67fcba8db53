"""Rebuilt networks held against the converter: `network_workload` and `read_workload` of the converted tflite model.

    python benchmarks/network_workloads.py [NAME ...] [--format int8] [--out FILE] [--keep FOLDER]
    python benchmarks/network_workloads.py --table

For each network of `tf_keras.applications` and some of `roofline_networks.py`: built with random weights (equal
constants, such as biases of zero, would be stored once or left out), converted with batch 1, read, and compared kernel
class by kernel class. Prints a line a network and one a class that differs, and keeps one JSON line a network and
format in the results; `--table` shows them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from device_profiles.networks import network_workload  # noqa: E402
from device_profiles.workload import Workload, read_workload  # noqa: E402

NETWORKS: dict[str, tuple[str, dict[str, Any], str]] = {
    # name: (class of tf_keras.applications, its options, key)
    "MobileNet 0.25 96": ("MobileNet", {"alpha": 0.25, "input_shape": (96, 96, 3)}, "mobilenet_v1 size=96 width=0.25"),
    "MobileNet": ("MobileNet", {}, "mobilenet_v1"),
    "MobileNetV2": ("MobileNetV2", {}, "mobilenet_v2"),
    "MobileNetV2 1.4": ("MobileNetV2", {"alpha": 1.4}, "mobilenet_v2 width=1.4"),
    "MobileNetV2 0.35 96": ("MobileNetV2", {"alpha": 0.35, "input_shape": (96, 96, 3)},
                            "mobilenet_v2 size=96 width=0.35"),
    "MobileNetV3Small": ("MobileNetV3Small", {"input_shape": (224, 224, 3)}, "mobilenet_v3_small"),
    "MobileNetV3Large": ("MobileNetV3Large", {"input_shape": (224, 224, 3)}, "mobilenet_v3_large"),
    "MobileNetV3Large 0.75": ("MobileNetV3Large", {"input_shape": (224, 224, 3), "alpha": 0.75},
                              "mobilenet_v3_large width=0.75"),
    "MobileNetV3Small minimalistic": ("MobileNetV3Small", {"input_shape": (224, 224, 3), "minimalistic": True},
                                      "mobilenet_v3_small minimalistic=yes"),
    "EfficientNetB0": ("EfficientNetB0", {}, "efficientnet"),
    "EfficientNetB3": ("EfficientNetB3", {}, "efficientnet number=3"),
    "ResNet50": ("ResNet50", {}, "resnet"),
    "ResNet101": ("ResNet101", {}, "resnet layers=101"),
    "ResNet50V2": ("ResNet50V2", {}, "resnet_v2"),
    "DenseNet121": ("DenseNet121", {}, "densenet"),
    "DenseNet169": ("DenseNet169", {}, "densenet layers=169"),
    "InceptionV3": ("InceptionV3", {}, "inception_v3"),
    "InceptionResNetV2": ("InceptionResNetV2", {}, "inception_resnet_v2"),
    "NASNetMobile": ("NASNetMobile", {"input_shape": (224, 224, 3)}, "nasnet"),
    "VGG16": ("VGG16", {}, "vgg"),
    # of `roofline_networks.build`
    "CNN_1": ("", {}, "edgemark_cnn"),
    "CNN_5": ("", {}, "edgemark_cnn number=5"),
    "FC_8": ("", {}, "mlp layers=13-128-128-128-1"),
    "TinyMLPerf_AE": ("", {}, "autoencoder"),
    "TinyMLPerf_DS_CNN": ("", {}, "ds_cnn"),
    "TinyMLPerf_ResNet": ("", {}, "resnet_cifar blocks=1"),
    "EfficientNet-Lite0": ("", {}, "efficientnet_lite"),
}
FIELDS = ("operators", "macs", "element_ops", "window_taps", "weight_bytes", "input_bytes", "output_bytes")
_SCALE = 0.1


def build(name: str) -> Any:
    """The Keras model of a row, with random weights."""
    import numpy as np
    import roofline_networks
    import tf_keras as keras

    kind, options, _ = NETWORKS[name]
    model = getattr(keras.applications, kind)(weights=None, **options) if kind else roofline_networks.build(name)
    draw = np.random.default_rng(1)
    for weight in model.weights:  # variances must be positive
        weight.assign(draw.uniform(0.5, 1.5, weight.shape) if "variance" in weight.name
                      else draw.normal(0.0, _SCALE, weight.shape))
    return model


def convert(model: Any, number_format: str) -> bytes:
    """The plain converter with batch 1; integers are calibrated on one random sample, since only the shapes matter."""
    import numpy as np
    import tensorflow as tf

    shape = [1, *model.input_shape[1:]]
    serve = tf.function(model).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([serve], model)
    if number_format != "float32":
        sample = np.random.default_rng(1).random(shape, dtype=np.float32)
        kinds = {"int8": (tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.int8),
                 "int16x8": (tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8, tf.int16)}
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample] for _ in range(2))
        converter.target_spec.supported_ops = [kinds[number_format][0]]
        converter.inference_input_type = converter.inference_output_type = kinds[number_format][1]
    return bytes(converter.convert())


def converted(name: str, number_format: str, keep: Path | None) -> bytes:
    """The tflite model; one that was kept is taken from the folder."""
    kept = keep / f"{name.replace(' ', '_')}.{number_format}.tflite" if keep else None
    if kept and kept.exists():
        return kept.read_bytes()
    content = convert(build(name), number_format)
    if kept:
        kept.write_bytes(content)
    return content


def by_class(work: Workload) -> dict[str, dict[str, int]]:
    """Sums of each kernel class."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(FIELDS, 0))
    for op in work.operators:
        sums[op.kernel]["operators"] += 1
        for field in FIELDS[1:]:
            sums[op.kernel][field] += getattr(op, field)
    return dict(sums)


def compare(read: Workload, rebuilt: Workload) -> dict[str, dict[str, list[int]]]:
    """Class -> field -> [read, rebuilt], where they differ."""
    left, right = by_class(read), by_class(rebuilt)
    none = dict.fromkeys(FIELDS, 0)
    differing = {kernel: {field: [left.get(kernel, none)[field], right.get(kernel, none)[field]] for field in FIELDS
                          if left.get(kernel, none)[field] != right.get(kernel, none)[field]}
                 for kernel in sorted({*left, *right})}
    return {kernel: fields for kernel, fields in differing.items() if fields}


def measure(name: str, number_format: str, keep: Path | None) -> dict[str, Any]:
    """One network's line."""
    key = NETWORKS[name][2]
    content = converted(name, number_format, keep)
    read, rebuilt = read_workload(content), network_workload(key, number_format)
    return {"network": name, "key": key, "format": number_format, "macs": read.macs, "macs_rebuilt": rebuilt.macs,
            "parameters": read.parameters, "parameters_rebuilt": rebuilt.parameters,
            "peak_bytes": read.activation_peak_bytes, "peak_bytes_rebuilt": rebuilt.activation_peak_bytes,
            "operators": len(read.operators), "operators_rebuilt": len(rebuilt.operators),
            "differing": compare(read, rebuilt)}


def show(line: dict[str, Any]) -> None:
    """A line for people."""
    same = "equal" if line["macs"] == line["macs_rebuilt"] else f"NOT {line['macs_rebuilt']:,}"
    print(f"{line['network']} {line['format']}: {line['macs']:,} MACs ({same}), {line['parameters']:,} parameters "
          f"(rebuilt {line['parameters_rebuilt']:,}), {line['operators']} operators ({line['operators_rebuilt']})")
    for kernel, fields in line["differing"].items():
        print(f"    {kernel:16s}", *[f"{field} {a:,} -> {b:,}" for field, (a, b) in fields.items()])


def table(lines: list[dict[str, Any]]) -> str:
    """The results as a Markdown table."""
    rows = ["| network | format | MACs | parameters | operators | classes that differ |", "|---|---|---|---|---|---|"]
    for line in lines:
        numbers = [f"{line[field]:,}" if line[field] == line[f"{field}_rebuilt"]
                   else f"{line[field]:,}, rebuilt {line[f'{field}_rebuilt']:,}"
                   for field in ("macs", "parameters", "operators")]
        cells = [line["network"], line["format"], *numbers, ", ".join(line["differing"]) or "none"]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    """Measure, show, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(NETWORKS))
    parser.add_argument("--format", default="float32", choices=("float32", "int8", "int16x8"))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/network_workloads.jsonl")
    parser.add_argument("--keep", type=Path, help="Folder that keeps converted tflite models for the next time.")
    parser.add_argument("--table", action="store_true", help="Print the results as a table and end.")
    words = parser.parse_args()
    if words.table:
        print(table([json.loads(line) for line in words.out.read_text().splitlines()]))
        return
    for name in words.names:
        started = time.monotonic()
        line = measure(name, words.format, words.keep)
        show(line)
        lines = words.out.read_text().splitlines() if words.out.exists() else []
        others = [old for old in lines
                  if (json.loads(old)["network"], json.loads(old)["format"]) != (name, words.format)]
        words.out.write_text("\n".join([*others, json.dumps(line)]) + "\n")
        print(f"    {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
