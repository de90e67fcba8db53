"""Remove, fine-tune, remove again: each finished round is kept, so that a killed run goes on from its last one."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from device_profiles.records import Record
from device_profiles.schema import Measured, Profile
from stages.context import StageContext
from stages.datasets.prepared import Split
from stages.fitting.statistics import renewing
from stages.models.arrays import as_mapping, given_inputs
from stages.models.files import copy_companions, load_model, save_model
from stages.records import (
    BeforeAfter,
    History,
    SlimAudition,
    SlimLatency,
    SlimResult,
    SlimRound,
)
from stages.slimming import importance
from stages.slimming.auditions import Auditions, Heard, leave_out
from stages.slimming.branches import Branch
from stages.slimming.budget import Bounds, Multiple
from stages.slimming.cutting import Goal, Narrowed, Surveyed, check_not_past, check_reachable, cost_of, narrow, survey
from stages.slimming.importance import Importance
from stages.slimming.kernels import has_kernel
from stages.slimming.latency import LatencyFormat, make_clock
from stages.slimming.proof import prove_without
from stages.slimming.spaces import Counts
from stages.training import FitSettings, Lesson, fit

PROOF_SAMPLES = 16
_ROUND_FILE, _PLAN_FILE = "round.json", "plan.json"
_STATISTICS = FitSettings(batch_size=64, statistics_batches=16)
"""1,024 samples for batch normalization's statistics: what reads fewer channels has other means and variances."""


@dataclass(frozen=True)
class Work:
    """What is to be done; see the fields of the same names in `slim.Settings` and `slim.Options`."""

    share: float
    budget: Literal["macs", "parameters", "latency"]
    device: Profile | None
    latency_format: LatencyFormat
    importance: Importance
    samples: int
    multiple: Multiple
    least_share: float
    protect: tuple[str, ...]
    rounds: int
    seed: int
    branches: bool
    branch_trials: int
    branch_samples: int


class _Kept(Record):
    """A finished round, as it is kept."""

    round: SlimRound
    cost: float


