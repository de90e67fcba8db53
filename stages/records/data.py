"""What is known of the data: its splits, its inputs, and what a closer look found."""

from __future__ import annotations

from pydantic import Field

from device_profiles.records import Figure, Record
from stages.records.base import StageResult


class SkippedSample(Record):
    """A sample that could not be read: its file or row, and the reason."""

    name: str
    reason: str


class SplitReport(Record):
    """One split: samples, and counts per class in the order of the class names (none where labels are values)."""

    samples: int
    class_counts: tuple[int, ...] = ()
    groups: int = 0


class Normalization(Record):
    """How raw inputs become model inputs: `x_model = (x_raw - offset) / scale`, elementwise over the last axis.

    Attributes:
        kind: the option that chose it: "none", "minmax", "standard", "symmetric", "fixed".
        offset: one value, or one per channel.
        scale: one value, or one per channel; never 0.
    """

    kind: str
    offset: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)


class TensorSpec(Record):
    """One input or output of the data.

    Attributes:
        shape: of one sample, without the batch axis.
        dtype: as it is stored: "uint8" or "float32"; the model is given float32.
        normalization: what stands between stored and given values.
    """

    shape: tuple[int, ...]
    dtype: str
    normalization: Normalization = Normalization(kind="none")


class PrepareResult(StageResult):
    """The data report.

    Attributes:
        source: what the run file named.
        task: the task's kind.
        inputs: by input name; a data set with one input calls it "input".
        class_names: in label order: label `i` is `class_names[i]`; () where labels are values.
        targets: by output name, how targets became what the model is trained on (regression); else empty.
        splits: by "train", "validation", "test".
        split_by: what kept samples together: "sample" or "group".
        nan_samples: samples with a NaN or an infinity (an error unless 0 was made so by dropping them).
        constant_samples: samples whose elements are all equal.
        constant_features: input elements that never change over the training split.
        duplicates_within: exact duplicates inside a split.
        duplicates_across: exact duplicates between two splits (leakage), by "train/test" and so on.
        skipped: samples that could not be read: the first of them by name, and how many in all.
    """

    source: str
    task: str = "classification"
    inputs: dict[str, TensorSpec]
    class_names: tuple[str, ...]
    targets: dict[str, TensorSpec] = Field(default_factory=dict)
    splits: dict[str, SplitReport]
    split_by: str = "sample"
    nan_samples: int
    constant_samples: int
    constant_features: int
    duplicates_within: dict[str, int]
    duplicates_across: dict[str, int]
    skipped: tuple[SkippedSample, ...] = ()
    skipped_samples: int = 0


class Sample(Record):
    """One sample: where it is, and what its source called it.

    Attributes:
        split: "train", "validation" or "test".
        index: row in that split.
        name: from the source (a file, a row), or empty.
        label: its class, or its value; empty where that is several.
    """

    split: str
    index: int
    name: str = ""
    label: str = ""


class NearPair(Record):
    """Two samples that show nearly the same, and how alike they are: correlation at the best small shift, up to 1."""

    first: Sample
    second: Sample
    similarity: float


class NearDuplicates(Record):
    """Samples that nearly repeat another one; exact repeats are counted by `prepare` and left out here.

    Attributes:
        left_out: why nothing was looked for; else empty.
        method: how it was looked for, with the thresholds that were used.
        within: pairs inside a split, by split.
        across: pairs between two splits (leakage), by "train/test" and so on.
        samples_across: by the same keys, how many samples of the later split have such a pair.
        pairs: the ones to look at first: across splits before within, most alike first.
    """

    left_out: str = ""
    method: str = ""
    within: dict[str, int] = Field(default_factory=dict)
    across: dict[str, int] = Field(default_factory=dict)
    samples_across: dict[str, int] = Field(default_factory=dict)
    pairs: tuple[NearPair, ...] = ()


class SuspectedLabel(Record):
    """A sample whose label a cross-validated model contradicts.

    Attributes:
        sample: with its label as given.
        suggested: the class, or the value, that the model gives.
        margin: for classes, probability of the suggested one less that of the given one; for values, the residual in
            robust standard deviations.
    """

    sample: Sample
    suggested: str
    margin: float


class LabelErrors(Record):
    """Labels suspected by cross-validation; a suspicion, not a proof.

    Attributes:
        left_out: why none were looked for, or why none are listed; else empty.
        method: the model and the folds.
        score: what the model reached on samples that it was not fitted on; its suspicions are worth no more.
        suspected: how many.
        listed: the first of them, strongest suspicion first.
    """

    left_out: str = ""
    method: str = ""
    score: Figure | None = None
    suspected: int = 0
    listed: tuple[SuspectedLabel, ...] = ()


class InputExtremes(Record):
    """Stored values of one input at the ends of their range: saturated pixels, clipped audio.

    Attributes:
        lowest, highest: over the samples that were examined, as stored.
        share_lowest, share_highest: of all elements that lie exactly there, 0 to 1.
        clipped_samples: samples of whose elements more than a fifth lie at one end while most samples have far fewer.
    """

    lowest: float
    highest: float
    share_lowest: float
    share_highest: float
    clipped_samples: int = 0


class GroupSizes(Record):
    """Samples by group (speaker, patient) in one split."""

    groups: int
    smallest: int
    median: float
    largest: int


class ExamineResult(StageResult):
    """What a closer look at the data finds; costly parts look at a sample of it.

    Attributes:
        samples: by split, how many there are.
        examined: by split, how many the costly parts looked at.
        imbalance: by split, largest class over smallest class that occurs; empty where labels are values.
        extremes: by input name.
        groups: by split; empty where the source has no groups.
        thumbnails: whether the artifact holds `thumbnails.json`, pictures of the samples that are listed.
    """

    samples: dict[str, int]
    examined: dict[str, int]
    imbalance: dict[str, float] = Field(default_factory=dict)
    extremes: dict[str, InputExtremes] = Field(default_factory=dict)
    groups: dict[str, GroupSizes] = Field(default_factory=dict)
    near_duplicates: NearDuplicates
    label_errors: LabelErrors
    thumbnails: bool = False
