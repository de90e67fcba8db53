"""Clean a table of published measurements into the package's own: `device_profiles/data/published_latency.csv`.

    python benchmarks/published_rows.py TABLE.csv [--layers LAYERS.csv] [--out FILE]

A row is kept where a CPU or microcontroller core ran a network that can be rebuilt, in a format that can be built, and
where nothing in its note says that the figure is not comparable. What is left out is counted by reason, in the order of
the rules; the counts go to benchmarks/results/published_rows.json. The columns are documented in
`device_profiles/networks/__init__.py`, the reasons in docs/workload.md. With `--layers` come the times that Espressif
prints for kernels alone, as networks of one layer: those whose shape is clear and that take longer than an
interpreter's own work.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from device_profiles.networks.catalog import network_key, parse_key  # noqa: E402
from device_profiles.networks.names import FAMILIES, Unresolved, resolve  # noqa: E402

Row = dict[str, str]
COLUMNS = ("device", "core", "clock_hz", "clock", "threads", "runtime", "kernels", "network", "format", "dtype",
           "latency_ms", "energy_uj", "energy_of", "ram_kib", "flash_kib", "source", "family")

RUNTIMES: tuple[tuple[str, str, str], ...] = (
    # pattern over "runtime | version", key, kernels
    (r"^TensorFlow Lite \| v([\d.]+)(?:-ruy)?$", r"tflite-\1", "ruy"),
    (r"XNNPACK build\) \| TFLite master", "xnnpack-2023", "xnnpack"),
    (r"^XNNPACK end2end_bench \| (\d{4})", r"xnnpack-\1", "xnnpack"),
    (r"^TensorFlow Lite \(benchmark_model\) \| TFLite ([\d.]+)", r"tflite-\1", "xnnpack"),
    (r"^TensorFlow Lite \(benchmark_model\)", "tflite-imx", "xnnpack"),
    (r"^TensorFlow Lite \(CPU\) \| YOLOBench", "tflite-yolobench", "xnnpack"),
    (r"^TensorFlow Lite 2.11.0 \(X-LINUX-AI.*X-LINUX-AI v(\d\.\d)\.\d(;.*)?$", r"tflite-2.11.0-x-linux-\1", "xnnpack"),
    (r"^TensorFlow Lite 2.11.0 \(X-LINUX-AI", "tflite-2.11.0", "xnnpack"),
    (r"^TensorFlow Lite CPU \|.*(Android 10|measurement|iOS 12)", "tflite-2020", "ruy"),
    (r"^TensorFlow Lite CPU \|.*2020-03", "tflite-2020", "ruy"),
    (r"^TensorFlow Lite CPU \|.*(2018|2019)", "tflite-2018", "ruy"),
    (r"^TensorFlow Lite CPU", "tflite-2022", "xnnpack"),
    (r"^TensorFlow Lite \| coral", "tflite-2019", "ruy"),
    (r"CMSIS-NN \| EdgeMark.*-Os", "tflm-cmsis-nn-os", "tflm"),
    (r"CMSIS-NN \| EdgeMark.*-Ofast", "tflm-cmsis-nn-ofast", "tflm"),
    (r"CMSIS-NN \| EdgeMark.*FPU disabled", "tflm-cmsis-nn-nofpu", "tflm"),
    (r"^TensorFlow Lite Micro \+ CMSIS-NN", "tflm-cmsis-nn", "tflm"),
    (r"^TensorFlow Lite Micro 2.5 \+ CMSIS-NN", "tflm-cmsis-nn", "tflm"),
    (r"^TFLite Micro \+ CMSIS-NN", "tflm-cmsis-nn", "tflm"),
    (r"^TensorFlow Lite Micro \+ ESP-NN|SSCMA firmware, ESP-NN", "tflm-esp-nn", "tflm"),
    (r"^TensorFlow Lite Micro \(Arduino\)", "tflm-arduino", "tflm-reference"),
    (r"^TensorFlow Lite Micro \((reference|without)", "tflm-reference", "tflm-reference"),
    (r"^TensorFlow Lite for Microcontrollers v2.3.1", "tflm-2.3.1-cmsis-nn", "tflm"),
    (r"^Tensorflow Lite Micro 2.3.1", "tflm-2.3.1-reference", "tflm-reference"),
    (r"^tflite-micro, ", "tflm-andes", "vendor"),
    (r"^TensorFlow Lite Micro \|", "tflm-nxp", "tflm"),
    (r"neuralSPOT", "tflm-cmsis-nn", "tflm"),
    (r"^microTVM \+ CMSIS-NN", "microtvm-cmsis-nn", "tflm"),
    (r"^microTVM native", "microtvm", "vendor"),
    (r"X-CUBE-AI v([\d]+\.[\d]+)", r"x-cube-ai-\1", "x-cube-ai"),
    (r"X-CUBE-AI\)? \| v?([\d]+\.[\d]+)", r"x-cube-ai-\1", "x-cube-ai"),
    (r"X-CUBE-AI\)? \| STM32Cube.AI (\d+\.\d+)", r"x-cube-ai-\1", "x-cube-ai"),
    (r"X-CUBE-AI", "x-cube-ai", "x-cube-ai"),
    (r"^STEDGE-AI", "st-edge-ai", "x-cube-ai"),
    (r"^Plumerai.*2023", "plumerai-2023", "vendor"), (r"^Plumerai", "plumerai", "vendor"),
    (r"^Bosch", "hale", "vendor"), (r"^ONNC", "onnc", "vendor"), (r"^LEIP", "leip", "vendor"),
    (r"^TinyEngine", "tinyengine", "vendor"), (r"^Edge Impulse", "edge-impulse", "vendor"),
    (r"^Ekkono", "ekkono", "vendor"), (r"^Renesas eAI.*CCRX", "renesas-eai-ccrx", "vendor"),
    (r"^Renesas eAI", "renesas-eai", "vendor"), (r"^Renesas", "renesas", "vendor"), (r"^ESP-DL", "esp-dl", "vendor"),
    (r"^self-developed", "own", "vendor"), (r"^Sinian", "hhb", "vendor"), (r"^Larq", "larq", "xnnpack"),
)
LAYERS = {
    # (operator, the numbers of its shape as printed) -> key; of pools and one convolution the shape is unclear
    ("elementwise_add", "1615"): "layer_elementwise", ("elementwise_mul", "1615"): "layer_elementwise kind=mul",
    ("hard_swish", "12544"): "layer_elementwise kind=hard_swish size=12544",
    ("convolution", "10 10 64 1 1 64 0 0 1 1"): "layer_conv",
    ("convolution", "8 8 16 1 1 16 0 0 1 1"): "layer_conv channels=16 filters=16 size=8",
    ("convolution", "10 10 64 3 3 3 0 0 1 1"): "layer_conv channels=3 kernel=3",
    ("depthwise conv", "16 16 0 0 1 1 1 3 3 16"): "layer_depthwise",
    ("depthwise conv", "18 18 0 0 1 1 1 3 3 16"): "layer_depthwise size=18",
    ("depthwise conv", "12 12 1 1 1 1 8 5 5 4"): "layer_depthwise channels=8 kernel=5 multiplier=4 size=14",
}
_SHORTEST_TICKS = 30_000
_ACCELERATORS = re.compile(r"Edge TPU|GPU|NPU|NNAPI|Hexagon|DSP$|DSP delegate|Qualcomm|Samsung|Syntiant|QNN|delegate"
                           r"|Ethos|GapFlow|GAP flow|OpenVX|MVP kernels|Apple Neural", re.IGNORECASE)
_KIB = 1024
_SAME_FIGURE = ("device", "threads", "kernels", "network", "format", "latency_ms")
_ACCELERATED_DEVICES = ("xG24-DK2601B", "NUCLEO-U3C5ZIT6-Q", "GAP9 EVK")
_HARMLESS = re.compile(r"ODD: (accuracy column|README swaps|prints 8.7 MOPS|README prints unit kB)")  # of other columns
_SAME_COMPUTE = re.compile(r"; (p_50|c_16|q_full_int|q_16x8|q_dynamic)$")
_RESTRUCTURING = re.compile(r"X-CUBE-AI (v8\.1|v9|v10)|2023\.05|STEDGE")


def _accelerator(row: Row) -> bool:
    """An accelerator did the work, not a CPU core."""
    return (bool(_ACCELERATORS.search(row["runtime"])) or row["device"] in _ACCELERATED_DEVICES
            or bool(re.search(r"accelerator (NPU|GPU)", row["note"])))


def _odd(row: Row) -> bool:
    """The note says that the figure looks wrong or is not comparable."""
    return "ODD" in _HARMLESS.sub("", row["note"])


def _external(row: Row) -> bool:
    """STM32H747 models that do not fit its 1 MiB of RAM and 2 MiB of flash run from external memory."""
    return "H747" in row["device"] and (float(row["ram_kib"] or 0) > _KIB or float(row["flash_kib"] or 0) > 2 * _KIB)


RULES: tuple[tuple[str, Callable[[Row], bool]], ...] = (
    ("no latency", lambda row: not row["latency_ms"]),
    ("accelerator", _accelerator),
    ("binary network", lambda row: row["dtype"].startswith("binary")),
    ("looks wrong (ODD)", _odd),
    ("published twice (DUP)", lambda row: "DUP" in row["note"]),
    ("noisy", lambda row: "noisy" in row["note"]),
    ("low confidence", lambda row: "low confidence" in row["note"]),
    ("open division, the submitter's own network", lambda row: "(open: custom" in row["model"]),
    ("runs from external memory", _external),
    ("clocked down (power mode)", lambda row: bool(re.search(r"power mode [1-9]", row["note"]))),
    ("same figure for one and two threads", lambda row: (row["device"], row["model"], row["threads"])
     == ("i.MX 93", "tiny-resnet", "2.0")),
    ("YOLOBench: threads and clock not stated", lambda row: row["model"].startswith("YOLOBench")),
    ("same work as another row", lambda row: bool(_SAME_COMPUTE.search(row["model_variant"]))),
    ("wake words network restructured by the tool",
     lambda row: "(MLPerf Tiny VWW)" in row["model"] and bool(_RESTRUCTURING.search(row["runtime"]))),
)


def clean(rows: Iterable[Row]) -> tuple[list[Row], Counter[str], Counter[str]]:
    """(kept rows, how many were left out by reason, names that cannot be rebuilt)."""
    devices, kept = _devices(), []
    dropped: Counter[str] = Counter()
    names: Counter[str] = Counter()
    for row in rows:
        reason = next((name for name, rule in RULES if rule(row)), "")
        found = resolve(row["model"], row["model_variant"], row["input_shape"], row["dtype"])
        device = devices.get((row["device"], ""), devices.get((row["device"], _mode(row, devices))))
        if reason:
            dropped[reason] += 1
        elif isinstance(found, Unresolved):
            dropped[found.reason.replace(f"network '{row['model']}'", "network not rebuilt")] += 1
            names[row["model"]] += 1
        elif device is None:
            dropped[f"device '{row['device']}' unclear"] += 1
        else:
            kept.append(_kept(row, device) | {"network": found.network, "format": found.number_format,
                                              "family": found.family})
    once = {tuple(row[column] for column in _SAME_FIGURE): row for row in reversed(kept)}
    dropped["the same figure again"] = len(kept) - len(once)
    return list(once.values()), dropped, names


def _devices() -> dict[tuple[str, str], Row]:
    """The devices by their published name and, where one name has two cores, a word of the core's."""
    with (ROOT / "benchmarks/published_devices.csv").open(newline="") as file:
        return {(row["device"], row["core_has"]): row for row in csv.DictReader(file)}


