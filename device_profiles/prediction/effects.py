"""Which corrections a setup shares with others: the chain from all devices of a class down to one setup."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from device_profiles.prediction.cores import Core, FitFormat, find_core
from device_profiles.prediction.terms import Term
from device_profiles.records import Record

LEVELS = ("all", "kernels", "engine", "runtime", "core", "runtime_core", "board", "device", "setup")
"""From the most shared to the most special."""
_KERNELS = {"edge-impulse": "tflm", "microtvm-cmsis-nn": "tflm", "tflm-arduino": "tflm-reference"}
"""Runtimes that run TFLM's kernels: with CMSIS-NN beneath, or the plain ones."""
_HELIUM = ("cortex-m55", "cortex-m85")
"""Cores whose CMSIS-NN kernels are others than the DSP extension's (CMSIS-NN README, "Optimizations")."""
_TRANSLATORS = ("ekkono", "hale", "microtvm", "onnc", "renesas-eai", "tinyengine")
"""Tools that translate a network to C code, so that no interpreter looks up tensors and operators at run time."""
_TRANSLATED = MappingProxyType[Term, float]({"inference": -2.5, "operator": -2.5})
"""exp(-2.5) = 0.08: a function call in place of TFLM's lookup, an order of magnitude."""
_NOTHING = MappingProxyType[Term, float]({})
CALLS: tuple[Term, ...] = ("inference", "operator", "parallel")
"""Terms of what surrounds the kernels."""


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

    `engine` and `board` hold for all formats: what a runtime's calls cost, how fast a board's memory is. On
    microcontrollers a core shares its corrections among all runtimes with the same kernels.
    """
    core, family, kernels = setup.known_core(), runtime_family(setup.runtime), _kernels(setup, number_format)
    dotprod = "dotprod" if core.dotprod else "plain"
    on_core = kernels if core.core_class == "mcu" else family
    chain = [("all", core.core_class), ("kernels", f"{kernels} {dotprod}"), ("engine", family),
             ("runtime", f"{setup.runtime} {dotprod}"), ("core", core.name), ("runtime_core", f"{on_core} {core.name}")]
    if setup.device:
        chain += [("board", board(setup.device)), ("device", board(setup.device)), ("setup", setup.key)]
    return tuple((level, name if level in ("engine", "board") else f"{name} {number_format}") for level, name in chain)


def expected(effect: tuple[str, str]) -> Mapping[Term, float]:
    """Log corrections that an effect has before any row: what is known of how a runtime works."""
    level, name = effect
    return _TRANSLATED if level == "engine" and name in _TRANSLATORS else _NOTHING


def _kernels(setup: Setup, number_format: FitFormat) -> str:
    """Whose inner loops run; CMSIS-NN and ESP-NN have none for float32, so TFLM's plain ones do.

    On microcontrollers each vendor's kernels are its own.
    """
    core, family = setup.known_core(), runtime_family(setup.runtime)
    kernels = _KERNELS.get(family, setup.kernels)
    if core.core_class == "mcu" and kernels == "vendor":
        return family
    if kernels == "tflm" and number_format == "float32":
        return "tflm-reference"
    return "tflm-helium" if kernels == "tflm" and core.name in _HELIUM else kernels
