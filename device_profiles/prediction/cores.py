"""What a core's datasheet promises: the prior price of every term, before any measurement.

    prior_j = cycles_j / clock_hz / speedup_j

with `cycles_j = efficiency_j / macs_per_cycle` for the terms that multiply and `cycles_j / scalar` for the others, from
`data/predictor_cores.json`. A term without cycles there has no part in devices of the class. They are
nominal: the fit learns how far real kernels fall short, and shares that among cores, runtimes and devices.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from device_profiles.errors import UsageError, with_near_miss
from device_profiles.prediction.terms import TERMS, Term
from device_profiles.records import Record

CoreClass = Literal["cpu", "mcu"]
FitFormat = Literal["float32", "int8", "int16x8"]

_FILE = "data/predictor_cores.json"
SMALL_CORE = 0.4  # what a small core of a big.LITTLE does of a big one's work
_SHARED = 0.1  # of each thread's work waits for another; the fit corrects it where threads were varied
_NOT_SHARED: tuple[Term, ...] = ("inference", "operator")


class Core(Record):
    """A core family.

    Attributes:
        name: "cortex-a72".
        core_class: application processor or microcontroller.
        macs_per_cycle: nominal, by number format.
        dotprod: has 8-bit dot products.
        scalar: plain code that it gets through in a cycle, relative to a Cortex-M4; 1 on application processors.
    """

    name: str
    core_class: CoreClass
    macs_per_cycle: dict[FitFormat, float]
    dotprod: bool = False
    scalar: float = 1.0


class _Tables(Record):
    """The file: cores by name, and what the terms cost by class."""

    cores: dict[str, Core]
    cycles: dict[CoreClass, dict[Term, float]]
    macs: dict[CoreClass, dict[Term, float]]


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    found = json.loads((files("device_profiles") / _FILE).read_text(encoding="utf-8"))
    cores = {}
    for name, entry in found["cores"].items():
        like = found["cores"][entry["like"]] if "like" in entry else entry
        cores[name] = Core(name=entry.get("like", name), core_class=like["class"], dotprod=like.get("dotprod", False),
                           macs_per_cycle=like["macs_per_cycle"], scalar=like.get("scalar", 1.0))
    return _Tables(cores=cores, cycles=found["cycles"], macs=found["macs"])


def core_names() -> tuple[str, ...]:
    """The cores that are known, other names for one included."""
    return tuple(_tables().cores)


def find_core(name: str) -> Core:
    """A core by its key ("cortex-m4") or by what a profile calls it ("Cortex-M4F", "Arm Cortex-A72 (BCM2711)").

    Raises:
        UsageError: the core is not known.
    """
    known = _tables().cores
    key = re.sub(r"[\s_]+", "-", name.strip().lower()).replace("0+", "0plus")
    if key in known:
        return known[key]
    held = [each for each in known if re.search(rf"(?<![a-z0-9]){re.escape(each)}f?(?![a-z0-9])", key)]
    if held:
        return known[max(held, key=len)]
    raise UsageError(with_near_miss(f"nothing is known of a core '{name}'", key, tuple(known)), ", ".join(known))


def priors(core: Core, number_format: FitFormat, clock_hz: float, threads: int,
           small_threads: int = 0) -> dict[Term, float]:
    """Seconds that one unit of each term takes by the datasheet.

    Args:
        core: the core that does the work.
        number_format: of the model.
        clock_hz: of the core.
        threads: that share the work; 1 makes the term `parallel` free.
        small_threads: how many of them run on small cores.
    """
    tables, rate = _tables(), core.macs_per_cycle[number_format]
    cycles: Mapping[Term, float] = {
        **{term: each / core.scalar for term, each in tables.cycles[core.core_class].items()},
        **{term: factor / rate for term, factor in tables.macs[core.core_class].items()}}
    speedup = _speedup(threads - small_threads * (1 - SMALL_CORE))
    seconds = {term: cycles[term] / clock_hz / (1 if term in _NOT_SHARED else speedup) for term in TERMS}
    seconds["parallel"] = cycles["parallel"] * (threads - 1) / clock_hz
    return seconds


def _speedup(threads: float) -> float:
    """Of so many threads over one."""
    return threads / (1 + _SHARED * (threads - 1))
