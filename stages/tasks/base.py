"""What every task is: labels in a stored form, a loss, a score whose fall is the drop, and metrics as figures.

A task is for one output of a model; `several.Several` holds one for each output of a model that has more. Outputs are
(samples, *shape) float32 arrays, or structured arrays with a field for each output.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from device_profiles.errors import DataError, ModelError, StageError
from device_profiles.records import Figure, Provenance
from stages.datasets.prepared import Preprocessing, Samples, Split
from stages.datasets.records import LabelKind
from stages.records import Metrics, PairedCounts, TensorSpec
from stages.statistics import LEVEL
from stages.tasks.last_layer import gives_logits
from stages.tasks.matching import Shape, check_finite, check_inputs, model_outputs, shapes_text
from stages.tasks.own_metrics import own_figures
from stages.tasks.settings import OutputTask, TaskKind, TaskSettings

Array = npt.NDArray[Any]
OutputActivation = Literal["softmax", "sigmoid", "linear"]
Logits = bool | Mapping[str, bool] | None
"""Whether outputs are logits; by output name where there are several; None: to be found out from the values."""
Loss = Callable[[Any, Any, Any], Any]
"""`loss(x, y, outputs)` gives a (batch,) tensor. For several inputs or outputs each is a dict of tensors by name."""

ONLY_OUTPUT = "output"
"""What the output of a model with one is called."""


@dataclass(frozen=True)
class Truth:
    """What outputs are held against.

    Attributes:
        y: labels as stored; structured for several outputs.
        x: model inputs, (samples, *shape) or `Rows`; only an anomaly task reads them.
        clips: (samples,) int, equal for parts of one recording; None where every sample is whole.
        groups: of each sample (a machine, a speaker), or empty.
        class_names: in label order, or empty.
        targets: by output name, how targets became what the model is trained on.
        logits: what the outputs are, where that is known.
    """

    y: Array
    x: Samples | None = None
    clips: Array | None = None
    groups: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    targets: Mapping[str, TensorSpec] = field(default_factory=dict)
    logits: Logits = None

    def part(self, rows: Array, inputs: bool = False) -> Truth:
        """Some of the samples.

        Args:
            rows: their places.
            inputs: whether the model inputs are wanted too; they are read into memory then.
        """
        return replace(self, y=self.y[rows], x=self.x[rows] if inputs and self.x is not None else None,
                       clips=None if self.clips is None else self.clips[rows],
                       groups=tuple(self.groups[row] for row in rows) if self.groups else ())

    @property
    def target(self) -> TensorSpec | None:
        """Of the only output, where its targets are values."""
        return next(iter(self.targets.values()), None)

    @property
    def only_logits(self) -> bool | None:
        """Of the only output."""
        return self.logits if isinstance(self.logits, bool) else None


def read_truth(split: Split, preprocessing: Preprocessing) -> Truth:
    """What outputs for a split are held against."""
    return Truth(y=split.y, x=split.x, clips=split.clips, groups=split.groups, class_names=preprocessing.class_names,
                 targets=preprocessing.targets)


class Task(ABC):
    """What a model is for.

    Attributes:
        kind: the task's name in the run file.
        score: key of the figure that a drop is measured in.
        score_name: the same for people.
        label_kind: what a source of data must give.
        output: the last activation that a builder should use.
        by_parts: whether outputs are only ever indexed by slices, so that `Rows` will do for an array: those of an
            autoencoder are as large as the data.
    """

    kind: TaskKind
    score: str
    score_name: str
    label_kind: LabelKind
    output: OutputActivation
    by_parts: bool = False

    def __init__(self, settings: TaskSettings | OutputTask) -> None:
        self.settings = settings

    # -- labels

    @abstractmethod
    def encode(self, y: Array, class_names: tuple[str, ...]) -> Array:
        """A source's labels in the form in which they are stored.

        Args:
            y: as `Chunk.y` has them.
            class_names: in label order; () where they are not known.

        Raises:
            DataError: labels that this task cannot have.
        """

    def may_train(self, y: Array) -> Array:
        """Which samples a model may be trained on.  # (samples,) bool, from stored labels."""
        return np.ones(len(y), bool)

    def check_split(self, name: str, y: Array) -> None:
        """Refuse a split whose labels leave the score undefined.

        Args:
            name: "train", "validation" or "test".
            y: stored labels of the whole split.

        Raises:
            DataError: no samples, or what the task says.
        """
        if not len(y):
            raise DataError(f"the {name} split has no samples", "at least one", f"give the data a {name} split")

    # -- the model

    @abstractmethod
    def output_shape(self, preprocessing: Preprocessing, name: str = ONLY_OUTPUT) -> Shape | None:
        """Shape of an output for one sample; None where the data does not say it."""

    def output_shapes(self, preprocessing: Preprocessing) -> dict[str, Shape | None]:
        """Shape by output name that a model for this data must have."""
        return {ONLY_OUTPUT: self.output_shape(preprocessing)}

    def fits(self, shape: Shape, wanted: Shape | None) -> bool:
        """Whether an output of a model can be scored where `wanted` is expected."""
        return shape == wanted or (wanted is None and len(shape) == 1)

    def check_model(self, model: Any, preprocessing: Preprocessing) -> None:
        """Refuse a model that does not fit the data or the task.

        Args:
            model: a `tf_keras.Model`.
            preprocessing: of the data.

        Raises:
            ModelError: other inputs or outputs.
        """
        check_inputs(model, preprocessing.inputs)
        found, wanted = model_outputs(model), self.output_shape(preprocessing)
        if len(found) != 1:
            raise ModelError(f"the model has {len(found)} outputs: {', '.join(found)}", f"one, for {self.kind}",
                             "write the task of each under task.outputs in the run file")
        if not self.fits(next(iter(found.values())), wanted):
            raise ModelError(f"the model's output has the shape {shapes_text(found)}; {self.wants(preprocessing)}",
                             f"one output of shape {wanted} (without the batch axis)",
                             "change the last layer, or the data")

    @abstractmethod
    def wants(self, preprocessing: Preprocessing) -> str:
        """What the data has, for the message above: "the data has 10 classes"."""

    def logits_of(self, model: Any) -> Logits:
        """What a Keras model's outputs are, from its last layers."""
        return gives_logits(model)[0]

    def make_loss(self, model: Any) -> Loss:
        """The training loss of a model: a TensorFlow function of one batch.

        Args:
            model: a `tf_keras.Model`, wrapped or not.
        """
        logits = self.logits_of(model) is True
        return lambda x, y, outputs: self.tensor_loss(x, y, outputs, logits)

    @abstractmethod
    def tensor_loss(self, x: Any, y: Any, outputs: Any, logits: bool) -> Any:
        """Loss of each sample of a batch.

        Args:
            x: (batch, *input shape) float32 model inputs.
            y: stored labels of the batch.
            outputs: (batch, *output shape).
            logits: whether the outputs still want a softmax or a sigmoid.

        Returns:
            (batch,) float32 tensor.
        """

    # -- outputs

    def check_outputs(self, outputs: Array, truth: Truth, name: str = "the model") -> None:
        """Refuse outputs that cannot be scored.

        Args:
            outputs: (samples, *shape).
            truth: of as many samples.
            name: of what gave the outputs, for the message.

        Raises:
            StageError: another shape than the task wants.
            DataError: no samples, labels that leave the score undefined, or an output that is NaN or infinite.
        """
        self.check_split("test", truth.y)
        wanted = self.scored_shape(outputs, truth)
        if len(outputs) != len(truth.y) or not self.fits(outputs.shape[1:], wanted):
            expected = (len(truth.y), *(("values",) if wanted is None else wanted))
            raise StageError(f"{name} gives outputs of shape {outputs.shape} for {len(truth.y)} samples",
                             f"{expected} for {self.kind}", "change the model's last layer, or the data")
        check_finite(outputs, name)

    @abstractmethod
    def scored_shape(self, outputs: Array, truth: Truth) -> Shape | None:
        """Shape that an output must have for one sample; None where nothing says it."""

    def logits_in(self, outputs: Array) -> Logits:  # noqa: ARG002 (for tasks without probabilities)
        """Whether outputs look like logits."""
        return False

    def with_logits(self, truth: Truth, outputs: Array) -> Truth:
        """The truth, with what these outputs look like; a tflite model is then read as its float model was."""
        return replace(truth, logits=self.logits_in(outputs))

    def is_logits(self, outputs: Array, truth: Truth) -> bool:
        """What outputs are: as the truth says, else as they look."""
        return self.logits_in(outputs) is True if truth.only_logits is None else truth.only_logits

    @abstractmethod
    def validate(self, outputs: Array, truth: Truth) -> tuple[float, float]:
        """(mean loss, score) without intervals; NaN where an output is not finite or the score is not defined."""

    def validate_parts(self, parts: Iterable[Array], truth: Truth) -> tuple[float, float]:
        """As `validate`, for outputs that come part by part, in order."""
        return self.validate(np.concatenate([*parts]), truth)

    def metrics(self, outputs: Array, truth: Truth, *, seed: int = 0, resamples: int = 2000,
                provenance: Provenance = "measured") -> Metrics:
        """All figures of the outputs, the user's own metrics last.

        Args:
            outputs: (samples, *shape).
            truth: labels and what else is needed.
            seed: of the bootstrap.
            resamples: bootstrap resamples; 0 leaves the bootstrapped intervals out.
            provenance: of the figures.

        Raises:
            StageError: outputs of another shape, or a metric of the user's that fails.
            DataError: outputs that are not finite, or labels that leave the score undefined.
        """
        self.check_outputs(outputs, truth)
        found = self.figures(outputs, truth, seed=seed, resamples=resamples, provenance=provenance)
        if not self.settings.metrics:
            return found
        own = own_figures(self.settings.metrics, *self.for_users(outputs, truth), tuple(found.figures), provenance)
        return found.model_copy(update={"figures": {**found.figures, **own}})

    @abstractmethod
    def figures(self, outputs: Array, truth: Truth, *, seed: int, resamples: int, provenance: Provenance) -> Metrics:
        """As `metrics`, for outputs that were checked, without the user's own."""

    def for_users(self, outputs: Array, truth: Truth) -> tuple[Array, Array]:
        """(y_true, outputs) as the user's own metrics are given them."""
        return truth.y, outputs

    def outputs_metrics(self, outputs: Array, truth: Truth, *, seed: int = 0, resamples: int = 2000,  # noqa: ARG002
                        provenance: Provenance = "measured") -> dict[str, Metrics]:  # noqa: ARG002
        """By output name, the metrics of each, for a model with several; else empty."""
        return {}

    @abstractmethod
    def drop(self, reference: Array, outputs: Array, truth: Truth, *, seed: int = 0, resamples: int = 2000,
             provenance: Provenance = "measured", level: float = LEVEL) -> Figure:
        """Score of `reference` less that of `outputs`, in points; positive is worse. Paired: both saw the same samples.

        Args:
            reference: outputs of the float model.
            outputs: of the variant.
            truth: labels and what else is needed.
            seed: of the bootstrap.
            resamples: how many; 0 leaves the interval out.
            provenance: of the figure.
            level: of the interval, two-sided.
        """

    def decided(self, outputs: Array, truth: Truth) -> dict[str, Array]:  # noqa: ARG002
        """By output name, which samples are given their one right answer, (samples,) bool; only of classes."""
        return {}

    def recalls(self, reference: Array, outputs: Array, truth: Truth) -> dict[str, PairedCounts]:  # noqa: ARG002
        """By class, what `outputs` lost and gained of its samples; empty for a task without classes."""
        return {}

    def confidences(self, outputs: Array, truth: Truth) -> dict[str, tuple[Array, Array]]:  # noqa: ARG002
        """By output name, how sure each decision is and whether it holds.

        Returns:
            (probability in 0..1, 1 or 0), each (samples, decisions a sample) float64; empty for a task without
            probabilities.
        """
        return {}

    def changes(self, reference: Array, outputs: Array, truth: Truth) -> Array | None:  # noqa: ARG002
        """Which samples are decided otherwise, (samples,) bool; None for a task that decides nothing."""
        return None

    def changed(self, reference: Array, outputs: Array, truth: Truth) -> int | None:
        """How many samples are decided otherwise; None for a task that decides nothing."""
        changes = self.changes(reference, outputs, truth)
        return None if changes is None else int(changes.sum())
