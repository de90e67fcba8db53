"""What `model:` names: told from the text and the first bytes; clean errors for everything else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from device_profiles.errors import LitesmithError, ModelError
from stages.models.origin import Origin, digest_of, origin_of
from tests.stages.models import hostile

NAMES = ("small_cnn", "resnet8", "applications/MobileNetV2", "applications/ResNet50V2")
TFLITE = b"\x1c\x00\x00\x00TFL3" + bytes(20)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_names_applications_and_functions_are_told_apart(folder: Path) -> None:
    assert origin_of("small_cnn", NAMES).kind == "builder"
    assert origin_of("applications/MobileNetV2", NAMES).kind == "application"
    assert origin_of("applications/Anything").kind == "application"
    assert origin_of("package.module:Class.build").kind == "function"


def test_files_are_told_by_their_bytes_not_by_their_names(folder: Path) -> None:
    hostile.archive(folder / "three.zip", version="3.15.0")
    hostile.archive(folder / "two.keras", version="2.21.0")
    hostile.h5_model(folder / "model.keras", hostile.sequential())
    (folder / "model.bin").write_bytes(TFLITE)
    (folder / "saved").mkdir()
    (folder / "saved" / "saved_model.pb").touch()
    kinds = {name: origin_of(name).kind for name in ("three.zip", "two.keras", "model.keras", "model.bin", "saved")}
    assert kinds == {"three.zip": "keras3", "two.keras": "keras2", "model.keras": "h5", "model.bin": "tflite",
                     "saved": "saved_model"}
    assert origin_of("three.zip").version == "3.15.0"
    assert origin_of("two.keras").path == Path("two.keras")


@pytest.mark.parametrize(("kind", "is_file", "is_keras"), [
    ("builder", False, True), ("application", False, True), ("function", False, True), ("keras3", True, True),
    ("keras2", True, True), ("h5", True, True), ("saved_model", True, False), ("tflite", True, False)])
def test_a_file_is_trained_and_only_keras_can_be_pruned(kind: str, is_file: bool, is_keras: bool) -> None:
    origin = Origin.model_validate({"text": "x", "kind": kind, "path": Path("x") if is_file else None})
    assert (origin.is_file, origin.is_trained, origin.is_keras) == (is_file, is_file, is_keras)


@pytest.mark.parametrize(("text", "found"), [
    ("smal_cnn", "no model is called 'smal_cnn'; did you mean 'small_cnn'?"),
    ("applications/MobilenetV2", "no application is called 'MobilenetV2'; did you mean 'applications/MobileNetV2'?"),
    ("modle.keras", "there is no model file modle.keras; did you mean 'model.keras'?"),
    ("nowhere/model.h5", "there is no model file nowhere/model.h5"), ("", "no model is called ''"),
    ("empty", "empty is a folder without saved_model.pb"),
    ("none.h5", "none.h5 is empty"),
    ("lfs.tflite", "lfs.tflite is a Git LFS pointer"), ("state.pkl", "state.pkl is a Python pickle"),
    ("net.pt", "net.pt is a PyTorch file"), ("saved.zip", "saved.zip is a zip archive of a SavedModel"),
    ("other.zip", "other.zip is a zip archive without metadata.json"), ("bad.tflite", "bytes 4 to 8 are b'XXXX'"),
    ("old.keras", "old.keras was written by Keras 1.2"), ("cut.keras", "cut.keras is no whole .keras file"),
    ("what.bin", "what.bin is of no known kind; it begins with b'what is '"),
])
def test_what_cannot_be_taken_is_said_with_what_can(folder: Path, text: str, found: str) -> None:
    hostile.archive(folder / "model.keras")
    hostile.archive(folder / "old.keras", version="1.2")
    (folder / "empty").mkdir()
    contents = {"none.h5": b"", "lfs.tflite": b"version https://git-lfs.github.com/spec/v1\n",
                "state.pkl": b"\x80\x04.", "bad.tflite": b"\x00\x00\x00\x00XXXX", "what.bin": b"what is this",
                "cut.keras": (folder / "model.keras").read_bytes()[:90]}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    for name, member in {"net.pt": "net/data.pkl", "saved.zip": "sm/saved_model.pb", "other.zip": "x"}.items():
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr(member, b"")
    with pytest.raises(ModelError) as error:
        origin_of(text, NAMES)
    assert found in error.value.found
    assert error.value.allowed


def test_the_digest_of_a_file_follows_its_bytes_and_not_its_name(folder: Path) -> None:
    (folder / "a.tflite").write_bytes(TFLITE)
    (folder / "b.tflite").write_bytes(TFLITE)
    first = digest_of(origin_of("a.tflite"))
    assert digest_of(origin_of("b.tflite")) == first
    (folder / "b.tflite").write_bytes(TFLITE + b"x")
    assert digest_of(origin_of("b.tflite")) != first
    assert len(first) == 64


def test_the_digest_of_a_folder_follows_names_and_bytes(folder: Path) -> None:
    def saved(name: str, **files: bytes) -> str:
        (folder / name / "variables").mkdir(parents=True)
        for file, content in {"saved_model.pb": b"", **files}.items():
            (folder / name / file).write_bytes(content)
        return digest_of(origin_of(name))

    first = saved("a", x=b"12")
    assert saved("b", x=b"12") == first
    assert len({first, saved("c", y=b"12"), saved("d", x=b"21"), saved("e", x=b"1", y=b"2")}) == 4


def test_the_digest_of_a_function_follows_its_source_which_is_not_run(folder: Path) -> None:
    source = folder / "builders_for_digest.py"
    source.write_text("raise SystemExit('imported')\ndef build(): ...\n")
    first = digest_of(origin_of("builders_for_digest:build"))
    assert digest_of(origin_of("builders_for_digest:other")) != first
    source.write_text("raise SystemExit('imported')\ndef build(): pass\n")
    assert digest_of(origin_of("builders_for_digest:build")) != first
    assert "builders_for_digest" not in sys.modules


def test_the_digest_of_a_function_in_no_module_is_an_error(folder: Path) -> None:
    with pytest.raises(LitesmithError, match="there is no module 'nowhere_at_all'"):
        digest_of(origin_of("nowhere_at_all:build"))


def test_telling_and_digesting_import_no_framework(folder: Path) -> None:
    hostile.archive(folder / "model.keras")
    code = ("import sys; from stages.models.origin import *; digest_of(origin_of('model.keras')); "
            "print(sorted({'tensorflow', 'keras', 'tf_keras', 'h5py'} & set(sys.modules)))")
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r}); {code}"],
                          capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
