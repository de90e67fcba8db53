"""Weight files as `keras.applications` ships them: HDF5, read as plain arrays and matched layer by layer.

The layout (of `save_weights` in Keras 2): the root's attribute `layer_names` lists the layers in the graph's order;
each has a group whose attribute `weight_names` lists its arrays. A file of a whole model holds the same under
`model_weights`. Only links inside the file are followed, and nothing in it is run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import ModelError

Arrays = list[NDArray[Any]]
_WITHIN = "arrays in the file itself"
_ALLOWED = "an HDF5 weight file as keras.applications ships it (.h5, with or without top)"


def read_weights(path: Path) -> dict[str, Arrays]:
    """The arrays of each layer that has any, in the file's order.

    Args:
        path: an HDF5 file.

    Raises:
        ModelError: the file is missing, damaged, of another layout, or points outside itself.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            if "layer_names" not in root.attrs:
                raise ModelError(f"{path} has no list of layers", _ALLOWED, "save it with model.save_weights(NAME.h5)")
            layers = {name: _arrays(root, name, path) for name in _texts(root.attrs["layer_names"])}
    except FileNotFoundError:
        raise ModelError(f"there is no weight file {path}", _ALLOWED, "give the path of a local file") from None
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise ModelError(f"{path} cannot be read: {error}", _ALLOWED) from error
    return {name: arrays for name, arrays in layers.items() if arrays}


def assign_weights(model: Any, weights: dict[str, Arrays], path: Path, name: str) -> None:
    """Set the variables of every layer from the file's, matched by name, or by order where names were numbered anew.

    A file with top holds more layers than a model without: those at its end are left over.

    Args:
        model: a `tf_keras.Model`.
        weights: from `read_weights`.
        path: of the file, for messages.
        name: of the model, for messages.

    Raises:
        ModelError: the file has too few layers, or a layer's arrays have other shapes; the first one is named. The
            model is then as it was.
    """
    layers = [layer for layer in model.layers if layer.weights]
    by_name = all(layer.name in weights for layer in layers)
    if not by_name and len(weights) < len(layers):
        missing = next(layer.name for layer in layers if layer.name not in weights)
        raise ModelError(f"{path} holds {len(weights)} layers with weights; {name} has {len(layers)}, and the first "
                         f"that the file lacks is '{missing}'", f"the weights of {name}", "check the file's name")
    sources = [(layer.name, weights[layer.name]) for layer in layers] if by_name else list(weights.items())
    pairs = list(zip(layers, sources[:len(layers)], strict=True))
    for layer, (source, arrays) in pairs:
        _check_shapes(layer, source, arrays, path, name)
    for layer, (_, arrays) in pairs:
        for variable, array in zip(_variables(layer), arrays, strict=True):
            variable.assign(array)
        layer.finalize_state()


def _arrays(root: Any, layer: str, path: Path) -> Arrays:
    """A layer's arrays."""
    group = _inside(root, layer, path)
    return [np.asarray(_inside(group, name, path)) for name in _texts(group.attrs.get("weight_names", ()))]


def _inside(group: Any, name: str, path: Path) -> Any:
    """A member of a group, reached over hard links alone and stored in this file."""
    import h5py

    for part in filter(None, name.split("/")):
        link = group.get(part, getlink=True)
        if link is not None and not isinstance(link, h5py.HardLink):
            raise ModelError(f"{path} is not to be trusted: '{name}' is a link to elsewhere", _WITHIN)
        group = group[part]
    if isinstance(group, h5py.Dataset) and (group.external or group.is_virtual):
        raise ModelError(f"{path} is not to be trusted: '{name}' is stored elsewhere", _WITHIN)
    return group


def _texts(names: Any) -> list[str]:
    """Names as text; h5py gives bytes for some files."""
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _variables(layer: Any) -> list[Any]:
    """A layer's variables in the order of the file: the trainable ones first."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _check_shapes(layer: Any, source: str, arrays: Arrays, path: Path, name: str) -> None:
    """Refuse a layer whose arrays differ from the file's in number or shape."""
    found = [tuple(array.shape) for array in arrays]
    wanted = [tuple(variable.shape) for variable in _variables(layer)]
    if found != wanted:
        raise ModelError(f"{path} does not fit {name}: layer '{source}' of the file has arrays of the shapes {found}, "
                         f"layer '{layer.name}' of the model {wanted}", f"the weights of {name}",
                         "check the file's name")
