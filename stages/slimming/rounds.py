"""Remove, fine-tune, remove again: each finished round is kept, so that a killed run goes on from its last one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
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
from stages.slimming.auditions import Auditions, Choice, Heard, leave_out
from stages.slimming.branches import Branch
from stages.slimming.budget import Bounds, Multiple
from stages.slimming.cutting import Goal, Narrowed, Surveyed, check_not_past, check_reachable, cost_of, narrow, survey
from stages.slimming.importance import Importance
from stages.slimming.kernels import has_kernel
from stages.slimming.latency import LatencyFormat, make_clock
from stages.slimming.proof import prove_without
from stages.slimming.spaces import Counts
from stages.slimming.trades import WIDEST, trades
from stages.training import FitSettings, Lesson, fit

PROOF_SAMPLES = 16
_ROUND_FILE, _PLAN_FILE = "round.json", "plan.json"
_STATISTICS = FitSettings(batch_size=64, statistics_batches=16)
"""1,024 samples for batch normalization's statistics: what reads fewer channels has other means and variances."""
_AUDITION_STATISTICS = 20
"""Batches for the same after an audition: so short a training leaves moving averages far behind the weights."""


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
    joined_worth: tuple[float, ...]
    auditions: int
    audition_samples: int
    trades: int


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
        choice, model, auditions = self._begun(between)
        rounds, cost = [], self._goal.whole
        for number in range(1, self._work.rounds + 1):
            settings = last if number == self._work.rounds else between
            model, kept = self._round(number, model, settings, choice)
            rounds.append(kept.round)
            cost = kept.cost
        result = self._result(model, tuple(rounds), cost)
        gone = tuple(branch.record for branch in choice.gone)
        return model, result.model_copy(update={"branches": gone, "joined_worth": choice.joined_worth,
                                                "auditions": auditions})

    def _begun(self, settings: FitSettings) -> tuple[Choice, Any, tuple[SlimAudition, ...]]:
        """What goes whole and what joined channels count, the model that rounds begin with, and what was tried."""
        work = self._work
        worths = work.joined_worth if any(space.joined for space in self._first.spaces) else work.joined_worth[:1]
        if not work.branches and len(worths) == 1 and not work.trades:
            return Choice((), worths[0]), self._model, ()
        short = settings.model_copy(update={"epochs": 1, "patience": 0, "samples_per_epoch": work.audition_samples,
                                            "statistics_batches": _AUDITION_STATISTICS})
        auditions = Auditions(self._model, work.protect, worths, work.auditions, self._context.scratch,
                              _Hearings(self, short, self._context), work.branches)
        choice = auditions.run()
        model = self._adapted(choice, settings)
        if choice.gone:
            choice = auditions.again(choice, model)
        return auditions.trade(choice, model, work.trades), model, auditions.records

    def _adapted(self, choice: Choice, settings: FitSettings) -> Any:
        """The model that rounds begin with: without the branches that go, and trained for as long as between rounds."""
        if not choice.gone:
            return self._model
        left = leave_out(self._model, choice.gone)
        prove_without(self._model, left, [branch.addend for branch in choice.gone], self._samples)
        self.trained(left, settings, self._context.scratch / "adapted")
        return left

    def _round(self, number: int, model: Any, settings: FitSettings, choice: Choice) -> tuple[Any, _Kept]:
        """One removal and its fine-tuning, or what an earlier run has kept of it."""
        folder = self._context.scratch / f"round{number}"
        if not (folder / _ROUND_FILE).exists():
            # equal ratios: after i of n rounds (1 - share) ** (i / n) of the cost is left
            share = 1 - (1 - self._work.share) ** (number / self._work.rounds)
            self._context.progress(0, 0, f"removing channels, round {number}/{self._work.rounds}")
            narrowed = self._narrowed(self.survey(model), replace(self._goal, share=share), number, choice)
            history = self.trained(narrowed.model, settings, self._context.scratch / f"fit{number}")
            self._keep(folder, narrowed, history)
        kept = _Kept.model_validate_json((folder / _ROUND_FILE).read_bytes())
        return load_model(folder), kept

    def _narrowed(self, surveyed: Surveyed, goal: Goal, number: int, choice: Choice) -> Narrowed:
        """The removal. What it chose is kept: another measurement of latencies would choose otherwise.

        Where one removal is all, its counts are those that were heard: what won is what is trained.
        """
        file = self._context.scratch / f"round{number}-{_PLAN_FILE}"
        planned = _planned(file, surveyed)
        if planned is None and choice.kept and self._work.rounds == 1:
            planned = np.array(choice.kept, np.int64)
        scores = surveyed.counting(self.weigh(surveyed), choice.joined_worth)
        narrowed = narrow(surveyed, goal, scores, self._samples, planned)
        aside = file.with_suffix(".part")
        aside.write_text(json.dumps({"kept": narrowed.kept.tolist()}), "utf-8")
        aside.replace(file)
        return narrowed

    def weigh(self, surveyed: Surveyed) -> importance.Scores:
        """What each class of channels is worth, whether additions join it or not."""
        work = self._work
        return importance.measure(work.importance, surveyed.model, surveyed.trace, self._lesson, work.samples,
                                  work.seed)

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

    def survey(self, model: Any) -> Surveyed:
        """What may go of a model."""
        return survey(model, self._work.protect, self._bounds)

    def check_reachable(self, model: Any) -> None:
        """Refuse a model that cannot come to the goal of all rounds.

        Raises:
            TooMuch: it cannot.
        """
        check_reachable(self.survey(model), self._goal)

    def narrow(self, surveyed: Surveyed, scores: importance.Scores, planned: Counts | None = None) -> Narrowed:
        """A model at the goal of all rounds.

        Args:
            surveyed: the model.
            scores: the importance of each class.
            planned: how many classes each space keeps, where that is not to be found.

        Raises:
            TooMuch: it would be past it.
        """
        narrowed = narrow(surveyed, self._goal, scores, self._samples, planned)
        check_not_past(narrowed, self._goal)
        return narrowed

    def trades(self, surveyed: Surveyed, scores: importance.Scores, kept: Counts) -> Iterator[Counts]:
        """See `trades.trades`."""
        return trades(surveyed, self._goal, scores, kept)

    def trained(self, model: Any, settings: FitSettings, scratch: Path) -> History:
        """Take batch normalization's statistics anew, then fine-tune with a checkpoint in `scratch`."""
        scratch.mkdir(exist_ok=True)
        renewing(model, self._lesson.train, _STATISTICS, self._work.seed)(0)
        return fit(model, self._lesson, settings, self._work.seed, replace(self._context, scratch=scratch))

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
            summary="", warnings=(*self._uncounted(), *self._untraded(last)), history=rounds[-1].history, rounds=rounds,
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

    def _untraded(self, last: Surveyed) -> tuple[str, ...]:
        """What a user should know who asked for trades of a model that is too large for them, branches gone or not."""
        groups = len(last.spaces)
        if not self._work.trades or groups <= WIDEST:
            return ()
        return (f"no layers traded channels: the model has {groups} groups of channels that go together, and of more "
                f"than {WIDEST} a step of one is too little to be heard",)


