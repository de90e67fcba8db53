"""What every rewriting needs at hand: names, the table of layers, and the notes on what was changed."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stages.models.bridge.graph import Step, unused
from stages.models.bridge.records import refusal

Twin = Callable[..., Any]
"""Called as the Keras 3 layer was, on `tf_keras` tensors: a `tf_keras` layer, or a function of several."""
MakeTwin = Callable[["Builder", Any, str], Twin]
RunOperation = Callable[["Builder", Step], Any]

_APPLICATIONS = "keras.src.applications"
_APPLICATION_FILES = {"LayerScale": "convnext", "StochasticDepth": "convnext",
                      "CustomScaleLayer": "inception_resnet_v2"}


@dataclass
class Builder:
    """A Keras 2 model in the making.

    Attributes:
        layers: how to make the twin of a layer, by class name.
        operations: how to carry out a `keras.ops` operation, by class name.
        trust: whether code that the model carries (Lambda layers) may be run.
        taken: names of layers so far, and of steps to come.
        reserved: names of steps that no layer has yet.
        twins: what was made, by the Keras 3 layer's `id`; a shared layer is made once.
        pairs: (Keras 3 layer, `tf_keras` layer) whose weights are to be copied.
        values: (`tf_keras` layer, arrays for its weights) where the weights are not copied one to one.
        changed: by layer name, what was written another way.
    """

    layers: Mapping[str, MakeTwin]
    operations: Mapping[str, RunOperation]
    trust: bool
    taken: set[str] = field(default_factory=set)
    reserved: set[str] = field(default_factory=set)
    twins: dict[int, Twin] = field(default_factory=dict)
    pairs: list[tuple[Any, Any]] = field(default_factory=list)
    values: list[tuple[Any, list[Any]]] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)

    @property
    def kl(self) -> Any:
        """`tf_keras.layers`."""
        import tf_keras

        return tf_keras.layers

    def note(self, name: str, words: str) -> None:
        """Record what was changed in a layer; a second note is put after the first."""
        before = self.changed.get(name, "")
        if words not in before:
            self.changed[name] = f"{before}; {words}" if before else words

    def fresh(self, name: str) -> str:
        """A name that no other layer has."""
        name = unused(name, self.taken)
        self.taken.add(name)
        return name

    def op(self, function: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """A TensorFlow function as a layer (`TFOpLambda`) with a name of its own, called.

        Args:
            function: public in TensorFlow, so that it can be saved by name.
            name: of the layer.
            args: the first must be a tensor: TFMOT cannot copy a graph where it is a constant.
            kwargs: the others, tensors or constants.
        """
        from tf_keras.src.layers.core import TFOpLambda

        return TFOpLambda(function, name=self.fresh(name))(*args, **kwargs)

    def op_as(self, function: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """As `op`, under a step's own name."""
        return self.op(function, self.rename(name), *args, **kwargs)

    def rename(self, name: str) -> str:
        """Free a step's own name for the layer that is made of it, once."""
        if name in self.reserved:
            self.reserved.remove(name)
            self.taken.discard(name)
        return name

    def add_layer_as(self, kind: str, name: str, **config: Any) -> Any:
        """As `add_layer`, under a step's own name."""
        return self.add_layer(kind, self.rename(name), **config)

    def add_layer(self, kind: str, name: str, **config: Any) -> Any:
        """A new `tf_keras` layer without weights to copy.

        Args:
            kind: class name in `tf_keras.layers`.
            name: made unique.
            config: the layer's arguments.
        """
        return getattr(self.kl, kind)(name=self.fresh(name), **config)

    def scaled(self, x: Any, name: str, scale: Any = 1.0, offset: Any = 0.0) -> Any:
        """`x * scale + offset` as a `Rescaling` layer: TFMOT copies layers, but not functions with a constant.

        Args:
            x: a float tensor.
            name: of the layer.
            scale: a number, or nested lists of numbers that broadcast to `x`.
            offset: the same.
        """
        return self.add_layer("Rescaling", name, scale=scale, offset=offset)(x)

    def twin(self, layer: Any, name: str) -> Twin:
        """The twin of a Keras 3 layer; made on the first request.

        Raises:
            ModelError: the layer has none.
        """
        import keras

        known = self.twins.get(id(layer))
        if known is not None:
            return known
        kind = type(layer).__name__
        built_in = any(known is type(layer) for known in vars(keras.layers).values())
        if kind not in self.layers or not (built_in or _is_of_applications(layer)):
            raise refusal(layer, name, "has no twin in Keras 2" if built_in
                          else "is a custom layer, whose code the bridge does not read")
        made = self.twins[id(layer)] = self.layers[kind](self, layer, name)
        return made

    def pure(self, layer: Any, name: str, input_shape: tuple[int | None, ...], dtype: str = "float32") -> Any:
        """The twin of a layer as a single `tf_keras` layer; what takes several is put into a model of its own.

        Args:
            layer: of Keras 3.
            name: its name.
            input_shape: of what it is given, batch axis included.
            dtype: the same.
        """
        import tf_keras

        twin = self.twin(layer, name)
        if isinstance(twin, tf_keras.layers.Layer):
            return twin
        x = tf_keras.Input(input_shape[1:], dtype=dtype)
        return tf_keras.Model(x, twin(x), name=self.fresh(f"{name}_parts"))

    def run(self, step: Step) -> Any:
        """Carry out a step on `tf_keras` tensors."""
        import keras

        kind = type(step.operation).__name__
        if isinstance(step.operation, keras.Layer):
            return self._run_layer(step)
        if kind not in self.operations or not type(step.operation).__module__.startswith("keras.src.ops."):
            raise refusal(step.operation, step.name, "is an operation without a twin in Keras 2")
        return self.operations[kind](self, step)

    def _run_layer(self, step: Step) -> Any:
        """Call the twin of a step's layer with what of the arguments it takes."""
        twin = self.twin(step.operation, step.name)
        kwargs = {key: value for key, value in step.kwargs.items() if value is not None and key != "training"}
        kwargs = {key: value for key, value in kwargs.items() if not _is_implicit_mask(key, step.args)}
        takes = inspect.signature(getattr(twin, "call", twin)).parameters
        training = step.training if step.training is not None else step.kwargs.get("training")
        if training:
            self.note(step.name, "called with training=True, which inference overrides in Keras 3: left out")
        elif training is False and "training" in takes:
            kwargs["training"] = False
        unknown = [key for key in kwargs if key not in takes]
        if unknown:
            raise refusal(step.operation, step.name, f"is called with '{unknown[0]}', which Keras 2 does not know")
        return twin(*step.args, **kwargs)

    def cast(self, value: Any, dtype: str, name: str) -> Any:
        """A tensor in another type."""
        import tensorflow as tf

        return self.op(tf.cast, name, value, dtype=narrow(dtype))


def _is_of_applications(layer: Any) -> bool:
    """Whether a layer is a class that `keras.applications` brings along, and not another of the same name."""
    kind = type(layer).__name__
    if kind not in _APPLICATION_FILES or type(layer).__module__ != f"{_APPLICATIONS}.{_APPLICATION_FILES[kind]}":
        return False
    return getattr(importlib.import_module(f"{_APPLICATIONS}.{_APPLICATION_FILES[kind]}"), kind, None) is type(layer)


def narrow(dtype: str) -> str:
    """The type that stands for a Keras 3 type in the Keras 2 model: every float is float32."""
    return "float32" if "float" in dtype else dtype


def _is_implicit_mask(key: str, args: tuple[Any, ...]) -> bool:
    """Whether an argument is a mask that Keras 2 finds on the tensors by itself."""
    import keras

    return key.endswith("mask") and any(getattr(value, "_keras_mask", None) is not None
                                        for value in keras.tree.flatten(args))
