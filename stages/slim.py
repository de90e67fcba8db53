"""Take whole channels out of a model and fine-tune it: a narrower, ordinary Keras model, faster on every engine.

Which channels must go together is solved over the graph (`slimming.trace`), what each is worth is measured
(`slimming.importance`), the cheapest to lose for what they save go first (`slimming.budget`), and the narrower model is
proven to be the original with these channels set to zero (`slimming.proof`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from device_profiles.loader import load_profile
from device_profiles.schema import Profile
from stages.context import StageContext
from stages.distillation import Distillation
from stages.models.files import copy_companions, load_model, save_model
from stages.models.framework import tensorflow_turn
from stages.models.nested import opened
from stages.records import SlimResult
from stages.slimming.budget import MISSED_SHARE, Multiple
from stages.slimming.importance import Importance
from stages.slimming.latency import LatencyFormat
from stages.slimming.rounds import Slimming, Work
from stages.tasks.settings import TaskSettings
from stages.training import FitSettings, best_text, read_lesson

NAME = "slim"
VERSION = 7
LIBRARIES = ("tensorflow", "tf-keras", "numpy")


class Settings(FitSettings):
    """What a user may set for the removal of channels; the fine-tuning's defaults differ from the training's."""

    epochs: int = Field(default=16, ge=1, description="epochs of fine-tuning after the last removal")
    learning_rate: float = Field(default=3e-3, gt=0, description="of the optimizer, at the start of the fine-tuning")
    patience: int = Field(default=0, ge=0, description="epochs without a better validation loss to wait; 0: no end")
    budget: Literal["macs", "parameters", "latency"] = Field(
        default="macs", description="what the number in slimNN is a share of; latency is that of slim.profile")
    profile: str | None = Field(default=None, description="device profile whose latency is the budget")
    latency_format: LatencyFormat = Field(
        default="float32", description="number format in which that latency is predicted or measured")
    importance: Importance = Field(
        default="taylor", description="taylor (loss, on training samples), magnitude (kernels) or bn (its scales)")
    importance_samples: int = Field(default=1024, ge=1, description="training samples for taylor")
    multiple: Multiple = Field(
        default="auto", description="channel counts to end on: 1, 4, 8, 16, or auto: 8, in narrow layers less")
    least_share: float = Field(default=0.125, gt=0, le=1, description="share of each layer's channels that stay")
    protect: tuple[str, ...] = Field(default=(), description="layers that keep their channels, by name or pattern")
    branches: bool = Field(
        default=False, description="whether branches that are added to others may go whole, with all their layers")
    joined_worth: tuple[PositiveFloat, ...] = Field(
        default=(1.0,), min_length=1, description="how many times the channels that additions join count against "
                                                  "others; of several numbers the best one is found by auditions")
    auditions: int = Field(
        default=12, ge=1, description="choices of branches and of joined_worth that are tried, at most")
    audition_samples: int = Field(default=8000, ge=1, description="training samples in the short training of each")
    trades: int = Field(
        default=0, ge=0, description="auditions, at most, in which layers exchange channels; needs rounds: 1")
    rounds: int = Field(default=1, ge=1, le=20, description="removals in equal ratios, with fine-tuning between them")
    round_epochs: int = Field(
        default=2, ge=1, description="epochs of fine-tuning between two removals, and after branches have gone")
    round_learning_rate: float | None = Field(
        default=None, gt=0, description="of the optimizer, at the start of each of these and in auditions; unset: "
                                        "learning_rate")

    @model_validator(mode="after")
    def _trades_in_one_round(self) -> Self:
        if self.trades and self.rounds > 1:
            raise ValueError(f"trades is {self.trades}, rounds {self.rounds}: layers exchange channels in one removal "
                             "alone; set rounds to 1, or trades to 0")
        return self


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        share: of the budget that goes, between 0 and 1.
        device: the profile itself, read by the plan; else `profile` is read by the stage.
        host: fingerprint of the machine where the latency is measured here; part of the key, so that another machine
            measures again.
        task: what is to be predicted.
        seed: of the shuffling, the random layers and the samples that weigh channels.
        distil: how the teacher teaches, where there is one.
    """

    share: float = Field(gt=0, lt=1)
    device: Profile | None = None
    host: str = ""
    task: TaskSettings = TaskSettings()
    seed: int = 0
    distil: Distillation | None = None

    def between(self) -> Options:
        """The options of the fine-tuning between removals, and of auditions."""
        rate = self.learning_rate if self.round_learning_rate is None else self.round_learning_rate
        return self.model_copy(update={"epochs": self.round_epochs, "learning_rate": rate})

    @model_validator(mode="after")
    def _has_profile(self) -> Options:
        if self.budget == "latency" and self.profile is None and self.device is None:
            raise ValueError("budget is latency, which needs a profile: cpu, mobile, iot or a file")
        return self


def run(*, model: Path, data: Path, options: Options, context: StageContext, teacher: Path | None = None) -> SlimResult:
    """Write the narrower `model.keras` and `preprocessing.json`.

    Args:
        model: an artifact with a Keras model.
        data: a prepare artifact.
        options: see `Options`.
        context: where to write; finished rounds are kept in `scratch`.
        teacher: an artifact with the Keras model that teaches in the fine-tuning, or None.

    Raises:
        ModelError: the model cannot be read, or a protected layer is not there; a teacher that does not fit.
        StageError: the graph cannot be slimmed, the budget cannot be met, or the proof failed.
        UsageError: there is no such profile.
    """
    lesson = read_lesson(data, options.task, teacher, options.distil)
    work = Work(share=options.share, budget=options.budget, device=_device(options),
                latency_format=options.latency_format, importance=options.importance,
                samples=options.importance_samples, multiple=options.multiple, least_share=options.least_share,
                protect=options.protect, rounds=options.rounds, seed=options.seed,
                branches=options.branches, joined_worth=options.joined_worth, auditions=options.auditions,
                audition_samples=options.audition_samples, trades=options.trades)
    with tensorflow_turn(options.seed, context.log):
        slimming = Slimming(opened(load_model(model)), work, lesson, model, context)
        finished, result = slimming.run(options, options.between())
        save_model(finished, context.out)
    copy_companions(model, context.out)
    return result.model_copy(update={"summary": _summary(result), "warnings": (*result.warnings, *_missed(result))})


def _device(options: Options) -> Profile | None:
    """The profile whose latency is the budget; None for the other budgets."""
    if options.budget != "latency":
        return None
    return options.device or load_profile(options.profile or "")


def _summary(result: SlimResult) -> str:
    """One line for people."""
    words = {"macs": "MACs", "parameters": "parameters"}
    shares = {word: 1 - pair.after / max(1, pair.before) for word, pair in
              (("macs", result.macs), ("parameters", result.parameters))}
    text = ", ".join(f"{100 * shares[key]:.1f} % fewer {words[key]}" for key in words)
    if result.branches:
        text = f"without {' and '.join(branch.name for branch in result.branches)}, {text}"
    if result.latency:
        text = f"{result.latency.before_ms:.3g} to {result.latency.after_ms:.3g} ms on {result.latency.profile}, {text}"
    return f"{text}, validation {best_text(result.history)}"


def _missed(result: SlimResult) -> tuple[str, ...]:
    """What a user should know of a budget that whole channels came not within a point of."""
    missed = abs(result.removed_share - result.asked_share)
    if missed <= MISSED_SHARE + 1e-9:
        return ()
    return (f"slim removed {100 * result.removed_share:.1f} % of the {result.budget} where "
            f"{100 * result.asked_share:.0f} % were asked for: no choice of whole channels comes closer",)
