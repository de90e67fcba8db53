"""A signal that Python drops: printed in a finalizer, and remembered all the same."""

from __future__ import annotations

import signal

import pytest

from pipeline import stopping
from pipeline.runner import Runner
from pipeline.store import Store
from tests.pipeline.fakes import Flow, Listener, two_variants


@pytest.fixture
def listening():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stopping.listen()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    stopping._asked.clear()


def send_and_lose(number):
    """As a finalizer does."""
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_once_and_is_remembered(listening, number):
    stopping.check_not_asked()
    send_and_lose(number)
    with pytest.raises(KeyboardInterrupt):
        stopping.check_not_asked()


def test_nobody_who_did_not_ask_is_stopped(listening):
    send_and_lose(signal.SIGINT)
    stopping.listen()
    stopping.check_not_asked()


def test_a_run_stops_after_the_call_in_which_the_signal_was_lost(tmp_path, listening, monkeypatch):
    flow = Flow()
    flow.install(monkeypatch)
    flow.faults["train"] = lambda _: send_and_lose(signal.SIGINT)

    def go():
        Runner(Store(tmp_path / "store"), tmp_path / "log.txt", Listener()).run(two_variants(), two_variants)

    with pytest.raises(KeyboardInterrupt):
        go()
    assert flow.ran == ["prepare", "train"]
    stopping.listen()
    go()
    assert flow.ran.count("train") == 1  # what was done is kept
    assert flow.ran[-1] == "check"
