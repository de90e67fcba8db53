"""Quantization-aware models: made from a float model by TFMOT's 8-bit scheme, kept in files, and read back.

A quantization-aware `.keras` file cannot be loaded (TFMOT's quantize layer saves three variables and expects five). So
the artifact is the float structure as `model.keras` and the wrapped model's variables as `qat_weights.npz`; loading
applies the scheme again and sets the variables. The pruning- and cluster-preserving schemes train with variables of their
own (masks, centroids); what they leave in the kernels is moved into the plain scheme's model first, so an artifact looks
the same whichever scheme trained it.
"""

from __future__ import annotations

import shutil
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import ModelError
from stages.models.files import MODEL_FILE, load_model

WEIGHTS_FILE = "qat_weights.npz"
METHODS = ("qat", "pqat", "cqat", "pcqat")
_PRESERVED_KERNELS = ("Conv2D", "Dense")


def unknown_layers(model: Any) -> dict[str, str]:
    """Layers that TFMOT's 8-bit scheme does not know, by name, with the reason.

    Args:
        model: a float `tf_keras.Model`.

    Raises:
        ModelError: a model inside the model, which TFMOT cannot take at all.
    """
    import tf_keras as keras
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_registry as registry,
    )

    known = registry.Default8BitQuantizeRegistry()
    unknown = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            raise ModelError(f"the layer '{layer.name}' is a model of its own: TFMOT cannot quantize nested models",
                             "one flat model", "use a post-training format such as int8")
        if not isinstance(layer, keras.layers.InputLayer) and not known.supports(layer):
            unknown[layer.name] = f"{type(layer).__name__} is not in TFMOT's 8-bit scheme"
    return unknown


def quantize_aware(model: Any, method: str = "qat") -> Any:
    """A model that emulates 8-bit arithmetic; layers that the scheme does not know stay in float.

    Args:
        model: a float `tf_keras.Model`; it is not changed.
        method: one of `METHODS`; all but "qat" keep zeros or shared values of the kernels while training.

    Returns:
        A `tf_keras.Model` that starts from the float model's weights.

    Raises:
        ModelError: TFMOT cannot take the model.
    """
    import tf_keras as keras
    import tensorflow_model_optimization as tfmot

    floats = unknown_layers(model)

    def annotate(layer: Any) -> Any:
        if layer.name in floats or isinstance(layer, keras.layers.InputLayer):
            return layer.__class__.from_config(layer.get_config())
        return tfmot.quantization.keras.quantize_annotate_layer(layer.__class__.from_config(layer.get_config()))

    annotated = keras.models.clone_model(model, clone_function=annotate)
    annotated.set_weights(model.get_weights())
    try:
        return tfmot.quantization.keras.quantize_apply(annotated, _scheme(method))
    except (ValueError, RuntimeError, TypeError) as error:
        raise ModelError(f"TFMOT cannot quantize this model: {str(error).splitlines()[0]}", "",
                         "use a post-training format such as int8") from error


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


def as_plain(trained: Any, model: Any, method: str) -> Any:
    """The same quantized function in the plain scheme's model.

    Args:
        trained: a model from `quantize_aware(model, method)`, trained.
        model: the float model that it was made from.
        method: what `trained` was made with.

    Returns:
        A model from `quantize_aware(model)`, with the trained variables; kernels hold their zeros and shared values.
    """
    plain = quantize_aware(model)
    for source, target in zip(trained.layers, plain.layers, strict=True):
        values = _variables(source)
        if method == "pqat" and hasattr(source, "quantize_config"):
            values |= _masked_kernels(source)
        for key, variable in _variables(target).items():
            variable.assign(values[key])
    return plain


def _variables(layer: Any) -> dict[tuple[str, int], Any]:
    """A layer's variables by (short name, how many of that name came before)."""
    seen: dict[str, int] = defaultdict(int)
    found = {}
    for variable in layer.weights:
        short = variable.name.split("/")[-1].split(":")[0]
        found[short, seen[short]] = variable
        seen[short] += 1
    return found


def _masked_kernels(wrapper: Any) -> dict[tuple[str, int], Any]:
    """Kernels times the sparsity mask that the pruning-preserving quantizer applies on every call."""
    return {(variable.name.split("/")[-1].split(":")[0], 0): variable * extra["sparsity_mask"]
            for variable, _, extra in wrapper._weight_vars if "sparsity_mask" in extra}  # noqa: SLF001


def kernels(model: Any) -> dict[str, NDArray[np.float32]]:
    """Kernels of a quantization-aware model whose zeros and shared values TFMOT preserves, by the float layer's name."""
    found = {}
    for wrapper in model.layers:
        layer = getattr(wrapper, "layer", None)
        if layer is not None and type(layer).__name__ in _PRESERVED_KERNELS:
            found[layer.name] = next(value.numpy() for (name, _), value in _variables(wrapper).items()
                                     if name == "kernel")
    return found


def save_qat(plain: Any, float_folder: Path, folder: Path) -> None:
    """Write `model.keras` (the float structure, copied) and `qat_weights.npz`, with fixed bytes.

    Args:
        plain: a model in the plain scheme.
        float_folder: the artifact of the float model that it was made from.
        folder: where to write.
    """
    shutil.copyfile(float_folder / MODEL_FILE, folder / MODEL_FILE)
    arrays = {f"{i:04}": value for i, value in enumerate(plain.get_weights())}
    np.savez(folder / WEIGHTS_FILE, **arrays)  # numpy writes fixed dates (1980-01-01) into its zips


def load_qat(folder: Path) -> Any:
    """Read a quantization-aware model back.

    Args:
        folder: a quantize artifact with `model.keras` and `qat_weights.npz`.

    Raises:
        ModelError: a file is missing or damaged, or the two do not belong together.
    """
    plain = quantize_aware(load_model(folder))
    path = folder / WEIGHTS_FILE
    try:
        with np.load(path, allow_pickle=False) as archive:
            plain.set_weights([archive[name] for name in sorted(archive.files)])
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} cannot be read: {error}", f"the variables of the model beside it in {MODEL_FILE}",
                         "litesmith quantize") from error
    return plain
