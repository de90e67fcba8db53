"""The calls of one variant: from the float model through each token of its name to the tflite model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device_profiles.records import Record
from pipeline.calls import Calls, join
from stages.variants import Variant

if TYPE_CHECKING:
    from pipeline.config import VariantEntry


class VariantPaths:
    """Adds the calls of variants; what two of them share is one call.

    Args:
        calls: to add to.
        data: label of the call that prepares the data.
        float_model: label of the call that makes the float model.

    Attributes:
        trainings: by name for people, labels of the calls that train.
    """

    def __init__(self, calls: Calls, data: str, float_model: str) -> None:
        self._calls, self._data, self._float_model = calls, data, float_model
        self.trainings: dict[str, str] = {}

    def tflite(self, entry: VariantEntry) -> str:
        """The calls of one variant, and the label of the last."""
        variant = entry.variant()
        model = self._compressed(variant, entry)
        if variant.is_qat:
            return self._trained_with_quantization(variant, entry, model)
        return self._quantized_afterwards(variant, entry, model)

    def float32(self) -> str:
        """The float model as a float32 tflite model."""
        from pipeline.config import VariantEntry

        return self._convert("float32", VariantEntry(name="float32"), {"source": self._float_model}, "float32")

    def _compressed(self, variant: Variant, entry: VariantEntry) -> str:
        """The Keras model of a variant before its number format: trained, pruned, clustered."""
        model, name = self._float_model, ""
        if variant.pruned is not None:
            name = variant.pruning
            model = self._train("prune", name, entry, model, sparsity=variant.pruned / 100)
        if variant.clustered is not None:
            name = join(name, f"clustered{variant.clustered}")
            model = self._train("prune", name, entry, model, clusters=variant.clustered,
                                preserve_sparsity=variant.pruned is not None)
        return model

    def _trained_with_quantization(self, variant: Variant, entry: VariantEntry, model: str) -> str:
        """Quantization-aware training, and its conversion."""
        sparsity = None if variant.pruned is None else variant.pruned / 100
        trained = self._train("quantize", variant.name, entry, model, format=variant.format, sparsity=sparsity,
                              clusters=variant.clustered)
        return self._convert(variant.name, entry, {"source": trained}, variant.format)

    def _quantized_afterwards(self, variant: Variant, entry: VariantEntry, model: str) -> str:
        """A post-training format, from Keras or from the float32 tflite model."""
        from stages import convert

        inputs = {"source": model}
        if convert.SOURCE[variant.format] == "tflite":
            name = join(self._calls[model].name, "float32")
            inputs["source"] = self._convert(name, entry, {"source": model}, "float32")
        if variant.format != "float32":
            inputs["recipe"] = self._calls.add("quantize", variant.format, self._settings("quantize", entry),
                                               {"data": self._data}, entry.name, format=variant.format)
        return self._convert(variant.name, entry, inputs, variant.format)

    def _train(self, stage: str, name: str, entry: VariantEntry, model: str, **filled: Any) -> str:
        """A call that trains a Keras model further; its label."""
        inputs = {"model": model, "data": self._data}
        label = self._calls.add(stage, name, self._settings(stage, entry), inputs, entry.name, **filled)
        self.trainings[self._calls[label].name] = label
        return label

    def _convert(self, name: str, entry: VariantEntry, inputs: dict[str, str], number_format: str) -> str:
        """A conversion; its label."""
        return self._calls.add("convert", name, self._settings("convert", entry), inputs, entry.name,
                               format=number_format)

    def _settings(self, stage: str, entry: VariantEntry) -> Record:
        """The run's settings of a stage, with the variant's own over them."""
        return entry.settings(stage, getattr(self._calls.config, stage))
