"""From a config to the calls that carry it out; what two variants share is one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from device_profiles.errors import ModelError
from pipeline.calls import Calls, Inputs, Plan, Surroundings, join, report_versions
from pipeline.variant_paths import VariantPaths
from pipeline.version import VERSION
from stages.npu import compiled_name

if TYPE_CHECKING:
    from pipeline.config import RunConfig, VariantEntry


def build(config: RunConfig, around: Surroundings, without: Iterable[str] = ()) -> Plan:
    """Lay out the calls of a config.

    Args:
        config: what to make.
        around: see `Surroundings`.
        without: variants to leave out (those that failed): the calls over all variants then take the others; and
            labels of calls on devices that could not be reached.
    """
    lost = frozenset(without)
    return _Builder(config, around, lost).build([e for e in config.variants if e.name not in lost])


class _Builder:
    """Lays out the calls that all variants share, and those over all of them."""

    def __init__(self, config: RunConfig, around: Surroundings, lost: frozenset[str]) -> None:
        self.config, self.around, self.calls = config, around, Calls(config, around)
        self.lost = lost
        self.trainings: dict[str, str] = {}

    def build(self, entries: list[VariantEntry]) -> Plan:
        """The whole plan."""
        from stages import model, prepare
        from stages.check import asked_limits
        from stages.datasets import libraries
        from stages.safety import early, stress

        config, self.origin = self.config, self.config.model.origin()
        self.data = self.calls.add("prepare", "", config.data, {}, libraries=libraries(config.data),
                                   given_model=self.origin.is_file,
                                   source_digest=prepare.source_digest(config.data, self.around.cache))
        self.model = self.calls.add("model", "", config.model, {"data": self.data},
                                    source_digest=model.source_digest(config.model))
        self.examination = self.calls.add("examine", "", config.examine, {"data": self.data})
        self.float_model = self._float_model()
        self.profiles = config.loaded_profiles()
        asked = asked_limits(config.check, self.profiles)
        early.check_limits(asked, config.data.source)
        self._check_npus()
        self.baseline = self.calls.add("baseline", "", config.baseline,
                                       {"model": self.float_model, "data": self.data},
                                       asked=tuple(name for name in asked if name == stress.LIMIT))
        self.paths = VariantPaths(self.calls, self.data, self.model, self.float_model)
        self.study = self._study() if config.calibration_study else ""
        evaluations = {}
        for entry in self._possible(entries):
            tflite = self.paths.tflite(entry)
            self.calls.plan.variants[entry.name] = tflite
            evaluations[entry.name] = self.calls.add(
                "evaluate", entry.name, config.evaluate,
                {"tflite": tflite, "data": self.data, "baseline": self.baseline},
                variant=entry.name, engine_versions=self.calls.engine_versions(config.evaluate.engines), asked=asked)
        if evaluations:
            self._over_all(evaluations)
        return self.calls.plan

    def _float_model(self) -> str:
        """The call that makes the float model: the training, or the model itself where it came trained."""
        if self.config.model.comes_trained or not self.origin.is_keras:
            return self.model
        label = self.calls.add("train", "", self.config.train, {"model": self.model, "data": self.data})
        self.trainings["float"] = label
        return label

    def _study(self) -> str:
        """The calibration study, on the float32 tflite model; its label."""
        settings = self.config.calibrate
        return self.calls.add("calibrate", "", settings, {"tflite": self.paths.float32(), "data": self.data},
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
        left_out = {entry.name: f"it is trained, which needs a Keras model; {what}"
                    for entry in entries if entry not in kept}
        self.calls.plan.left_out = left_out
        if entries and not kept:
            raise ModelError(f"{what}, of which none of the variants can be made: {', '.join(left_out)}",
                             "float32, float16, dynamic, int8, int16x8, int4, mixed",
                             "give the .keras or .h5 file that it was made from")
        return kept

    def _check_npus(self) -> None:
        """Refuse an NPU that Vela does not know, before anything runs."""
        from stages.npu.configuration import check_names

        for profile in self.profiles:
            if profile.npu is not None:
                check_names(profile.npu, profile.name)

    def _compilations(self, tflites: Mapping[str, str]) -> dict[str, str]:
        """By `variant@profile`, the call that compiles a variant for the profile's NPU; empty where none has one."""
        return {compiled_name(variant, profile.name): self.calls.add(
                    "compile", compiled_name(variant, profile.name), self.config.compile, {"tflite": tflite},
                    npu=profile.npu)
                for profile in self.profiles if profile.npu is not None for variant, tflite in tflites.items()}

    def _device_benchmarks(self, inputs: Inputs) -> dict[str, str]:
        """By profile that names a target, the call that measures there with the profile's engine and threads.

        Profiles that `benchmark` itself measures have none, nor those with an NPU, whose compiled models no engine here
        runs.
        """
        settings, found = self.config.benchmark, {}
        for profile in self.profiles if settings.devices else ():
            engine, target, label = profile.engine.name, profile.target, join("benchmark", profile.name, ":")
            covered = (target, profile.threads) == (settings.target, settings.threads) and engine in settings.engines
            if target is not None and not covered and profile.npu is None and label not in self.lost:
                found[profile.name] = self.calls.add(
                    "benchmark", profile.name, settings.at(target, engine, profile.threads), inputs,
                    host=self.around.host, engine_versions=self.calls.engine_versions([engine]))
        return found

    def _over_all(self, evaluations: dict[str, str]) -> None:
        """The calls that take every variant: benchmark, check, report."""
        config, tflites = self.config, dict(self.calls.plan.variants)
        measured: Inputs = {"tflites": tflites, "data": self.data}
        here = config.benchmark.model_copy(update={"devices": True})  # no matter here: not part of the key
        benchmark = self.calls.add("benchmark", "", here, measured, host=self.around.host,
                                   engine_versions=self.calls.engine_versions(config.benchmark.engines))
        on_devices = self._device_benchmarks(measured)
        devices = {"devices": on_devices} if on_devices else {}
        compilations = self._compilations(tflites)
        compiled = {"compilations": compilations} if compilations else {}
        check = self.calls.add("check", "", config.check,
                               {"tflites": tflites, "evaluations": evaluations, "benchmark": benchmark, **devices,
                                **compiled}, profiles=self.profiles)
        self.calls.add(
            "report", "", config.report,
            {"data": self.data, "model": self.model, "examination": self.examination,
             **({"calibration": self.study} if self.study else {}),
             **({"sensitivities": self.paths.sensitivities, "choices": self.paths.choices}
                if self.paths.choices else {}),
             "trainings": {**self.trainings, **self.paths.trainings}, "tflites": tflites, "evaluations": evaluations,
             "baseline": self.baseline, "benchmark": benchmark, **devices, **compiled, "check": check},
            run=config.name, litesmith=VERSION, versions=report_versions(), config=config.as_yaml())
