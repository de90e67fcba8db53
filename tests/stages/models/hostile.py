"""Model files that would do harm, built here and nowhere kept. Each takes `marker`: a file that its code would make.

Those of real frameworks are saved by them; those that no framework would write are put together byte by byte.
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

KERAS2, KERAS3 = "2.21.0", "3.15.0"
Json = dict[str, Any]


# -- descriptions of models ---------------------------------------------------------------------------------------


def dense(name: str = "dense", **settings: Any) -> Json:
    """A harmless layer."""
    return {"module": "keras.layers", "class_name": "Dense", "registered_name": None,
            "config": {"name": name, "units": 2, "activation": "relu", **settings}}


def sequential(*layers: Json, keras: int = 3) -> Json:
    """A description of a Sequential model with two inputs, as Keras 2 or 3 writes it."""
    shape = "batch_shape" if keras == 3 else "batch_input_shape"
    given = {"module": "keras.layers", "class_name": "InputLayer", "registered_name": None,
             "config": {"name": "given", shape: [None, 2], "dtype": "float32"}}
    return {"module": "keras", "class_name": "Sequential", "registered_name": None,
            "config": {"name": "net", "layers": [given, *layers]}}


def function(module: str | None, name: str) -> Json:
    """A function by its name, as Keras writes one."""
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


# -- .keras archives ----------------------------------------------------------------------------------------------


def archive(path: Path, config: Json | str = "", version: str = KERAS3, extra: Iterable[tuple[Any, bytes]] = (),
            weights: bytes | None = None) -> Path:
    """A `.keras` file; `extra` members by name or `ZipInfo`."""
    text = config if isinstance(config, str) and config else json.dumps(config or sequential(dense()))
    with zipfile.ZipFile(path, "w") as written:
        written.writestr("metadata.json", json.dumps({"keras_version": version}))
        written.writestr("config.json", text)
        written.writestr("model.weights.h5", hdf5() if weights is None else weights)
        for name, content in extra:
            written.writestr(name, content, compress_type=zipfile.ZIP_DEFLATED)
    return path


def hdf5() -> bytes:
    """A harmless HDF5 file."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers/dense/vars/0"] = np.ones((2, 2), np.float32)
    return buffer.getvalue()


class Bomb:
    """What makes a marker when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (Path.touch, (self.marker,))


def pickled_npz(marker: Path) -> bytes:
    """An `.npz` archive with an array of objects."""
    buffer = io.BytesIO()
    np.savez(buffer, weights=np.array([Bomb(marker)], dtype=object))
    return buffer.getvalue()


def pickled(marker: Path) -> bytes:
    """A pickle."""
    return pickle.dumps(Bomb(marker))


def symlink(name: str) -> zipfile.ZipInfo:
    """A member that is a symbolic link."""
    member = zipfile.ZipInfo(name)
    member.create_system, member.external_attr = 3, 0o120777 << 16
    return member


def lambda_model(keras: Any, marker: Path) -> Any:
    """A model of either Keras with a Lambda layer that makes the marker; the marker is gone again afterwards."""
    # A lambda proper: Keras 3 writes the bytecode of nothing else into a file.
    path = str(marker)
    layer = keras.layers.Lambda(lambda x: (__import__("pathlib").Path(path).touch(), x * 2)[1], output_shape=(2,),
                                name="evil")
    model = keras.Sequential([keras.layers.Input((2,)), layer, keras.layers.Dense(2, name="dense")])
    marker.unlink(missing_ok=True)
    return model


# -- HDF5 ---------------------------------------------------------------------------------------------------------


def h5_model(path: Path, config: Json, version: str = KERAS2) -> Path:
    """An `.h5` file with a description and no weights."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = version
        file.create_group("model_weights")
    return path


