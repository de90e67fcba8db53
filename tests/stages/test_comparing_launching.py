"""A launch with the real worker file and a runtime of the test's own, whose inferences take as long as it is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import EngineCrash
from stages.comparing import launching
from stages.comparing.launching import Contender, Launch, Place, is_open, launch, pace
from tests.stages.comparing_benches import launch_of
from tests.stages.comparing_models import IDENTITY
from tests.stages.engine_stubs import stub

BUSY = """
def on_invoke(interpreter):
    end = time.perf_counter_ns() + {ns}
    while time.perf_counter_ns() < end:
        pass
"""
SAMPLES = (np.zeros((2, 4), np.float32),)


def contender(folder: Path, name: str, behaviour: str) -> Contender:
    """A contender whose runtime does not look at the model."""
    (folder / name).mkdir()
    return Contender(name, IDENTITY, SAMPLES, tuple(stub(folder / name, behaviour)))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "ROUNDS", 4)
    monkeypatch.setattr(launching, "MOST_ROUNDS", 6)
    monkeypatch.setattr(launching, "_WARM_UP_S", 0.01)


def test_a_launch_measures_both_in_turns_and_finds_their_ratio(tmp_path: Path) -> None:
    pair = (contender(tmp_path, "one", BUSY.format(ns=200_000)), contender(tmp_path, "other", BUSY.format(ns=400_000)))
    found = launch(pair, Place("litert", tmp_path / "log.txt"), np.random.default_rng(0))
    assert len(found.turns[0]) == len(found.turns[1])
    assert 4 <= len(found.turns[0]) <= 6
    assert np.exp(found.log_ratio) == pytest.approx(2.0, rel=0.2)
    assert found.pooled(0).min() >= 200_000
    assert found.waited is None or 0 <= found.waited <= 1
    assert found.seconds > 0


def test_a_process_that_dies_ends_the_launch_with_its_name(tmp_path: Path) -> None:
    dying = "def on_invoke(interpreter):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    pair = (contender(tmp_path, "one", BUSY.format(ns=1000)), contender(tmp_path, "dying", dying))
    with pytest.raises(EngineCrash) as caught:
        launch(pair, Place("litert", tmp_path / "log.txt"), np.random.default_rng(0))
    assert caught.value.model == "dying"


def test_the_log_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    level = np.array([1.0, 2.0, 4.0])  # the machine slows down from round to round, for both
    first = tuple(np.array([each, each, 99.0]) for each in level)
    second = tuple(np.array([1.1 * each, 1.1 * each, 0.1]) for each in level)
    assert Launch((first, second)).log_ratio == pytest.approx(np.log(1.1))
    assert list(Launch((first, second)).ratios) == pytest.approx([1.1] * 3)


def test_late_inferences_are_those_above_twice_the_median_of_their_turn() -> None:
    turn = np.array([1.0, 1.0, 1.0, 2.0, 2.1])
    assert Launch(((turn,), (np.ones(5),))).late == pytest.approx(0.1)
    assert launch_of(0.1).late == 0


@pytest.mark.parametrize(("both_ms", "rounds", "settle"), [
    (0.2, 4, True), (30.0, 4, True), (100.0, 4, False), (500.0, 4, False), (900.0, 3, False), (5000.0, 3, False)])
def test_slow_models_have_fewer_rounds_and_no_settling(both_ms: float, rounds: int, settle: bool) -> None:
    """Here at most four; 2 s / 0.5 s = 4, and never fewer than three."""
    assert pace(both_ms) == (rounds, settle)


def test_a_launch_whose_rounds_spread_goes_on_but_not_for_ever() -> None:
    """Logarithms 0, +-0.02: deviation 0.02, error 1.2533 * 1.4826 * 0.02 / sqrt(5) = 1.7 %; a tenth is settled."""
    def turns(*logs: float) -> list[np.ndarray]:
        return [np.full(3, np.exp(each)) for each in logs]

    level = turns(0, 0, 0, 0, 0)
    assert is_open(level, turns(0, 0.02, -0.02, 0.02, -0.02))
    assert is_open(turns(0, 0.02, -0.02, 0.02, -0.02), level)
    assert not is_open(level, turns(0, 0.002, -0.002, 0.002, -0.002))
    assert not is_open(level, turns(0, 0, 0, 0.2, -0.2))  # rounds that were disturbed while most agree
    assert not is_open(level * 2, turns(0, 0.2, -0.2, 0.2, -0.2) * 2)  # ten rounds, of at most six here