def _mode(row: Row, devices: dict[tuple[str, str], Row]) -> str:
    return next((word for name, word in devices if name == row["device"] and word and word in row["soc_core"]), "")


def _kept(row: Row, device: Row) -> Row:
    """The columns that do not come of the network."""
    stated = row["clock_mhz"]
    mhz = stated or device["assumed_mhz"]
    runtime, kernels = _runtime(f"{row['runtime']} | {row['runtime_version_or_date']}")
    energy = {"": ""}.get(row["energy_uj"], "wall" if "inference_results" in row["source_repo_or_url"] else "rail")
    threads = row["threads"] or ("1" if _one_thread(row) else "")
    return {"device": device["key"], "core": device["core"], "clock_hz": f"{float(mhz) * 1e6:.0f}" if mhz else "",
            "clock": "stated" if stated else "assumed" if mhz else "", "threads": threads.removesuffix(".0"),
            "runtime": runtime, "kernels": kernels, "dtype": row["dtype"], "latency_ms": row["latency_ms"],
            "energy_uj": row["energy_uj"], "energy_of": energy, "ram_kib": row["ram_kib"],
            "flash_kib": row["flash_kib"], "source": f"{row['source_repo_or_url']} {row['source_path']}".strip()}


def _one_thread(row: Row) -> bool:
    """Whether the source says so without a number: by its core, or (cTuning's Orin) by its rate and its power."""
    return "single large core" in row["soc_core"] or ("look single-threaded" in row["note"] and row["dtype"] != "uint8")


