"""What may be set for the benchmark."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator

from device_profiles.records import Record
from stages.engines import host, registry
from stages.engines.targets.names import HOST, TargetText

FEWEST_ROUNDS = 5


class Settings(Record):
    """What a user may set for the benchmark."""

    engines: tuple[str, ...] = Field(default=tuple(registry.ENGINES), min_length=1,
                                     description=f"engines to run: {', '.join(registry.ENGINES)}")
    threads: int = Field(default=1, ge=1, le=256, description="threads of the engine (tflm has one)")
    cpus: Literal["last", "any"] | tuple[int, ...] = Field(
        default="last", description="cores to pin to: last (as many of the last ones as threads), any, or a list")
    rounds: int = Field(default=30, ge=FEWEST_ROUNDS, le=10_000, description="interleaved rounds over all variants")
    round_samples: int = Field(default=100, ge=1, le=100_000, description="inferences a round and variant, at most")
    round_s: float = Field(default=0.02, gt=0, le=60, description="seconds a round and variant, at most")
    target: TargetText = Field(
        default=HOST, description="where the engines run: host, ssh:user@host, adb:serial, emulated")
    devices: bool = Field(
        default=True, description="also measure on the target of each profile that names one")
    budget_s: float = Field(default=5.0, gt=0, description="seconds a variant and engine; five rounds are always made")
    warm_up_s: float = Field(default=0.5, ge=0, description="seconds a variant may take until its latency is steady")
    timeout_s: float = Field(default=60.0, gt=0, description="seconds that an engine may take to load or to answer")
    resamples: int = Field(default=1000, ge=100, le=100_000, description="bootstrap resamples for the intervals")

    @field_validator("engines")
    @classmethod
    def _known_engines(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return registry.checked_names(names)


    def at(self, target: str, engine: str, threads: int) -> Settings:
        """The same protocol on another target, in one engine; cores by number are those of the first target alone."""
        return self.model_copy(update={"target": target, "engines": (engine,), "threads": threads,
                                       "cpus": self.cpus if isinstance(self.cpus, str) else "last"})


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        seed: of the bootstrap and the order within rounds.
        host: fingerprint of the machine; part of the key, so that another machine measures again.
        engine_versions: installed version by engine, None where it is not installed; part of the key as well.
    """

    seed: int = 0
    host: str = ""
    engine_versions: dict[str, str | None] = Field(default_factory=dict)


def pinned(options: Settings, cores: Sequence[int] | None = None) -> tuple[int, ...]:
    """The cores that the workers are pinned to; empty for none.

    Args:
        options: what the user wants.
        cores: those of the target; this host's by default.
    """
    if options.cpus == "any" or not hasattr(os, "sched_setaffinity"):
        return ()
    if options.cpus == "last":
        return tuple(host.cores() if cores is None else cores)[-options.threads:]
    return tuple(options.cpus)
