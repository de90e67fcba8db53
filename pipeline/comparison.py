"""What `litesmith compare` does: find the tflite models of both sides, hold them against each other, keep baselines."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.errors import EngineUnavailable, LitesmithError, TfliteError, UsageError, near_miss
from pipeline.baseline import kept_content, kept_name, models_folder, read_baseline, write_baseline
from pipeline.store import file_digest
from pipeline.version import VERSION
from stages.benchmarking.settings import Settings, pinned
from stages.comparing.baseline import LAUNCHES, Baseline, KeptModel, against_milliseconds, kept, why_no_milliseconds
from stages.comparing.launching import Contender, Launch, Place
from stages.comparing.pairing import Candidates, bench_of, compare_pair, with_samples
from stages.comparing.records import ComparisonResult, LatencyComparison, PairComparison, Predictions
from stages.comparing.trial import Rule, level_of_each
from stages.engines import host, registry

Array = npt.NDArray[Any]
Files = dict[str, Path]
Watch = Callable[[str, str, float, float, str], None]
"""Told after each launch: the pair, the phase, seconds spent, seconds allowed, the interval so far in words."""
SAME_BYTES = "the same bytes: nothing to measure"
_KEEP = "Keep the tflite models with the baseline, and they are measured here in turns"


@dataclass(frozen=True)
class Asked:
    """What the user asks for.

    Attributes:
        engine: its name; None: the baseline's, else litert.
        threads: of the engine; None: the baseline's, else 1.
        rule: margin and budget.
        variants: of run folders, only these; none: all that both have.
        samples: a file of inputs as the models take them; None: random ones.
    """

    engine: str | None = None
    threads: int | None = None
    rule: Rule = field(default_factory=Rule)
    variants: tuple[str, ...] = ()
    samples: Path | None = None


    def place(self, baseline: Baseline | None = None) -> tuple[str, int]:
        """Engine and threads; TFLM has one."""
        engine = self.engine or (baseline.engine if baseline else "litert")
        return engine, 1 if engine == "tflm" else self.threads or (baseline.threads if baseline else 1)

    def for_claims(self, claims: int) -> Asked:
        """With a level so that a run with many variants raises no more false alarms than one with a single one."""
        return replace(self, rule=replace(self.rule, level=level_of_each(claims)))


def unwatched(name: str, phase: str, spent_s: float, budget_s: float, text: str) -> None:
    """The callback of a caller who does not want to know."""


# -- what is compared -------------------------------------------------------------------------------------------------


def find_models(path: Path, wanted: Iterable[str] = ()) -> Files:
    """The tflite models of one side by name: a file under its stem, a run folder's by variant.

    Raises:
        UsageError: there is nothing, no tflite model in it, or no variant of a wanted name.
    """
    if path.is_file():
        return {path.stem: path}
    if not path.is_dir():
        raise UsageError(f"{path}: no such file or folder", "a .tflite file or a run folder",
                         "run folders are in runs/; litesmith status")
    folder = path / "models" if (path / "models").is_dir() else path
    found = {each.stem: each for each in sorted(folder.glob("*.tflite"))}
    if not found:
        raise UsageError(f"{path} holds no tflite model", "a run folder with models/*.tflite",
                         "litesmith run makes them")
    for name in wanted:
        if name not in found:
            hint = near_miss(name, found)
            raise UsageError(f"{path} has no variant '{name}'" + (f"; {hint}" if hint else ""), ", ".join(found))
    return {name: each for name, each in found.items() if not wanted or name in set(wanted)}


@dataclass(frozen=True)
class _Match:
    """Which model of one side is held against which of the other."""

    pairs: dict[str, tuple[str, str]]
    only_reference: tuple[str, ...] = ()
    only_candidate: tuple[str, ...] = ()


def matched(reference: Iterable[str], candidate: Iterable[str], *, crossing: bool = True) -> _Match:
    """By name. Where no name is shared, a single model is held against each of the other side.

    Args:
        reference: names of one side.
        candidate: names of the other.
        crossing: whether a single model may meet several.

    Raises:
        UsageError: the sides share no name, and are several.
    """
    first, second = list(reference), list(candidate)
    shared = [name for name in first if name in second]
    if shared:
        return _Match({name: (name, name) for name in shared}, tuple(name for name in first if name not in shared),
                      tuple(name for name in second if name not in shared))
    fewest = min(len(first), len(second)) if crossing else max(len(first), len(second))
    if fewest != 1:
        raise UsageError(f"the two sides share no variant: {', '.join(first)} and {', '.join(second)}",
                         "two sides with a variant of the same name", "name two .tflite files instead")
    return _Match({one if len(second) == 1 < len(first) else other: (one, other)
                   for one, other in itertools.product(first, second)})


# -- comparing --------------------------------------------------------------------------------------------------------


def compare(reference: Path, candidate: Path, asked: Asked, watch: Watch = unwatched) -> ComparisonResult:
    """Two tflite models, or two runs variant by variant.

    Of several pairs those with the same bytes are not measured; a single pair always is.

    Args:
        reference: a tflite file or a run folder.
        candidate: the same.
        asked: see `Asked`.
        watch: see `Watch`.

    Raises:
        UsageError: a side is not there, or they share nothing.
        EngineUnavailable: the engine is not installed.
        TfliteError: a file is no whole tflite model.
    """
    first, second = find_models(reference, asked.variants), find_models(candidate, asked.variants)
    match, samples = matched(first, second), read_samples(asked.samples)
    same = {name for name, (one, other) in match.pairs.items()
            if len(match.pairs) > 1 and first[one].read_bytes() == second[other].read_bytes()}
    asked = asked.for_claims(len(match.pairs) - len(same))
    with _place(asked) as place:
        pairs = []
        for name, (one, other) in match.pairs.items():
            before = first[one].read_bytes()
            if name in same:
                pairs.append(_without_model(name, str(first[one]), second[other], SAME_BYTES))
            else:
                pairs.append(_pair(name, (str(first[one]), before), second[other], samples, place, asked, watch))
    return ComparisonResult(host=host.host(), pairs=tuple(pairs), only_reference=match.only_reference,
                            only_candidate=match.only_candidate, notes=_notes(asked))


def _pair(name: str, reference: tuple[str, bytes], candidate: Path, samples: tuple[Array, ...], place: Place,
          asked: Asked, watch: Watch) -> PairComparison:
    """One pair, with the file's name in its errors."""
    content = candidate.read_bytes()
    pair = Candidates(name, Contender(reference[0], reference[1], samples), Contender(str(candidate), content, samples))
    if asked.samples is not None:
        pair = Candidates(name, pair.reference, pair.candidate, f"{asked.samples}, {len(samples[0])} samples")
    try:
        return compare_pair(pair, place, asked.rule,
                            lambda phase, spent, budget, text: watch(name, phase, spent, budget, text))
    except TfliteError as error:
        raise TfliteError(f"{reference[0]} or {candidate}: {error.found}", error.allowed, error.next_step) from error


