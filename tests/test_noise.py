"""The benchmark of latency claims: that its slow-down is what it says, and that it counts and goes on as it should."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.comparing.trial import Rule

PATH = Path(__file__).parent.parent / "benchmarks" / "noise.py"


@pytest.fixture(scope="module")
def noise() -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("noise_benchmark", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_slowed_inference_takes_exactly_the_share_more(noise: Any) -> None:
    """A clock that counts its readings: the inference takes 200 ticks, so 10 more are waited for 5 %."""
    time = [0]

    def clock() -> int:
        time[0] += 1
        return time[0]

    def invoke() -> None:
        time[0] += 199

    noise.slowed(invoke, 0.05, clock)()
    assert time[0] == 1 + 200 + 10  # the reading before, the inference with its reading, the wait
    time[0] = 0
    noise.slowed(invoke, 0.0, clock)()
    assert time[0] == 1 + 200 + 1  # one reading finds that there is nothing to wait for


def line(kind: str, claim: str, ratio: float = 1.0) -> dict[str, Any]:
    return {"kind": kind, "claim": claim, "ratio": ratio, "seconds": 10.0, "launches": [0.01, -0.01], "floor": [0.02],
            "waited": 0.25}


def test_the_summary_counts_false_alarms_and_finds_with_exact_bounds(noise: Any) -> None:
    lines = [line("equal", "same")] * 98 + [line("equal", "slower"), line("equal", "faster")]
    lines += [line("slower", "slower", 1.05)] * 40
    found = noise.summary(lines)
    assert (found["equal"]["false_alarms"], found["equal"]["share"]) == (2, 0.02)
    assert found["equal"]["share_95"] == pytest.approx([0.0024, 0.0704], abs=1e-4)  # Clopper and Pearson, 2 of 100
    assert (found["slower"]["found"], found["slower"]["share"], found["slower"]["ratio_geometric_mean"]) == (
        40, 1.0, 1.05)
    assert noise.summary(lines[:5]).keys() == {"equal"}


def test_lines_that_a_kill_cut_off_are_dropped_and_the_rest_is_kept(noise: Any, tmp_path: Path) -> None:
    path = tmp_path / "noise.jsonl"
    assert noise.read(path) == []
    path.write_text(json.dumps(line("equal", "same")) + "\n" + '{"kind": "slow')
    assert [each["claim"] for each in noise.read(path)] == ["same"]


def test_noise_is_taken_from_launches_of_equal_models_alone(noise: Any) -> None:
    assert noise.recorded_noise([line("equal", "same"), line("slower", "slower")]) == [0.02, 0.01, -0.01, 0.02]


def test_the_simulation_finds_the_slow_down_and_raises_no_alarm_on_quiet_noise(noise: Any) -> None:
    quiet = list(0.003 * np.random.default_rng(0).standard_normal(40))
    found = noise.simulate(quiet, 50, 0.05, Rule(), 1.0)
    assert (found["recorded_launches"], found["equal"]["same"], found["slower"]["slower"]) == (40, 50, 50)
    assert found["slower"]["share_95"][0] == pytest.approx(0.025 ** (1 / 50), abs=1e-4)


def test_the_load_ends_with_the_measurement(noise: Any) -> None:
    started: list[int] = []
    real = noise.subprocess.Popen

    def remember(*words: Any, **named: Any) -> Any:
        process = real(*words, **named)
        started.append(process.pid)
        return process

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noise.subprocess, "Popen", remember)
        with noise.loaded_machine(2):
            assert len(started) == 2
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_the_slowed_worker_is_this_script_with_the_share(noise: Any) -> None:
    assert noise.slow_command("litert", 0.05) == (sys.executable, str(PATH.resolve()), "--as-worker", "litert", "0.05")
    assert math.isclose(float(noise.slow_command("litert", 0.05)[-1]), 0.05)
