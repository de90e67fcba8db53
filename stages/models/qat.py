"""Quantization-aware models: made from a float model by TFMOT's 8-bit scheme, kept in files, and read back.

A quantization-aware `.keras` file cannot be loaded (TFMOT's quantize layer saves three variables and expects five).
So the artifact is the float structure as `model.keras` and the wrapped model's variables as `qat_weights.npz`; loading
applies the scheme again and sets the variables. The pruning- and cluster-preserving schemes train with variables of
their own (masks, centroids); what they leave in the kernels is moved into the plain scheme's model first, so an
artifact looks the same whichever scheme trained it.
"""

from __future__ import annotations

import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import ModelError
from stages.models import coverage
from stages.models.files import MODEL_FILE, load_model, save_model

WEIGHTS_FILE = "qat_weights.npz"
METHODS = ("qat", "pqat", "cqat", "pcqat")
_PRESERVED_KERNELS = ("Conv2D", "Dense")
_INSTEAD = "use a post-training format such as int8"
_REFUSAL = re.compile(r"Layer (\S+?):<class .* is not supported")
_RANGE_NAMES = tuple(f"{place}_{end}" for place in ("pre_activation", "post_activation", "output")
                     for end in ("min", "max"))
_RANGE_STEP = 1 - 0.999  # of TFMOT's MovingAverageQuantizer
_RANGE_PASSES = 3


def quantize_aware(model: Any, method: str = "qat", may_stay_float: bool = True) -> tuple[Any, dict[str, str]]:
    """A model that emulates 8-bit arithmetic.

    What `coverage` says that TFMOT does not know stays in float, or is refused in one message. Where TFMOT refuses a
    layer all the same, that layer stays in float, and TFMOT is asked again.

    Args:
        model: a float `tf_keras.Model`, best one from `folding.fold`; it is not changed.
        method: one of `METHODS`; all but "qat" keep zeros or shared values of the kernels while training.
        may_stay_float: whether layers that TFMOT does not know may stay in float.

    Returns:
        A `tf_keras.Model` that starts from the float model's weights, and the layers left in float with the reason.

    Raises:
        ModelError: TFMOT cannot take the model, or a layer that may not stay in float.
    """
    _check_flat(model)
    floats = coverage.not_covered(model, _scheme(method).get_quantize_registry())
    if floats and not may_stay_float:
        raise _refusal(model, floats)
    for name in list(floats):
        floats |= _readers_in_float(model, name, floats)
    while True:
        try:
            return _apply(model, method, floats), floats
        except (RuntimeError, ValueError, TypeError, AttributeError) as error:
            name, reason = _refused(model, method, str(error))
            if not name or name in floats:
                raise _whole_model_refused(model, reason) from error
            if not may_stay_float:
                raise _refusal(model, {name: reason}) from error
            floats |= {name: reason}
            floats |= _readers_in_float(model, name, floats)


def _check_flat(model: Any) -> None:
    """Refuse a model that holds a model."""
    nested = [layer.name for layer in model.layers if hasattr(layer, "layers")]
    if nested:
        raise ModelError(f"the layer '{nested[0]}' is a model of its own: TFMOT cannot quantize nested models",
                         "one flat model", _INSTEAD)


def _whole_model_refused(model: Any, reason: str) -> ModelError:
    """The error where TFMOT stumbles and no layer can be left in float to mend it."""
    functions = coverage.functions_in(model)
    found = f"this model cannot be trained with quantization: {reason}"
    if not functions:
        return ModelError(found, "", _INSTEAD)
    shown = coverage.listed(model, dict.fromkeys(functions, "TFMOT cannot copy some functions in the graph"))
    return ModelError(f"{found}; it has {shown}", "layers (Add, Multiply, Rescaling, ReLU, ...) instead of functions",
                      _INSTEAD)


def _refusal(model: Any, reasons: dict[str, str]) -> ModelError:
    """One error that names all layers and what to do instead."""
    what = "the layer" if len(reasons) == 1 else f"{len(reasons)} layers:"
    return ModelError(f"{what} {coverage.listed(model, reasons)} cannot be trained with quantization",
                      "layers that TFMOT knows", f"{_INSTEAD}, or set quantize.unsupported_layers to float")


def _readers_in_float(model: Any, name: str, floats: dict[str, str]) -> dict[str, str]:
    """Layers that must stay in float because they read one whose activation TFMOT does not know.

    TFMOT quantizes the output of a float layer where a quantized one reads it, and stumbles over the activation there.
    It leaves alone the output of a layer that it does not know at all.
    """
    if "activation" not in floats[name]:
        return {}
    readers = {node.outbound_layer.name for node in model.get_layer(name).outbound_nodes}
    return dict.fromkeys(sorted(readers - set(floats)), f"reads '{name}', whose output TFMOT cannot quantize")


