"""`package.module:function` of the user's own: found in the working folder, with clean errors."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from device_profiles.errors import UsageError
from stages.imports import find_source, load_function, split_reference


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    (tmp_path / "mine" / "helper.py").write_text("value = 7\n")
    (tmp_path / "mine" / "models.py").write_text(
        "from mine.helper import value\nclass Net:\n    @staticmethod\n    def build(): return value\n"
        "def build(): return value + 1\nlimit = 3\n")
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("mine", "broken", "lone"):
            del sys.modules[name]


def test_a_function_of_the_working_folder_is_found_with_what_it_imports() -> None:
    assert load_function("mine.models:build")() == 8
    assert load_function("mine.models:Net.build")() == 7


def test_an_installed_function_is_found() -> None:
    assert load_function("json:dumps")({}) == "{}"


def test_the_module_path_is_put_back(folder: Path) -> None:
    before = list(sys.path)
    load_function("mine.models:build")
    with pytest.raises(UsageError):
        load_function("mine.nothing:build")
    assert sys.path == before


@pytest.mark.parametrize(("reference", "words"), [
    ("mine.modles:build", "there is no module 'mine.modles'; did you mean 'models'?"),
    ("mien:build", "there is no module 'mien'; did you mean 'mine'?"),
    ("mine.models:biuld", "'mine.models' has no 'biuld'; did you mean 'build'?"),
    ("mine.models:Net.bild", "'Net' has no 'bild'; did you mean 'build'?"),
    ("mine.models:limit", "is a int, which cannot be called"),
    ("mine/models.py:build", "names no function"), ("mine.models", "names no function"), ("", "names no function"),
    ("mine.models.deeper:f", "there is no module 'mine.models.deeper'"),
])
def test_a_wrong_reference_is_said_with_the_near_miss(reference: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        load_function(reference)
    assert words in error.value.found
    assert error.value.allowed


@pytest.mark.parametrize(("source", "words"), [
    ("1 / 0\n", "ZeroDivisionError: division by zero ("),
    ("import absent_library\n", "No module named 'absent_library'"),
    ("def f(:\n", "SyntaxError"), ("raise ValueError('no')\n", "ValueError: no ("),
])
def test_a_module_that_fails_on_import_is_told_from_one_that_is_missing(folder: Path, source: str, words: str) -> None:
    (folder / "broken.py").write_text(source)
    with pytest.raises(UsageError, match="broken:f cannot be imported") as error:
        load_function("broken:f")
    assert words in error.value.found
    assert "there is no module" not in error.value.found


def test_a_library_that_is_missing_is_named_to_install(folder: Path) -> None:
    (folder / "broken.py").write_text("import absent_library\n")
    with pytest.raises(UsageError) as error:
        load_function("broken:f")
    assert error.value.next_step == "pip install absent_library"


def test_the_line_that_failed_is_said(folder: Path) -> None:
    (folder / "broken.py").write_text("x = 1\n\nx / 0\n")
    with pytest.raises(UsageError) as error:
        load_function("broken:f")
    assert f"({folder / 'broken.py'}, line 3)" in error.value.found


def test_a_source_is_found_without_importing_its_package(folder: Path) -> None:
    (folder / "lone").mkdir()
    (folder / "lone" / "__init__.py").write_text("raise SystemExit\n")
    (folder / "lone" / "deep.py").touch()
    assert find_source("lone.deep") == folder / "lone" / "deep.py"
    assert find_source("lone") == folder / "lone" / "__init__.py"
    assert "lone" not in sys.modules


def test_a_module_without_source_gives_none() -> None:
    assert find_source("sys") is None


def test_a_reference_splits_at_its_colon() -> None:
    assert split_reference("a.b:C.d") == ("a.b", "C.d")
