"""Why a variant fell, and why it is not faster."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from device_profiles.records import Figure, Provenance, Record
from stages.records.base import StageResult

Part = Literal["quantization", "training"]
Matching = Literal["name", "order"]


class LayerNoise(Record):
    """An operator of the variant's tflite model, held against the float model's on the same samples.

    Ratios of signal to noise are `10 log10(sum(x^2) / sum((y - x)^2))` in dB; None where nothing differs.

    Attributes:
        label: "<index>:<OPERATOR>" of the variant's tflite model, and the name of its output.
        original: the same of the float model.
        matching: whether the two were paired by the name of their output, or by order and shape.
        snr_db: as seen: `x` is the float model's output, `y` the variant's, dequantized.
        local_db: as made here: `x` is what the float operator gives on the inputs that the variant's operator had.
        share: of the noise at the model's outputs what this operator makes, 0 to 1: what comes out there when its own
            noise alone is added to the float model. Where that cannot be measured (`shares_at_outputs` of the result),
            of the noise made in all operators, `sum((y - x)^2) / sum(x^2)`, local.
        clipped: part of the local noise that comes from values beyond the range, 0 to 1.
        rounded: part that rounding the output makes by itself, 0 to 1.
        weight_snr_db: of the weights alone; None where there are none, or they are equal.
        clipped_values: share of the output's values that lie beyond the range, 0 to 1.
        range_used: width of the float output's values over that of the range; None for a float output.
        dead_channels: channels of the float output that never change.
        lost_channels: channels that change in the float model and not in the variant.
        channels: of the output.
    """

    label: str
    original: str
    matching: Matching
    snr_db: float | None
    local_db: float | None
    share: float
    clipped: float = 0.0
    rounded: float = 0.0
    weight_snr_db: float | None = None
    clipped_values: float = 0.0
    range_used: float | None = None
    dead_channels: tuple[int, ...] = ()
    lost_channels: tuple[int, ...] = ()
    channels: int = 0


class Change(Record):
    """What would mend a cause.

    Attributes:
        text: for people.
        settings: keys of the variant's own entry in the run file, by section.
        format: the number format that takes the place of the variant's; "" keeps it.
        costly: whether making it trains a model.
    """

    text: str
    settings: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)
    format: str = ""
    costly: bool = False

    @property
    def can_be_made(self) -> bool:
        """Whether a run file can ask for it."""
        return bool(self.settings or self.format)


class Cause(Record):
    """One reason why the variant is not as good as its float model.

    Attributes:
        kind: "outlier_weights", "saturated_range", ...: `docs/explain.md` lists them.
        layer: label of the operator, or the name of a Keras layer; "" where it is the whole model.
        part: whether it belongs to quantizing or to the trainings before it.
        share: how much of that part its mending would take off, 0 to 1: of the noise at the outputs, or of the points
            lost.
        found: what was found, with its numbers.
        short: the same in a few words, for the verdict.
        changes: what would mend it, the likeliest first.
    """

    kind: str
    layer: str
    part: Part = "quantization"
    share: float
    found: str
    short: str
    changes: tuple[Change, ...]


class Slowness(Record):
    """One reason why the variant is not faster.

    Attributes:
        kind: "outside_delegate", "boundaries", ...: `docs/explain.md` lists them.
        layers: labels of the operators that it is about; empty: the whole model.
        found: what was found, with its numbers.
        change: what to do.
        provenance: "measured" was looked up in the engine, the model or the host; "predicted" follows from a profile;
            "published" is what an engine's documentation says.
        source: where a published rule stands.
        share: of the work that it concerns, 0 to 1: of MACs, of bytes moved, or of predicted time; reasons are ranked
            by it.
    """

    kind: str
    layers: tuple[str, ...] = ()
    found: str
    change: str
    provenance: Provenance
    source: str = ""
    share: float = 0.0


class Step(Record):
    """One step from the run's float model to the variant.

    Attributes:
        name: what was done: "pruned75", "int8".
        part: which part it is.
        drop: points that this step alone cost, paired, on the samples that were looked at.
    """

    name: str
    part: Part
    drop: Figure


class Trial(Record):
    """A change that was made and measured.

    Attributes:
        change: what was changed.
        kind, layer: of the cause.
        lines: the variant's entry as it is written in the run file.
        status: "measured", or "failed" with the reason in `message`.
        drop: from the same float model and on the same samples as the variant's drop.
        gain: points that the change wins over the variant, paired.
        output_snr_db: as in `ExplainResult`, on the same samples; None where the change trains a model.
        tflite_bytes: of the model that it gives.
    """

    change: str
    kind: str
    layer: str
    lines: tuple[str, ...]
    status: Literal["measured", "failed"]
    message: str = ""
    drop: Figure | None = None
    gain: Figure | None = None
    tflite_bytes: int | None = None
    output_snr_db: float | None = None


class ExplainResult(StageResult):
    """A variant explained; `summary` is the verdict in one line.

    Attributes:
        variant: its name, or the file's.
        reference: the float model it is held against.
        engine: that ran both.
        samples: the noise was measured on.
        score_samples: the drop was measured on; 0 where there are no labels.
        score_name: what dropped; "" without labels.
        drop: of the variant against the run's float model; None without labels.
        changed: share of the samples that both decide differently; None where nothing is decided.
        output_snr_db: signal to noise of the outputs against the float model's; None where nothing differs, or they
            cannot be compared.
        shares_at_outputs: whether shares are of the noise at the outputs.
        steps: that the drop is the sum of.
        tflite_bytes: of the variant.
        layers: in the model's order.
        causes: those that explain most first.
        looked_at: what was looked for, whether it was found or not.
        slow: reasons why it is not faster, those that concern most of the work first.
        latencies_ms: by engine, medians of the variant and of the run's float model, measured in turns on this host.
        unmatched: operators that have no counterpart.
        trials: changes that were made.
    """

    variant: str
    reference: str
    engine: str
    samples: int
    score_samples: int = 0
    score_name: str = ""
    drop: Figure | None = None
    changed: float | None = None
    output_snr_db: float | None = None
    shares_at_outputs: bool = False
    steps: tuple[Step, ...] = ()
    tflite_bytes: int
    layers: tuple[LayerNoise, ...]
    causes: tuple[Cause, ...]
    looked_at: tuple[str, ...]
    slow: tuple[Slowness, ...] = ()
    latencies_ms: dict[str, tuple[float, float]] = Field(default_factory=dict)
    unmatched: tuple[str, ...] = ()
    trials: tuple[Trial, ...] = ()