def _apply(model: Any, method: str, floats: Iterable[str]) -> Any:
    """TFMOT's scheme on a copy of the model, all layers but `floats`."""
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    api = tfmot.quantization.keras

    def annotate(layer: Any) -> Any:
        """A copy of the layer, marked for quantization unless it stays in float."""
        copy = layer.__class__.from_config(layer.get_config())
        if layer.name in floats or isinstance(layer, keras.layers.InputLayer):
            return copy
        return api.quantize_annotate_layer(copy, coverage.range_only_config(copy))

    annotated = keras.models.clone_model(model, clone_function=annotate)
    annotated.set_weights(model.get_weights())
    with _values_shared_per_layer(), _output_config_known():
        return api.quantize_apply(annotated, _scheme(method))


def _output_config_known() -> Any:
    """A scope in which Keras finds the class of the layers that get a range alone when TFMOT copies them."""
    import tensorflow_model_optimization as tfmot
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_configs as configs,
    )

    return tfmot.quantization.keras.quantize_scope(
        {"Default8BitOutputQuantizeConfig": configs.Default8BitOutputQuantizeConfig})


@contextmanager
def _values_shared_per_layer() -> Iterator[None]:
    """Have cluster-preserving training take a kernel's shared values for shared over the whole kernel, as they are.

    TFMOT 0.8.1 guesses (`cluster_preserve_quantize_registry.get_centroids`): where every output channel of a kernel
    happens to hold nearly the same number of distinct values, it takes the kernel for clustered per channel and trains
    each channel's values apart. A kernel of 16 values and 32 channels then ends with up to 512.
    """
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (
        cluster_preserve_quantize_registry as registry,
    )

    def whole_kernel(_layer: Any, weight: Any, _data_format: Any) -> tuple[Any, Any, Any, bool]:
        """(values, how many, index of each weight's value, not per channel)."""
        centroids, index = registry.get_unique(weight)
        return centroids, tf.size(centroids), index, False

    guess = registry.get_centroids
    registry.get_centroids = whole_kernel
    try:
        yield
    finally:
        registry.get_centroids = guess


def _refused(model: Any, method: str, message: str) -> tuple[str, str]:
    """(layer, reason) behind TFMOT's refusal; no layer where none is refused on its own."""
    import tf_keras as keras

    kinds = {layer.name: type(layer).__name__ for layer in model.layers}
    named = _REFUSAL.match(message)
    if named and named[1] in kinds:
        return named[1], f"{kinds[named[1]]} is not in TFMOT's 8-bit scheme here"
    if coverage.functions_in(model):  # no layer alone shows what TFMOT makes of these
        return "", message.split("\n", 1)[0].rstrip(".")
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer) or not isinstance(layer.input_shape, tuple):
            continue
        inputs = keras.layers.Input(layer.input_shape[1:])
        alone = keras.Model(inputs, layer.__class__.from_config(layer.get_config())(inputs))
        try:
            _apply(alone, method, ())
        except (RuntimeError, ValueError, TypeError) as error:
            if not _REFUSAL.match(str(error)):
                return layer.name, str(error).split("\n", 1)[0].rstrip(".")
    return "", message.split("\n", 1)[0].rstrip(".")


def _scheme(method: str) -> Any:
    """TFMOT's scheme for a method."""
    import tensorflow_model_optimization as tfmot

    collaborative = tfmot.experimental.combine
    if method == "pqat":
        return collaborative.Default8BitPrunePreserveQuantizeScheme()
    if method in ("cqat", "pcqat"):
        return collaborative.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=method == "pcqat")
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_scheme as plain,
    )

    return plain.Default8BitQuantizeScheme()


def set_activation_ranges(model: Any, x: NDArray[np.float32]) -> None:
    """Start the ranges of the activations from data.

    TFMOT starts every range at -6..6 and lets it follow the batches as `range = 0.999 range + 0.001 batch_range`: after
    the few hundred steps of a fine-tuning on small data it is still mostly -6..6. One pass in training mode moves each
    range by a thousandth of the way, so the batch's own range is `before + (after - before) / 0.001`. Ranges of later
    layers depend on those of earlier ones, hence a few passes. All other variables are put back.

    Args:
        model: from `quantize_aware`, before training.
        x: (samples, *input_shape) float32, normalized.
    """
    ranges = [variable for layer in model.layers for (name, _), variable in _variables(layer).items()
              if name.endswith(_RANGE_NAMES)]
    moving = {variable.ref() for variable in ranges}
    others = [(variable, variable.numpy()) for variable in model.variables if variable.ref() not in moving]
    for _ in range(_RANGE_PASSES):
        before = [variable.numpy() for variable in ranges]
        model(x, training=True)
        for variable, old in zip(ranges, before, strict=True):
            variable.assign(old + (variable.numpy() - old) / _RANGE_STEP)
        for variable, old in others:
            variable.assign(old)


