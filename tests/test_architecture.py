"""Rules of the whole tree: who may import whom, what may be imported when, what the package must carry."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("device_profiles", "stages", "pipeline")
HEAVY = ("tensorflow", "tf_keras", "keras", "tensorflow_model_optimization", "matplotlib", "plotly", "sklearn", "scipy",
         "pandas", "ai_edge_litert", "tflite_runtime", "tflite_micro", "litert_quantizer", "jinja2")
SOURCES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]


def imported(code: str, result: str = "sorted(sys.modules)") -> Any:
    """Run code in a fresh interpreter; the value of an expression then, by default the modules imported."""
    probe = f"{code}\nimport sys, json\nprint('\\n' + json.dumps({result}))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_only_go_left(path):
    layer = path.relative_to(ROOT).parts[0]
    allowed = LAYERS[: LAYERS.index(layer) + 1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else (
            [node.module] if isinstance(node, ast.ImportFrom) and node.module else [])
        for name in names:
            top = name.split(".")[0]
            assert top not in LAYERS or top in allowed, f"line {node.lineno} imports {name}"
            assert top != "tests", f"line {node.lineno} imports a test"


def test_no_module_imports_anything_heavy_when_it_is_imported():
    modules = [".".join(p.relative_to(ROOT).with_suffix("").parts) for p in SOURCES
               if p.stem not in ("__main__", "__init__")]
    blame = imported("import importlib, sys\nblame = {}\n"
                     f"for name in {modules!r}:\n"
                     "    importlib.import_module(name)\n"
                     f"    for heavy in set(sys.modules) & set({HEAVY!r}):\n"
                     "        blame.setdefault(heavy, name)\n", "blame")
    assert blame == {}


def test_help_imports_neither_numpy_nor_pydantic_nor_an_engine():
    loaded = imported("import sys; sys.argv = ['litesmith', '--help']\n"
                      "from pipeline.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass")
    assert not {"numpy", "pydantic", "rich", "ruamel"} & {name.split(".")[0] for name in loaded}
    assert [name for name in loaded if name.split(".")[0] in HEAVY] == []


def test_no_module_changes_the_environment_or_the_working_folder():
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert "os.chdir(" not in text, path
        if path.name != "worker.py":
            assert "os.environ[" not in text, path
