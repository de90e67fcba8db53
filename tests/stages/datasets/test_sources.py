"""The registry of sources: each keeps the contract, none imports what is heavy before it reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from stages.datasets import SOURCES, Source, libraries, open_source, source_digest

ADAPTER: TypeAdapter[Source] = TypeAdapter(Source)


class Named:
    def __init__(self, source: object) -> None:
        self.source = ADAPTER.validate_python(source)


@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_every_source_keeps_the_contract_and_bears_its_own_name(kind: str) -> None:
    module = SOURCES[kind]
    assert kind in module.Settings.model_fields["kind"].annotation.__args__
    assert all(field.description for name, field in module.Settings.model_fields.items() if name != "kind")
    assert callable(module.open_reader)
    assert callable(module.source_digest)
    assert all(isinstance(name, str) for name in module.LIBRARIES)


@pytest.mark.parametrize("written", [
    "digits", "keras:mnist", "tfds:mnist/3:1.0.0", "my.data:load", "a.npz", "b.csv", "b.parquet",
    {"kind": "csv", "path": {"train": "a.csv", "test": "b.csv"}, "targets": ["x", "y"]},
    {"kind": "csv", "path": ["a.csv", "b.csv"], "missing": "mean"},
    {"kind": "image_folder", "path": "images", "size": [4, 6], "extensions": ["png"]},
    {"kind": "tfrecord", "path": "*.tfrecord", "features": {"x": {"shape": [2]}, "label": {"dtype": "int64"}}},
    {"kind": "function", "path": "my.data:load", "arguments": {"size": 3, "names": ["a"]}},
])
def test_what_was_read_can_be_written_and_read_again(written: object) -> None:
    source = ADAPTER.validate_python(written)
    assert ADAPTER.validate_json(source.model_dump_json(exclude_none=True)) == source


@pytest.mark.parametrize(("written", "message"), [
    ("digist", "did you mean 'digits'?"), ("keras:cifar", "did you mean 'cifar10'?"), ("tfds:a b", "not of the form"),
    ("npz", "Field required"), ({"kind": "digits", "path": "x"}, "Extra inputs"), ({"path": "x"}, "kind"),
    (7, "valid dictionary"),
    ({"kind": "function", "path": "data.py"}, "names no function"),
])
def test_an_unknown_or_incomplete_source_is_refused(written: object, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ADAPTER.validate_python(written)
    assert message in str(caught.value)


def test_a_source_is_opened_and_digested_by_its_kind(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 3), np.uint8), y=[0, 1])
    named = Named(str(tmp_path / "a.npz"))
    (chunk,) = open_source(named.source, "classes").chunks()
    assert chunk.x.shape == (2, 3)
    assert source_digest(named, tmp_path / "cache.json").startswith("npz:sha256:")
    assert libraries(Named("digits")) == ("scikit-learn",)


def test_settings_and_digests_import_nothing_heavy(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 3)), y=[0, 1])
    (tmp_path / "b.csv").write_text("a,label\n1,2\n")
    (tmp_path / "c" / "x").mkdir(parents=True)
    (tmp_path / "c" / "x" / "1.png").write_bytes(b"")
    (tmp_path / "d.py").write_text("import tensorflow\n\ndef load():\n    pass\n")
    (tmp_path / "e.tfrecord").write_bytes(b"")
    record = "{'kind': 'tfrecord', 'path': 'e.tfrecord', 'features': {'x': {}, 'label': {}}}"
    code = ("import sys; from pydantic import TypeAdapter; from stages import datasets\n"
            "class Named: pass\n"
            f"for word in ('digits', 'a.npz', 'b.csv', 'c', 'd:load', {record}):\n"
            "    Named.source = TypeAdapter(datasets.Source).validate_python(word)\n"
            "    datasets.source_digest(Named)\n"
            "heavy = ('tensorflow', 'keras', 'sklearn', 'scipy', 'pandas', 'pyarrow', 'PIL', 'tensorflow_datasets')\n"
            "print([name for name in heavy if name in sys.modules])")
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path,
                          env={"PYTHONPATH": str(root), "HOME": str(tmp_path)})
    assert done.stdout.strip() == "[]"