def h5_with(path: Path, trick: str, target: Path) -> Path:
    """An `.h5` model whose weights reach for another file.

    Args:
        path: to write.
        trick: "external link", "soft link", "external storage", "virtual" or "hard loop".
        target: the file reached for.
    """
    import h5py

    h5_model(path, sequential(dense()))
    with h5py.File(path, "a") as file:
        group = file["model_weights"].create_group("dense")
        if trick == "external link":
            group["kernel:0"] = h5py.ExternalLink(str(target), "/secret")
        elif trick == "soft link":
            group["kernel:0"] = h5py.SoftLink("/somewhere/else")
        elif trick == "external storage":
            group.create_dataset("kernel:0", (4,), np.float32, external=[(str(target), 0, 16)])
        elif trick == "virtual":
            layout = h5py.VirtualLayout((4,), np.float32)
            layout[:] = h5py.VirtualSource(str(target), "secret", (4,))
            group.create_virtual_dataset("kernel:0", layout)
        else:
            group["again"] = file["model_weights"]
    return path


# -- SavedModels --------------------------------------------------------------------------------------------------


def saved_model(folder: Path, kind: str, target: Path) -> Path:
    """A SavedModel of TensorFlow's own making whose serving signature does more than compute.

    Args:
        folder: to write into.
        kind: "ReadFile", "WriteFile", "EagerPyFunc" or "none" (a harmless one).
        target: the file that is read or written.
    """
    import tensorflow as tf

    def python(x: Any) -> Any:
        target.touch()
        return x

    class Module(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weight = tf.Variable(np.full((2, 2), 0.5, np.float32))

        @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, name="x")])
        def serve(self, x: Any) -> Any:
            y = tf.matmul(x, self.weight)
            if kind == "ReadFile":
                y += tf.cast(tf.strings.length(tf.io.read_file(str(target))), tf.float32)
            if kind == "WriteFile":
                tf.io.write_file(str(target), "written")
            if kind == "EagerPyFunc":
                y = tf.ensure_shape(tf.py_function(python, [y], tf.float32), (None, 2))
            return {"scores": y}

    module = Module()
    tf.saved_model.save(module, str(folder), signatures=module.serve)
    return folder


def field(number: int, value: bytes | str) -> bytes:
    """One protobuf field of wire type 2."""
    raw = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def node(name: str, operator: str, *inputs: str, calls: str = "") -> bytes:
    """A NodeDef; `calls` names a function in an attribute."""
    attribute = field(5, field(1, "f") + field(2, field(10, field(1, calls)))) if calls else b""
    return field(1, name) + field(2, operator) + b"".join(field(3, each) for each in inputs) + attribute


def graph(nodes: Iterable[bytes], functions: dict[str, list[bytes]] | None = None, output: str = "out:0",
          saver: tuple[str, str, str] = ("", "", ""), assets: Iterable[str] = ()) -> bytes:
    """A SavedModel protobuf with one graph and one signature output.

    Args:
        nodes: of the top graph.
        functions: nodes by function.
        output: tensor of the signature.
        saver: tensors or nodes of file name, save and restore.
        assets: file names.
    """
    library = b"".join(field(1, field(1, field(1, name)) + b"".join(field(3, each) for each in body))
                       for name, body in (functions or {}).items())
    definition = b"".join(field(1, each) for each in nodes) + (field(2, library) if library else b"")
    signature = field(1, "serving_default") + field(2, field(2, field(1, "y") + field(2, field(1, output))))
    meta = field(2, definition) + field(5, signature) + b"".join(field(6, field(2, name)) for name in assets)
    if any(saver):
        meta += field(3, b"".join(field(number, name) for number, name in enumerate(saver, 1)))
    return field(2, meta)


def handmade_saved_model(folder: Path, content: bytes) -> Path:
    """A SavedModel folder around a protobuf."""
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(content)
    return folder


# -- tflite -------------------------------------------------------------------------------------------------------


def custom_tflite(path: Path) -> Path:
    """A tflite model with the custom operator "Evil", made by TensorFlow's converter."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, 2), tf.float32)])
    def serve(x: Any) -> Any:
        return tf.raw_ops.Betainc(a=x, b=x, x=x)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()])
    converter.allow_custom_ops = True
    path.write_bytes(converter.convert())
    return path
