"""How far a roofline with rates of one's own (`kind: predicted`) is from published measurements of the same devices.

    python benchmarks/roofline_error.py published_latency.csv [--cache FOLDER] [--fit]

Rebuilds the published networks with random weights (TensorFlow; some minutes, kept in --cache), reads their workloads,
predicts with `benchmarks/roofline/*.yaml` and prints a line a published row, then a JSON line a device: the error, the
share of rows inside the interval. The ceiling comes first: a re-run of the same network on the same board differs
by 1 to 4 % (median) on phones and single-board computers, and by less than 0.1 % on the microcontroller.

With --fit it also fits the profile's parameters to the rows (non-negative least squares of the relative error) and
prints them as the profile writes them, with the error that each row has when its network (for EfficientNet-Lite:
its family) is left out of the fit. The profiles' `uncertainty_factor` comes from that error, not from the fit's own.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from roofline_networks import EDGEMARK_CNN, EDGEMARK_FC, build, convert

from device_profiles.loader import load_profile
from device_profiles.operators import VIEWS
from device_profiles.predictor import predict_latency
from device_profiles.schema import Predicted, Profile
from device_profiles.workload import Workload, read_workload

PROFILES = Path(__file__).parent / "roofline"
EDGEMARK_FORMATS = {"basic": "float32", "q_full_int_only": "int8", "q_16x8_int_only": "int16x8"}
EDGEMARK_NAMES = (*EDGEMARK_CNN, *EDGEMARK_FC, "TinyMLPerf_AE", "TinyMLPerf_DS_CNN", "TinyMLPerf_ResNet",
                  "TinyMLPerf_MBNet")
PIXEL_FORMATS = {"float32": "float32", "int8": "int8", "uint8": "int8"}
PIXEL_NAMES = ("MobileNetV1", "NASNet mobile", "Inception_ResNet_V2", *(f"EfficientNet-Lite{i}" for i in range(5)))
# Least cycles that the cores can need, so that a fit to few networks stays physical. Cortex-M4: SMLAD does two 16-bit
# MACs a cycle besides loads (Arm DDI 0439), a float32 VFMA takes 3 cycles, an element is loaded, changed and stored.
# On the phone 5 us an operator are taken for handing work to three more threads: networks this large do not show it.
LOWEST_CYCLES = {
    "iot": {"conv:int8": 1.0, "conv:int16x8": 1.0, "conv:float32": 3.0, "depthwise:int8": 1.0, "depthwise:float32": 3.0,
            "element": 5.0},
    "mobile": {"operator": 5e-6 * 2.42e9},
}
# Kernel classes that share a rate because the networks cannot tell them apart.
TIED = {("iot", "conv_1x1"): "conv", ("mobile", "conv_1x1"): "conv", ("mobile", "fully_connected"): "conv"}
# What the kernels do besides multiplying: CMSIS-NN copies windows (im2col) and scales outputs; the float kernels of
# TFLM are the reference ones, which begin an inner loop for each tap of each output.
LOOPS = {("iot", "int8"): ("window_taps", "outputs"), ("iot", "int16x8"): ("window_taps",),
         ("iot", "float32"): ("output_taps",)}


Table = list[tuple[dict[str, float], float]]  # (columns, observed cycles) of each row


@dataclass(frozen=True)
class Row:
    """One published measurement."""

    profile: str
    network: str
    number_format: str
    latency_ms: float
    source: str

    @property
    def family(self) -> str:
        """What is left out of a fit together: the sizes of EfficientNet-Lite are one family."""
        return self.network.rstrip("01234") if self.network.startswith("Efficient") else self.network


def published(path: Path) -> list[Row]:
    """The rows that can be rebuilt, for the two devices."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for record in csv.DictReader(file) if (row := _row(record)) is not None]
    return sorted(set(rows), key=lambda row: (row.profile, row.network, row.number_format, row.source))


def _row(record: dict[str, str]) -> Row | None:
    source = f"{record['source_repo_or_url']} {record['source_path']}"
    if '"TFLM + STM"' in record["source_path"]:
        name, kind = record["model"].replace("EdgeMark ", ""), record["model_variant"].split(";")[-1].strip()
        if name in EDGEMARK_NAMES and kind in EDGEMARK_FORMATS:
            return Row("iot", name, EDGEMARK_FORMATS[kind], float(record["latency_ms"]), source)
    phone = (record["device"], record["runtime"], record["threads"])
    is_phone = phone == ("Pixel 4", "TensorFlow Lite CPU", "4.0")
    known = record["model"] in PIXEL_NAMES and record["dtype"] in PIXEL_FORMATS
    if is_phone and known and "DUP" not in record["note"]:
        return Row("mobile", record["model"], PIXEL_FORMATS[record["dtype"]], float(record["latency_ms"]), source)
    return None


def workloads(rows: list[Row], cache: Path) -> dict[tuple[str, str], Workload]:
    """By network and format; built once, then read from the cache."""
    cache.mkdir(parents=True, exist_ok=True)
    found: dict[tuple[str, str], Workload] = {}
    for name, number_format in sorted({(row.network, row.number_format) for row in rows}):
        path = cache / f"{name}-{number_format}.json"
        if not path.exists():
            workload = read_workload(convert(build(name), number_format))
            path.write_text(workload.model_dump_json(), encoding="utf-8")
        found[name, number_format] = Workload.model_validate_json(path.read_text(encoding="utf-8"))
    return found


