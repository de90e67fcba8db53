"""Which corrections a setup shares with others: the chain from all devices of a class down to one setup."""

from __future__ import annotations

import re

from device_profiles.prediction.cores import Core, FitFormat, find_core
from device_profiles.records import Record

LEVELS = ("all", "kernels", "engine", "runtime", "core", "runtime_core", "board", "device", "setup")
"""From the most shared to the most special."""
_KERNELS = {"edge-impulse": "tflm", "microtvm-cmsis-nn": "tflm", "tflm-arduino": "tflm-reference"}
"""Runtimes that run TFLM's kernels: with CMSIS-NN beneath, or the plain ones."""


class Setup(Record):
    """What runs a model: a device with a runtime and a number of threads.

    Attributes:
        device: key, as in the published rows: "raspberry-pi-4-1800"; empty for a device that was never measured.
        core: name of the core.
        clock_hz: of the core.
        threads: that share the work.
        small_threads: how many of them run on the small cores of a big.LITTLE.
        runtime: key of runtime and version: "tflite-2.11.0", "tflm-cmsis-nn".
        kernels: whose inner loops run: "ruy", "xnnpack", "tflm", ...
    """

    device: str
    core: str
    clock_hz: float
    threads: int
    runtime: str
    kernels: str
    small_threads: int = 0

    @property
    def key(self) -> str:
        """A name of the setup, for people and for the fit."""
        return f"{self.device}/{self.runtime}/{self.threads}"

    def known_core(self) -> Core:
        """The core's facts."""
        return find_core(self.core)


def board(device: str) -> str:
    """The board behind a device key: one board at two clocks or with two systems is left out of a fit together."""
    return re.sub(r"-(arm32|\d{3,4}|[pq]|stm32f746)$", "", device)


def runtime_family(runtime: str) -> str:
    """A runtime without its version: "tflite", "x-cube-ai"."""
    return re.sub(r"-v?\d[\w.]*", "", runtime)


def effects_of(setup: Setup, number_format: FitFormat) -> tuple[tuple[str, str], ...]:
    """(level, name) of each effect, from the most shared on.

    `engine` and `board` hold for all formats: what a runtime's calls cost, how fast a board's memory is.
    """
    core, family = setup.known_core(), runtime_family(setup.runtime)
    dotprod = "dotprod" if core.dotprod else "plain"
    chain = [("all", core.core_class), ("kernels", f"{_kernels(setup, number_format)} {dotprod}"), ("engine", family),
             ("runtime", f"{setup.runtime} {dotprod}"), ("core", core.name), ("runtime_core", f"{family} {core.name}")]
    if setup.device:
        chain += [("board", board(setup.device)), ("device", board(setup.device)), ("setup", setup.key)]
    return tuple((level, name if level in ("engine", "board") else f"{name} {number_format}") for level, name in chain)


def _kernels(setup: Setup, number_format: FitFormat) -> str:
    """Whose inner loops run; CMSIS-NN and ESP-NN have none for float32, so TFLM's plain ones do."""
    kernels = _KERNELS.get(runtime_family(setup.runtime), setup.kernels)
    return "tflm-reference" if kernels == "tflm" and number_format == "float32" else kernels
