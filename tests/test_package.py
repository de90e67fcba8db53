"""The wheel and the sdist: what is in them, and that the wheel alone is enough."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.pipeline.small import SMALL

ROOT = Path(__file__).parent.parent
DATA = (
    *(f"device_profiles/profiles/{name}.yaml" for name in ("cpu", "mobile", "iot")),
    *(f"stages/reporting/templates/report.{ending}" for ending in ("html.j2", "css", "js")),
    *(f"{layer}/py.typed" for layer in ("device_profiles", "stages", "pipeline")),
    "device_profiles/data/published_latency.csv", "device_profiles/data/engines.yaml",
    *(f"device_profiles/data/{name}.json" for name in ("predictor", "predictor_cores")),
    "pipeline/templates/litesmith.yaml")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with wheel and sdist, made from a clean copy of what git tracks."""
    folder = tmp_path_factory.mktemp("package")
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in filter(None, map(bytes.decode, files)):
        target = folder / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), "."],
                   cwd=folder / "source", capture_output=True, check=True)
    return folder / "dist"


def test_the_wheel_carries_the_package_data_and_every_module(built):
    names = set(zipfile.ZipFile(next(built.glob("*.whl"))).namelist())
    modules = {str(path.relative_to(ROOT)) for top in ("device_profiles", "stages", "pipeline")
               for path in (ROOT / top).rglob("*.py")}
    assert set(DATA) - names == set()
    assert modules - names == set()
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "examples/"))]


def test_the_sdist_carries_what_the_wheel_is_built_from(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {*DATA, "setup.cfg", "pyproject.toml", "README.md", "LICENSE"} - names == set()


def test_the_wheel_says_what_it_needs_and_what_command_it_brings(built):
    wheel = zipfile.ZipFile(next(built.glob("*.whl")))
    info = next(name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name)
    wanted = wheel.read(f"{info}/METADATA").decode()
    assert 'Requires-Dist: tflite-runtime==2.14.0; python_version < "3.12" and sys_platform == "linux"' in wanted
    assert "License: Apache-2.0" in wanted
    assert "litesmith = pipeline.cli:entry" in wheel.read(f"{info}/entry_points.txt").decode()


@pytest.mark.slow
@pytest.mark.network
def test_the_wheel_alone_in_an_empty_environment_runs_outside_any_checkout(built, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    command = tmp_path / "venv" / "bin"
    subprocess.run([command / "pip", "install", "--quiet", next(built.glob("*.whl"))], check=True)
    (tmp_path / "run.yaml").write_text(json.dumps(SMALL))
    done = subprocess.run([command / "litesmith", "run", "-c", "run.yaml", "--json"], cwd=tmp_path, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / json.loads(done.stdout)["report"]).is_file()
