"""When kept milliseconds may be compared, and what they then prove."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from stages.comparing.baseline import Baseline, KeptModel, against_milliseconds, kept_model, why_no_milliseconds
from stages.comparing.launching import Launch, Place
from stages.comparing.trial import Rule
from stages.engines import host
from stages.records import Host
from tests.stages.comparing_benches import launch_of

HERE = Host(cpu="AMD EPYC", architecture="x86_64", cores=2, memory_bytes=8 << 30, system="Linux 6.1", python="3.11.7")
PLACE = Place("litert", Path("log.txt"))
RULE = Rule(margin=0.02)


def launches(level_ms: float, spread: float = 0.002, count: int = 6, seed: int = 0) -> tuple[Launch, ...]:
    """A tflite model against itself, at a level that differs a little from launch to launch."""
    generator = np.random.default_rng(seed)
    return tuple(launch_of(0.0, level_ms * math.exp(spread * generator.standard_normal())) for _ in range(count))


def baseline(**changed: object) -> Baseline:
    model = kept_model(b"x" * 10, "0" * 64, None, launches(1.0))
    fields = {"litesmith": "1", "made": "2026-01-01T00:00:00+00:00", "host": HERE,
              "fingerprint": host.fingerprint(HERE), "engine": "litert", "engine_version": "2.3.0", "threads": 1,
              "models": {"int8": model}}
    return Baseline.model_validate({**fields, **changed})


def test_a_kept_model_has_its_median_and_every_launch_s() -> None:
    model = kept_model(b"x" * 10, "0" * 64, "b.tflites/int8.tflite", [launch_of(0.0, 1.0), launch_of(0.0, 3.0)])
    assert (model.tflite_bytes, model.launch_medians_ms) == (10, (1.0, 3.0))
    assert model.median.value == 2.0
    assert "2 launches" in model.median.method


def test_milliseconds_of_the_same_machine_and_engine_may_be_compared() -> None:
    assert why_no_milliseconds(baseline(), PLACE, "2.3.0", HERE) == ""
    other_python = HERE.model_copy(update={"python": "3.12.1"})
    assert why_no_milliseconds(baseline(), PLACE, "2.3.0", other_python) == ""


@pytest.mark.parametrize(("changed", "version", "here", "words"), [
    ({}, "2.3.0", {"cpu": "Intel Xeon"}, "measured on AMD EPYC, 2 cores, Linux 6.1 and this is Intel Xeon, 2 cores"),
    ({}, "2.4.0", {}, "measured with litert 2.3.0 and here is litert 2.4.0"),
    ({"engine": "tflm"}, "2.3.0", {}, "measured with tflm 2.3.0 and here is litert 2.3.0"),
    ({"threads": 4}, "2.3.0", {}, "measured with 4 threads, not 1"),
], ids=["another machine", "another version", "another engine", "other threads"])
def test_milliseconds_from_elsewhere_are_refused_with_the_reason(
        changed: dict[str, object], version: str, here: dict[str, str], words: str) -> None:
    assert words in why_no_milliseconds(baseline(**changed), PLACE, version, HERE.model_copy(update=here))


@pytest.mark.parametrize(("level", "claim"), [(1.06, "slower"), (0.93, "faster"), (1.0, "same"), (1.02, "undecided")])
def test_kept_milliseconds_decide_by_welch_s_interval(level: float, claim: str) -> None:
    found = against_milliseconds(baseline().models["int8"], launches(level, seed=1), RULE, PLACE)
    assert (found.claim, found.how, found.launches) == (claim, "milliseconds", 6)
    assert "milliseconds of an earlier day" in found.why
    assert found.floor is None


def test_welch_s_interval_is_the_one_worked_out_by_hand() -> None:
    """Logarithms 1, 2, 3 and 2, 4, 6, 8: variances 1 and 20/3, error sqrt(1/3 + 5/3), 4.0755 degrees of freedom.

    The 99.5 % quantile of Student's t with as many is 4.5464.
    """
    model = kept_model(b"x", "0" * 64, None, [launch_of(0.0, math.exp(log)) for log in (1, 2, 3)])
    today = [launch_of(0.0, math.exp(log)) for log in (2, 4, 6, 8)]
    found = against_milliseconds(model, today, RULE, PLACE)
    half = 4.5464 * math.sqrt(2)
    assert found.ratio is not None
    assert found.ratio.interval == pytest.approx((math.exp(3 - half), math.exp(3 + half)), rel=1e-3)


def test_a_single_launch_decides_nothing() -> None:
    model = kept_model(b"x", "0" * 64, None, launches(1.0, count=1))
    found = against_milliseconds(model, launches(2.0), RULE, PLACE)
    assert found.claim == "undecided"
    assert found.ratio is not None
    assert found.ratio.interval is None


@pytest.mark.parametrize("changed", [{"sha256": "zz"}, {"tflite_bytes": 0}, {"launch_medians_ms": ()}],
                         ids=["digest", "bytes", "launches"])
def test_a_kept_model_that_cannot_be_is_refused(changed: dict[str, object]) -> None:
    data = baseline().models["int8"].model_dump(mode="json")
    with pytest.raises(ValidationError):
        KeptModel.model_validate({**data, **changed})
