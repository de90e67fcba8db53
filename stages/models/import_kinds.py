"""How a model of each kind is loaded and rewritten; runs in the import worker alone, where a file may do its worst."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import ModelError
from device_profiles.tflite import Model as Tflite
from device_profiles.tflite import Tensor, read_tflite
from stages.imports import find_source, load_function
from stages.models.importing import PROOF_SAMPLES, Imported, ImportProof, ImportSettings
from stages.models.origin import Origin
from stages.models.untrusted import refuse, scan, scan_hdf5_head

TFLITE_FILE = "model.tflite"
_KERAS_ONLY = ("this is no Keras model: training, pruning, clustering and quantization-aware formats need one; "
               "post-training formats work")
_QUANTIZED = ("int8", "uint8", "int16", "int4", "uint4", "int2", "float16", "bfloat16")
Array = NDArray[Any]


@dataclass(frozen=True)
class Work:
    """What the worker was asked to do; `samples` by input name, "" for the only input."""

    origin: Origin
    settings: ImportSettings
    out: Path
    samples: dict[str, Array] | None = None
    input_shape: tuple[int, ...] = ()
    classes: int | None = None

    @property
    def path(self) -> Path:
        """The file.

        Raises:
            ModelError: the origin is none.
        """
        if self.origin.path is None:
            raise ModelError(f"{self.origin.text} is no file")
        return self.origin.path


def take_in(work: Work) -> Imported:
    """Look into the file, then load it and write the artifact.

    Raises:
        ModelError: it was refused, or is not what it should be.
    """
    findings = scan(work.origin, work.settings.custom_objects, work.settings.limits)
    if findings and not work.settings.trust:
        raise refuse(work.origin, findings)
    imported = _TAKERS[work.origin.kind](work)
    return imported.model_copy(update={"findings": findings})


# -- Keras ---------------------------------------------------------------------------------------------------------


def _take_keras3(work: Work, library: str = "") -> Imported:
    """A file that Keras 3 wrote, bridged to Keras 2."""
    custom_objects = _custom_objects(work)
    import keras

    keras.utils.set_random_seed(work.settings.seed)
    model = keras.saving.load_model(str(work.path), custom_objects=custom_objects, compile=False,
                                    safe_mode=not work.settings.trust)
    return _bridged(work, model, library or f"Keras {work.origin.version}")


def _take_keras2(work: Work, library: str = "") -> Imported:
    """A file that Keras 2 wrote, saved again with fixed bytes."""
    from stages.models.framework import prepare_tensorflow

    custom_objects = _custom_objects(work)
    keras = prepare_tensorflow(work.settings.seed)
    options = {} if work.origin.kind == "h5" else {"safe_mode": not work.settings.trust}
    model = keras.models.load_model(str(work.path), custom_objects=custom_objects, compile=False, **options)
    return _saved(work, model, library or f"Keras {work.origin.version}")


def _take_h5(work: Work) -> Imported:
    """An HDF5 file of either Keras, told apart by the version in it."""
    head = scan_hdf5_head(work.path)
    if not head.has_model:
        raise ModelError(f"{work.origin.text} holds weights alone, no description of the layers",
                         "a file that model.save wrote", "build the model, load the weights and save it whole: "
                         "model.load_weights(...); model.save('model.keras')")
    take = _take_keras3 if head.version.startswith("3.") else _take_keras2
    return take(work, f"Keras {head.version}" if head.version else "")


def _take_function(work: Work) -> Imported:
    """What a user's builder returns."""
    from stages.models.framework import prepare_tensorflow

    find_source(work.origin.text.partition(":")[0])  # before TensorFlow's seconds
    if not work.input_shape or work.classes is None:
        raise ModelError(f"{work.origin.text} is a builder: it needs the shape of a sample and the number of classes")
    keras2 = prepare_tensorflow(work.settings.seed)
    build = load_function(work.origin.text)
    import keras as keras3

    keras3.utils.set_random_seed(work.settings.seed)
    model = build(work.input_shape, work.classes)
    if isinstance(model, keras2.Model):
        return _saved(work, model, "")
    if isinstance(model, keras3.Model):
        return _bridged(work, model, "")
    raise ModelError(f"{work.origin.text} returned a {type(model).__module__}.{type(model).__name__}",
                     "a Keras model, of keras or of tf_keras", "return the model itself")


