"""The user's own metrics: `package.module:function`, called as `f(y_true, outputs)`; what it returns becomes a figure.

| task | `y_true` | `outputs` |
|---|---|---|
| classification | (samples,) int64 labels | (samples, classes) float32, as the model gives them |
| multilabel | (samples, labels) uint8 | (samples, labels) float32, as the model gives them |
| regression | (samples, values) float64, in the user's units | the same |
| anomaly | (clips or samples,) int64, 1: anomalous | (clips or samples,) float64 reconstruction errors |
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.errors import StageError
from device_profiles.records import Figure, Provenance
from stages.imports import load_function

Array = npt.NDArray[Any]
_ALLOWED = "a function f(y_true, outputs) that returns one finite number"
_NEXT = "mend the function, or take it out of task.metrics"


def own_figures(references: tuple[str, ...], y_true: Array, outputs: Array, taken: tuple[str, ...],
                provenance: Provenance) -> dict[str, Figure]:
    """A figure for each of the user's metrics, named as its function, or by the whole reference where that is taken.

    Args:
        references: `package.module:function`.
        y_true: see the table above.
        outputs: see the table above.
        taken: names of the figures that are there already.
        provenance: of the figures.

    Raises:
        UsageError: there is no such function.
        StageError: it raises, or returns something else than a finite number.
    """
    found: dict[str, Figure] = {}
    for reference in references:
        name = reference.rpartition(":")[2].rpartition(".")[2]
        value = _called(reference, load_function(reference), y_true, outputs)
        found[reference if name in taken or name in found else name] = Figure(
            value=value, unit="value", provenance=provenance, samples=len(y_true), method=f"the user's {reference}")
    return found


def _called(reference: str, function: Callable[..., Any], y_true: Array, outputs: Array) -> float:
    """What a metric returns, as a number. The arrays are copies: a metric may write into them."""
    with _Told(reference):
        value = np.asarray(function(y_true.copy(), outputs.copy()))
    if value.size != 1 or value.dtype.kind not in "fiub" or not np.isfinite(value).all():
        shown = f"{value}" if value.size == 1 else f"an array of shape {value.shape}"
        raise StageError(f"the metric {reference} returned {shown}", _ALLOWED, _NEXT)
    return float(value.reshape(())[()])


class _Told:
    """Whatever the user's code raises inside becomes one message that names the line. It may raise anything."""

    def __init__(self, reference: str) -> None:
        self._reference = reference

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if isinstance(error, Exception):
            frame = traceback.extract_tb(trace)[-1]
            line = f": {frame.line}" if frame.line else ""
            raise StageError(f"the metric {self._reference} raised {type(error).__name__}: {error} "
                             f"({frame.filename}:{frame.lineno}{line})", _ALLOWED, _NEXT) from error
