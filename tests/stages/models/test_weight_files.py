"""Weight files: what is read, what is matched, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.weight_files import assign_weights, read_weights


def network(units: int = 4, prefix: str = "", top: bool = False) -> Any:
    """Two dense layers and a normalization, and a third dense layer as a top."""
    import tf_keras as keras

    layers = [keras.layers.Input((3,)), keras.layers.Dense(units, name=f"{prefix}one"),
              keras.layers.BatchNormalization(name=f"{prefix}norm"), keras.layers.ReLU(),
              keras.layers.Dense(2, name=f"{prefix}two")]
    return keras.Sequential([*layers, *([keras.layers.Dense(9, name=f"{prefix}top")] if top else [])])


def saved(model: Any, path: Path) -> Path:
    model.save_weights(path)
    return path


def test_layers_with_arrays_are_read_in_order(tmp_path: Path) -> None:
    weights = read_weights(saved(network(), tmp_path / "w.h5"))
    assert list(weights) == ["one", "norm", "two"]
    assert [array.shape for array in weights["norm"]] == [(4,)] * 4


@pytest.mark.parametrize("prefix", ["", "renamed_"])
@pytest.mark.parametrize("top", [False, True])
def test_layers_are_matched_by_name_or_by_order(tmp_path: Path, prefix: str, top: bool) -> None:
    source, target = network(prefix=prefix, top=top), network()
    source.layers[1].set_weights([np.full(4, value) for value in (1, 2, 3, 4)])
    path = saved(source, tmp_path / "w.h5")
    assign_weights(target, read_weights(path), path, "net")
    for ours, theirs in zip(target.get_weights(), source.get_weights(), strict=False):
        assert np.array_equal(ours, theirs)


def test_a_whole_models_file_is_read_as_well(tmp_path: Path) -> None:
    network().save(tmp_path / "model.h5")
    assert list(read_weights(tmp_path / "model.h5")) == ["one", "norm", "two"]


def test_other_shapes_are_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    path, target = saved(network(units=5), tmp_path / "w.h5"), network()
    before = target.get_weights()
    with pytest.raises(ModelError, match=r"does not fit net: layer 'one' of the file has arrays of the shapes "
                                         r"\[\(3, 5\), \(5,\)\], layer 'one' of the model \[\(3, 4\), \(4,\)\]"):
        assign_weights(target, read_weights(path), path, "net")
    assert all(np.array_equal(a, b) for a, b in zip(before, target.get_weights(), strict=True))


def test_a_file_of_fewer_layers_is_refused_with_the_first_one_it_lacks(tmp_path: Path) -> None:
    path = saved(network(), tmp_path / "w.h5")
    with pytest.raises(ModelError, match="holds 3 layers with weights; net has 4, and the first that the file lacks is "
                                         "'top'"):
        assign_weights(network(top=True), read_weights(path), path, "net")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no weight file"):
        read_weights(tmp_path / "none.h5")


@pytest.mark.parametrize("cut", [0, 10, 3000])
def test_a_damaged_file_is_refused(tmp_path: Path, cut: int) -> None:
    path = saved(network(), tmp_path / "w.h5")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ModelError, match=r"w\.h5 cannot be read"):
        read_weights(path)


def test_a_file_of_another_layout_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["layers"] = np.zeros(3)
    with pytest.raises(ModelError, match="has no list of layers"):
        read_weights(tmp_path / "w.h5")


def test_a_list_that_names_a_missing_layer_is_refused(tmp_path: Path) -> None:
    path = saved(network(), tmp_path / "w.h5")
    with h5py.File(path, "r+") as file:
        del file["two"]
    with pytest.raises(ModelError, match=r"cannot be read: .*two"):
        read_weights(path)


@pytest.mark.parametrize("link", [h5py.ExternalLink("other.h5", "/one"), h5py.SoftLink("/norm")])
def test_links_are_not_followed(tmp_path: Path, link: Any) -> None:
    path = saved(network(), tmp_path / "w.h5")
    with h5py.File(path, "r+") as file:
        del file["one"]
        file["one"] = link
    with pytest.raises(ModelError, match="not to be trusted: 'one' is a link to elsewhere"):
        read_weights(path)


def test_arrays_stored_in_another_file_are_not_read(tmp_path: Path) -> None:
    path = saved(network(), tmp_path / "w.h5")
    (tmp_path / "secret").write_bytes(bytes(48))
    with h5py.File(path, "r+") as file:
        del file["one/one/kernel:0"]
        file.create_dataset("one/one/kernel:0", (3, 4), "f4", external=[(str(tmp_path / "secret"), 0, 48)])
    with pytest.raises(ModelError, match="not to be trusted: 'one/kernel:0' is stored elsewhere"):
        read_weights(path)