def _custom_objects(work: Work) -> dict[str, Any]:
    """The classes and functions of the allow-list, by the name that the file calls them."""
    objects = {}
    for reference in work.settings.custom_objects:
        found = load_function(reference)
        objects[getattr(found, "__name__", reference.rpartition(":")[2])] = found
    return objects


def _bridged(work: Work, model: Any, library: str) -> Imported:
    """A Keras 3 model as the same Keras 2 model, with the proof that it is the same."""
    from stages.models.bridge import bridge, prove

    bridged = bridge(model, trust=work.settings.trust)
    samples, on = _samples(work, {each.name: (each.shape, each.dtype) for each in model.inputs})
    given: Any = samples if len(samples) > 1 else next(iter(samples.values()))
    proof = prove(model, bridged.model, given)
    imported = _saved(work, bridged.model, library)
    return imported.model_copy(update={
        "changed": dict(bridged.changed),
        "proof": ImportProof(largest_difference=float(proof.largest_difference), scale=float(proof.scale),
                             samples=int(proof.samples), on=on)})


def _saved(work: Work, model: Any, library: str) -> Imported:
    """Write `model.keras` and say what is in it."""
    from stages.models.files import MODEL_FILE, save_model

    if not getattr(model, "inputs", None) or not getattr(model, "_is_graph_network", False):
        raise ModelError(f"{work.origin.text} is a subclassed model ({type(model).__name__}), or has no input shape",
                         "a functional or Sequential model with an Input layer",
                         "rebuild it with keras.Model(inputs, outputs)")
    _refuse_lambdas(work, model)
    save_model(model, work.out)
    return Imported(kind=work.origin.kind, artifact=MODEL_FILE, parameters=int(model.count_params()),
                    layers=len(list(_layers(model))), library=library,
                    inputs=_named_shapes(model.input_names, model.inputs),
                    outputs=_named_shapes(model.output_names, model.outputs))


def _refuse_lambdas(work: Work, model: Any) -> None:
    """Python code in a Lambda layer travels with the model, and is read again by every stage: only where it is trusted.

    Raises:
        ModelError: there is such a layer.
    """
    names = [layer.name for layer in _layers(model) if type(layer).__name__ == "Lambda"]
    if names and not work.settings.trust:
        raise ModelError(f"{work.origin.text} has a Lambda layer, whose Python code every stage would run: "
                         f"{', '.join(names)}", "layers of Keras, or code that is trusted",
                         "write it as layers, or add --trust-model (model.trust: true)")


def _named_shapes(names: Iterable[str], tensors: Iterable[Any]) -> dict[str, tuple[int | None, ...]]:
    """Shape by name, None for an open axis."""
    return {name: tuple(tensor.shape) for name, tensor in zip(names, tensors, strict=True)}


def _layers(model: Any) -> Iterable[Any]:
    """Every layer, those of nested models instead of the models."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _layers(layer)
        else:
            yield layer


# -- samples for the proof ------------------------------------------------------------------------------------------


def _samples(work: Work, inputs: dict[str, tuple[Any, Any]]) -> tuple[dict[str, Array], str]:
    """Samples by input, and what they are.

    Args:
        work: with the real samples, if there are any.
        inputs: (shape with None for open axes, dtype) by input name.

    Returns:
        (samples, *shape) by input name; "32 real samples" or "32 random samples".
    """
    if work.samples:
        given = work.samples
        if set(given) == {""} and len(inputs) == 1:
            given = {next(iter(inputs)): given[""]}
        if set(given) != set(inputs):
            raise ModelError(f"{work.origin.text} has the inputs {', '.join(inputs)}; the samples are for "
                             f"{', '.join(name or 'one input' for name in given)}")
        for name, (shape, _) in inputs.items():
            _check_shape(work, name, tuple(shape), given[name].shape)
        count = len(next(iter(given.values())))
        return {name: given[name].astype(_dtype(kind)) for name, (_, kind) in inputs.items()}, f"{count} real samples"
    rng = np.random.default_rng(work.settings.seed)
    return ({name: _random(rng, tuple(shape), _dtype(kind)) for name, (shape, kind) in inputs.items()},
            f"{PROOF_SAMPLES} random samples")


def _check_shape(work: Work, name: str, wanted: tuple[int | None, ...], found: tuple[int, ...]) -> None:
    """Refuse samples that the input cannot take; the batch axis is free."""
    fits = len(found) == len(wanted) and all(size in (None, -1, is_) for size, is_ in
                                             zip(wanted[1:], found[1:], strict=True))
    if not fits:
        raise ModelError(f"{work.origin.text} takes inputs of the shape {wanted} at '{name}'; the samples have the "
                         f"shape {found[1:]}", f"samples of the shape {wanted[1:]}", "choose data that fits the model")


def _dtype(kind: Any) -> Any:
    """The numpy type of a framework's type."""
    return np.dtype(getattr(kind, "as_numpy_dtype", kind))


