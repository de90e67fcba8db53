"""Flash that a tflite model takes on a Cortex-M: its own bytes, and the code of TFLM and of the kernels that it uses.

The code is fitted to published program sizes (github.com/Black3rror/EdgeMark, Experiments.xlsx, NUCLEO-L4R5ZI: TFLM
with CMSIS-NN, GCC -O3 and -Os): total flash, less the base program without a network (28,000 bytes), less the tflite
model, is a sum over the operators that occur. `benchmarks/arena.py --flash` makes the fit and prints its error. Each
operator is linked once, with kernels for every type (`Register_CONV_2D()`); int8-only registrations take less.

The application's own code, its drivers and the C library's printf are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from device_profiles.microcontrollers.families import Family
from device_profiles.operators import VIEWS
from device_profiles.records import Figure, Record

CODE_BYTES: Mapping[str, int] = MappingProxyType({
    "CONV_2D": 28_000, "DEPTHWISE_CONV_2D": 23_500, "SOFTMAX": 10_000, "MEAN": 8_900, "MAX_POOL_2D": 4_500,
    "AVERAGE_POOL_2D": 4_500, "ADD": 20_100, "FULLY_CONNECTED": 0})
"""Code at -O3, by operator. FULLY_CONNECTED is in `CORE_BYTES`: every published network has it. Convolutions were
published only beside a MEAN (36,900 bytes together), an ADD with an average pool (52,600), a DEPTHWISE_CONV_2D with one
(56,000): the sums are the fit's, the shares within them a choice."""
CORE_BYTES = 47_400
"""Interpreter, allocator, planner, FlatBuffer reader and FULLY_CONNECTED, at -O3."""
OS_SHARE = 0.81
"""Code at -Os over code at -O3, of the operators that were published in both."""
ERROR_BYTES = 7_000
"""No published program is larger than the fit by more."""
UNKNOWN_BYTES = (1_000, 10_000, 30_000)
"""Least, likely and most code of an operator that no published program has."""


class Flash(Record):
    """Flash of a model with its runtime.

    Attributes:
        tflite_bytes: of the model, exact.
        runtime_bytes: of TFLM and the kernels, at -O3.
        runtime_interval: from -Os to the fit's largest error.
        unknown: operators whose code was not published, which widen the interval.
    """

    tflite_bytes: int
    runtime_bytes: int
    runtime_interval: tuple[int, int]
    unknown: tuple[str, ...] = ()

    @property
    def figure(self) -> Figure:
        """Both together."""
        low, high = self.runtime_interval
        doubt = f"; the code of {', '.join(self.unknown)} is a guess" if self.unknown else ""
        return Figure(value=self.tflite_bytes + self.runtime_bytes, unit="bytes", provenance="predicted",
                      interval=(self.tflite_bytes + low, self.tflite_bytes + high),
                      method=f"the tflite model's {self.tflite_bytes:,} bytes and {self.runtime_bytes:,} of TFLM with "
                             f"its kernels at -O3, fitted to published programs{doubt}")


def flash(tflite_bytes: int, operators: Iterable[str], family: Family) -> Flash | None:
    """The flash that a model takes; None on a core that is no Cortex-M, whose code sizes were not published.

    Args:
        tflite_bytes: of the tflite model.
        operators: names of its operators; custom ones by their code.
        family: whose kernels the firmware runs.
    """
    if not family.startswith("cmsis-nn"):
        return None
    used = sorted(set(operators) - set(VIEWS))
    unknown = tuple(name for name in used if name not in CODE_BYTES)
    known = CORE_BYTES + sum(CODE_BYTES.get(name, 0) for name in used)
    least, likely, most = (size * len(unknown) for size in UNKNOWN_BYTES)
    return Flash(tflite_bytes=tflite_bytes, runtime_bytes=known + likely, unknown=unknown,
                 runtime_interval=(round(OS_SHARE * known) + least - ERROR_BYTES // 2, known + most + ERROR_BYTES))
