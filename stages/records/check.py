"""Whether a variant fits a device."""

from __future__ import annotations

from device_profiles.records import Figure, Provenance, Record
from stages.records.base import StageResult, Verdict


class LimitVerdict(Record):
    """One limit of one profile on one variant.

    Attributes:
        limit: "operators", "formats", "latency_median_ms", "tflite_bytes", "arena_bytes", "accuracy_drop_points", ...
        verdict: see DESIGN: the spread spans the bound -> undecided; no figure can be had -> unknown.
        found: the figure, or None.
        found_text: the same for people; for a refusal, what is missing: "operator TRANSPOSE_CONV version 3".
        allowed: the bound, in the figure's unit, or None.
        allowed_text: the same for people.
        provenance: of the figure; None where there is none.
        why: a sentence where the verdict is not "pass".
        deciding_samples: where it is "undecided", about how many samples would decide it if the effect stays what it
            is; None where no number of samples would, or a measurement on the device is what is wanted.
        deciding_rounds: the same for a measured latency, in rounds of the benchmark.
    """

    limit: str
    verdict: Verdict
    found: Figure | None = None
    found_text: str
    allowed: float | None = None
    allowed_text: str
    provenance: Provenance | None = None
    why: str = ""
    deciding_samples: int | None = None
    deciding_rounds: int | None = None


class VariantCheck(Record):
    """All limits of one profile on one variant; `verdict` is the worst of them (fail, unknown, undecided, pass)."""

    variant: str
    verdict: Verdict
    limits: tuple[LimitVerdict, ...]


class ProfileOutcome(Record):
    """What came of one profile.

    Attributes:
        engine: the engine that the profile runs.
        winner: the variant picked by `choice` among those that pass, or None.
        reason: why it won, or why there is none, in a sentence.
        picks: the winner by each choice ("smallest", "fastest", "most-accurate"), where one passes.
        latency: by variant, the figure that latency limits were held against, or None where none can be had.
    """

    device: str
    device_class: str
    engine: str
    required: bool
    choice: str
    winner: str | None
    reason: str
    picks: dict[str, str]
    latency: dict[str, Figure | None]


class ProfileCheck(ProfileOutcome):
    """All variants on one profile."""

    profile: str
    variants: dict[str, VariantCheck]


class CheckResult(StageResult):
    """Every profile, by name. `fits` is False when a required profile has no winner."""

    profiles: dict[str, ProfileCheck]
    fits: bool
