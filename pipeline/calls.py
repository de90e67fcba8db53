"""Calls: a stage with its options and inputs, keyed by all that its artifact depends on; a plan is a graph of them.

The key is the hash of stage and stage version, options, the keys of the inputs, and the versions of the libraries that
shape the output. It is known before anything runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_profiles.records import Record
from pipeline.stage_order import STAGES

if TYPE_CHECKING:
    from pipeline.config import RunConfig

Inputs = Mapping[str, "str | Mapping[str, str]"]


@dataclass(frozen=True)
class Call:
    """One stage with its options and inputs.

    Attributes:
        label: its name for people, unique in a plan: "prune:pruned75", "convert:int8".
        stage: the stage's name.
        options: the stage's `Options`.
        inputs: by role, the label of the call that makes it, or a mapping from variant to label.
        key: see the module.
        versions: of the libraries that shape its output.
    """

    label: str
    stage: str
    options: Record
    inputs: Inputs
    key: str
    versions: dict[str, str]

    @property
    def name(self) -> str:
        """What stands after the stage in the label, or an empty string."""
        return self.label.partition(":")[2]

    @property
    def is_over_all(self) -> bool:
        """Whether it takes every variant: one of its inputs is a mapping."""
        return any(not isinstance(value, str) for value in self.inputs.values())

    @property
    def is_of_a_device(self) -> bool:
        """Whether it measures on one profile's device: the run goes on without what cannot be reached."""
        return self.stage == "benchmark" and bool(self.name)

    def needs(self) -> list[str]:
        """Labels of the calls whose artifacts it takes."""
        found: list[str] = []
        for value in self.inputs.values():
            found += [value] if isinstance(value, str) else list(value.values())
        return found


@dataclass
class Plan:
    """Calls by label, each after the calls that it needs.

    Attributes:
        calls: in an order in which they can run.
        variants: by variant, the label of the call that makes its tflite model.
        left_out: variants that cannot be made of the given model, with the reason.
    """

    calls: dict[str, Call] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def upstream(self, labels: Iterable[str]) -> set[str]:
        """The calls named and all that they need, however far back."""
        found: set[str] = set()
        todo = list(labels)
        while todo:
            label = todo.pop()
            if label not in found:
                found.add(label)
                todo += self.calls[label].needs()
        return found

    def of_stage(self, stage: str) -> list[str]:
        """Labels of a stage's calls."""
        return [label for label, call in self.calls.items() if call.stage == stage]

    def only(self, labels: Iterable[str]) -> Plan:
        """The part of the plan that makes these calls' artifacts."""
        kept = self.upstream(labels)
        return Plan({k: c for k, c in self.calls.items() if k in kept}, dict(self.variants), dict(self.left_out))


@dataclass(frozen=True)
class Surroundings:
    """What the world outside the config adds to keys.

    Attributes:
        engine_versions: by engine, the version installed, or None.
        host: fingerprint of this machine: a latency measured on one is not another's.
        cache: a file that remembers digests of data that has not changed; None: digests are taken anew.
    """

    engine_versions: dict[str, str | None]
    host: str
    cache: Path | None = None


class Calls:
    """Adds calls to a plan one by one; a call that is there already is not added twice.

    Attributes:
        plan: the calls so far.
    """

    def __init__(self, config: RunConfig, around: Surroundings) -> None:
        self.config, self.around, self.plan = config, around, Plan()

    def __getitem__(self, label: str) -> Call:
        return self.plan.calls[label]

    def engine_versions(self, names: Iterable[str]) -> dict[str, str | None]:
        """The versions that are installed, by engine."""
        return {name: self.around.engine_versions.get(name) for name in names}

    def add(self, stage: str, tail: str, settings: Record, inputs: Inputs, owner: str = "",
            libraries: tuple[str, ...] = (), **filled: Any) -> str:
        """Add a call unless the same one is there; its label.

        Args:
            stage: the stage.
            tail: what stands after the stage in the label; where two different calls claim one label, the owner's name
                (a variant with options of its own) sets them apart.
            settings: the run file's part.
            inputs: by role.
            owner: the variant that asks.
            libraries: beside the stage's own, distributions whose versions shape the output.
            filled: what the plan adds to the settings to make the stage's `Options`.
        """
        module = STAGES[stage].module()
        known = module.Options.model_fields
        filled |= {name: getattr(self.config, name) for name in ("seed", "task") if name in known}
        # the values as they are, not `settings.model_dump()`: a nested record stays a record
        values = {name: getattr(settings, name) for name in type(settings).model_fields}
        options = module.Options(**values, **{k: v for k, v in filled.items() if k in known})
        versions = {name: installed_version(name) for name in (*module.LIBRARIES, *libraries)}
        key = self._key(stage, module.VERSION, options, inputs, versions)
        label = join(stage, tail, ":")
        if label in self.plan.calls and self.plan.calls[label].key != key:
            label = f"{label}({owner})"
        self.plan.calls.setdefault(label, Call(label, stage, options, inputs, key, versions))
        return label

    def _key(self, stage: str, version: int, options: Record, inputs: Inputs, versions: dict[str, str]) -> str:
        """The hash of all that shapes the artifact."""
        keys = {role: self.plan.calls[value].key if isinstance(value, str)
                else {name: self.plan.calls[label].key for name, label in value.items()}
                for role, value in inputs.items()}
        text = json.dumps({"stage": stage, "version": version, "options": options.model_dump(mode="json"),
                           "inputs": keys, "libraries": versions}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def join(first: str, second: str, mark: str = "-") -> str:
    """Both with a mark between; one alone where the other is empty."""
    return f"{first}{mark}{second}" if first and second else first or second


@cache
def installed_version(distribution: str) -> str:
    """The installed version of a distribution, or "absent"."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "absent"


def report_versions() -> dict[str, str]:
    """Versions that a report names: litesmith, Python's own packages of the pinned set, the engines."""
    names = ("litesmith", "tensorflow", "tf-keras", "tensorflow-model-optimization", "litert-quantizer",
             "keras", "ai-edge-litert", "tflite-runtime", "tflite-micro", "numpy", "scikit-learn")
    return {name: installed_version(name) for name in names}
