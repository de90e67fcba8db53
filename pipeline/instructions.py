"""What `litesmith compare --target emulated` and `check --baseline` do with instructions: count, keep, hold against."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy.typing as npt

from device_profiles.errors import EngineError, EngineUnavailable, LitesmithError, StageError, UsageError
from pipeline.baseline import kept_content, kept_name, models_folder, read_instructions, write_baseline
from pipeline.comparison import SAME_BYTES, find_models, matched, read_samples
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
Watch = Callable[[str], None]
"""Told the name of the tflite model that is counted next."""
DEFAULT_ENGINE = "litert"


@dataclass(frozen=True)
class Asked:
    """What the user asks for.

    Attributes:
        target: an emulated core; None: the baseline's.
        engine: its name; None: the baseline's, else litert.
        threshold: the difference that does not matter, as a share.
        variants: of run folders, only these; none: all that both have.
        samples: a file of inputs as the models take them; None: random ones, the same each time.
    """

    target: str | None = None
    engine: str | None = None
    threshold: float = THRESHOLD
    variants: tuple[str, ...] = ()
    samples: Path | None = None


def unwatched(name: str) -> None:
    """The callback of a caller who does not want to know."""


@dataclass(frozen=True)
class Counter:
    """An emulated core that counts tflite models."""

    target: EmulatedTarget
    core: Core
    samples: tuple[Array, ...]
    log: Path
    watch: Watch

    def count(self, name: str, content: bytes) -> InstructionCounts:
        """One tflite model, on a single sample: what it is given is the same in every round.

        Raises:
            EngineError: the engine does not take it.
            StageError: the samples do not fit it.
        """
        self.watch(name)
        return count_inference(self.target, self.core.engine, content, self._drawn, log=self.log, model=name)

    def _drawn(self, loaded: Loaded) -> tuple[Array, ...]:
        """The first of the given samples, or a random one."""
        return tuple(each[:1] for each in self.samples) if self.samples else random_samples([loaded], count=1)


@contextmanager
def counter(asked: Asked, before: Core | None = None, watch: Watch = unwatched) -> Iterator[Counter]:
    """An emulated core, opened.

    Args:
        asked: what the user names.
        before: the baseline's, for what he does not name.
        watch: see `Watch`.

    Raises:
        UsageError: the target counts nothing.
        TargetError: no emulator is installed, or its counter is missing.
        EngineUnavailable: the engine has no Arm wheel.
    """
    text = asked.target or (before.target if before else "emulated")
    engine = asked.engine or (before.engine if before else DEFAULT_ENGINE)
    target = open_target(text)
    if not isinstance(target, EmulatedTarget):
        raise UsageError(f"the target {text} counts no instructions", "emulated, emulated:cortex-a76, emulated:max",
                         "without --target both are timed on this host")
    with target, tempfile.TemporaryDirectory(prefix="litesmith-") as folder:
        info = target.engine_info(engine)
        if not info.available:
            raise EngineUnavailable(engine, "", info.reason, next_step="--engine litert")
        yield Counter(target, core_of(target, engine), read_samples(asked.samples), Path(folder) / "log.txt", watch)


def compare(reference: Path, candidate: Path, asked: Asked, watch: Watch = unwatched) -> CountedResult:
    """Two tflite models, or two runs variant by variant; those of the same bytes are not counted.

    Args:
        reference: a tflite file or a run folder.
        candidate: the same.
        asked: see `Asked`.
        watch: see `Watch`.

    Raises:
        UsageError, TargetError, EngineUnavailable: see `counter`, and a side that is not there.
    """
    first, second = find_models(reference, asked.variants), find_models(candidate, asked.variants)
    match, pairs = matched(first, second), []
    with counter(asked, None, watch) as core:
        for name, (one, other) in match.pairs.items():
            before = None if file_digest(first[one]) == file_digest(second[other]) else first[one].read_bytes()
            pairs.append(_pair(core, name, str(first[one]), second[other], before, asked.threshold))
        return CountedResult(core=core.core, pairs=tuple(pairs), only_reference=match.only_reference,
                             only_candidate=match.only_candidate, notes=_notes(asked))


def _pair(core: Counter, name: str, label: str, candidate: Path, before: bytes | CountedModel | None,
          threshold: float) -> CountedPair:
    """One pair: against bytes that are counted now, or a count that was kept; None: nothing has changed."""
    if before is None:
        return CountedPair(name=name, reference=label, candidate=str(candidate), reason=SAME_BYTES)
    found: InstructionComparison | None = None
    reason = ""
    try:
        one = core.count(name, before) if isinstance(before, bytes) else before
        found = compared(one, core.count(name, candidate.read_bytes()), threshold,
                         "counted" if isinstance(before, bytes) else "kept")
    except (EngineError, StageError) as error:
        reason = f"{error.place()}{error.found}"
    return CountedPair(name=name, reference=label, candidate=str(candidate), instructions=found, reason=reason)


def _notes(asked: Asked) -> tuple[str, ...]:
    """What holds for all pairs."""
    told = "random ones, the same each time" if asked.samples is None else f"the first sample of {asked.samples}"
    return (f"inputs are {told}", "instructions are no latency: an instruction takes from a fraction of a cycle to "
                                  "hundreds")


# -- baselines --------------------------------------------------------------------------------------------------------


def make_baseline(source: Path, path: Path, asked: Asked, keep: bool = True,
                  watch: Watch = unwatched) -> InstructionBaseline:
    """Count tflite models and write a baseline.

    Args:
        source: a tflite file or a run folder.
        path: the baseline's file.
        asked: see `Asked`.
        keep: whether to keep the tflite models beside it.
        watch: see `Watch`.

    Raises:
        LitesmithError: a model cannot be counted; nothing is written then.
    """
    files, models = find_models(source, asked.variants), {}
    with counter(asked, None, watch) as core:
        for name, file in files.items():
            found, digest = core.count(name, file.read_bytes()), file_digest(file)
            models[name] = CountedModel(
                sha256=digest, tflite_bytes=file.stat().st_size, instructions=found.instructions,
                accesses=found.accesses,
                file=f"{models_folder(path).name}/{kept_name(name, digest)}" if keep else None)
        baseline = InstructionBaseline(litesmith=VERSION, made=datetime.now(UTC).isoformat(timespec="seconds"),
                                       core=core.core, inputs=_digest(asked.samples), models=models)
    write_baseline(path, baseline, files)
    return baseline


def compare_with_baseline(candidate: Path, path: Path, asked: Asked, watch: Watch = unwatched) -> CountedResult:
    """Every model of a baseline that the candidate has, too.

    Where runtime, emulator and inputs are those of the baseline, today's count is held against the kept one; else the
    kept tflite model is counted anew.

    Args:
        candidate: a tflite file or a run folder.
        path: the baseline.
        asked: see `Asked`.
        watch: see `Watch`.

    Raises:
        UsageError: the baseline cannot be read, or shares nothing with the candidate.
        StoreError: a kept tflite model is not the one that was counted.
        TargetError, EngineUnavailable: see `counter`.
    """
    baseline, files = read_instructions(path), find_models(candidate, asked.variants)
    wanted = {name: each for name, each in baseline.models.items() if not asked.variants or name in asked.variants}
    match, pairs = matched(wanted, files, crossing=False), []
    with counter(asked, baseline.core, watch) as core:
        reason = why_not_comparable(baseline.core, core.core)
        if _digest(asked.samples) != baseline.inputs:
            reason = ", ".join(filter(None, (reason, "on other samples")))
        for name, (one, other) in match.pairs.items():
            pairs.append(_against(core, (path, one, wanted[one]), (name, files[other]), reason, asked.threshold))
        notes = [f"baseline of {baseline.made}: {baseline.core.engine} {baseline.core.engine_version} on "
                 f"an emulated {baseline.core.cpu}", *([f"it was counted {reason}"] if reason else []), *_notes(asked)]
        return CountedResult(core=core.core, pairs=tuple(pairs), only_reference=match.only_reference,
                             only_candidate=match.only_candidate, notes=tuple(notes))


def _against(core: Counter, kept: tuple[Path, str, CountedModel], today: tuple[str, Path], reason: str,
             threshold: float) -> CountedPair:
    """A model of a baseline (its file, its name there, its record) against a file of today (name, path)."""
    (path, one, model), (name, file) = kept, today
    label = f"{path}: {one}"
    if file_digest(file) == model.sha256:
        return _pair(core, name, label, file, None, threshold)
    if not reason:
        return _pair(core, name, label, file, model, threshold)
    content = kept_content(path, one, model)
    if content is None:
        told = f"its count is not comparable: it was made {reason}; keep the tflite models with the baseline"
        return CountedPair(name=name, reference=label, candidate=str(file), reason=told)
    return _pair(core, name, label, file, content, threshold)


def _digest(samples: Path | None) -> str:
    """SHA-256 of a file of samples; "" for none."""
    return file_digest(samples) if samples is not None and samples.is_file() else ""


# -- what a gate asks -------------------------------------------------------------------------------------------------


def more(result: CountedResult) -> dict[str, str]:
    """Pairs that take more instructions than the threshold allows, each with its figures."""
    return {pair.name: pair.instructions.why for pair in result.pairs
            if pair.instructions is not None and pair.instructions.claim == "more"}


def uncounted(result: CountedResult) -> dict[str, str]:
    """Pairs that could not be counted, with the reason; those whose bytes are the same need not be."""
    return {pair.name: pair.reason for pair in result.pairs if pair.instructions is None and pair.reason != SAME_BYTES}


def failure(result: CountedResult) -> LitesmithError:
    """What to tell of a comparison that does not hold."""
    found = more(result)
    if found:
        return LitesmithError(
            "more instructions: " + "; ".join(f"{name} {why}" for name, why in found.items()),
            next_step="litesmith inspect and explain say what a variant computes; where it is meant, write the "
                      "baseline again or give a larger --margin")
    told = "; ".join(f"{name}: {why}" for name, why in uncounted(result).items())
    return LitesmithError(f"not counted: {told}", next_step="another --engine, or litesmith inspect")