def read_samples(path: Path | None) -> tuple[Array, ...]:
    """Inputs out of an `.npy` file, as the model takes them: float32 in its units, or uint8 as stored.

    Raises:
        UsageError: it cannot be read, or holds no samples.
    """
    if path is None:
        return ()
    try:
        rows: Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{path} cannot be read: {error}", "an .npy file of samples") from error
    if not rows.ndim or not len(rows):
        raise UsageError(f"{path} holds no samples", "an array (samples, ...)")
    return (rows,) if rows.dtype.names is None else tuple(rows[name] for name in rows.dtype.names)


@contextmanager
def _place(asked: Asked, baseline: Baseline | None = None) -> Iterator[Place]:
    """Engine, threads and cores, with a log that is thrown away.

    Raises:
        UsageError: no such engine.
        EngineUnavailable: it is not installed.
    """
    engine, threads = asked.place(baseline)
    info = registry.engine_info(engine)
    if not info.available:
        raise EngineUnavailable(engine, "", info.reason, next_step="litesmith doctor")
    cpus = pinned(Settings(threads=threads))
    with tempfile.TemporaryDirectory(prefix="litesmith-") as folder:
        yield Place(engine, Path(folder) / "log.txt", threads, cpus)


def _notes(asked: Asked) -> tuple[str, ...]:
    """What holds for all pairs."""
    if asked.samples is not None:
        return ()
    return ("inputs are random: times of dense models do not depend on them, but predictions on real samples "
            "(--samples FILE.npy) say more",)


# -- baselines --------------------------------------------------------------------------------------------------------


def make_baseline(source: Path, target: Path, asked: Asked, keep: bool = True, watch: Watch = unwatched) -> Baseline:
    """Measure tflite models and write a baseline.

    Args:
        source: a tflite file or a run folder.
        target: the baseline's file.
        asked: see `Asked`.
        keep: whether to keep the tflite models beside it.
        watch: see `Watch`.

    Raises:
        LitesmithError: a model cannot be measured; nothing is written then.
    """
    files, samples = find_models(source, asked.variants), read_samples(asked.samples)
    models: dict[str, KeptModel] = {}
    folder, version = models_folder(target).name, ""
    with _place(asked) as place:
        for name, path in files.items():
            launches = _alone(name, path, samples, place, asked, watch)
            digest, version = file_digest(path), launches[-1].engine_version
            file = f"{folder}/{kept_name(name, digest)}" if keep else None
            models[name] = kept(path.read_bytes(), digest, file, launches, asked.rule.seed)
        here = host.host()
        baseline = Baseline(litesmith=VERSION, made=datetime.now(UTC).isoformat(timespec="seconds"), host=here,
                            fingerprint=host.fingerprint(here), engine=place.engine, engine_version=version,
                            threads=place.threads, cpus=place.cpus, models=models)
    write_baseline(target, baseline, files)
    return baseline


