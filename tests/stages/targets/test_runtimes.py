"""Which Python on a device has which runtime."""

from __future__ import annotations

import json
import subprocess
import sys

from stages.engines import worker
from stages.engines.targets.runtimes import MODULES, PROBE, Runtime, choose, pythons, read_runtimes

LITE, TENSORFLOW = "tflite_runtime.interpreter", "tensorflow.lite.python.interpreter"


def answer(python: str, version: str, **found: str) -> dict[str, object]:
    names = {"litert": worker.MODULES["litert"], "lite": LITE, "tf": TENSORFLOW}
    return {"python": python, "version": version, "found": {names[key]: value for key, value in found.items()}}


def test_an_environment_of_ours_is_asked_before_the_system_s_pythons() -> None:
    found = pythons("/home/pi/ls", "")
    assert found[:2] == ["/home/pi/ls/venv/bin/python", "python3"]
    assert found[-1] == "python3.9"
    assert pythons("/home/pi/ls", "/opt/python") == ["/opt/python"]


def test_the_first_python_with_the_engine_is_chosen_and_what_stands_in_for_it_only_after_that() -> None:
    both = read_runtimes([answer("/usr/bin/python3", "3.11.2", tf="2.14.0"),
                          answer("/opt/python", "3.10.1", lite="2.14.0", litert="1.4.0")])
    chosen = choose(both, "tflite-runtime")
    assert chosen is not None
    assert (chosen.python, chosen.modules["tflite-runtime"]) == ("/opt/python", LITE)
    assert choose(both[:1], "tflite-runtime") == Runtime(
        "/usr/bin/python3", "3.11.2", {"tflite-runtime": TENSORFLOW}, {"tflite-runtime": "2.14.0"})
    assert choose(both[:1], "litert") is None
    assert choose([], "tflm") is None


def test_a_python_is_counted_once_and_one_too_old_for_the_worker_not_at_all() -> None:
    found = read_runtimes([answer("/usr/bin/python3", "3.11.2"), answer("/usr/bin/python3", "3.11.2"),
                           answer("/usr/bin/python3.7", "3.7.3", litert="1.0")])
    assert [each.python for each in found] == ["/usr/bin/python3"]


def test_the_probe_says_who_it_is_and_what_it_has_without_importing_it() -> None:
    code = f"{PROBE}\nprint(sorted(set(sys.modules) & {{'numpy', 'ai_edge_litert', 'tensorflow'}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    said, imported = done.stdout.splitlines()
    found = json.loads(said)
    assert found["version"] == "{}.{}.{}".format(*sys.version_info[:3])
    assert found["found"][worker.MODULES["litert"]]
    assert set(found["found"]) <= {each for modules in MODULES.values() for each in modules}
    assert imported == "[]"