def _runtime(words: str) -> tuple[str, str]:
    """(key, kernels) of a runtime."""
    for pattern, key, kernels in RUNTIMES:
        match = re.search(pattern, words)
        if match:
            return match.expand(key), kernels
    raise SystemExit(f"no rule for the runtime {words!r}: add one to RUNTIMES")


def single_layers(rows: Iterable[Row]) -> Iterator[Row]:
    """Espressif's kernels alone, in their optimized and their plain form."""
    devices = _devices()
    for row in rows:
        key = LAYERS.get((row["op"], _digits(row["shape"])))
        if row["runtime"] != "ESP-NN" or key is None:
            continue
        family, options = parse_key(key)
        for ticks, runtime, kernels in ((row["ticks_opt"], "esp-nn-kernel", "tflm"),
                                        (row["ticks_ref"], "esp-nn-kernel-reference", "tflm-reference")):
            if float(ticks) < _SHORTEST_TICKS:
                continue
            device = devices[row["device"], ""]
            mhz = float(row["clock_mhz"])
            yield {"device": device["key"], "core": device["core"], "clock_hz": f"{mhz * 1e6:.0f}", "clock": "stated",
                   "threads": "1", "runtime": runtime, "kernels": kernels, "network": network_key(family, **options),
                   "format": "int8", "dtype": "int8", "latency_ms": f"{float(ticks) / mhz / 1e3:.6g}",
                   "energy_uj": "", "energy_of": "", "ram_kib": "", "flash_kib": "", "source": row["source"],
                   "family": FAMILIES[family]}


