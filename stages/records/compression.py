"""What is known of a model that was made smaller by structure: channels removed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from device_profiles.records import Record
from stages.records.base import StageResult
from stages.records.models import History

SlimBudget = Literal["macs", "parameters", "latency"]


class BeforeAfter(Record):
    """A number of the model as it came, and of the slimmed one."""

    before: int
    after: int


class SlimLatency(Record):
    """Milliseconds of one inference on a profile, of the model as it came and of the slimmed one.

    Attributes:
        profile: the device profile's name.
        number_format: what both were converted to.
        provenance: "predicted" by the profile, or "measured" on this host, in turns.
    """

    profile: str
    number_format: str
    provenance: Literal["predicted", "measured"]
    before_ms: float
    after_ms: float


class SlimRound(Record):
    """One round of removal and the fine-tuning after it.

    Attributes:
        removed_share: of the budget's cost, after this round, 0 to 1.
        proof: see `SlimResult.proof`.
    """

    removed_share: float
    proof: float
    history: History


class SlimBranch(Record):
    """Layers that made one addend of an addition and nothing else.

    Attributes:
        join: the layer that adds.
        layers: all of the branch, in the model's order.
    """

    join: str
    layers: tuple[str, ...]

    @property
    def name(self) -> str:
        """For people: the first and the last layer."""
        return self.layers[0] if len(self.layers) == 1 else f"{self.layers[0]} .. {self.layers[-1]}"


class SlimAudition(Record):
    """One choice that was tried: brought to the goal by channels, and trained for a moment.

    Attributes:
        without: the branches that had gone, in that order.
        joined_worth: how many times the channels that additions join counted against others.
        again: whether this was a second hearing, in the model that had been trained at length without the branches.
        traded: whether layers had exchanged channels: `kept` was asked for, not found by importance.
        validation_loss: after the short training; None where the goal could not be met.
        channels: by layer, those that were left at the goal; empty where it could not be met.
        kept: the same by space of channels, in the model's order, in classes that go as a whole.
        refused: why not.
    """

    without: tuple[SlimBranch, ...]
    joined_worth: float = 1.0
    again: bool = False
    traded: bool = False
    validation_loss: float | None
    channels: dict[str, int] = Field(default_factory=dict)
    kept: tuple[int, ...] = ()
    refused: str = ""


class SlimResult(StageResult):
    """A model without some of its channels.

    Attributes:
        history: of the last fine-tuning.
        rounds: each round of removal, the last one included.
        channels: by layer that makes channels, in the model's order.
        macs: multiply-accumulates of one inference, as the workload of the tflite model counts them.
        parameters: as Keras counts them.
        budget: what the share was of.
        asked_share, removed_share: of the budget's cost that was to go, and that went, 0 to 1.
        latency: for that budget alone.
        importance: how channels were compared: "taylor", "magnitude" or "bn".
        branches: the branches that left as wholes.
        joined_worth: how many times the channels that additions join counted against others.
        auditions: every choice of branches and worths that was tried; empty where none was asked for.
        protected: by layer, why some of its channels had to stay.
        proof: largest difference of an output between the model with its removed channels set to zero and the model
            without them, over the larger of 1 and the output's scale; the largest of all rounds.
        proof_samples: training samples that it was found on.
    """

    history: History
    rounds: tuple[SlimRound, ...]
    channels: dict[str, BeforeAfter]
    macs: BeforeAfter
    parameters: BeforeAfter
    budget: SlimBudget
    asked_share: float
    removed_share: float
    latency: SlimLatency | None = None
    importance: str
    branches: tuple[SlimBranch, ...] = ()
    joined_worth: float = 1.0
    auditions: tuple[SlimAudition, ...] = ()
    protected: dict[str, str] = Field(default_factory=dict)
    proof: float
    proof_samples: int