def report(profile: Profile, rows: list[Row], works: dict[tuple[str, str], Workload]) -> dict[str, float | str]:
    """Print each row and return the summary."""
    print(f"\n{profile.device}\n{'network':22}{'format':9}{'MACs':>14}{'published ms':>14}{'predicted ms':>14}"
          f"{'ratio':>7}  inside")
    logs, inside = [], 0
    for row in rows:
        figure = predict_latency(works[row.network, row.number_format], profile).figure
        macs = works[row.network, row.number_format].macs
        if figure is None or figure.interval is None:
            print(f"{row.network:22}{row.number_format:9}{macs:14,}{row.latency_ms:14.3f}{'unknown':>14}")
            continue
        hit = figure.interval[0] <= row.latency_ms <= figure.interval[1]
        inside += hit
        logs.append(abs(math.log(figure.value / row.latency_ms)))
        print(f"{row.network:22}{row.number_format:9}{macs:14,}{row.latency_ms:14.3f}{figure.value:14.3f}"
              f"{figure.value / row.latency_ms:7.2f}  {'yes' if hit else 'NO'}")
    return {"profile": profile.name, "rows": len(logs), "inside_interval": inside / len(logs), **_quantiles(logs)}


def _quantiles(logs: list[float]) -> dict[str, float]:
    factors = np.exp(np.quantile(logs, [0.5, 0.8, 0.9, 0.95, 1.0]))
    return dict(zip(("factor_median", "factor_p80", "factor_p90", "factor_p95", "factor_max"),
                    [round(float(f), 3) for f in factors], strict=True))


def columns(profile: str, workload: Workload, number_format: str) -> dict[str, float]:
    """What each parameter is multiplied with for this network."""
    found: dict[str, float] = defaultdict(float)
    if profile == "iot":  # nothing so small was published for the phone that an overhead of its own would show
        found["inference"] = 1
    for op in workload.operators:
        found["operator"] += 1
        if op.name in VIEWS or op.once:
            continue
        kind = TIED.get((profile, op.kernel), op.kernel)
        found[f"{kind}:{number_format}" if op.macs else "element"] += op.macs or op.element_ops
        for loop in LOOPS.get((profile, number_format), ()) if op.output_taps else ():
            found[f"{loop}:{number_format}"] += op.output_elements if loop == "outputs" else getattr(op, loop)
    return found


def fit(table: Table, lowest: dict[str, float]) -> dict[str, float]:
    """Parameters in cycles; none below `lowest`. Minimizes the sum of squared relative errors."""
    from scipy.optimize import nnls

    names = sorted({name for features, _ in table for name in features})
    matrix = np.array([[features.get(name, 0.0) for name in names] for features, _ in table])  # (rows, parameters)
    cycles = np.array([observed for _, observed in table])  # (rows,)
    floor = np.array([lowest.get(name, 0.0) for name in names])
    above, _ = nnls(matrix / cycles[:, None], 1 - matrix @ floor / cycles)
    return dict(zip(names, above + floor, strict=True))


def leave_one_out(rows: list[Row], table: Table, lowest: dict[str, float]) -> list[float]:
    """|log(predicted / published)| of each row when its family is left out.

    Rows with a kernel that no other network has drop out: nothing could be said about them.
    """
    logs = []
    for family in sorted({row.family for row in rows}):
        rest = [entry for row, entry in zip(rows, table, strict=True) if row.family != family]
        seen = {name for features, _ in rest for name in features}
        parameters = fit(rest, lowest)
        for row, (features, observed) in zip(rows, table, strict=True):
            if row.family == family and set(features) <= seen:
                predicted = sum(value * parameters[name] for name, value in features.items())
                logs.append(abs(math.log(predicted / observed)))
    return logs


def print_fit(profile: Profile, rows: list[Row], works: dict[tuple[str, str], Workload]) -> dict[str, float | str]:
    """Fit, print the parameters per second of one core, and return the leave-one-family-out error."""
    model, hardware = profile.latency, profile.hardware
    if not isinstance(model, Predicted) or hardware is None:
        return {}
    speedup = 1 + (profile.threads - 1) * model.parallel_efficiency.value
    clock_hz = hardware.clock_hz.value
    table = [(columns(profile.name, works[row.network, row.number_format], row.number_format),
              row.latency_ms / 1e3 * clock_hz) for row in rows]
    lowest = LOWEST_CYCLES[profile.name]
    parameters = fit(table, lowest)
    print(f"\nfit of {profile.name}: cycles at {clock_hz:g} Hz, {profile.threads} threads, and per second of one core")
    for name, cycles in parameters.items():
        per_s = f"{clock_hz / cycles / speedup:.3g} /s" if cycles else "free"
        shown = f"{cycles / clock_hz:.3g} s" if name in ("inference", "operator") else per_s
        print(f"  {name:26}{cycles:12.4g} cycles  {shown}")
    logs = leave_one_out(rows, table, lowest)
    inside = sum(log <= math.log(model.uncertainty_factor.value) for log in logs) / len(logs)
    return {"profile": profile.name, "left_out_rows": len(logs), "left_out_inside": inside, **_quantiles(logs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path, help="the table of published measurements")
    parser.add_argument("--cache", type=Path, default=Path("build/roofline"), help="folder for the workloads")
    parser.add_argument("--fit", action="store_true", help="fit the parameters and print the leave-one-out error")
    arguments = parser.parse_args()
    rows = published(arguments.csv)
    works = workloads(rows, arguments.cache)
    for name in ("mobile", "iot"):
        profile, own = load_profile(PROFILES / f"{name}.yaml"), [row for row in rows if row.profile == name]
        print(json.dumps(report(profile, own, works)))
        if arguments.fit:
            print(json.dumps(print_fit(profile, own, works)))


if __name__ == "__main__":
    main()
