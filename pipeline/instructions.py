"""The kind of comparison that `litesmith compare --target emulated` makes: instructions on an emulated Arm core."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from device_profiles.errors import EngineError, EngineUnavailable, StageError, UsageError
from pipeline.baseline import read_baseline
from pipeline.gate import DEFAULT_ENGINE, Gate, Gauge, Kept, Source, Watch, Words, now
from pipeline.sides import Match, read_samples
from pipeline.store import file_digest
from pipeline.version import VERSION
from stages.comparing.differences import random_samples
from stages.comparing.instructions import (
    THRESHOLD,
    Core,
    CountedModel,
    CountedPair,
    CountedResult,
    InstructionBaseline,
    InstructionComparison,
    compared,
    core_of,
    why_not_comparable,
)
from stages.engines.client import Loaded
from stages.engines.targets.counting import InstructionCounts, count_inference
from stages.engines.targets.emulated import EmulatedTarget
from stages.engines.targets.opening import open_target

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class InstructionGate(Gate[InstructionBaseline, CountedPair, CountedResult]):
    """What the user asks.

    Attributes:
        target: an emulated core; None: the baseline's.
        threshold: the difference that does not matter, as a share.
    """

    target: str | None = None
    threshold: float = THRESHOLD

    words = Words(worse="more", worse_told="more instructions", missing="uncounted", missing_told="not counted",
                  worse_next="litesmith inspect and explain say what a variant computes; where it is meant, write the "
                             "baseline again or give a larger --margin")
    one_is_measured = False

    def baseline(self, path: Path) -> InstructionBaseline:
        """Instructions that were kept."""
        return read_baseline(path, InstructionBaseline)

    @contextmanager
    def opened(self, claims: int, baseline: InstructionBaseline | None, watch: Watch) -> Iterator[InstructionGauge]:  # noqa: ARG002 (a count has no chance of a false alarm)
        """An emulated core.

        Raises:
            UsageError: the target counts nothing.
            TargetError: no emulator is installed, or its counter is missing.
            EngineUnavailable: the engine has no Arm wheel.
        """
        before = baseline.core if baseline else None
        text = self.target or (before.target if before else "emulated")
        engine = self.engine or (before.engine if before else DEFAULT_ENGINE)
        target = open_target(text)
        if not isinstance(target, EmulatedTarget):
            raise UsageError(f"the target {text} counts no instructions", "emulated, emulated:cortex-a76, emulated:max",
                             "without --target both are timed on this host")
        with target, tempfile.TemporaryDirectory(prefix="litesmith-") as folder:
            info = target.engine_info(engine)
            if not info.available:
                raise EngineUnavailable(engine, "", info.reason, next_step="--engine litert")
            yield InstructionGauge(target, core_of(target, engine), self.threshold, read_samples(self.samples),
                                   self.samples, Path(folder) / "log.txt", watch)


@dataclass(frozen=True)
class InstructionGauge(Gauge[InstructionBaseline, CountedPair, CountedResult]):
    """An emulated core that counts tflite models.

    Attributes:
        samples: inputs; empty for random ones, the same each time.
        samples_file: where they come from.
    """

    target: EmulatedTarget
    core: Core
    threshold: float
    samples: tuple[Array, ...]
    samples_file: Path | None
    log: Path
    watch: Watch

    def pair(self, name: str, label: str, content: bytes, candidate: Path) -> CountedPair:
        """Both are counted."""
        return self._counted(name, label, content, candidate)

    def against(self, name: str, kept: Kept[InstructionBaseline], candidate: Path) -> CountedPair:
        """With the kept count where runtime, emulator and inputs are its own; else the kept model is counted anew."""
        reason = self._why_not_comparable(kept.baseline)
        if not reason:
            return self._counted(name, kept.label, kept.baseline.models[kept.name], candidate)
        content = kept.content()
        if content is None:
            return self.unmeasured(name, kept.label, candidate, f"its count is not comparable: it was made {reason}; "
                                   "keep the tflite models with the baseline")
        return self.pair(name, kept.label, content, candidate)

    def _why_not_comparable(self, baseline: InstructionBaseline) -> str:
        """What differs from the day of a baseline; empty where nothing does."""
        reason = why_not_comparable(baseline.core, self.core)
        return reason if self._inputs() == baseline.inputs else ", ".join(filter(None, (reason, "on other samples")))

    def _counted(self, name: str, label: str, before: bytes | CountedModel, candidate: Path) -> CountedPair:
        """One pair: against bytes that are counted now, or a count that was kept."""
        found: InstructionComparison | None = None
        reason = ""
        try:
            one = self._count(name, before) if isinstance(before, bytes) else before
            found = compared(one, self._count(name, candidate.read_bytes()), self.threshold,
                             "counted" if isinstance(before, bytes) else "kept")
        except (EngineError, StageError) as error:
            reason = f"{error.place()}{error.found}"
        return CountedPair(name=name, reference=label, candidate=str(candidate), instructions=found, reason=reason)

    def unmeasured(self, name: str, label: str, candidate: Path, reason: str) -> CountedPair:
        """A pair that is not counted."""
        return CountedPair(name=name, reference=label, candidate=str(candidate), reason=reason)

    def result(self, pairs: Sequence[CountedPair], match: Match, baseline: InstructionBaseline | None) -> CountedResult:
        """All pairs, on this core."""
        notes = [f"inputs are {self._told_inputs()}",
                 "instructions are no latency: an instruction takes from a fraction of a cycle to hundreds"]
        if baseline is not None:
            before, reason = baseline.core, self._why_not_comparable(baseline)
            notes = [f"baseline of {baseline.made}: {before.engine} {before.engine_version} on an emulated "
                     f"{before.cpu}", *([f"it was counted {reason}"] if reason else []), *notes]
        return CountedResult(core=self.core, pairs=tuple(pairs), only_reference=match.only_reference,
                             only_candidate=match.only_candidate, notes=tuple(notes))

    def keep(self, sources: Mapping[str, Source]) -> InstructionBaseline:
        """Count each model."""
        models = {}
        for name, each in sources.items():
            content = each.path.read_bytes()
            found = self._count(name, content)
            models[name] = CountedModel(sha256=each.sha256, tflite_bytes=len(content), file=each.file,
                                        instructions=found.instructions, accesses=found.accesses)
        return InstructionBaseline(litesmith=VERSION, made=now(), core=self.core, inputs=self._inputs(), models=models)

    def _count(self, name: str, content: bytes) -> InstructionCounts:
        """One tflite model, on a single sample: what it is given is the same in every round.

        Raises:
            EngineError: the engine does not take it.
            StageError: the samples do not fit it.
        """
        self.watch(name, "counting", 0, 0, "")
        return count_inference(self.target, self.core.engine, content, self._drawn, log=self.log, model=name)

    def _drawn(self, loaded: Loaded) -> tuple[Array, ...]:
        """The first of the given samples, or a random one."""
        return tuple(each[:1] for each in self.samples) if self.samples else random_samples([loaded], count=1)

    def _inputs(self) -> str:
        """SHA-256 of the file of samples; "" for random ones."""
        return "" if self.samples_file is None else file_digest(self.samples_file)

    def _told_inputs(self) -> str:
        """The inputs in words."""
        return "random ones, the same each time" if self.samples_file is None else (
            f"the first sample of {self.samples_file}")