def _alone(name: str, path: Path, samples: tuple[Array, ...], place: Place, asked: Asked,
           watch: Watch) -> tuple[Launch, ...]:
    """Launches of one tflite model against itself."""
    one = Contender(str(path), path.read_bytes(), samples)
    one = with_samples(Candidates(name, one, one), place).reference
    bench, made = bench_of(one, one, place, asked.rule.seed), []
    for number in range(1, LAUNCHES + 1):
        made.append(bench("itself"))
        watch(name, "measuring", number, LAUNCHES, f"{number} of {LAUNCHES} launches")
    return tuple(made)


def compare_with_baseline(candidate: Path, path: Path, asked: Asked, watch: Watch = unwatched) -> ComparisonResult:
    """Every model of a baseline that the candidate has, too.

    Bytes that did not change are not measured. The kept tflite model is measured in turns with the candidate; where it
    was not kept, milliseconds are compared, on the same machine with the same engine alone.

    Args:
        candidate: a tflite file or a run folder.
        path: the baseline.
        asked: see `Asked`.
        watch: see `Watch`.

    Raises:
        UsageError: the baseline cannot be read, or shares nothing with the candidate.
        StoreError: a kept tflite model is not the one that was measured.
        EngineUnavailable: the engine is not installed.
    """
    baseline, files = read_baseline(path), find_models(candidate, asked.variants)
    wanted = {name: each for name, each in baseline.models.items() if not asked.variants or name in asked.variants}
    match, samples = matched(wanted, files, crossing=False), read_samples(asked.samples)
    changed = [name for name, (one, other) in match.pairs.items()
               if file_digest(files[other]) != baseline.models[one].sha256]
    asked, pairs = asked.for_claims(len(changed)), []
    with _place(asked, baseline) as place:
        against = _Against(baseline, path, samples, place, asked, watch)
        for name, (one, other) in match.pairs.items():
            pairs.append(against.pair(name, one, files[other]))
    notes = [f"baseline of {baseline.made}: {baseline.engine} {baseline.engine_version} on {baseline.host.cpu}"]
    return ComparisonResult(host=host.host(), pairs=tuple(pairs), only_reference=match.only_reference,
                            only_candidate=match.only_candidate, notes=(*notes, *_notes(asked)))


@dataclass(frozen=True)
class _Against:
    """One baseline."""

    baseline: Baseline
    path: Path
    samples: tuple[Array, ...]
    place: Place
    asked: Asked
    watch: Watch

    def pair(self, name: str, one: str, candidate: Path) -> PairComparison:
        """A model of the baseline against a file of today."""
        model, label = self.baseline.models[one], f"{self.path}: {one}"
        if file_digest(candidate) == model.sha256:
            return _without_model(name, label, candidate, SAME_BYTES)
        before = kept_content(self.path, one, model)
        if before is not None:
            return _pair(name, (label, before), candidate, self.samples, self.place, self.asked, self.watch)
        version = registry.engine_info(self.place.engine).version or ""
        reason = why_no_milliseconds(self.baseline, self.place, version, host.host())
        if reason:
            return _without_model(name, label, candidate, f"its milliseconds are not compared: {reason}. {_KEEP}")
        launches = _alone(name, candidate, self.samples, self.place, self.asked, self.watch)
        found = against_milliseconds(model, launches, self.asked.rule, self.place)
        return _without_model(name, label, candidate, latency=found)


def _without_model(name: str, reference: str, candidate: Path, reason: str = "",
                   latency: LatencyComparison | None = None) -> PairComparison:
    """A pair of which the reference's tflite model is not at hand, or need not be looked at."""
    told = reason if reason == SAME_BYTES else "no tflite model in the baseline"
    return PairComparison(name=name, reference=reference, candidate=str(candidate), latency=latency, reason=reason,
                          differences=None, predictions=Predictions(reason=told))


# -- what a gate asks -------------------------------------------------------------------------------------------------


def slower(result: ComparisonResult) -> dict[str, str]:
    """Pairs that are proven slower, each with its figures."""
    return {pair.name: pair.latency.why for pair in result.pairs
            if pair.latency is not None and pair.latency.claim == "slower"}


def unmeasured(result: ComparisonResult) -> dict[str, str]:
    """Pairs that could not be measured, with the reason; those whose bytes are the same need not be."""
    return {pair.name: pair.reason for pair in result.pairs if pair.latency is None and pair.reason != SAME_BYTES}


def failure(result: ComparisonResult) -> LitesmithError:
    """What to tell of a comparison that does not hold: what is slower, else what could not be measured."""
    found = slower(result)
    if found:
        return LitesmithError(
            "proven slower: " + "; ".join(f"{name} {why}" for name, why in found.items()),
            next_step="litesmith explain says why a variant is slow; where it is meant, write the baseline again or "
                      "give a larger --margin")
    told = "; ".join(f"{name}: {why}" for name, why in unmeasured(result).items())
    return LitesmithError(f"not measured: {told}", next_step="another --engine, or litesmith inspect")
