"""The kind of comparison that `litesmith compare` makes unless told otherwise: which tflite model is faster, here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from device_profiles.errors import EngineUnavailable, TfliteError
from pipeline.baseline import read_baseline
from pipeline.gate import DEFAULT_ENGINE, SAME_BYTES, Gate, Gauge, Kept, Source, Watch, Words, now
from pipeline.sides import Match, read_samples
from pipeline.version import VERSION
from stages.benchmarking.settings import Settings, pinned
from stages.comparing.baseline import LAUNCHES, Baseline, against_milliseconds, kept_model, why_no_milliseconds
from stages.comparing.launching import Contender, Launch, Place
from stages.comparing.pairing import Candidates, bench_of, compare_pair, with_samples
from stages.comparing.records import ComparisonResult, LatencyComparison, PairComparison, Predictions
from stages.comparing.trial import Rule, level_of_each
from stages.engines import host, registry

Array = npt.NDArray[Any]
_KEEP = "Keep the tflite models with the baseline, and they are measured here in turns"


@dataclass(frozen=True)
class LatencyGate(Gate[Baseline, PairComparison, ComparisonResult]):
    """What the user asks.

    Attributes:
        threads: of the engine; None: the baseline's, else 1.
        rule: margin and budget.
    """

    threads: int | None = None
    rule: Rule = field(default_factory=Rule)

    words = Words(worse="slower", worse_told="proven slower", missing="unmeasured", missing_told="not measured",
                  worse_next="litesmith explain says why a variant is slow; where it is meant, write the baseline "
                             "again or give a larger --margin")
    one_is_measured = True

    def baseline(self, path: Path) -> Baseline:
        """Milliseconds that were kept."""
        return read_baseline(path, Baseline)

    @contextmanager
    def opened(self, claims: int, baseline: Baseline | None, watch: Watch) -> Iterator[LatencyGauge]:
        """Engine, threads and cores of this host, with a log that is thrown away.

        The level is such that a run with many variants raises no more false alarms than one with a single one.
        """
        samples, (engine, threads) = read_samples(self.samples), self.place(baseline)
        info = registry.engine_info(engine)
        if not info.available:
            raise EngineUnavailable(engine, "", info.reason, next_step="litesmith doctor")
        cpus = pinned(Settings(threads=threads))
        rule = replace(self.rule, level=level_of_each(claims))
        with tempfile.TemporaryDirectory(prefix="litesmith-") as folder:
            yield LatencyGauge(Place(engine, Path(folder) / "log.txt", threads, cpus), rule, samples, self.samples,
                               watch)

    def place(self, baseline: Baseline | None = None) -> tuple[str, int]:
        """Engine and threads."""
        engine = self.engine or (baseline.engine if baseline else DEFAULT_ENGINE)
        return engine, registry.threads_of(engine, self.threads or (baseline.threads if baseline else 1))


@dataclass(frozen=True)
class LatencyGauge(Gauge[Baseline, PairComparison, ComparisonResult]):
    """This host, with an engine that times tflite models.

    Attributes:
        samples: inputs; empty for random ones.
        samples_file: where they come from.
    """

    place: Place
    rule: Rule
    samples: tuple[Array, ...]
    samples_file: Path | None
    watch: Watch

    def pair(self, name: str, label: str, content: bytes, candidate: Path) -> PairComparison:
        """In turns, with the files' names in what is wrong with one of them."""
        pair = Candidates(name, Contender(label, content, self.samples),
                          Contender(str(candidate), candidate.read_bytes(), self.samples))
        if self.samples_file is not None:
            pair = replace(pair, inputs=f"{self.samples_file}, {len(self.samples[0])} samples")
        try:
            return compare_pair(pair, self.place, self.rule,
                                lambda phase, spent, budget, text: self.watch(name, phase, spent, budget, text))
        except TfliteError as error:
            raise TfliteError(f"{label} or {candidate}: {error.found}", error.allowed, error.next_step) from error

    def against(self, name: str, kept: Kept[Baseline], candidate: Path) -> PairComparison:
        """In turns with the kept model; without it with its milliseconds, on the same machine with the same engine."""
        content = kept.content()
        if content is not None:
            return self.pair(name, kept.label, content, candidate)
        version = registry.engine_info(self.place.engine).version or ""
        reason = why_no_milliseconds(kept.baseline, self.place, version, host.host())
        if reason:
            return self.unmeasured(name, kept.label, candidate, f"its milliseconds are not compared: {reason}. {_KEEP}")
        found = against_milliseconds(kept.baseline.models[kept.name], self._alone(name, candidate), self.rule,
                                     self.place)
        return self.unmeasured(name, kept.label, candidate, latency=found)

    def unmeasured(self, name: str, label: str, candidate: Path, reason: str = "",
                   latency: LatencyComparison | None = None) -> PairComparison:
        """A pair of which the reference's tflite model is not at hand, or need not be looked at."""
        told = reason if reason == SAME_BYTES else "no tflite model in the baseline"
        return PairComparison(name=name, reference=label, candidate=str(candidate), latency=latency, reason=reason,
                              differences=None, predictions=Predictions(reason=told))

    def result(self, pairs: Sequence[PairComparison], match: Match, baseline: Baseline | None) -> ComparisonResult:
        """All pairs, on this host."""
        notes = [] if baseline is None else [f"baseline of {baseline.made}: {baseline.engine} "
                                             f"{baseline.engine_version} on {baseline.host.cpu}"]
        if self.samples_file is None:
            notes.append("inputs are random: times of dense models do not depend on them, but predictions on real "
                         "samples (--samples FILE.npy) say more")
        return ComparisonResult(host=host.host(), pairs=tuple(pairs), only_reference=match.only_reference,
                                only_candidate=match.only_candidate, notes=tuple(notes))

    def keep(self, sources: Mapping[str, Source]) -> Baseline:
        """Time each model against itself."""
        models, version = {}, ""
        for name, each in sources.items():
            launches = self._alone(name, each.path)
            models[name] = kept_model(each.path.read_bytes(), each.sha256, each.file, launches, self.rule.seed)
            version = launches[-1].engine_version
        here = host.host()
        return Baseline(litesmith=VERSION, made=now(), host=here, fingerprint=host.fingerprint(here),
                        engine=self.place.engine, engine_version=version, threads=self.place.threads,
                        cpus=self.place.cpus, models=models)

    def _alone(self, name: str, path: Path) -> tuple[Launch, ...]:
        """Launches of one tflite model against itself."""
        one = Contender(str(path), path.read_bytes(), self.samples)
        one = with_samples(Candidates(name, one, one), self.place).reference
        bench, made = bench_of(one, one, self.place, self.rule.seed), []
        for number in range(1, LAUNCHES + 1):
            made.append(bench("itself"))
            self.watch(name, "measuring", number, LAUNCHES, f"{number} of {LAUNCHES} launches")
        return tuple(made)