def _random(rng: np.random.Generator, shape: tuple[int | None, ...], kind: Any) -> Array:
    """Random inputs: 0..1 for floats, 0 or 1 for integers (an index that every embedding has); open axes get size 8."""
    sizes = (PROOF_SAMPLES, *(size if size and size > 0 else 8 for size in shape[1:]))
    if np.issubdtype(kind, np.floating):
        return rng.random(sizes).astype(kind)
    return rng.integers(0, 2, sizes).astype(kind)


# -- SavedModel and tflite ------------------------------------------------------------------------------------------


def _take_saved_model(work: Work) -> Imported:
    """A SavedModel's serving signature as a float32 tflite model, proved on samples."""
    from stages.models import import_saved_model

    made = import_saved_model.convert(work.path, work.origin.text, lambda inputs: _samples(work, inputs))
    (work.out / TFLITE_FILE).write_bytes(made.tflite)
    graph = read_tflite(made.tflite).graphs[0]
    return Imported(kind=work.origin.kind, artifact=TFLITE_FILE, parameters=_float_elements(graph.tensors),
                    layers=len(graph.operators), inputs=made.inputs, outputs=made.outputs, proof=made.proof,
                    library=made.library, warnings=(_KERAS_ONLY,))


def _take_tflite(work: Work) -> Imported:
    """A finished float tflite model, byte for byte."""
    data = work.path.read_bytes()
    model = read_tflite(data)
    _refuse_quantized(work, model)
    graph = model.graphs[0]
    (work.out / TFLITE_FILE).write_bytes(data)
    warnings = [_KERAS_ONLY]
    if not model.signatures:
        warnings.append("the tflite model has no signature: post-training quantization needs one; convert it again "
                        "with a current TensorFlow")
    return Imported(kind=work.origin.kind, artifact=TFLITE_FILE, parameters=_float_elements(graph.tensors),
                    layers=len(graph.operators), inputs=_shapes(graph.tensors, graph.inputs),
                    outputs=_shapes(graph.tensors, graph.outputs), warnings=tuple(warnings))


def _refuse_quantized(work: Work, model: Tflite) -> None:
    """Refuse a tflite model whose weights or activations are no float32 any more."""
    for graph in model.graphs:
        for tensor in graph.tensors:
            is_half = tensor.dtype in ("float16", "bfloat16") and tensor.is_constant
            if (tensor.scales and tensor.dtype in _QUANTIZED) or is_half:
                raise ModelError(f"{work.origin.text} is quantized already: tensor '{tensor.name}' is {tensor.dtype}",
                                 "a float32 tflite model", "convert the model again without optimizations; what "
                                 "quantization dropped cannot be brought back")


def _float_elements(tensors: Iterable[Tensor]) -> int:
    """Elements of the float constants."""
    return sum(tensor.elements for tensor in tensors if tensor.is_constant and tensor.dtype.startswith("float"))


def _shapes(tensors: tuple[Tensor, ...], indexes: tuple[int, ...]) -> dict[str, tuple[int | None, ...]]:
    """Shape by tensor name, None for an open axis."""
    return {tensors[index].name: tuple(None if size < 0 else size for size in tensors[index].shape_signature)
            for index in indexes}


_TAKERS: dict[str, Callable[[Work], Imported]] = {
    "keras3": _take_keras3, "keras2": _take_keras2, "h5": _take_h5, "saved_model": _take_saved_model,
    "tflite": _take_tflite, "function": _take_function,
}
