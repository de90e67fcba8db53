"""The docs cannot rot: commands, files, links and profiles that they name are there, and none is left out."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from pipeline.cli import main

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(main.commands))
def test_every_command_has_a_place_in_the_readme(name):
    assert re.search(rf"`[^`]*\b{name}\b", README)


def test_every_source_file_has_a_line_in_the_readme_s_tree():
    tree = README.split("```text")[-1]
    missing = [str(path.relative_to(ROOT)) for top in ("device_profiles", "stages", "pipeline")
               for path in (ROOT / top).rglob("*.py") if path.name != "__init__.py" and path.name not in tree]
    assert missing == []


def test_every_file_that_the_readme_s_tree_names_is_there():
    tree = README.split("```text")[-1].split("```")[0]
    names = {path.name for path in ROOT.rglob("*.py")}
    assert set(re.findall(r"\b([a-z_0-9]+\.py)\b", tree)) - names == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_relative_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_benchmark_and_test_file_that_a_page_names_is_there(page):
    for target in re.findall(r"\b((?:benchmarks|tests|examples|stages|pipeline|device_profiles)/[\w/]+\.(?:py|yaml))",
                             page.read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target


def test_the_readme_s_run_file_is_a_valid_one(tmp_path, monkeypatch):
    from device_profiles import strictyaml
    from pipeline.config import RunConfig

    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    with zipfile.ZipFile("mine.keras", "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.12.0"}')
    text = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)[1].replace(", boards/mine.yaml", "")
    assert strictyaml.loads(text, RunConfig, "README").check.choice == "fastest"


EXAMPLES = sorted(ROOT.glob("examples/*/*.yaml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_example_s_run_file_is_a_valid_one(file, monkeypatch):
    """But for a model file that is not there: models are not part of the project."""
    from device_profiles import strictyaml
    from device_profiles.errors import ConfigError
    from pipeline.config import RunConfig

    monkeypatch.chdir(file.parent)
    try:
        faults = "" if strictyaml.load(file, RunConfig).name else "no name"
    except ConfigError as error:
        faults = error.found
    assert not faults or ("no model file" in faults and "more fault" not in faults)


def test_the_readme_s_table_of_profiles_lists_the_three_names_and_the_page_of_devices_every_one():
    from device_profiles.loader import names

    devices = (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in README for name in ("cpu", "mobile", "iot"))
    assert all(f"\n| `{name}` |" in devices for name in names())


def test_the_version_is_the_changelog_s_newest():
    from pipeline.version import VERSION

    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert newest == VERSION
