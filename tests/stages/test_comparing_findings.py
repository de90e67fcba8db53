"""What disturbed a measurement is named, with its figure, and nothing is named on a quiet machine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.comparing.findings import findings
from stages.comparing.launching import Launch
from tests.stages.comparing_benches import launch_of

QUIET = [launch_of(0.0, waited=0.01, stolen=0.0, load=0.3) for _ in range(12)]


def every(launches: list[Launch], **changed: object) -> list[Launch]:
    return [replace(each, **changed) for each in launches]  # type: ignore[arg-type]


def test_a_quiet_machine_has_no_findings() -> None:
    assert findings(QUIET[:5], QUIET) == ()


def test_other_load_is_named_with_its_share_and_the_load_average() -> None:
    found = findings([], every(QUIET, waited=0.31, load=4.0))
    assert len(found) == 1
    assert found[0].startswith("other load: the engines stood in the run queue for 31 % of their time (31 to 31 %")
    assert "load average 4.0 on" in found[0]
    assert findings([], every(QUIET, waited=None)) == ()


def test_steal_time_is_named() -> None:
    found = findings([], [*QUIET[:11], replace(QUIET[0], stolen=0.36)])
    assert found == ("steal time: the hypervisor gave 3.0 % of the cores' time to other guests (up to 36 % in a "
                     "launch)",)


def test_outliers_are_named() -> None:
    turn = np.append(np.full(19, 1e6), 5e6)
    found = findings([], [Launch(((turn,) * 4, (turn,) * 4))] * 12)
    assert found[0].startswith("outliers: 5.0 % of the inferences took more than twice")


def test_warm_ups_that_do_not_settle_are_named() -> None:
    found = findings([], [*QUIET[:9], *every(QUIET[:3], steady=False)])
    assert found == ("not steady: in 25 % of the launches the warm-up did not settle within 3 %",)


@pytest.mark.parametrize(("after", "word"), [(1.2, "slower"), (0.8, "faster")])
def test_a_step_of_the_level_is_named_with_its_place(after: float, word: str) -> None:
    found = findings(QUIET[:3], [*QUIET[:3], *[launch_of(0.0, after) for _ in range(6)]])
    assert found[0].startswith(f"step: the reference became 20 % {word} from launch 7 of 12 on")


def test_a_drift_of_the_level_is_named() -> None:
    found = findings([], [launch_of(0.0, level) for level in np.linspace(1.0, 1.1, 12)])
    assert found[0].startswith("drift: the reference became 10 % slower over the measurement")


def test_a_ratio_in_two_states_is_named_since_the_claim_is_of_their_mixture() -> None:
    found = findings(QUIET[:5], [launch_of(0.0)] * 6 + [launch_of(0.04)] * 6)
    assert len(found) == 1
    assert found[0].startswith("the ratio itself stepped at launch 7 of 12 by +4.1 %")
