"""From a config to the calls that carry it out: a graph in which each call has a key, and shared prefixes are one call.

The key of a call is the hash of everything that its artifact depends on: stage and stage version, options, the keys of
its inputs, and the versions of the libraries that shape the output. It is known before anything runs.
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

from device_profiles.errors import ModelError
from device_profiles.records import Record
from pipeline.stage_order import STAGES
from pipeline.version import VERSION
from stages.variants import Variant

if TYPE_CHECKING:
    from pipeline.config import RunConfig, VariantEntry

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


def build(config: RunConfig, around: Surroundings, without: Iterable[str] = ()) -> Plan:
    """Lay out the calls of a config.

    Args:
        config: what to make.
        around: see `Surroundings`.
        without: variants to leave out (those that failed): the calls over all variants then take the others.
    """
    return _Builder(config, around).build([e for e in config.variants if e.name not in set(without)])


class _Builder:
    """Adds calls one by one; a call that is there already is not added twice."""

    def __init__(self, config: RunConfig, around: Surroundings) -> None:
        self.config, self.around, self.plan = config, around, Plan()
        self.trainings: dict[str, str] = {}

    def build(self, entries: list[VariantEntry]) -> Plan:
        """The whole plan."""
        from stages import model, prepare
        from stages.datasets import libraries

        config, self.origin = self.config, self.config.model.origin()
        self.data = self._add("prepare", "", config.data, {}, libraries=libraries(config.data),
                              given_model=self.origin.is_file,
                              source_digest=prepare.source_digest(config.data, self.around.cache))
        self.model = self._add("model", "", config.model, {"data": self.data},
                               source_digest=model.source_digest(config.model))
        self.examination = self._add("examine", "", config.examine, {"data": self.data})
        self.float_model = self._float_model()
        self.baseline = self._add("baseline", "", config.baseline, {"model": self.float_model, "data": self.data})
        self.study = self._study() if config.calibration_study else ""
        evaluations = {}
        for entry in self._possible(entries):
            tflite = self._tflite(entry)
            self.plan.variants[entry.name] = tflite
            evaluations[entry.name] = self._add(
                "evaluate", entry.name, config.evaluate,
                {"tflite": tflite, "data": self.data, "baseline": self.baseline},
                variant=entry.name, engine_versions=self._engines(config.evaluate.engines))
        if evaluations:
            self._over_all(evaluations)
        return self.plan

    def _float_model(self) -> str:
        """The call that makes the float model: the training, or the model itself where it came trained."""
        if self.config.model.comes_trained or not self.origin.is_keras:
            return self.model
        label = self._add("train", "", self.config.train, {"model": self.model, "data": self.data})
        self.trainings["float"] = label
        return label

    def _study(self) -> str:
        """The calibration study, on the float32 tflite model; its label."""
        from pipeline.config import VariantEntry

        settings = self.config.calibrate
        tflite = self._convert("float32", VariantEntry(name="float32"), {"source": self.float_model}, "float32")
        return self._add("calibrate", "", settings, {"tflite": tflite, "data": self.data},
                  engine_version=self.around.engine_versions.get(settings.engine))

    def _possible(self, entries: list[VariantEntry]) -> list[VariantEntry]:
        """The variants that can be made of the model; the others are noted.

        Raises:
            ModelError: none can.
        """
        if self.origin.is_keras:
            return entries
        kept = [entry for entry in entries if not entry.variant().is_trained]
        kind = "SavedModel" if self.origin.kind == "saved_model" else "finished tflite model"
        what = f"{self.origin.text} is a {kind}"
        self.plan.left_out = {entry.name: f"it is trained, which needs a Keras model; {what}"
                              for entry in entries if entry not in kept}
        if entries and not kept:
            raise ModelError(f"{what}, of which none of the variants can be made: {', '.join(self.plan.left_out)}",
                             "float32, float16, dynamic, int8, int16x8",
                             "give the .keras or .h5 file that it was made from")
        return kept

    def _over_all(self, evaluations: dict[str, str]) -> None:
        """The calls that take every variant: benchmark, check, report."""
        config, tflites = self.config, dict(self.plan.variants)
        benchmark = self._add("benchmark", "", config.benchmark, {"tflites": tflites, "data": self.data},
                              host=self.around.host, engine_versions=self._engines(config.benchmark.engines))
        check = self._add("check", "", config.check,
                          {"tflites": tflites, "evaluations": evaluations, "benchmark": benchmark},
                          profiles=config.loaded_profiles())
        self._add("report", "", config.report,
                  {"data": self.data, "model": self.model, "examination": self.examination,
                   **({"calibration": self.study} if self.study else {}),
                   "trainings": dict(self.trainings), "tflites": tflites,
                   "evaluations": evaluations, "baseline": self.baseline, "benchmark": benchmark, "check": check},
                  run=config.name, litesmith=VERSION, versions=report_versions(), config=config.as_yaml())

    def _tflite(self, entry: VariantEntry) -> str:
        """The calls of one variant, and the label of the last."""
        from stages import convert

        variant = entry.variant()
        model = self._compressed(variant, entry)
        base = self.plan.calls[model].name
        if variant.is_qat:
            model = self._add("quantize", variant.name, entry.settings("quantize", self.config.quantize),
                              {"model": model, "data": self.data}, entry.name, **_quantize_options(variant))
            self.trainings[variant.name] = model
            return self._convert(variant.name, entry, {"source": model}, variant.format)
        inputs = {"source": model}
        if convert.SOURCE[variant.format] == "tflite":
            inputs["source"] = self._convert(_join(base, "float32"), entry, {"source": model}, "float32")
        if variant.format != "float32":
            inputs["recipe"] = self._add("quantize", variant.format, entry.settings("quantize", self.config.quantize),
                                         {"data": self.data}, entry.name, **_quantize_options(variant, trained=False))
        return self._convert(variant.name, entry, inputs, variant.format)

    def _compressed(self, variant: Variant, entry: VariantEntry) -> str:
        """The Keras model of a variant before its number format: trained, pruned, clustered."""
        model, settings = self.float_model, entry.settings("prune", self.config.prune)
        name = ""
        if variant.pruned is not None:
            name = f"pruned{variant.pruned}"
            model = self._add("prune", name, settings, {"model": model, "data": self.data}, entry.name,
                              sparsity=variant.pruned / 100)
            self.trainings[self.plan.calls[model].name] = model
        if variant.clustered is not None:
            name = _join(name, f"clustered{variant.clustered}")
            model = self._add("prune", name, settings, {"model": model, "data": self.data}, entry.name,
                              clusters=variant.clustered, preserve_sparsity=variant.pruned is not None)
            self.trainings[self.plan.calls[model].name] = model
        return model

    def _convert(self, name: str, entry: VariantEntry, inputs: dict[str, str], number_format: str) -> str:
        return self._add("convert", name, entry.settings("convert", self.config.convert), inputs, entry.name,
                         format=number_format)

    def _engines(self, names: Iterable[str]) -> dict[str, str | None]:
        return {name: self.around.engine_versions.get(name) for name in names}

    def _add(self, stage: str, tail: str, settings: Record, inputs: Inputs, owner: str = "",
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
        label = _join(stage, tail, ":")
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


def _quantize_options(variant: Variant, trained: bool = True) -> dict[str, Any]:
    """What a variant's name says to the quantize stage."""
    if not trained:
        return {"format": variant.format}
    sparsity = None if variant.pruned is None else variant.pruned / 100
    return {"format": variant.format, "sparsity": sparsity, "clusters": variant.clustered}


def _join(first: str, second: str, mark: str = "-") -> str:
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
