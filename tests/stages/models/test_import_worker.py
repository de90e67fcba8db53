"""The worker's answers: exceptions become one, with the place in the user's code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from stages.models import import_worker
from stages.models.import_worker import first_sentence

ROOT = Path(__file__).resolve().parents[3]


def answer(folder: Path, request: object) -> dict[str, object]:
    (folder / "request.json").write_text(json.dumps(request))
    with subprocess.Popen([sys.executable, "-m", import_worker.__name__, str(folder)], cwd=ROOT, stdin=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as child:
        child.wait(60)
    read: dict[str, object] = json.loads((folder / "answer.json").read_text())
    return read


def test_an_error_of_the_project_keeps_its_three_parts(tmp_path: Path) -> None:
    path = tmp_path / "given.h5"
    path.write_bytes(b"no HDF5")
    request = {"origin": {"text": "my.h5", "kind": "h5", "path": str(path)}, "settings": {}, "samples": None,
               "input_shape": None, "classes": None}
    error = answer(tmp_path, request)["error"]
    assert isinstance(error, dict)
    assert error["ours"] is True
    assert error["found"].startswith("my.h5 is not safe to load: it has HDF5 that is damaged")
    assert error["allowed"]
    assert error["next_step"].startswith("--trust-model")


def test_any_other_exception_is_told_by_type_and_message(tmp_path: Path) -> None:
    error = answer(tmp_path, {"wrong": 1})["error"]
    assert error == {"ours": False, "type": "KeyError", "message": "'origin'", "place": ""}


def test_the_worker_ends_when_its_parent_goes(tmp_path: Path) -> None:
    code = ("import time, sys; sys.argv = ['x']; from stages.models import import_worker\n"
            "import_worker._end_with_parent(); print('up', flush=True); time.sleep(60)")
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    child.stdin.close()
    assert child.wait(10) == 1
    child.stdout.close()


def test_a_message_is_its_first_line_that_says_something() -> None:
    assert first_sentence("\n  \n  first  \nsecond") == "first"
    assert first_sentence("") == "no message"
    assert first_sentence("outer\nException encountered: inner\nException encountered: cause\nmore") == "cause"
    assert len(first_sentence("x" * 5000)) == 603
