"""Google's benchmark_model, by a stand-in that prints what it prints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import EngineCrash, EngineRefusal, TargetError, TargetLost
from stages.engines.targets.benchmark_program import Round, of_means, read_round, run_round
from stages.timing import latency_figures
from tests.stages.targets.adb_stand_in import StandIn

PRINTED = """INFO: STARTING!
INFO: Loaded model /data/local/tmp/m.tflite
INFO: count=4 first=1200 curr=1010 min=1003 max=1200 avg=1053.2 std=81
INFO: count=950 first=1015 curr=1012 min=1001 max=1321 avg=1020.5 std=14
INFO: Inference timings in us: Init: 5125, First inference: 1900, Warmup (avg): 1053.2, Inference (avg): 1020.5
INFO: Memory footprint delta from the start of the tool (MB): init=3.25 overall=4.5
"""


def test_a_round_is_the_mean_of_its_inferences() -> None:
    assert read_round(PRINTED) == Round(load_ms=5.125, first_ms=1.9, mean_ms=1.0205, inferences=950,
                                        memory_bytes=4_718_592)
    assert read_round("INFO: STARTING!\n") is None


def test_large_numbers_are_read_in_the_spelling_of_c() -> None:
    found = read_round("Inference timings in us: Init: 1, First inference: 2, Warmup (avg): 3e+06, "
                       "Inference (avg): 1.5e+06")
    assert found == Round(0.001, 0.002, 1500.0, 0, 0)


def test_percentiles_of_means_are_not_shown_as_those_of_inferences() -> None:
    rounds = [np.array([1e6 * value]) for value in range(1, 102)]  # so many that a p90 would be there
    plain = latency_figures(rounds)
    assert plain.p90 is not None
    found = of_means(plain)
    assert (found.p90, found.p99, found.median.value) == (None, None, 51)
    assert found.median.method.startswith("of means of many inferences: median of 101 rounds")


@pytest.fixture
def phone(tmp_path: Path) -> StandIn:
    found = StandIn(tmp_path)
    found.command("taskset", 'echo "$1" > "$0.mask"; shift; exec "$@"')
    return found


def program(phone: StandIn, text: str) -> str:
    """A program of the user's in place of Google's."""
    path = phone.folder / "benchmark_model"
    path.write_text(f"#!/bin/sh\n{text}\n")
    return str(path)


def test_the_program_is_sent_pinned_and_told_what_to_measure(phone: StandIn) -> None:
    text = f'echo "$@" > {phone.folder}/told; cat <<"END" >&2\n{PRINTED}END'
    with phone.target(benchmark_model=program(phone, text)) as target:
        assert run_round(target, b"model", model="int8", threads=2, cpus=(6, 7)).mean_ms == 1.0205
        run_round(target, b"model", model="int8", threads=2, cpus=(6, 7))
    assert (phone.state / "bin" / "taskset.mask").read_text() == "c0\n"  # bits 6 and 7
    told = (phone.folder / "told").read_text().split()
    assert "--num_threads=2" in told
    graph = next(word for word in told if word.startswith("--graph=")).partition("=")[2]
    assert Path(graph).read_bytes() == b"model"
    assert len(phone.files()) == 2  # the program and the model, once each


def test_a_model_that_it_refuses_and_a_crash_are_told_apart(phone: StandIn) -> None:
    refuses = "echo 'ERROR: Encountered unresolved custom op: Erfinv.' >&2; exit 1"
    with phone.target(benchmark_model=program(phone, refuses)) as target, \
            pytest.raises(EngineRefusal, match="unresolved custom op: Erfinv"):
        run_round(target, b"model", model="int8")
    with phone.target(benchmark_model=program(phone, "exit 139")) as target, \
            pytest.raises(EngineCrash, match="benchmark_model ended with status 139: without a word"):
        run_round(target, b"model", model="int8")


def test_a_program_that_is_not_there_is_named(phone: StandIn) -> None:
    with phone.target(benchmark_model="/nowhere/benchmark_model") as target, \
            pytest.raises(TargetError, match="no file /nowhere/benchmark_model"):
        run_round(target, b"model", model="int8")
    with phone.target() as target, pytest.raises(TargetError, match="no program was named"):
        run_round(target, b"model", model="int8")


def test_a_phone_that_starts_anew_under_the_program_is_lost_and_the_model_is_not_blamed(phone: StandIn) -> None:
    with phone.target(benchmark_model=program(phone, "exit 0")) as target:
        target.send_bytes(b"model", ".tflite")
        phone.restart()
        with pytest.raises(TargetLost, match="the device has started anew since"):
            run_round(target, b"model", model="int8")
