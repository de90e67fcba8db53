"""From a float32 tflite model to a post-training format, by litert-quantizer; loads no TensorFlow.

litert-quantizer 0.11 lets its ranges follow the samples as `range = 0.95 range + 0.05 sample_range`, which ends near
the mean of the samples' extremes and cuts off the rest (docs/formats.md has what that costs). Here the ranges are the
extremes over all samples, or what `ranges` makes of them. One thread: they must not depend on how many cores this host
has.

Where a `WeightRecipe` asks for it, the integers of the weights and the biases are our own (`reconstruction`); they take
the place of litert-quantizer's in the model that it has made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StageError, with_near_miss
from device_profiles.tflite import Graph, Tensor, read_tflite
from stages.converting.ranges import RangeMethod, Ranges, clip
from stages.converting.reconstruction import Fitted, Wish, fit_weights
from stages.converting.rewriting import with_signature
from stages.converting.weights import Editor, Layer, read_layers
from stages.datasets.prepared import ONLY_INPUT
from stages.engines.inputs import match
from stages.engines.signature import read_names
from stages.recipes import Rules, WeightRecipe

Array = NDArray[Any]

CALIBRATION_BATCH = 16  # all intermediate tensors of a batch are held at once
FAULTS = (ValueError, RuntimeError, KeyError, TypeError, NotImplementedError, IndexError, AttributeError)
"""What litert-quantizer raises on a model that it cannot take."""


class PostTraining:
    """A float32 tflite model that is to be quantized.

    Args:
        content: the float32 tflite model.
        rules: of the format; see `stages.recipes`.
        weights: how weights become integers; None leaves that to litert-quantizer, to the nearest.
        method: "extremes", or "mse" for ranges that round best; see `stages.converting.ranges`.

    Raises:
        StageError: the model is quantized already, or the weights' recipe names a layer that it does not have.
        TfliteError: it is no whole tflite model.
    """

    def __init__(self, content: bytes, rules: Rules, weights: WeightRecipe | None = None,
                 method: RangeMethod = "extremes") -> None:
        self._rules, self._method = rules, method
        self._content = with_signature(content)
        self._wish: Wish | None = None
        if weights is not None:
            layers = read_layers(self._content)
            self._wish = resolved(weights, layers)
            self._content = _with_biases(self._content, layers, self._wish)
        self._graph = read_tflite(self._content).graphs[0]
        self._names = read_names(self._content)
        _refuse_quantized(self._graph)

    @property
    def needs_calibration(self) -> bool:
        """Whether the rules ask for activation ranges."""
        from litert_quantizer import recipe_manager

        manager = recipe_manager.RecipeManager()
        manager.load_quantization_recipe(self._rules)
        return bool(manager.need_calibration())

    def calibrate(self, samples: Array) -> Ranges:
        """The range of every tensor over all samples.

        Args:
            samples: (samples, *shape) float32 as the model takes them, or structured with a field for each input.

        Raises:
            StageError: the samples do not fit the model.
        """
        *_, found = self.calibrations(samples, [len(samples)])
        return found

    def calibrations(self, samples: Array, sizes: list[int]) -> Iterator[Ranges]:
        """The ranges over the first samples: once for each of the ascending `sizes`."""
        from litert_quantizer import calibrator, recipe_manager

        manager = recipe_manager.RecipeManager()
        manager.load_quantization_recipe(self._rules)
        work = calibrator.Calibrator(self._content, num_threads=1, qsv_update_func=_widened)
        done = 0
        for size in sizes:
            for batch in self._batches(samples[done:size]):
                work.calibrate({self._names.signature: [batch]}, manager)
            done = size
            found = {tensor: dict(each) for tensor, each in work.get_model_qsvs().items()}
            yield found if self._method == "extremes" else clip(
                found, self._content, self._graph, self._batches(samples[:size]), size)

    def fit(self, samples: Array, *, alone: bool = False) -> dict[int, Fitted]:
        """Our own integers for the weights, by layer ordinal; empty where litert-quantizer's are to stay.

        Args:
            samples: as for `calibrate`; not looked at where the weights alone decide.
            alone: fit each layer as if all others stayed in float.
        """
        if self._wish is None:
            return {}
        return fit_weights(self._content, self._wish, lambda: self._batches(samples), alone=alone)

    def quantize(self, ranges: Ranges | None, fitted: Mapping[int, Fitted] | None = None) -> bytes:
        """The quantized tflite model.

        Args:
            ranges: of the activations, from `calibrate`; None for formats without.
            fitted: from `fit`.
        """
        from litert_quantizer import quantizer

        work = quantizer.Quantizer(bytearray(self._content))
        work.load_quantization_recipe(self._rules)
        done = work.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
        editor = Editor(bytes(done.quantized_model))  # which puts weights that lie behind the FlatBuffer into it
        for ordinal, each in (fitted or {}).items():
            editor.set_integers(ordinal, each.weights, each.bias)
        editor.fit_biases({layer.ordinal: bias for layer in read_layers(self._content) if (
            bias := fitted[layer.ordinal].bias if fitted and layer.ordinal in fitted else layer.bias) is not None})
        return editor.content()

    def _batches(self, samples: Array) -> Iterator[dict[str, Array]]:
        """Samples by the signature's input names, in the model's own batch where it has a fixed one."""
        parts = _by_name(samples)
        inputs = [self._graph.tensors[index] for index in self._graph.inputs]
        free = [_open_axes(each) for each in inputs]
        fields = match("the model in calibration", self._names.inputs, [each.shape[1:] for each in inputs],
                       {name: part.shape[1:] for name, part in parts.items()}, free)
        is_open = all(0 in axes for axes in free)
        for rows in _row_blocks(len(samples), CALIBRATION_BATCH if is_open else inputs[0].shape[0], fill=not is_open):
            yield {name: np.ascontiguousarray(parts[field][rows], each.dtype)
                   for name, field, each in zip(self._names.inputs, fields, inputs, strict=True)}


def resolved(recipe: WeightRecipe, layers: Sequence[Layer]) -> Wish:
    """What a recipe asks of a model's layers.

    Raises:
        StageError: it names a layer that is not there.
    """
    if recipe.layers is None:
        kept = {_found(name, layers).weight_tensor for name in recipe.keep}
        bits = {layer.ordinal: 8 if layer.weight_tensor in kept else recipe.bits for layer in layers}
    else:
        bits = {_found(name, layers).ordinal: number for name, number in recipe.layers.items()}
    one = frozenset(layer.ordinal for layer in layers if layer.operator == "FULLY_CONNECTED" and layer.ordinal in bits
                    and (bits[layer.ordinal] == 4 or recipe.connected_share_scale))
    return Wish(bits, recipe.algorithm, recipe.bias_correction, one)


def _found(name: str, layers: Sequence[Layer]) -> Layer:
    """A layer by "first", "last", its number and operator, its output's name, or a part of that between semicolons."""
    if name in ("first", "last") and layers:
        return layers[0 if name == "first" else -1]
    for layer in layers:
        if name in (layer.name, layer.label, layer.short, f"{layer.index}:{layer.operator}", *layer.name.split(";")):
            return layer
    known = [layer.short for layer in layers]
    words = ["first", "last", *(each.split(" ")[0] for each in known), *known, *(layer.name for layer in layers)]
    raise StageError(with_near_miss(f"quantize.int4_keep: the model has no layer '{name}'", name, words),
                     f"first, last, {', '.join(known)}", "litesmith inspect lists a tflite model's operators")


