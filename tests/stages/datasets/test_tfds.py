"""tensorflow-datasets from a folder that the test prepares; nothing is downloaded here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from device_profiles.errors import DataError
from stages.datasets import tfds
from stages.datasets.records import Chunk, LabelKind, Reader
from stages.datasets.tfds import Settings


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data set `tiny` 1.0.0: 4x4 images, train and test; and `odd`, whose images have two sizes."""
    library = pytest.importorskip("tensorflow_datasets", exc_type=ImportError)
    folder = tmp_path_factory.mktemp("tfds")

    def store(title: str, shape: tuple[int | None, ...], sizes: list[int]) -> None:
        features = library.features.FeaturesDict({
            "image": library.features.Image(shape=shape, encoding_format="png"),
            "label": library.features.ClassLabel(names=["cat", "dog"])})

        def rows(first: int, count: int) -> Any:
            for i in range(first, first + count):
                size = sizes[i % len(sizes)]
                yield i, {"image": np.full((size, size, 3), i, np.uint8), "label": i % 2}

        class Made(library.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[misc,name-defined]
            name = title
            VERSION = library.core.Version("1.0.0")

            def _info(self) -> Any:
                return library.core.DatasetInfo(builder=self, features=features, supervised_keys=("image", "label"))

            def _split_generators(self, manager: Any) -> dict[str, Any]:
                return {"train": rows(0, 6), "test": rows(6, 2)}

            def _generate_examples(self) -> Any:
                return iter(())

        Made(data_dir=str(folder)).download_and_prepare()

    store("tiny", (4, 4, 3), [4])
    store("odd", (None, None, 3), [4, 6])
    return folder


def read(labels: LabelKind = "classes", **settings: Any) -> tuple[list[Chunk], Reader]:
    reader = tfds.open_reader(Settings(**settings), labels)
    return list(reader.chunks()), reader


@pytest.mark.parametrize("name", ["tiny", "tiny:1.0.0"])
def test_splits_and_class_names_are_taken(prepared: Path, name: str) -> None:
    chunks, reader = read(name=name, data_dir=prepared)
    assert [(chunk.splits[0], chunk.x.shape, chunk.x.dtype) for chunk in chunks] == [
        ("train", (6, 4, 4, 3), np.uint8), ("test", (2, 4, 4, 3), np.uint8)]
    assert all((chunk.y == chunk.x[:, 0, 0, 0] % 2).all() for chunk in chunks)
    assert (reader.class_names, reader.total) == (("cat", "dog"), 8)


def test_the_order_is_the_same_on_every_pass(prepared: Path) -> None:
    orders = [[x[0, 0, 0] for chunk in read(name="tiny", data_dir=prepared)[0] for x in chunk.x] for _ in range(2)]
    assert orders[0] == orders[1]


def test_splits_can_be_named(prepared: Path) -> None:
    chunks, _ = read(name="tiny", data_dir=prepared, splits={"train": "train[:4]", "validation": "train[4:]"})
    assert [(chunk.splits[0], len(chunk.x)) for chunk in chunks] == [("train", 4), ("validation", 2)]
    with pytest.raises(DataError, match="tfds:tiny: train raised ValueError") as caught:
        read(name="tiny", data_dir=prepared, splits={"train": "trian"})
    assert caught.value.allowed == "a split such as train, test"


def test_images_of_many_sizes_need_a_size(prepared: Path) -> None:
    with pytest.raises(DataError, match="have many sizes"):
        read(name="odd", data_dir=prepared)
    chunks, _ = read(name="odd", data_dir=prepared, size=(2, 3))
    assert (chunks[0].x.shape, chunks[0].x.dtype) == ((6, 2, 3, 3), np.uint8)
    assert sorted(chunks[0].x[:, 0, 0, 0].tolist()) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", ["tny", "tiny:2.0.0", "tiny/large"])
def test_what_is_not_there_is_not_downloaded(prepared: Path, name: str) -> None:
    settings = Settings(name=name, data_dir=prepared)
    for call in (lambda: tfds.open_reader(settings, "classes"), lambda: tfds.source_digest(settings)):
        with pytest.raises(DataError, match=f"tfds:{name} is not in") as caught:
            call()
        assert "download: true" in caught.value.next_step


def test_without_the_package_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfds, "find_spec", lambda name: None)
    with pytest.raises(DataError) as caught:
        read(name="tiny")
    assert caught.value.next_step == "pip install tensorflow-datasets importlib_resources"


def folder(root: Path, *parts: str) -> Path:
    path = root.joinpath(*parts)
    path.mkdir(parents=True)
    (path / "dataset_info.json").write_text("{}")
    return path


def test_the_newest_version_is_taken_and_a_config_among_several_must_be_named(tmp_path: Path) -> None:
    settings = Settings(name="a", data_dir=tmp_path)
    for version in ("1.9.0", "1.10.0", "1.2.0"):
        folder(tmp_path, "a", version)
    assert tfds._prepared(settings) == tmp_path / "a" / "1.10.0"
    for config in ("small", "large"):
        folder(tmp_path, "b", config, "1.0.0")
    assert tfds._prepared(Settings(name="b/large", data_dir=tmp_path)) == tmp_path / "b" / "large" / "1.0.0"
    with pytest.raises(DataError, match="there in 2 configs"):
        tfds.source_digest(Settings(name="b", data_dir=tmp_path))


def test_the_digest_follows_the_files_and_with_a_download_the_name(tmp_path: Path) -> None:
    path = folder(tmp_path, "a", "1.0.0")
    settings, loading = Settings(name="a", data_dir=tmp_path), Settings(name="a", data_dir=tmp_path, download=True)
    before, name = tfds.source_digest(settings), tfds.source_digest(loading)
    (path / "a-train.tfrecord-00000-of-00001").write_bytes(b"1")
    assert tfds.source_digest(settings) != before
    assert tfds.source_digest(loading) == name


@pytest.mark.parametrize("name", ["a b", "../a", "a:1", ""])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="not of the form"):
        Settings(name=name)
