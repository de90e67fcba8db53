"""The calls of one variant: from the float model through each token of its name to the tflite model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from device_profiles.errors import VariantError
from device_profiles.records import Record
from pipeline.calls import Calls, join
from stages.variants import Variant

if TYPE_CHECKING:
    from pipeline.config import VariantEntry
    from stages.distil import Settings as DistilSettings
    from stages.distillation import Distillation
    from stages.model import Settings as ModelSettings


@dataclass(frozen=True)
class _Step:
    """A Keras model on its way through a variant's tokens.

    Attributes:
        call: label of the call that makes it.
        name: the tokens so far.
        teacher: label of the call that makes its teacher's model, or an empty string.
        teaching: how it teaches.
    """

    call: str
    name: str = ""
    teacher: str = ""
    teaching: Distillation | None = None


class VariantPaths:
    """Adds the calls of variants; what two of them share is one call.

    Args:
        calls: to add to.
        data: label of the call that prepares the data.
        model: label of the call that builds the run's own model or takes it in.
        float_model: label of the call that makes the float model.

    Attributes:
        trainings: by name for people, labels of the calls that train.
        sensitivities, choices: by `mixed` variant, labels of the calls that measured its layers and that chose their
            formats.
    """

    def __init__(self, calls: Calls, data: str, model: str, float_model: str) -> None:
        self._calls, self._data, self._model, self._float_model = calls, data, model, float_model
        self.trainings: dict[str, str] = {}
        self.sensitivities: dict[str, str] = {}
        self.choices: dict[str, str] = {}

    def tflite(self, entry: VariantEntry) -> str:
        """The calls of one variant, and the label of the last.

        Raises:
            VariantError: a name that means nothing for this model.
        """
        variant = entry.variant()
        step = self._compressed(variant, entry)
        finish = self._trained_with_quantization if variant.is_qat else self._quantized_afterwards
        tflite = finish(variant, entry, step)
        if variant.packed:
            return self._calls.add("pack", variant.name, self._settings("pack", entry),
                                   {"tflite": tflite, "data": self._data}, entry.name)
        return tflite

    def float32(self) -> str:
        """The float model as a float32 tflite model."""
        from pipeline.config import VariantEntry

        return self._convert("float32", VariantEntry(name="float32"), {"source": self._float_model}, "float32")

    # -- a Keras model, before its number format -----------------------------------------------------------------------

    def _compressed(self, variant: Variant, entry: VariantEntry) -> _Step:
        """The Keras model: taught, slimmed, pruned, clustered."""
        step = self._taught(variant, entry) if variant.distilled else _Step(self._float_model)
        if variant.slim is not None:
            step = self._train("slim", f"slim{variant.slim}", entry, step, share=variant.slim / 100,
                               **self._device(entry))
        if variant.pruned is not None:
            step = self._train("prune", variant.pruning, entry, step, sparsity=variant.pruned / 100,
                               pattern=variant.pattern)
        if variant.clustered is not None:
            step = self._train("prune", f"clustered{variant.clustered}", entry, step, clusters=variant.clustered,
                               preserve_sparsity=variant.pruned is not None)
        return step

    def _device(self, entry: VariantEntry) -> dict[str, Any]:
        """The profile whose latency is slim's budget, and the host where that is measured; else nothing."""
        from device_profiles.loader import load_profile

        settings = entry.settings("slim", self._calls.config.slim)
        if settings.budget != "latency" or settings.profile is None:
            return {}
        return {"device": load_profile(settings.profile), "host": self._calls.around.host}

    def _taught(self, variant: Variant, entry: VariantEntry) -> _Step:
        """The model that a distilled variant starts from, with its teacher.

        Raises:
            VariantError: teacher and student are one trained model, and nothing else is trained.
        """
        settings = entry.settings("distil", self._calls.config.distil)
        teacher, teaching = self._teacher(settings, entry), settings.teaching()
        if settings.student is None and (variant.is_compressed or variant.is_qat):
            return _Step(self._float_model, "distilled", teacher, teaching)
        if settings.student is None and teacher == self._model:
            raise VariantError(f"variant '{variant.name}': the float model would teach itself, since it came trained",
                               "a teacher or a student in distil, or a variant in which more is trained",
                               f"set distil.teacher, or use distilled-pruned50-{variant.format}")
        student = self._taken_in("student", settings.student, entry) if settings.student else self._model
        return self._train("distil", "distilled", entry, _Step(student, "", teacher, teaching))

    def _teacher(self, settings: DistilSettings, entry: VariantEntry) -> str:
        """The call that makes the teacher's model: one that comes untrained is trained as the float model is."""
        if settings.teacher is None:
            return self._float_model
        taken = self._taken_in("teacher", settings.teacher, entry)
        if settings.teacher.comes_trained:
            return taken
        label = self._calls.add("train", "teacher", self._calls.config.train, {"model": taken, "data": self._data},
                                entry.name)
        self.trainings["teacher"] = label
        return label

    def _taken_in(self, role: str, settings: ModelSettings, entry: VariantEntry) -> str:
        """The call that builds a further model or takes it in."""
        from stages import model

        return self._calls.add("model", role, settings, {"data": self._data}, entry.name,
                               source_digest=model.source_digest(settings))

    def _train(self, stage: str, token: str, entry: VariantEntry, step: _Step, **filled: Any) -> _Step:
        """A Keras model trained further, with its teacher where it has one."""
        name = join(step.name, token)
        inputs = {"model": step.call, "data": self._data}
        if step.teacher:
            inputs["teacher"] = step.teacher
            filled["distil"] = step.teaching
        label = self._calls.add(stage, name, self._settings(stage, entry), inputs, entry.name, **filled)
        self.trainings[self._calls[label].name] = label
        return _Step(label, name, step.teacher, step.teaching)

    # -- a tflite model ------------------------------------------------------------------------------------------------

    def _trained_with_quantization(self, variant: Variant, entry: VariantEntry, step: _Step) -> str:
        """Quantization-aware training, and its conversion."""
        sparsity = None if variant.pruned is None else variant.pruned / 100
        trained = self._train("quantize", variant.format, entry, step, format=variant.format, sparsity=sparsity,
                              pattern=variant.pattern, clusters=variant.clustered)
        return self._convert(trained.name, entry, {"source": trained.call}, variant.format)

    def _quantized_afterwards(self, variant: Variant, entry: VariantEntry, step: _Step) -> str:
        """A post-training format, from Keras or from the float32 tflite model."""
        from stages import convert

        inputs = {"source": step.call}
        if convert.SOURCE[variant.format] == "tflite":
            inputs["source"] = self._convert(join(step.name, "float32"), entry, inputs, "float32")
        if variant.format == "mixed":
            inputs["recipe"] = self._mixed(entry, step, inputs["source"])
        elif variant.format != "float32":
            inputs["recipe"] = self._calls.add("quantize", variant.format, self._settings("quantize", entry),
                                               {"data": self._data}, entry.name, format=variant.format)
        return self._convert(join(step.name, variant.format), entry, inputs, variant.format)

    def _mixed(self, entry: VariantEntry, step: _Step, tflite: str) -> str:
        """How sensitive each layer of the float32 tflite model is, and the choice of formats that rests on it.

        Raises:
            UsageError: the profile that was named does not run the formats that were.
        """
        from device_profiles.loader import load_profile
        from stages.mixing.layout import candidates_of

        config, settings = self._calls.config, entry.settings("quantize", self._calls.config.quantize)
        device = load_profile(settings.mixed.profile) if settings.mixed.profile else None
        engine = config.sensitivity.engine
        sensitivity = self._calls.add(
            "sensitivity", step.name, config.sensitivity, {"tflite": tflite, "data": self._data}, entry.name,
            formats=candidates_of(settings.mixed.formats, device),
            engine_version=self._calls.engine_versions([engine])[engine])
        choice = self._calls.add(
            "quantize", join(step.name, "mixed"), settings,
            {"data": self._data, "tflite": tflite, "sensitivity": sensitivity}, entry.name,
            libraries=("ai-edge-litert", "scipy"), format="mixed", device=device)
        self.sensitivities[entry.name], self.choices[entry.name] = sensitivity, choice
        return choice

    def _convert(self, name: str, entry: VariantEntry, inputs: dict[str, str], number_format: str) -> str:
        """A conversion; its label."""
        return self._calls.add("convert", name, self._settings("convert", entry), dict(inputs), entry.name,
                               format=number_format)

    def _settings(self, stage: str, entry: VariantEntry) -> Record:
        """The run's settings of a stage, with the variant's own over them."""
        run: Record = getattr(self._calls.config, stage)
        return entry.settings(stage, run)