def _with_biases(content: bytes, layers: Sequence[Layer], wish: Wish) -> bytes:
    """The model with a bias of zeros in every layer that is to take up a shift and has none."""
    bare = [layer.ordinal for layer in layers if layer.bias is None and layer.ordinal in wish.bits]
    if not wish.bias_correction or not bare:
        return content
    editor = Editor(content)
    for ordinal in bare:
        editor.add_bias(ordinal)
    return editor.content()


def _by_name(samples: Array) -> dict[str, Array]:
    """Samples by the data's input names."""
    if samples.dtype.names is None:
        return {ONLY_INPUT: samples}
    return {name: samples[name] for name in samples.dtype.names}


def _open_axes(tensor: Tensor) -> list[int]:
    """The axes that the model leaves open; the batch is axis 0."""
    return [axis for axis, size in enumerate(tensor.shape_signature) if size == -1]


def _row_blocks(count: int, size: int, *, fill: bool) -> Iterator[NDArray[np.int64]]:
    """Row numbers in blocks; with `fill` the last block is filled up with the last row."""
    for start in range(0, count, size):
        rows = np.arange(start, start + size)
        yield np.minimum(rows, count - 1) if fill else rows[rows < count]


def _widened(known: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The extremes of two ranges; what else litert-quantizer keeps stays as it was first."""
    wide = {**found, **known}
    for end, extreme in (("min", np.minimum), ("max", np.maximum)):
        if end in known and end in found:
            wide[end] = extreme(known[end], found[end])
    return wide


def _refuse_quantized(graph: Graph) -> None:
    """Refuse a model that has quantized tensors: there is no float model left to start from."""
    for tensor in graph.tensors:
        if (tensor.scales and tensor.dtype != "float32") or tensor.dtype == "float16":
            found = f"the tflite model is quantized already: its tensor '{tensor.name}' is {tensor.dtype}"
            raise StageError(found, "a float32 tflite model", "give the float32 model; this one can only be evaluated")
