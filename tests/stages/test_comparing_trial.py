"""The protocol on benches of the test's own: what is launched, when it stops, and how often its claims are true."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from stages.comparing.sequential import robust_deviation
from stages.comparing.trial import Outcome, Rule, comparison, level_of_each, run_trial, words
from tests.stages.comparing_benches import Simulated, launch_of, normal, resampled

RECORDED = json.loads((Path(__file__).parent / "recorded_launches.json").read_text())


def tried(bench: Simulated, **rule: float) -> Outcome:
    """A trial on the bench's own clock."""
    return run_trial(bench, Rule(**rule), now=bench.now)  # type: ignore[arg-type]


def test_the_reference_is_held_against_itself_first_and_then_the_candidate() -> None:
    bench = Simulated(normal(0, 0.003), math.log(1.05))
    outcome = tried(bench)
    assert bench.asked == ["itself"] * 5 + ["candidate"] * len(outcome.launches)
    assert outcome.decision.claim == "slower"
    assert 5 <= len(outcome.launches) <= 8


@pytest.mark.parametrize(("effect", "claim"), [(0.05, "slower"), (-0.05, "faster"), (0.0, "same"), (0.008, "same")])
def test_a_quiet_machine_tells_what_is_true(effect: float, claim: str) -> None:
    outcome = tried(Simulated(normal(1, 0.002), effect))
    assert outcome.decision.claim == claim
    assert outcome.decision.estimate == pytest.approx(effect, abs=0.004)


def test_it_stops_as_soon_as_the_claim_is_clear() -> None:
    quiet, noisy = tried(Simulated(normal(2, 0.001))), tried(Simulated(normal(2, 0.01)))
    assert len(quiet.launches) == 5  # fewer give medians no interval
    assert len(noisy.launches) > 8


def test_a_spent_budget_ends_it_undecided_and_says_what_would_decide() -> None:
    bench = Simulated(normal(3, 0.03), 0.05, seconds=2.0)
    outcome = tried(bench, budget_s=30.0)
    assert outcome.decision.claim == "undecided"
    assert outcome.seconds == 30.0
    found = comparison(outcome, Rule(budget_s=30.0), "litert")
    assert found.launches == 10
    assert found.launches_needed is not None
    assert found.launches_needed > 10
    assert found.seconds_needed == pytest.approx(2.0 * found.launches_needed)
    assert f"about {found.launches_needed} launches (10 now)" in found.why
    assert found.why.endswith("would decide it if the ratio stays")


def test_the_floor_takes_at_most_a_third_of_the_budget_but_two_launches() -> None:
    bench = Simulated(normal(4, 0.01), seconds=10.0)
    outcome = tried(bench, budget_s=30.0)
    assert bench.asked == ["itself"] * 2 + ["candidate"]
    assert "1 launches are too few for an interval" in comparison(outcome, Rule(), "litert").why


def test_a_machine_that_tells_a_model_from_itself_makes_no_claim() -> None:
    class Unsound(Simulated):
        def __call__(self, against):  # the second process is slower, whatever it runs
            self.effect = 0.1
            return super().__call__("candidate")

    outcome = tried(Unsound(normal(5, 0.002)))
    assert outcome.decision.claim == "undecided"
    assert len(outcome.launches) == 1  # more would prove no more
    found = comparison(outcome, Rule(), "litert")
    assert found.floor is not None
    assert not found.floor.sound
    assert "differs from itself by +10." in found.why
    assert found.launches_needed is None


def test_the_record_says_what_was_measured() -> None:
    outcome = tried(Simulated(normal(6, 0.004), math.log(1.06)))
    found = comparison(outcome, Rule(), "litert", 2, (0, 1))
    assert (found.claim, found.engine, found.threads, found.cpus, found.how) == (
        "slower", "litert", 2, (0, 1), "interleaved")
    assert found.inferences == found.launches * 2 * 4 * 9
    assert found.ratio is not None
    assert found.ratio.value == pytest.approx(math.exp(outcome.decision.estimate))
    assert (found.ratio.level, found.ratio.samples, found.ratio.unit) == (0.99, found.launches, "ratio")
    assert found.ratio.interval is not None
    assert found.ratio.interval[0] > 1.02
    assert found.reference is not None
    assert found.reference.value == 1.0
    assert found.reference.interval == (1.0, 1.0)
    assert found.floor is not None
    assert found.floor.launches == 5
    logs = [each.log_ratio for each in outcome.floor]
    assert found.floor.spread == pytest.approx(math.expm1(robust_deviation(logs)))
    assert found.why == f"{words(outcome.decision)}: more than 2 % for certain"


def test_the_floor_says_what_the_budget_could_show() -> None:
    wide = comparison(tried(Simulated(normal(7, 0.01)), budget_s=20.0), Rule(budget_s=20.0), "litert").floor
    narrow = comparison(tried(Simulated(normal(7, 0.01)), budget_s=90.0), Rule(budget_s=90.0), "litert").floor
    assert wide is not None
    assert narrow is not None
    assert wide.detectable is not None
    assert narrow.detectable is not None
    assert 0.02 < narrow.detectable < wide.detectable


def test_several_claims_share_the_chance_of_a_false_alarm() -> None:
    assert [level_of_each(claims) for claims in (0, 1, 2, 10)] == pytest.approx([0.99, 0.99, 0.995, 0.999])
    one, ten = (tried(Simulated(normal(10, 0.006)), level=level_of_each(claims)) for claims in (1, 10))
    assert len(one.launches) < len(ten.launches)
    found = comparison(ten, Rule(level=level_of_each(10)), "litert").ratio
    assert found is not None
    assert found.level == pytest.approx(0.999)


def test_progress_is_told_after_every_launch() -> None:
    told: list[tuple[str, str]] = []
    bench = Simulated(normal(8, 0.002), 0.05)
    outcome = run_trial(bench, Rule(), lambda phase, spent, budget, text: told.append((phase, text)), bench.now)
    assert len(told) == 5 + len(outcome.launches)
    assert told[0] == ("noise floor", "1 launches")
    assert told[-1] == ("in turns", words(outcome.decision))
    assert words(outcome.decision).startswith("+5.")


def test_a_most_of_launches_ends_it_too() -> None:
    assert len(tried(Simulated(normal(9, 0.05)), most_launches=6, budget_s=1e9).launches) == 6


def test_words_of_a_launch_without_an_interval_are_the_estimate_alone() -> None:
    outcome = tried(Simulated(lambda: math.log(1.1)), most_launches=1)
    assert words(outcome.decision) == "+10.0 %"
    assert launch_of(math.log(1.1)).log_ratio == pytest.approx(math.log(1.1))


@pytest.mark.parametrize("machine", sorted(RECORDED["launches"]))
def test_on_recorded_noise_false_alarms_and_misses_stay_below_what_is_stated(machine: str) -> None:
    """The whole rule, 200 times each, on launches of equal models that were recorded under load and drawn anew."""
    recorded = RECORDED["launches"][machine]
    claims = {effect: [tried(Simulated(resampled(seed, recorded), math.log1p(effect), seconds=1.5)).decision.claim
                       for seed in range(200)] for effect in (0.0, 0.05)}
    assert sum(claim in ("slower", "faster") for claim in claims[0.0]) <= 2
    assert sum(claim == "slower" for claim in claims[0.05]) >= 190
    assert "faster" not in claims[0.05]
