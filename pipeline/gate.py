"""One gate for every kind of measurement: tflite models in pairs, or against a baseline, and what fails.

A kind (`latency.py`, `instructions.py`) brings a `Gate`, which is what the user asks, and a `Gauge`, which measures and
judges. Which model meets which, what need not be measured, what a baseline keeps, and the exit code stand here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from device_profiles.errors import LitesmithError
from pipeline.baseline import kept_content, kept_name, models_folder, write_baseline
from pipeline.sides import Files, Match, find_models, matched
from pipeline.store import file_digest
from stages.comparing.baseline import Baseline
from stages.comparing.instructions import InstructionBaseline
from stages.comparing.records import Pair, Pairs

Watch = Callable[[str, str, float, float, str], None]
"""Told of each step: the pair, the phase, seconds spent, seconds allowed, the interval so far in words."""
SAME_BYTES = "the same bytes: nothing to measure"
DEFAULT_ENGINE = "litert"
D = TypeVar("D", bound=Baseline | InstructionBaseline)  # of a kind: its baselines,
P = TypeVar("P", bound=Pair)  # what it says of a pair,
R = TypeVar("R", bound=Pairs[Any])  # and of all pairs


def unwatched(name: str, phase: str, spent_s: float, budget_s: float, text: str) -> None:
    """The callback of a caller who does not want to know."""


def now() -> str:
    """When a baseline is made: ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class File:
    """A tflite model that a candidate is held against."""

    path: Path

    @property
    def label(self) -> str:
        """Where it is, for people."""
        return str(self.path)

    @property
    def sha256(self) -> str:
        """Of the tflite model."""
        return file_digest(self.path)


@dataclass(frozen=True)
class Kept(Generic[D]):
    """What a baseline has of such a tflite model.

    Attributes:
        path: the baseline's document.
        baseline: what it says.
        name: of the model in it.
    """

    path: Path
    baseline: D
    name: str

    @property
    def label(self) -> str:
        """Where it is, for people."""
        return f"{self.path}: {self.name}"

    @property
    def sha256(self) -> str:
        """Of the tflite model."""
        return self.baseline.models[self.name].sha256

    def content(self) -> bytes | None:
        """The tflite model; None where it was not kept.

        Raises:
            StoreError: what was kept is not the model that was measured.
        """
        return kept_content(self.path, self.name, self.baseline.models[self.name])


@dataclass(frozen=True)
class Source:
    """A tflite model that goes into a baseline.

    Attributes:
        path: the file.
        sha256: of it.
        file: where it is kept, relative to the baseline's folder; None where it is not.
    """

    path: Path
    sha256: str
    file: str | None


class Gauge(ABC, Generic[D, P, R]):
    """What measures and judges, once the place where it does so is open."""

    @abstractmethod
    def pair(self, name: str, label: str, content: bytes, candidate: Path) -> P:
        """Measure both; what an engine refuses is the pair's `reason`.

        Args:
            name: of the pair.
            label: of the reference.
            content: the reference.
            candidate: the other tflite model.
        """

    @abstractmethod
    def against(self, name: str, kept: Kept[D], candidate: Path) -> P:
        """The same, with a reference that may be there in figures alone.

        Raises:
            StoreError: what was kept is not the model that was measured.
        """

    @abstractmethod
    def unmeasured(self, name: str, label: str, candidate: Path, reason: str) -> P:
        """A pair of which nothing is said but why."""

    @abstractmethod
    def result(self, pairs: Sequence[P], match: Match, baseline: D | None) -> R:
        """All pairs, with what was measured where."""

    @abstractmethod
    def keep(self, sources: Mapping[str, Source]) -> D:
        """Measure tflite models for a baseline.

        Raises:
            LitesmithError: one cannot be measured.
        """


@dataclass(frozen=True)
class Words:
    """How a kind names what fails, and what to do then.

    Attributes:
        worse: the claim that fails a gate, and its key in JSON.
        worse_told: the same in a message.
        worse_next: the next step.
        missing: the key in JSON of what could not be measured.
        missing_told: the same in a message.
    """

    worse: str
    worse_told: str
    worse_next: str
    missing: str
    missing_told: str


@dataclass(frozen=True)
class Judgement:
    """What a gate asks of a comparison.

    Attributes:
        worse: pairs whose claim fails a gate, each with its figures.
        missing: pairs that could not be measured, with the reason; those whose bytes are the same need not be.
    """

    words: Words
    worse: dict[str, str]
    missing: dict[str, str]

    def exit_code(self, gate: bool) -> int:
        """1 where a pair could not be measured, or where one is worse and that fails; else 0: noise fails nothing."""
        return 1 if self.missing or (gate and self.worse) else 0

    @property
    def failure(self) -> LitesmithError:
        """What to tell of a comparison that does not hold: what is worse, else what could not be measured."""
        if self.worse:
            told = "; ".join(f"{name} {why}" for name, why in self.worse.items())
            return LitesmithError(f"{self.words.worse_told}: {told}", next_step=self.words.worse_next)
        told = "; ".join(f"{name}: {why}" for name, why in self.missing.items())
        return LitesmithError(f"{self.words.missing_told}: {told}", next_step="another --engine, or litesmith inspect")

    def data(self) -> dict[str, Any]:
        """The same for JSON."""
        return {self.words.worse: list(self.worse), self.words.missing: self.missing}


