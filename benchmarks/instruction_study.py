"""Which says more of a latency: a network's MACs, or the instructions that its kernels execute on an emulated core?

    python benchmarks/instruction_networks.py NETWORKS                     # published networks, float32 and int8
    python benchmarks/instruction_study.py --count NETWORKS --into FILE    # resumable; needs the Arm emulator
    python benchmarks/instruction_study.py --into FILE [--calibrated]      # compares, from the counts alone

Counted are TFLite's own kernels (tflite-runtime 2.14 without a delegate, on a Cortex-A72), which most published rows
ran on, and XNNPACK's (ai-edge-litert 2.0.2, on a Cortex-A76). Then every family of networks is left out of every
board's rows in turn, and its latencies are predicted from the others by scales of few parameters: of one, the median of
latency by amount; of several, prices of at least nought with the least sum of squared relative errors. `--calibrated`
adds the calibrated predictor on the same points, its fit without that family on that board (some minutes).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from instruction_networks import NETWORKS, Format, file_of

from device_profiles.networks.catalog import network_workload
from device_profiles.networks.published import PublishedRow, published_rows
from stages.engines.targets.emulator import Counts, Emulator, default_folder, new_counts, read_counts

Array = npt.NDArray[Any]
COUNTED: tuple[tuple[str, str, tuple[Format, ...]], ...] = (
    ("ruy", "cortex-a72", ("float32", "int8")), ("xnnpack", "cortex-a76", ("float32",)))
"""Kernels, the core that they are counted on, formats (five published rows of XNNPACK alone are int8)."""
_DOT_PRODUCTS = {"cortex-a72": False, "cortex-a73": False, "cortex-a76": True, "cortex-a78ae": True}
RUNTIMES = {"ruy": "tflite_runtime.interpreter", "xnnpack": "ai_edge_litert.interpreter"}
_FEWEST = 6  # networks of other families on a board, so that the largest scale is fitted to more than it has prices
# Told on stdin how many inferences of which tflite model to make, says so when they are made.
_PROGRAM = """
import importlib, sys
import numpy as np
module, delegates = sys.argv[1:]
runtime = importlib.import_module(module)
kinds = runtime.OpResolverType
resolver = kinds.AUTO if delegates == "xnnpack" else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
loaded = ""
for line in sys.stdin:
    path, count = line.rstrip("\\n").split("\\t")
    if path != loaded:
        model = runtime.Interpreter(model_path=path, num_threads=1, experimental_op_resolver_type=resolver)
        model.allocate_tensors()
        for one in model.get_input_details():
            values = np.random.default_rng(0).random(one["shape"])
            model.set_tensor(one["index"], values.astype(np.float32) if one["dtype"] == np.float32 else
                             (255 * values - 128).astype(np.int8))
        loaded = path
    for _ in range(int(count)):
        model.invoke()
    print("made", flush=True)