class _Hearings:
    """How the auditions of a slimming are held; see `auditions.Hearings`."""

    def __init__(self, slimming: Slimming, settings: FitSettings, context: StageContext) -> None:
        self._slimming, self._settings, self._context = slimming, settings, context
        self._last: _Weighed | None = None

    def adapted(self, model: Any, gone: Sequence[Branch]) -> Any:
        """See `auditions.Hearings`; a model that has lost nothing needs nothing."""
        self._slimming.check_reachable(model)
        if gone:
            self._trained(model)
        return model

    def audition(self, model: Any, choice: Choice) -> Heard:
        """See `auditions.Hearings`; what leaves the same channels of the same model is not trained once more."""
        gone = " and ".join(branch.record.name for branch in choice.gone)
        words = f"without {gone}" if gone else "with every branch"
        kept = f", {' '.join(map(str, choice.kept))} channels" if choice.kept else ""
        self._context.progress(0, 0, f"trying the model {words}, joined channels count {choice.joined_worth:g} times"
                                     f"{kept}")
        weighed = self._weighed(model)
        planned = np.array(choice.kept, np.int64) if choice.kept else None
        narrowed = self._slimming.narrow(weighed.surveyed, weighed.counting(choice), planned)
        found = tuple(narrowed.kept.tolist())
        if found not in weighed.heard:
            loss = self._trained(narrowed.model).validation_loss[-1]
            weighed.heard[found] = Heard(loss, self._slimming.survey(narrowed.model).channels(), found)
        return weighed.heard[found]

    def trades(self, model: Any, choice: Choice) -> Iterator[tuple[int, ...]]:
        """See `auditions.Hearings`."""
        weighed = self._weighed(model)
        for kept in self._slimming.trades(weighed.surveyed, weighed.counting(choice), np.array(choice.kept, np.int64)):
            yield tuple(kept.tolist())

    def _weighed(self, model: Any) -> _Weighed:
        """The model's channels and their worth, found once."""
        if self._last is None or self._last.surveyed.model is not model:
            surveyed = self._slimming.survey(model)
            self._last = _Weighed(surveyed, self._slimming.weigh(surveyed))
        return self._last

    def _trained(self, model: Any) -> History:
        """A moment's training; what it leaves in scratch is not kept."""
        scratch = self._context.scratch / "audition"
        shutil.rmtree(scratch, ignore_errors=True)
        return self._slimming.trained(model, self._settings, scratch)


@dataclass(frozen=True)
class _Weighed:
    """A model's channels, what each is worth, and what was heard of it, by what was kept."""

    surveyed: Surveyed
    scores: importance.Scores
    heard: dict[tuple[int, ...], Heard] = field(default_factory=dict)

    def counting(self, choice: Choice) -> importance.Scores:
        """The scores, joined channels counting as a choice says."""
        return self.surveyed.counting(self.scores, choice.joined_worth)


def _planned(file: Path, surveyed: Surveyed) -> Counts | None:
    """How many classes each space keeps, where an earlier run has found that out for these spaces."""
    try:
        kept = json.loads(file.read_text("utf-8"))["kept"]
    except FileNotFoundError:
        return None
    return np.array(kept, np.int64) if len(kept) == len(surveyed.spaces) else None
