"""A user's own measurements: `litesmith profiles calibrate --measurements FILE`.

    model,latency_ms,format,threads,samples,spread_ms
    kws.tflite,12.4,int8,1,100,0.3
    mobilenet_v1 size=96 width=0.25,33.1,int8,1,,

`model` is a tflite model, its path relative to the file, or a network by its key in `device_profiles.networks`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import cast, get_args

from device_profiles.errors import LitesmithError, TfliteError, UsageError
from device_profiles.networks import network_workload
from device_profiles.networks.builder import BuildFormat
from device_profiles.prediction.csv_places import Cell, read_table
from device_profiles.workload import NumberFormat, Workload, read_workload

REQUIRED: Mapping[str, str] = MappingProxyType({
    "model": "a tflite model, its path relative to the file; or a network by name: 'mobilenet_v1 size=96 width=0.25'",
    "latency_ms": "of one inference at batch 1 in milliseconds, the median over the samples",
})
OPTIONAL: Mapping[str, str] = MappingProxyType({
    "format": "number format; needed for a network by name, and held against the file otherwise",
    "threads": "of the engine; left out: the profile's",
    "samples": "how many inferences the median is of",
    "spread_ms": "standard deviation of the samples in milliseconds",
    "runtime": "engine and version, for the record; all rows have the same",
    "note": "anything",
})
MOST_ROWS, MOST_THREADS = 1000, 256
_SLOWEST_MS = 3.6e6
_MEDIAN_ERROR = math.sqrt(math.pi / 2)
"""Standard error of a median of normal samples, in standard errors of their mean."""
_FILE_FORMATS: tuple[str, ...] = get_args(NumberFormat)
_NETWORK_FORMATS: tuple[str, ...] = get_args(BuildFormat)


@dataclass(frozen=True)
class Measurement:
    """One latency of one model.

    Attributes:
        model: as the user wrote it.
        sha256: of the tflite model; empty for a network by name.
        workload: of the model.
        threads: None for the profile's.
        latency_ms: of one inference.
        variance: of the logarithm of the latency, from the samples' spread; 0 where none is given.
        runtime: engine and version, or empty.
        cell: where the latency stands, for messages; None for what no table holds.
    """

    model: str
    sha256: str
    workload: Workload
    threads: int | None
    latency_ms: float
    variance: float = 0.0
    runtime: str = ""
    cell: Cell | None = None

    def refusal(self, found: str, allowed: str = "", next_step: str = "") -> LitesmithError:
        """The error for this measurement, at its place where it has one."""
        if self.cell is not None:
            return self.cell.refusal(found, allowed, next_step)
        return UsageError(f"{self.model}: {found}", allowed, next_step)

    def network(self) -> str:
        """What is left out together: models with the same MACs in the same kernels are one network."""
        by_kernel: dict[str, int] = {}
        for op in self.workload.operators:
            by_kernel[op.kernel] = by_kernel.get(op.kernel, 0) + op.macs
        return " ".join(f"{kernel}={macs}" for kernel, macs in sorted(by_kernel.items()) if macs)


def read_measurements(path: Path) -> list[Measurement]:
    """The rows of a table of measurements.

    Raises:
        ConfigError: a column, a cell, a model or a row that cannot be; with line and column.
    """
    rows = read_table(path, REQUIRED, OPTIONAL)
    if len(rows) > MOST_ROWS:
        raise rows[MOST_ROWS]["model"].refusal(f"{len(rows):,} measurements", f"at most {MOST_ROWS:,}")
    found = [_measurement(path.parent, row) for row in rows]
    check_doubles(found)
    runtimes = sorted({each.runtime for each in found if each.runtime})
    if len(runtimes) > 1:
        odd = next(row["runtime"] for row in rows if "runtime" in row and row["runtime"].text != runtimes[0])
        raise odd.refusal(f"two runtimes in one file: {', '.join(runtimes)}", "one: a profile has one runtime",
                          "make a file and a profile for each")
    return found


def check_doubles(found: Iterable[Measurement]) -> None:
    """Refuse a model that was measured twice.

    Raises:
        LitesmithError: one was, with the same number of threads.
    """
    seen: dict[tuple[str, str, int | None], Measurement] = {}
    for each in found:
        key = (each.sha256 or each.model, each.workload.number_format, each.threads)
        if key in seen:
            cell = seen[key].cell
            where = f" in line {cell.line}" if cell else ""
            same = "" if each.model == seen[key].model else f", the same file as {seen[key].model}"
            raise each.refusal(f"'{each.model}'{same} was measured{where} already with the same format and threads",
                               "each model once for a number of threads", "keep one row, with the median of both")
        seen[key] = each


def _measurement(folder: Path, row: Mapping[str, Cell]) -> Measurement:
    """One row."""
    model = row["model"].text
    is_file = model.endswith(".tflite") or "/" in model
    digest, workload = _from_file(folder, row) if is_file else ("", _from_name(row))
    latency_ms = _number(row["latency_ms"], _SLOWEST_MS)
    threads = _count(row["threads"], MOST_THREADS) if "threads" in row else None
    return Measurement(model=model, sha256=digest, workload=workload, threads=threads, latency_ms=latency_ms,
                       variance=_variance(row, latency_ms), cell=row["latency_ms"],
                       runtime=row["runtime"].text if "runtime" in row else "")


def _from_file(folder: Path, row: Mapping[str, Cell]) -> tuple[str, Workload]:
    """Digest and workload of a tflite model."""
    cell = row["model"]
    path = folder / cell.text
    try:
        content = path.read_bytes()
        workload = read_workload(content)
    except FileNotFoundError as error:
        raise cell.refusal(f"there is no file {path}", "a tflite model, its path relative to this file") from error
    except (OSError, ValueError) as error:
        raise cell.refusal(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    except TfliteError as error:
        raise cell.refusal(f"{path}: {error.found}", error.allowed, error.next_step) from error
    if "format" in row and _format(row["format"], _FILE_FORMATS) != workload.number_format:
        raise row["format"].refusal(f"format '{row['format'].text}', but {cell.text} is {workload.number_format}",
                                    workload.number_format, "name the file that was measured, or leave the cell empty")
    return sha256(content).hexdigest(), workload


def _from_name(row: Mapping[str, Cell]) -> Workload:
    """Workload of a published network."""
    cell = row["model"]
    if "format" not in row:
        raise cell.refusal(f"'{cell.text}' is a network by name, and its format is not given",
                           ", ".join(_NETWORK_FORMATS), "add a column 'format'; a file's name ends in .tflite")
    number_format = _format(row["format"], _NETWORK_FORMATS)
    try:
        return network_workload(cell.text, cast(BuildFormat, number_format))
    except LitesmithError as error:
        raise cell.refusal(f"{error.found}; and it does not end in .tflite", error.allowed, error.next_step) from error


def _format(cell: Cell, known: Iterable[str]) -> str:
    """A number format."""
    if cell.text not in known:
        raise cell.refusal(f"unknown format '{cell.text}'", ", ".join(known))
    return cell.text


def _variance(row: Mapping[str, Cell], latency_ms: float) -> float:
    """Of the logarithm of a median: (1.25 spread / (latency sqrt(samples)))^2; without a spread 0."""
    samples = _count(row["samples"], 1 << 40) if "samples" in row else 1
    if "spread_ms" not in row:
        return 0.0
    spread_ms = _number(row["spread_ms"], _SLOWEST_MS, least=0.0)
    if spread_ms > 10 * latency_ms:
        raise row["spread_ms"].refusal(f"a spread of {spread_ms:g} ms around {latency_ms:g} ms",
                                       "the standard deviation of the samples, in milliseconds")
    return (_MEDIAN_ERROR * spread_ms / latency_ms) ** 2 / samples


def _number(cell: Cell, most: float, least: float = math.ulp(0.0)) -> float:
    """A plain number."""
    try:
        value = float(cell.text)
    except ValueError as error:
        unit = cell.text.lstrip("0123456789.eE+- ")
        hint = f"write the number without '{unit}'" if unit and unit != cell.text else ""
        raise cell.refusal(f"'{cell.text}' is no number", "a number such as 12.5", hint) from error
    if not least <= value <= most:
        raise cell.refusal(f"{cell.text} is no time of an inference", f"more than 0, at most {most:,.0f} ms")
    return value


def _count(cell: Cell, most: int) -> int:
    """A whole number from 1 on."""
    if not cell.text.isascii() or not cell.text.isdigit() or not 1 <= int(cell.text) <= most:
        raise cell.refusal(f"'{cell.text}' is no number of {'threads' if most == MOST_THREADS else 'samples'}",
                           f"a whole number from 1 to {most:,}")
    return int(cell.text)