class Slimming:
    """A model on its way to being narrower.

    Args:
        model: a flat `tf_keras.Model`.
        work: what is to be done.
        lesson: for fine-tuning, importance and proof.
        source: the artifact of the model; what goes with it goes with the model of each round.
        context: `scratch` keeps the rounds.
    """

    def __init__(self, model: Any, work: Work, lesson: Lesson, source: Path, context: StageContext) -> None:
        self._model, self._work, self._lesson, self._source, self._context = model, work, lesson, source, context
        self._first = survey(model, work.protect, Bounds(work.multiple, work.least_share))
        self._bounds = Bounds(work.multiple, work.least_share, self._first.channels())
        self._samples = self._inputs(lesson.train)
        self._goal = self._whole_goal()
        if not work.branches:
            check_reachable(self._first, self._goal)

    def run(self, last: FitSettings, between: FitSettings) -> tuple[Any, SlimResult]:
        """The slimmed model and what is known of it.

        Args:
            last: of the fine-tuning after the last removal.
            between: of the fine-tuning after each other one.

        Raises:
            StageError: see `slim.run`.
        """
        model, branches, auditions = self._without_branches(between)
        rounds, cost = [], self._goal.whole
        for number in range(1, self._work.rounds + 1):
            settings = last if number == self._work.rounds else between
            model, kept = self._round(number, model, settings)
            rounds.append(kept.round)
            cost = kept.cost
        result = self._result(model, tuple(rounds), cost)
        gone = tuple(branch.record for branch in branches)
        return model, result.model_copy(update={"branches": gone, "auditions": auditions})

    def _without_branches(self, settings: FitSettings) -> tuple[Any, tuple[Branch, ...], tuple[SlimAudition, ...]]:
        """The model that rounds begin with: without the branches that an audition is better without."""
        work = self._work
        if not work.branches:
            return self._model, (), ()
        short = settings.model_copy(update={"epochs": 1, "patience": 0, "samples_per_epoch": work.branch_samples})

        def audition(model: Any, words: str) -> Heard:
            """A model at the goal, after the short training."""
            self._context.progress(0, 0, f"trying the model without {words}")
            surveyed = survey(model, work.protect, self._bounds)
            check_reachable(surveyed, self._goal)
            narrowed = narrow(surveyed, self._goal, self._scores(surveyed), self._samples)
            check_not_past(narrowed, self._goal)
            scratch = self._context.scratch / "audition"
            shutil.rmtree(scratch, ignore_errors=True)
            loss = self._trained(narrowed.model, short, scratch).validation_loss[-1]
            return Heard(loss, survey(narrowed.model, work.protect, self._bounds).channels())

        found, records = Auditions(self._model, work.protect, work.branch_trials, self._context.scratch,
                                   audition).run()
        left = leave_out(self._model, found)
        prove_without(self._model, left, [branch.addend for branch in found], self._samples)
        return left, found, records

    def _round(self, number: int, model: Any, settings: FitSettings) -> tuple[Any, _Kept]:
        """One removal and its fine-tuning, or what an earlier run has kept of it."""
        folder = self._context.scratch / f"round{number}"
        if not (folder / _ROUND_FILE).exists():
            # equal ratios: after i of n rounds (1 - share) ** (i / n) of the cost is left
            share = 1 - (1 - self._work.share) ** (number / self._work.rounds)
            self._context.progress(0, 0, f"removing channels, round {number}/{self._work.rounds}")
            surveyed = survey(model, self._work.protect, self._bounds)
            narrowed = self._narrowed(surveyed, replace(self._goal, share=share), number)
            history = self._trained(narrowed.model, settings, self._context.scratch / f"fit{number}")
            self._keep(folder, narrowed, history)
        kept = _Kept.model_validate_json((folder / _ROUND_FILE).read_bytes())
        return load_model(folder), kept

    def _narrowed(self, surveyed: Surveyed, goal: Goal, number: int) -> Narrowed:
        """The removal. What it chose is kept: another measurement of latencies would choose otherwise."""
        file = self._context.scratch / f"round{number}-{_PLAN_FILE}"
        narrowed = narrow(surveyed, goal, self._scores(surveyed), self._samples, _planned(file, surveyed))
        aside = file.with_suffix(".part")
        aside.write_text(json.dumps({"kept": narrowed.kept.tolist()}), "utf-8")
        aside.replace(file)
        return narrowed

    def _scores(self, surveyed: Surveyed) -> importance.Scores:
        """What each class of channels is worth."""
        work = self._work
        return importance.measure(work.importance, surveyed.model, surveyed.trace, self._lesson, work.samples,
                                  work.seed)

    def _trained(self, model: Any, settings: FitSettings, scratch: Path) -> History:
        """Take batch normalization's statistics anew, then fine-tune with a checkpoint in `scratch`."""
        scratch.mkdir(exist_ok=True)
        renewing(model, self._lesson.train, _STATISTICS, self._work.seed)(0)
        return fit(model, self._lesson, settings, self._work.seed, replace(self._context, scratch=scratch))

    def _keep(self, folder: Path, narrowed: Narrowed, history: History) -> None:
        """Write the round aside and rename it: one that is there is whole."""
        aside = folder.with_suffix(".part")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        save_model(narrowed.model, aside)
        copy_companions(self._source, aside)
        removed = 1 - narrowed.cost / self._goal.whole
        kept = _Kept(round=SlimRound(removed_share=removed, proof=narrowed.proof, history=history), cost=narrowed.cost)
        (aside / _ROUND_FILE).write_text(kept.model_dump_json(), "utf-8")
        aside.rename(folder)

    def _inputs(self, split: Split) -> Any:
        """Samples for the proof, as the model is called with them."""
        x = split.x[:PROOF_SAMPLES]
        return given_inputs(self._model, x.dtype)(as_mapping(x))

    def _whole_goal(self) -> Goal:
        """The goal of all rounds."""
        work, first = self._work, self._first
        if work.device is None:
            return Goal(work.budget, cost_of(first, work.budget)(first.all), work.share)
        single = self._lesson.train.x.dtype.names is None
        samples = np.asarray(self._samples, np.float32) if single else None
        clock = make_clock(work.device, work.latency_format, self._model, samples, self._context.log)
        return Goal(work.budget, clock(self._model), work.share, clock)

    def _result(self, model: Any, rounds: tuple[SlimRound, ...], cost: float) -> SlimResult:
        """The record; its summary is written by the stage."""
        work, first, last = self._work, self._first, survey(model, self._work.protect, self._bounds)
        after = last.channels()
        return SlimResult(
            summary="", warnings=self._uncounted(), history=rounds[-1].history, rounds=rounds,
            channels={name: BeforeAfter(before=count, after=after.get(name, 0))
                      for name, count in first.channels().items()},
            macs=BeforeAfter(before=round(first.macs(first.all)), after=round(last.macs(last.all))),
            parameters=BeforeAfter(before=self._model.count_params(), after=model.count_params()),
            budget=work.budget, asked_share=work.share, removed_share=1 - cost / self._goal.whole,
            latency=self._latency(cost), importance=work.importance, protected=first.trace.fixed(),
            proof=max(each.proof for each in rounds), proof_samples=min(PROOF_SAMPLES, len(self._lesson.train.y)))

    def _latency(self, cost: float) -> SlimLatency | None:
        """Before and after, where that was the budget."""
        device = self._work.device
        if device is None:
            return None
        return SlimLatency(profile=device.name, number_format=self._work.latency_format,
                           provenance="measured" if isinstance(device.latency, Measured) else "predicted",
                           before_ms=self._goal.whole, after_ms=cost)

    def _uncounted(self) -> tuple[str, ...]:
        """What a user should know of layers whose multiply-accumulates are not counted."""
        names = [layer.name for layer in self._model.layers if not has_kernel(layer)
                 and any(len(weight.shape) > 1 for weight in layer.weights) and type(layer).__name__ != "PReLU"]
        if not names:
            return ()
        return (f"slim keeps {', '.join(names)} as they are and does not count their multiply-accumulates",)


def _planned(file: Path, surveyed: Surveyed) -> Counts | None:
    """How many classes each space keeps, where an earlier run has found that out for these spaces."""
    try:
        kept = json.loads(file.read_text("utf-8"))["kept"]
    except FileNotFoundError:
        return None
    return np.array(kept, np.int64) if len(kept) == len(surveyed.spaces) else None