def as_plain(trained: Any, model: Any, method: str) -> Any:
    """The same quantized function in the plain scheme's model.

    Args:
        trained: a model from `quantize_aware(model, method)`, trained.
        model: the float model that it was made from.
        method: what `trained` was made with.

    Returns:
        A model from `quantize_aware(model)`, with the trained variables; kernels hold their zeros and shared values.
    """
    plain, _ = quantize_aware(model)
    for source, target in zip(trained.layers, plain.layers, strict=True):
        values = _variables(source)
        if method == "pqat" and hasattr(source, "quantize_config"):
            values |= _masked_kernels(source)
        for key, variable in _variables(target).items():
            variable.assign(values[key])
    return plain


def _variables(layer: Any) -> dict[tuple[str, int], Any]:
    """A layer's variables by (short name, how many of that name came before).

    TFMOT's input quantizer puts its own name, which Keras numbers, into its variables' names; it is cut off.
    """
    seen: dict[str, int] = defaultdict(int)
    found = {}
    for variable in layer.weights:
        short = _short_name(variable).removeprefix(f"{layer.name}_")
        found[short, seen[short]] = variable
        seen[short] += 1
    return found


def _short_name(variable: Any) -> str:
    """`kernel` of `conv1/kernel:0`."""
    return str(variable.name.split("/")[-1].split(":")[0])


def _masked_kernels(wrapper: Any) -> dict[tuple[str, int], Any]:
    """Kernels times the sparsity mask that the pruning-preserving quantizer applies on every call."""
    return {(_short_name(variable), 0): variable * extra["sparsity_mask"]
            for variable, _, extra in wrapper._weight_vars if "sparsity_mask" in extra}


def kernels(model: Any) -> dict[str, NDArray[np.float32]]:
    """Kernels whose zeros and shared values TFMOT preserves, by the float layer's name."""
    return {name: variable.numpy() for name, variable in kernel_variables(model).items()}


def kernel_variables(model: Any) -> dict[str, Any]:
    """The variables of these kernels."""
    return _kernels(model, _PRESERVED_KERNELS, "kernel")


def set_kernel_ranges(model: Any) -> None:
    """Have the ranges of these kernels end at their largest weights.

    In training a range is that of the kernel before the last step, and the largest weight would not be 127 in int8.
    """
    for name, kernel in kernels(model).items():
        for end, sign in (("min", -1), ("max", 1)):
            variable = _kernels(model, _PRESERVED_KERNELS, f"kernel_{end}")[name]
            axes = tuple(range(kernel.ndim - 1)) if variable.shape.rank else None
            variable.assign(sign * np.abs(kernel).max(axis=axes))


def depthwise_kernels(model: Any) -> dict[str, Any]:
    """Variables of the depthwise kernels, by the float layer's name: their zeros TFMOT does not preserve."""
    return _kernels(model, ("DepthwiseConv2D",), "depthwise_kernel")


def _kernels(model: Any, kinds: tuple[str, ...], short: str) -> dict[str, Any]:
    """Variables of one short name of the wrapped layers of some classes, by the float layer's name."""
    found = {}
    for wrapper in model.layers:
        layer = getattr(wrapper, "layer", None)
        if layer is not None and type(layer).__name__ in kinds:
            found[layer.name] = next(value for (name, _), value in _variables(wrapper).items() if name == short)
    return found


def save_qat(plain: Any, source: Any, folder: Path) -> None:
    """Write `model.keras` (the float structure) and `qat_weights.npz`, with fixed bytes.

    Args:
        plain: a model in the plain scheme.
        source: the float model that it was made from.
        folder: where to write.
    """
    save_model(source, folder)
    arrays = {f"{i:04}": value for i, value in enumerate(plain.get_weights())}
    np.savez(folder / WEIGHTS_FILE, **arrays)  # numpy writes fixed dates (1980-01-01) into its zips


def load_qat(folder: Path) -> Any:
    """Read a quantization-aware model back.

    Args:
        folder: a quantize artifact with `model.keras` and `qat_weights.npz`.

    Raises:
        ModelError: a file is missing or damaged, or the two do not belong together.
    """
    plain, _ = quantize_aware(load_model(folder))
    path = folder / WEIGHTS_FILE
    try:
        with np.load(path, allow_pickle=False) as archive:
            plain.set_weights([archive[name] for name in sorted(archive.files)])
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} cannot be read: {error}", f"the variables of the model beside it in {MODEL_FILE}",
                         "litesmith quantize") from error
    return plain