"""


@dataclass(frozen=True)
class Work:
    """What an inference of a network is: counted, and as its graph says."""

    instructions: float
    accesses: float
    macs: float
    moved_bytes: float
    operators: float


# -- counting ---------------------------------------------------------------------------------------------------------


def count_all(folder: Path, into: Path) -> None:
    """Count what is not counted yet, a line of JSON each; networks that were not built are passed over."""
    done = {key_of(each) for each in read_counted(into)}
    for kernels, cpu, formats in COUNTED:
        with Counter(kernels, cpu) as counter:
            for network in sorted(NETWORKS, key=lambda name: network_workload(name).macs):
                for number_format in formats:
                    path, each = file_of(folder, network, number_format), {
                        "network": network, "format": number_format, "kernels": kernels, "cpu": cpu}
                    if key_of(each) in done or not path.exists():
                        continue
                    found = counter.inference(path)
                    line = json.dumps({**each, "instructions": found.instructions, "accesses": found.accesses})
                    print(line, flush=True)
                    with into.open("a", encoding="utf-8") as file:
                        file.write(line + "\n")


class Counter:
    """An emulated process that makes inferences of one tflite model after the other, and what it executes.

    Args:
        kernels: a key of `RUNTIMES`.
        cpu: as QEMU names it.
    """

    def __init__(self, kernels: str, cpu: str) -> None:
        self._kernels, self._cpu = kernels, cpu
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        emulator = Emulator(default_folder())
        version = ".".join(emulator.about("emulated").python.split(".")[:2])
        self._file = new_counts(Path(self._stack.enter_context(tempfile.TemporaryDirectory())) / "counts")
        command = emulator.python(self._cpu, version, "-c", _PROGRAM, RUNTIMES[self._kernels], self._kernels,
                                  counting=self._file)
        self._process = self._stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return self

    def __exit__(self, *raised: object) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._stack.close()

    def inference(self, path: Path) -> Counts:
        """What one inference executes, after a first one: a request for one less a request for none."""
        self._made(path, 1)
        none = self._made(path, 0)
        return self._made(path, 1).since(none)

    def _made(self, path: Path, inferences: int) -> Counts:
        """What so many execute, and the request with them."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("no pipes")
        before = read_counts(self._file)
        print(path, inferences, sep="\t", file=self._process.stdin, flush=True)
        if not self._process.stdout.readline():
            raise RuntimeError(f"{path.name} on {self._cpu}: the emulated process ended")
        return read_counts(self._file).since(before)


