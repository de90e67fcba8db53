"""Figures and tflite models kept for later: what a baseline says, and when its milliseconds may be compared at all.

Milliseconds belong to one machine, one engine and one day. Two machines of one type differ by more than most changes of
a model do, and shared CI runners are another machine each time. So a baseline keeps the tflite models themselves, and
the honest comparison measures them anew, in turns with the candidates. Its milliseconds are compared only where the
models were not kept, on the same machine with the same engine, and the claim then says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from device_profiles.records import Figure, Record
from stages.comparing.launching import Launch, Place
from stages.comparing.records import KeptFile, LatencyComparison
from stages.comparing.sequential import claimed
from stages.comparing.trial import Rule, words
from stages.engines import host
from stages.records import Host
from stages.timing import latency_figures

Array = npt.NDArray[Any]
LAUNCHES = 6
"""Launches that a tflite model's milliseconds rest on."""


class KeptModel(KeptFile):
    """One tflite model in a baseline.

    Attributes:
        median: ms; block bootstrap over launches.
        launch_medians_ms: of each launch, in order.
    """

    median: Figure
    launch_medians_ms: tuple[float, ...] = Field(min_length=1)


class Baseline(Record):
    """What was measured, where, and with what.

    Attributes:
        made: when, ISO 8601.
        fingerprint: of the host; see `stages.engines.host.fingerprint`.
        models: by variant or file name.
    """

    schema_version: Literal[1] = 1
    litesmith: str
    made: str
    host: Host
    fingerprint: str
    engine: str
    engine_version: str
    threads: int = Field(ge=1)
    cpus: tuple[int, ...] = ()
    models: dict[str, KeptModel]


def why_no_milliseconds(baseline: Baseline, place: Place, engine_version: str, here: Host) -> str:
    """Why the baseline's milliseconds say nothing here; empty where they do.

    Args:
        baseline: what was kept.
        place: engine and threads of today.
        engine_version: of today's engine.
        here: this machine.
    """
    reasons = []
    if baseline.fingerprint != host.fingerprint(here):
        reasons.append(f"it was measured on {_machine(baseline.host)} and this is {_machine(here)}; two machines "
                       "differ by more than most changes of a model do")
    then, now = (baseline.engine, baseline.engine_version), (place.engine, engine_version)
    if then != now:
        reasons.append(f"it was measured with {' '.join(then)} and here is {' '.join(now)}")
    if baseline.threads != place.threads:
        reasons.append(f"it was measured with {baseline.threads} threads, not {place.threads}")
    return "; ".join(reasons)


def _machine(each: Host) -> str:
    """`AMD EPYC, 2 cores, Linux 6.18.44`."""
    return f"{each.cpu}, {each.cores} cores, {each.system}"


def kept_model(content: bytes, sha256: str, file: str | None, launches: Sequence[Launch], seed: int = 0) -> KeptModel:
    """A model with its figures.

    Args:
        content: the tflite model.
        sha256: of it.
        file: where it is kept.
        launches: of the model against itself; both processes count.
        seed: of the bootstrap.
    """
    pooled = _pooled(launches)
    return KeptModel(sha256=sha256, tflite_bytes=len(content), file=file,
                     median=latency_figures(pooled, seed=seed, of="launches").median,
                     launch_medians_ms=tuple(float(np.median(each)) / 1e6 for each in pooled))


def _pooled(launches: Sequence[Launch]) -> list[Array]:
    """Each launch's inferences, of both processes; ns."""
    return [np.concatenate([each.pooled(0), each.pooled(1)]) for each in launches]


def against_milliseconds(before: KeptModel, launches: Sequence[Launch], rule: Rule, place: Place) -> LatencyComparison:
    """Today's launches against kept milliseconds: one look, Welch's interval of the logarithms of launch medians.

    With means m, variances s^2 and n launches each, the interval is

        m2 - m1 +- t((1 + level) / 2, v) sqrt(s1^2 / n1 + s2^2 / n2)

    with v by Welch (1947, Biometrika 34:28-35). It knows how launches of one day differ, not how days do.

    Args:
        before: the baseline's.
        launches: of the candidate against itself.
        rule: the margin.
        place: engine, threads and cores.
    """
    pooled = _pooled(launches)
    first = np.log(np.array(before.launch_medians_ms))
    second = np.log(np.array([np.median(each) / 1e6 for each in pooled]))
    estimate, half = float(second.mean() - first.mean()), _welch(first, second, rule.level)
    decision = claimed(estimate, half, rule.margin)
    proven = "for certain, as far as launches of one day can say" if decision.claim != "undecided" else "not decided"
    return LatencyComparison(
        claim=decision.claim, how="milliseconds", engine=place.engine, engine_version=launches[-1].engine_version,
        why=f"{words(decision)}: {proven}; compared with milliseconds of an earlier day, since the baseline keeps no "
            "tflite model",
        threads=place.threads, cpus=place.cpus, margin=rule.margin, reference=before.median,
        candidate=latency_figures(pooled, seed=rule.seed, of="launches").median, launches=len(launches),
        ratio=Figure(value=decision.ratio, unit="ratio", provenance="measured", samples=len(launches), level=rule.level,
                     interval=decision.interval, method="ratio of geometric means of launch medians; Welch's interval"),
        inferences=sum(map(len, pooled)), seconds=sum(each.seconds for each in launches))


def _welch(first: Array, second: Array, level: float) -> float:
    """Half the interval's width; infinite where one side has a single launch."""
    from scipy.special import stdtrit

    if min(len(first), len(second)) < 2:
        return math.inf
    parts = [float(each.var(ddof=1)) / len(each) for each in (first, second)]
    error = sum(parts)
    if error == 0:
        return 0.0
    freedom = error**2 / sum(part**2 / (len(each) - 1) for part, each in zip(parts, (first, second), strict=True))
    return float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(error)