@dataclass(frozen=True)
class Gate(ABC, Generic[D, P, R]):
    """What the user asks; a kind adds what it alone needs to know.

    Attributes:
        engine: its name; None: the baseline's, else `DEFAULT_ENGINE`.
        variants: of run folders, only these; none: all that both have.
        samples: a file of inputs as the models take them; None: random ones.
    """

    engine: str | None = None
    variants: tuple[str, ...] = ()
    samples: Path | None = None

    words: ClassVar[Words]
    one_is_measured: ClassVar[bool]
    """Whether a single pair of files is measured although its bytes are the same."""

    @abstractmethod
    def baseline(self, path: Path) -> D:
        """Read a baseline of this kind.

        Raises:
            UsageError: there is none, or it is of another kind or version.
        """

    @abstractmethod
    def opened(self, claims: int, baseline: D | None, watch: Watch) -> AbstractContextManager[Gauge[D, P, R]]:
        """The place where it is measured.

        Args:
            claims: pairs that will be measured.
            baseline: for what the user does not name.
            watch: see `Watch`.

        Raises:
            UsageError, EngineUnavailable, TargetError: nothing can be measured there.
        """

    def compare(self, reference: Path, candidate: Path, watch: Watch = unwatched) -> R:
        """Two tflite models, or two runs variant by variant; of several pairs those of the same bytes are not measured.

        Args:
            reference: a tflite file or a run folder.
            candidate: the same.
            watch: see `Watch`.

        Raises:
            UsageError: a side is not there, or they share nothing; see `opened`.
            EngineUnavailable: the engine is not installed.
            TfliteError: a file is no whole tflite model.
        """
        first, second = find_models(reference, self.variants), find_models(candidate, self.variants)
        references = {name: File(path) for name, path in first.items()}
        return self._held(matched(first, second), references, second, None, watch)

    def compare_with_baseline(self, candidate: Path, path: Path, watch: Watch = unwatched) -> R:
        """Every model of a baseline that the candidate has, too. Bytes that did not change are not measured.

        Args:
            candidate: a tflite file or a run folder.
            path: the baseline.
            watch: see `Watch`.

        Raises:
            UsageError: the baseline cannot be read, or shares nothing with the candidate; see `opened`.
            StoreError: a kept tflite model is not the one that was measured.
            EngineUnavailable: the engine is not installed.
        """
        baseline, files = self.baseline(path), find_models(candidate, self.variants)
        wanted = [name for name in baseline.models if not self.variants or name in self.variants]
        references = {name: Kept(path, baseline, name) for name in wanted}
        return self._held(matched(wanted, files, crossing=False), references, files, baseline, watch)

    def _held(self, match: Match, references: Mapping[str, File | Kept[D]], files: Files, baseline: D | None,
              watch: Watch) -> R:
        """Each candidate against its reference."""
        same = {name for name, (one, other) in match.pairs.items()
                if references[one].sha256 == file_digest(files[other])}
        if self.one_is_measured and baseline is None and len(match.pairs) == 1:
            same = set()
        with self.opened(len(match.pairs) - len(same), baseline, watch) as gauge:
            pairs = [_pair(gauge, name, references[one], files[other], same=name in same)
                     for name, (one, other) in match.pairs.items()]
            return gauge.result(pairs, match, baseline)

    def make_baseline(self, source: Path, path: Path, keep: bool = True, watch: Watch = unwatched) -> D:
        """Measure tflite models and write a baseline.

        Args:
            source: a tflite file or a run folder.
            path: the baseline's file.
            keep: whether to keep the tflite models beside it.
            watch: see `Watch`.

        Raises:
            LitesmithError: a model cannot be measured; nothing is written then.
        """
        files, folder = find_models(source, self.variants), models_folder(path).name
        digests = {name: file_digest(file) for name, file in files.items()}
        sources = {name: Source(file, digests[name], f"{folder}/{kept_name(name, digests[name])}" if keep else None)
                   for name, file in files.items()}
        with self.opened(1, None, watch) as gauge:
            baseline = gauge.keep(sources)
        write_baseline(path, baseline, files)
        return baseline

    def judged(self, result: R) -> Judgement:
        """What fails, of a comparison."""
        found = [(pair, pair.found) for pair in result.pairs]
        worse = {pair.name: claimed.why for pair, claimed in found
                 if claimed is not None and claimed.claim == self.words.worse}
        missing = {pair.name: pair.reason for pair, claimed in found if claimed is None and pair.reason != SAME_BYTES}
        return Judgement(self.words, worse, missing)


def _pair(gauge: Gauge[D, P, R], name: str, reference: File | Kept[D], candidate: Path, *, same: bool) -> P:
    """One pair."""
    if same:
        return gauge.unmeasured(name, reference.label, candidate, SAME_BYTES)
    if isinstance(reference, Kept):
        return gauge.against(name, reference, candidate)
    return gauge.pair(name, reference.label, reference.path.read_bytes(), candidate)