def key_of(each: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """What a count is of."""
    return each["network"], each["format"], each["kernels"], each["cpu"]


def read_counted(path: Path) -> list[dict[str, Any]]:
    """The counts so far."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


# -- comparing --------------------------------------------------------------------------------------------------------

Point = tuple[Work, float, str, str]
"""Work of a network, its published latency in ms, its family, its name."""
Group = tuple[str, ...]
"""Board, runtime, threads, format, kernels, emulated core."""
SCALES: dict[str, Callable[[Work], Sequence[float]]] = {
    "MACs": lambda work: [work.macs],
    "instructions": lambda work: [work.instructions],
    "memory accesses": lambda work: [work.accesses],
    "MACs + bytes": lambda work: [work.macs, work.moved_bytes],
    "instructions + accesses": lambda work: [work.instructions, work.accesses],
    "instructions + bytes": lambda work: [work.instructions, work.moved_bytes],
    "MACs + bytes + operators": lambda work: [work.macs, work.moved_bytes, work.operators],
    "instructions + bytes + operators": lambda work: [work.instructions, work.moved_bytes, work.operators],
    "MACs + instructions + bytes + operators":
        lambda work: [work.macs, work.instructions, work.moved_bytes, work.operators],
}


def works(counted: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str, str], Work]:
    """Counts and workloads by network, format, kernels and emulated core."""
    found = {}
    for each in counted:
        workload = network_workload(each["network"], each["format"])
        found[key_of(each)] = Work(each["instructions"], each["accesses"],
                                   workload.macs, sum(one.weight_bytes + one.input_bytes + one.output_bytes
                                                      for one in workload.operators), len(workload.operators))
    return found


def boards(known: Mapping[tuple[str, str, str, str], Work]) -> dict[Group, list[Point]]:
    """Points by board, runtime, threads and format: the median of a network's rows."""
    rows: dict[Group, dict[str, list[PublishedRow]]] = defaultdict(lambda: defaultdict(list))
    for row in published_rows():
        key = (row.network, row.number_format, row.kernels, counted_on(row))
        if key in known and row.threads is not None:
            group = (row.device, row.runtime, str(row.threads), row.number_format, row.kernels, key[3])
            rows[group][row.network].append(row)
    points = {group: [(known[(network, group[3], group[4], group[5])],
                       float(np.median([row.latency_ms for row in found])), found[0].family, network)
                      for network, found in by_network.items()] for group, by_network in rows.items()}
    return {group: found for group, found in points.items() if len({each[2] for each in found}) > 1}


def counted_on(row: PublishedRow) -> str:
    """The emulated core that runs the kernels of a published row; "" for none.

    Float32 kernels of TFLite know no dot products, so that a Cortex-A72's stand for newer cores, too. Its int8 kernels
    in tflite-runtime 2.14 take none under emulation, so that int8 rows of cores with dot products have no counterpart.
    """
    dots = _DOT_PRODUCTS.get(row.core)
    if dots is None or (row.kernels == "ruy" and dots and row.number_format == "int8"):
        return ""
    cpu = next((core for kernels, core, _ in COUNTED if kernels == row.kernels), "")
    return cpu if row.kernels == "ruy" or dots else ""


def errors_left_out(points: Sequence[Point], terms: Callable[[Work], Sequence[float]]) -> list[float]:
    """Predicted over published, of every point, by a scale fitted to the other families."""
    from scipy.optimize import nnls

    ratios = []
    for kept, left in splits(points):
        table = np.array([[term / latency for term in terms(work)] for work, latency, *_ in kept])  # (points, terms)
        size = table.max(axis=0)
        if table.shape[1] == 1:
            prices = np.array([np.median(1 / table[:, 0])])
        else:
            prices = nnls(table / size, np.ones(len(kept)))[0] / size
        ratios += [float(np.dot(prices, terms(work))) / latency for work, latency, *_ in left]
    return ratios


def splits(points: Sequence[Point]) -> Iterator[tuple[list[Point], list[Point]]]:
    """(the other families, one family), where enough others are left."""
    for family in sorted({each[2] for each in points}):
        kept, left = ([each for each in points if (each[2] == family) is out] for out in (False, True))
        if len(kept) >= _FEWEST:
            yield kept, left


def calibrated_errors(groups: Mapping[Group, Sequence[Point]], number_format: str) -> list[float]:
    """Predicted over published of the same points, by the calibrated predictor without that family on that board."""
    from fit_predictor import OPTIONS

    from device_profiles.prediction.dataset import as_rows, samples
    from device_profiles.prediction.effects import board
    from device_profiles.prediction.fitting import fit
    from device_profiles.prediction.held_out import left_out

    chosen = [one for one in samples() if (one.core_class, one.number_format) == ("cpu", number_format)]
    full = fit(as_rows(chosen), OPTIONS["cpu"])
    found: dict[tuple[str, ...], float] = {}
    for name in sorted({board(group[0]) for group in groups}):
        for one in left_out(chosen, OPTIONS["cpu"], "family", full, only=name):
            row = one.sample.row
            found[row.device, row.runtime, str(row.threads), row.network] = float(np.exp(one.log_error))
    wanted = [(*group[:3], each[3]) for group, points in groups.items() for _, left in splits(points) for each in left]
    return [found[key] for key in wanted if key in found]


def show(into: Path, calibrated: bool) -> None:
    """A line for each scale: median and 90th percentile of the error, by format and kernels."""
    counted = read_counted(into)
    groups = boards(works(counted))
    print(f"{len(counted)} counts")
    for kernels, form in sorted({(group[4], group[3]) for group in groups}):
        chosen = {group: points for group, points in groups.items() if (group[4], group[3]) == (kernels, form)}
        print(f"\n{kernels}, {form}: {sum(map(len, chosen.values()))} points on {len(chosen)} boards and runtimes\n"
              "| scale | points | median error | 90 % within |\n|---|---|---|---|")
        for name, terms in SCALES.items():
            show_line(name, [ratio for points in chosen.values() for ratio in errors_left_out(points, terms)])
        if calibrated:
            show_line("the calibrated predictor", calibrated_errors(chosen, form))


def show_line(name: str, ratios: Sequence[float]) -> None:
    """Predicted over published as a row of the table; nothing where there are none."""
    if len(ratios):
        off = np.abs(np.array(ratios) - 1)
        print(f"| {name} | {len(ratios)} | {100 * np.median(off):.1f} % | {100 * np.quantile(off, 0.9):.1f} % |")


def main() -> None:
    """Count, or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=Path, metavar="NETWORKS")
    parser.add_argument("--into", type=Path, default=Path(__file__).parent / "results" / "instruction_study.jsonl")
    parser.add_argument("--calibrated", action="store_true")
    given = parser.parse_args()
    if given.count:
        count_all(given.count, given.into)
    else:
        show(given.into, given.calibrated)


if __name__ == "__main__":
    main()
