"""What every target shares: how an ending is put into words, and how its figures are marked."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from stages.engines.targets.host import HostTarget
from stages.engines.targets.target import ended, stamped
from stages.records import BenchmarkResult, Host


@pytest.mark.parametrize(("status", "words"), [
    (None, "closed its pipes"), (7, "ended with status 7"), (-signal.SIGSEGV, "was ended by SIGSEGV"),
    (-99, "was ended by signal 99")])
def test_an_exit_status_is_put_into_words(status: int | None, words: str) -> None:
    assert ended(status) == words


def test_a_target_bears_a_worker_for_each_core_up_to_its_most(monkeypatch: pytest.MonkeyPatch) -> None:
    target = HostTarget()
    monkeypatch.setattr(target, "cores", lambda: tuple(range(8)))
    assert target.workers() == 8
    target.most_workers = 6
    assert target.workers() == 6


def test_bytes_are_given_as_a_file_that_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bytes, str]] = []

    def send(file: Path) -> str:
        seen.append((file.read_bytes(), file.suffix))
        return str(file)

    target = HostTarget()
    monkeypatch.setattr(target, "send", send)
    assert not Path(target.send_bytes(b"model", ".tflite")).exists()
    assert seen == [(b"model", ".tflite")]


def test_figures_are_stamped_with_what_the_place_gives_and_others_stay() -> None:
    here = Host(cpu="a", architecture="b", cores=1, memory_bytes=2, system="c", python="3")
    figure = {"value": 1.0, "unit": "ms", "provenance": "measured"}
    result = BenchmarkResult.model_validate({"summary": "", "host": here, "variants": {"int8": {"litert": {
        "engine": "litert", "engine_version": "1", "status": "ok", "median": figure,
        "minimum": {**figure, "provenance": "predicted"}, "message": "measured"}}}})
    found = stamped(result, "emulated").variants["int8"]["litert"]
    assert found.median is not None
    assert found.minimum is not None
    assert (found.median.provenance, found.minimum.provenance) == ("emulated", "predicted")
    assert found.message == "measured"
    assert stamped(result, "measured") is result
