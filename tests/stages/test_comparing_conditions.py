"""Readings of /proc against files written by hand, and series whose shape is known."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from stages.comparing import conditions
from stages.comparing.conditions import Queued, Ticks, queued, shift, ticks


def proc(tmp_path: Path, stat: str = "", threads: dict[int, str] | None = None) -> Path:
    """A /proc of its own."""
    (tmp_path / "stat").write_text(stat)
    for thread, text in (threads or {}).items():
        folder = tmp_path / "7" / "task" / str(thread)
        folder.mkdir(parents=True)
        (folder / "schedstat").write_text(text)
    return tmp_path


def test_run_and_wait_are_added_over_threads(tmp_path: Path) -> None:
    assert queued(7, proc(tmp_path, threads={7: "900 50 3\n", 8: "100 150 2\n"})) == Queued(1000, 200)


def test_the_share_of_waiting_is_of_the_time_between_two_readings() -> None:
    spent = Queued(1700, 500).since(Queued(1000, 200))
    assert spent == Queued(700, 300)
    assert spent.share == pytest.approx(0.3)
    assert Queued(5, 5).since(Queued(5, 5)).share == 0.0


@pytest.mark.parametrize("text", ["", "12", "a b c"])
def test_a_system_that_does_not_count_gives_none(tmp_path: Path, text: str) -> None:
    assert queued(7, proc(tmp_path, threads={7: text})) is None
    assert queued(8, tmp_path) is None


def test_stolen_ticks_are_those_of_the_named_cores(tmp_path: Path) -> None:
    stat = ("cpu  30 0 30 130 0 0 0 10 99 0\ncpu0 10 0 10 70 0 0 0 10 99 0\ncpu1 20 0 20 60 0 0 0 0 0 0\nctxt 5\n")
    folder = proc(tmp_path, stat)
    assert ticks((0,), folder) == Ticks(100, 10)  # the guest's 99 are in user time already
    assert ticks((0, 1), folder) == Ticks(200, 10)
    assert ticks((), folder) == Ticks(200, 10)
    assert ticks((5,), folder) is None
    assert ticks((0,), tmp_path / "none") is None
    assert Ticks(150, 15).share_since(Ticks(100, 10)) == pytest.approx(0.1)
    assert Ticks(100, 10).share_since(Ticks(100, 10)) == 0.0


def test_a_kernel_without_steal_gives_none(tmp_path: Path) -> None:
    assert ticks((), proc(tmp_path, "cpu 1 2 3 4\n")) is None


def test_this_process_is_seen_running() -> None:
    before = queued(os.getpid())
    end = time.process_time() + 0.02
    while time.process_time() < end:
        pass
    after = queued(os.getpid())
    assert before is not None
    assert after is not None
    assert after.since(before).ran_ns > 10_000_000


def test_a_system_without_a_load_average_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> tuple[float, float, float]:
        raise OSError

    monkeypatch.setattr(conditions.os, "getloadavg", fails)
    assert conditions.load_average() is None


def test_a_step_is_named_with_its_place_and_size() -> None:
    noise = 1 + 0.002 * np.random.default_rng(1).standard_normal(12)
    found = shift([*(2.0 * noise[:7]), *(2.2 * noise[7:])])
    assert found is not None
    assert (found.kind, found.at) == ("step", 8)
    assert found.change == pytest.approx(0.1, abs=0.005)
    assert found.p_value <= 0.01


def test_a_drift_is_named_with_what_it_comes_to() -> None:
    noise = 1 + 0.002 * np.random.default_rng(2).standard_normal(16)
    found = shift(list(np.linspace(1.0, 1.12, 16) * noise))
    assert found is not None
    assert found.kind == "drift"
    assert found.change == pytest.approx(0.12, abs=0.01)


def test_a_single_outlier_is_neither_step_nor_drift() -> None:
    noise = 1 + 0.01 * np.random.default_rng(3).standard_normal(20)
    noise[10] = 1.5
    assert shift(list(noise)) is None


def test_even_series_are_rarely_called_uneven() -> None:
    generator = np.random.default_rng(4)
    named = sum(shift(list(np.exp(0.01 * generator.standard_normal(15)))) is not None for _ in range(200))
    assert named <= 7  # 1 % of 200 is 2; P(Binomial(200, 0.01) > 7) = 0.0008


def test_fewer_than_eight_launches_tell_nothing() -> None:
    assert shift([1.0] * 3 + [2.0] * 4) is None
