"""How far Vela's latency is from what was published for the Ethos-U65 of the i.MX 93.

    python benchmarks/vela_error.py published_latency.csv [--models FOLDER] [--no-rebuild] [--out FILE]

The published rows are NXP's (github.com/NXP/eiq-model-zoo, TFLite with the Ethos-U delegate under Linux). Only networks
that can be had again count: MLPerf Tiny's four and ResNet-50. They are rebuilt with random weights and converted to
int8, which sets shapes and operators and not how well weights compress; with --models, FOLDER holds the published
`pretrainedResnet_quant.tflite` and `kws_ref_model.tflite`, or `<network>.int8.tflite` that were rebuilt before, which
are taken instead. Prints a row a network, the factors between published and predicted, and one JSON line.

Two readings are held against the rows: Vela alone, and Vela plus a time that every inference takes (driver, messages
to the Cortex-M33 that starts the NPU). That time has the least squares of log(predicted / published) over the other
networks, to a microsecond: a network is never its own witness.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "benchmarks"))

from device_profiles.loader import load_profile  # noqa: E402
from stages.compile import Options, compile_model  # noqa: E402

PROFILE = "imx93-ethos-u65"
DEVICE, RUNTIME = "i.MX 93", "TensorFlow Lite + NPU delegate"
NETWORKS = {  # published model: (network of roofline_networks, the published file)
    "deep-autoencoder": ("TinyMLPerf_AE", ""), "keyword-spotting_DSCNN": ("TinyMLPerf_DS_CNN", "kws_ref_model.tflite"),
    "tiny-resnet": ("TinyMLPerf_ResNet", "pretrainedResnet_quant.tflite"), "visual-wake-word": ("TinyMLPerf_MBNet", ""),
    "resnet": ("ResNet50", "")}


def published(table: Path) -> dict[str, float]:
    """By network, the published milliseconds."""
    with table.open(encoding="utf-8", newline="") as file:
        return {row["model"]: float(row["latency_ms"]) for row in csv.DictReader(file)
                if (row["device"], row["runtime"]) == (DEVICE, RUNTIME) and row["model"] in NETWORKS
                and "ODD" not in row["note"]}


def content_of(model: str, given: Path | None, rebuild: bool) -> tuple[bytes, str] | None:
    """The tflite model, and where it comes from; None where it may not be rebuilt."""
    name, file = NETWORKS[model]
    for each, source in ((file, "as published"), (f"{name}.int8.tflite", "rebuilt")):
        if given is not None and each and (given / each).is_file():
            return (given / each).read_bytes(), source
    if not rebuild:
        return None
    import roofline_networks

    made: Any = roofline_networks.build(name) if name != "ResNet50" else _resnet50()
    return roofline_networks.convert(made, "int8"), "rebuilt"


def _resnet50() -> Any:
    import tf_keras as keras

    return keras.applications.ResNet50(weights=None)


def predicted(content: bytes) -> float:
    """Vela's milliseconds; all operators must be on the NPU."""
    npu = load_profile(PROFILE).npu
    if npu is None:
        raise SystemExit(f"profile {PROFILE} has no NPU")
    result, _ = compile_model(content, Options(npu=npu))
    if result.cycles is None or result.clock_hz is None or result.left_on_cpu:
        raise SystemExit(f"not compiled as a whole: {result.summary}")
    return result.cycles.total / result.clock_hz * 1e3


def fixed_ms(rows: list[dict[str, Any]]) -> float:
    """The time of every inference, 0 to 1 ms, that fits these networks best."""
    def misfit(fixed: float) -> float:
        """Sum of squared logs."""
        return sum(math.log((row["vela_ms"] + fixed) / row["published_ms"]) ** 2 for row in rows)

    return min((step / 1000 for step in range(1000)), key=misfit)


def off(value: float, truth: float) -> float:
    """The factor between two times, at least 1."""
    return max(value / truth, truth / value)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--no-rebuild", action="store_true", help="leave out networks that --models has no file of")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    truths, rows = published(asked.table), []
    for model, truth in truths.items():
        found = content_of(model, asked.models, not asked.no_rebuild)
        if found is not None:
            rows.append({"network": model, "file": found[1], "published_ms": truth, "vela_ms": predicted(found[0])})
    print(f"{'network':<24} {'file':<13} {'published ms':>12} {'Vela ms':>8} {'factor':>7} {'+ fixed':>8} "
          f"{'factor':>7}")
    for row in rows:
        row["fixed_ms"] = fixed_ms([one for one in rows if one is not row])
        row["factor"] = off(row["vela_ms"], row["published_ms"])
        row["factor_with_fixed"] = off(row["vela_ms"] + row["fixed_ms"], row["published_ms"])
        print(f"{row['network']:<24} {row['file']:<13} {row['published_ms']:12.3f} {row['vela_ms']:8.3f} "
              f"{row['factor']:7.2f} {row['vela_ms'] + row['fixed_ms']:8.3f} {row['factor_with_fixed']:7.2f}")
    line = {"profile": PROFILE, "rows": rows, "worst_factor": max(row["factor"] for row in rows),
            "median_factor": median(row["factor"] for row in rows),
            "worst_factor_with_fixed": max(row["factor_with_fixed"] for row in rows),
            "fixed_of_all_ms": fixed_ms(rows),
            "median_factor_with_fixed": median(row["factor_with_fixed"] for row in rows)}
    print(json.dumps(line))
    if asked.out:
        asked.out.write_text(json.dumps(line, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