def _digits(shape: str) -> str:
    return " ".join(re.findall(r"\d+", shape))


def pixel_jump(rows: Iterable[Row]) -> float:
    """How much more a pixel costs YOLOBench's networks at 224 than at 256 pixels: the median of the ratios.

    Near 1 where both were measured under the same conditions, as for all its other neighbouring sizes.
    """
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["model"].startswith("YOLOBench"):
            side = row["input_shape"].split("x")[0]
            found.setdefault(row["model"], {})[side] = float(row["latency_ms"]) / int(side) ** 2
    return statistics.median(sizes["224"] / sizes["256"] for sizes in found.values())


def _read(path: Path) -> Iterator[Row]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


def summed(rows: list[Row], kept: list[Row], dropped: Counter[str], names: Counter[str]) -> dict[str, Any]:
    """The counts."""
    return {"kept": len(kept), "networks": len({row["network"] for row in kept}),
            "left_out": dict(dropped.most_common()),
            "devices": dict(Counter(row["device"] for row in kept).most_common()),
            "families": dict(Counter(row["family"] for row in kept).most_common()),
            "kernels": dict(Counter(row["kernels"] for row in kept).most_common()),
            "networks_not_rebuilt": dict(names.most_common()),
            "yolobench_pixel_224_over_256": round(pixel_jump(rows), 3)}


def main() -> None:
    """Clean, write, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--layers", type=Path, help="Table of the times of kernels alone.")
    parser.add_argument("--out", type=Path, default=ROOT / "device_profiles/data/published_latency.csv")
    arguments = parser.parse_args()
    rows = list(_read(arguments.table))
    kept, dropped, names = clean(rows)
    summary = summed(rows, kept, dropped, names)
    layers = list(single_layers(_read(arguments.layers))) if arguments.layers else []
    kept += layers
    kept.sort(key=lambda row: tuple(row[column] for column in ("device", "runtime", "network", "format", "source")))
    with arguments.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
    summary["layers"] = len(layers)
    (ROOT / "benchmarks/results/published_rows.json").write_text(json.dumps(summary, indent=1) + "\n")
    for title in ("left_out", "devices", "families", "kernels"):
        print(title, *[f"  {count:5d}  {name}" for name, count in summary[title].items()], sep="\n")
    print(f"YOLOBench: a pixel at 224 costs {summary['yolobench_pixel_224_over_256']} times one at 256")
    print(f"kept {summary['kept']} rows, {summary['networks']} networks, and {len(layers)} single layers")


if __name__ == "__main__":
    main()
