"""A model with several outputs: a task for each, by the output's name.

The loss is the weighted sum of the outputs' losses, the score the mean of their scores, the drop the largest of their
drops: a variant may not pay for one output with another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from device_profiles.errors import DataError, ModelError, StageError, with_near_miss
from device_profiles.records import Figure, Provenance
from stages.datasets.prepared import Preprocessing
from stages.records import Metrics, PairedCounts
from stages.statistics import LEVEL
from stages.tasks.base import ONLY_OUTPUT, Array, Logits, Loss, Task, Truth
from stages.tasks.last_layer import gives_logits
from stages.tasks.matching import Shape, check_inputs, model_outputs, shapes_text
from stages.tasks.settings import MEAN_SCORE, TaskSettings


class Several(Task):
    """See the module. Kind, score and the metrics that stand for all are those of the first output.

    Attributes:
        tasks: by output name, in the order of the run file.
        weights: of each output's loss.
    """

    def __init__(self, settings: TaskSettings, tasks: Mapping[str, Task]) -> None:
        super().__init__(settings)
        self.tasks = dict(tasks)
        self.weights = {name: output.weight for name, output in settings.outputs.items()}
        first = next(iter(self.tasks.values()))
        self.kind, self.score, self.label_kind, self.output = first.kind, first.score, first.label_kind, first.output
        names = {task.score_name for task in self.tasks.values()}
        self.score_name = names.pop() if len(names) == 1 else MEAN_SCORE

    # -- labels

    def encode(self, y: Array, class_names: tuple[str, ...]) -> Array:
        """Each field as its task stores it.  # structured (samples,)."""
        self._check_fields(y, "the labels", DataError)
        return _fields({name: task.encode(y[name], self._class_names(name, class_names))
                        for name, task in self.tasks.items()})

    def check_split(self, name: str, y: Array) -> None:
        """Each output's rule."""
        super().check_split(name, y)
        for output, task in self.tasks.items():
            task.check_split(name, y[output])

    # -- the model

    def output_shape(self, preprocessing: Preprocessing, name: str = ONLY_OUTPUT) -> Shape | None:
        """Of the output of that name."""
        part = preprocessing.model_copy(update={"class_names": self._class_names(name, preprocessing.class_names)})
        return self.tasks[name].output_shape(part, name)

    def output_shapes(self, preprocessing: Preprocessing) -> dict[str, Shape | None]:
        """Of every output."""
        return {name: self.output_shape(preprocessing, name) for name in self.tasks}

    def check_model(self, model: Any, preprocessing: Preprocessing) -> None:
        """As `Task.check_model`; the model's outputs must have the names of the run file."""
        check_inputs(model, preprocessing.inputs)
        found, wanted = model_outputs(model), self.output_shapes(preprocessing)
        for name in sorted(set(found) ^ set(wanted)):
            what = f"'{name}' is an output of {'the run file' if name in wanted else 'the model'} alone"
            raise ModelError(with_near_miss(what, name, found if name in wanted else wanted),
                             f"the model's outputs: {', '.join(found)}",
                             "write the task of each output under task.outputs, by the name of its layer")
        for name, task in self.tasks.items():
            if not task.fits(found[name], wanted[name]):
                raise ModelError(f"the model's output '{name}' has the shape {found[name]}",
                                 f"{wanted[name] or '(values,)'} (without the batch axis) for {task.kind}",
                                 "change the layer of that name, or the data")

    def wants(self, preprocessing: Preprocessing) -> str:
        """All shapes."""
        return f"the data has {shapes_text(self.output_shapes(preprocessing))}"

    def logits_of(self, model: Any) -> Logits:
        """By output name."""
        return dict(zip(model.output_names, gives_logits(model), strict=True))

    def make_loss(self, model: Any) -> Loss:
        """The weighted sum; `outputs` is what the model gives: a list in the order of its outputs, or a dict."""
        logits = dict(zip(model.output_names, gives_logits(model), strict=True))

        def loss(x: Any, y: Any, outputs: Any) -> Any:
            """Of each sample.  # (batch,)."""
            named = outputs if isinstance(outputs, Mapping) else dict(zip(logits, outputs, strict=True))
            parts = [self.weights[name] * task.tensor_loss(x, y[name], named[name], logits[name])
                     for name, task in self.tasks.items()]
            return sum(parts[1:], start=parts[0])

        return loss

    def tensor_loss(self, x: Any, y: Any, outputs: Any, logits: bool) -> Any:
        """Of dicts by output name that are alike in `logits`; `make_loss` knows each for itself."""
        return sum(self.weights[name] * task.tensor_loss(x, y[name], outputs[name], logits)
                   for name, task in self.tasks.items())

    # -- outputs

    def check_outputs(self, outputs: Array, truth: Truth, name: str = "the model") -> None:
        """Each output by its own task."""
        self._check_fields(outputs, f"what {name} gives", StageError)
        self._check_fields(truth.y, "the labels", DataError)
        for output, task in self.tasks.items():
            task.check_outputs(outputs[output], self.part(truth, output), f"{name}, output '{output}',")

    def scored_shape(self, outputs: Array, truth: Truth) -> Shape | None:  # noqa: ARG002
        """A structured array has no shape but its samples'."""
        return ()

    def logits_in(self, outputs: Array) -> Logits:
        """By output name, how each looks."""
        return {name: task.logits_in(outputs[name]) is True for name, task in self.tasks.items()}

    def part(self, truth: Truth, name: str) -> Truth:
        """The truth of one output."""
        logits = truth.logits.get(name) if isinstance(truth.logits, Mapping) else truth.logits
        return replace(truth, y=truth.y[name], class_names=self._class_names(name, truth.class_names), logits=logits,
                       targets={name: truth.targets[name]} if name in truth.targets else {})

    def validate(self, outputs: Array, truth: Truth) -> tuple[float, float]:
        """(weighted sum of the losses, mean of the scores)."""
        found = {name: task.validate(outputs[name], self.part(truth, name)) for name, task in self.tasks.items()}
        return (sum(self.weights[name] * loss for name, (loss, _) in found.items()),
                float(np.mean([score for _, score in found.values()])))

    def metrics(self, outputs: Array, truth: Truth, *, seed: int = 0, resamples: int = 2000,
                provenance: Provenance = "measured") -> Metrics:
        """Of the first output."""
        self.check_outputs(outputs, truth)
        return self.figures(outputs, truth, seed=seed, resamples=resamples, provenance=provenance)

    def figures(self, outputs: Array, truth: Truth, *, seed: int, resamples: int, provenance: Provenance) -> Metrics:
        """Of the first output."""
        name, task = next(iter(self.tasks.items()))
        return task.metrics(outputs[name], self.part(truth, name), seed=seed, resamples=resamples,
                            provenance=provenance)

    def outputs_metrics(self, outputs: Array, truth: Truth, *, seed: int = 0, resamples: int = 2000,
                        provenance: Provenance = "measured") -> dict[str, Metrics]:
        """Of every output."""
        self.check_outputs(outputs, truth)
        return {name: task.metrics(outputs[name], self.part(truth, name), seed=seed, resamples=resamples,
                                   provenance=provenance) for name, task in self.tasks.items()}

    def drop(self, reference: Array, outputs: Array, truth: Truth, *, seed: int = 0, resamples: int = 2000,
             provenance: Provenance = "measured", level: float = LEVEL) -> Figure:
        """The largest drop of any output, in points.

        Its interval ends at the highest end of any output's: all are within a limit only where each one is.
        """
        drops = {name: task.drop(reference[name], outputs[name], self.part(truth, name), seed=seed, level=level,
                                 resamples=resamples, provenance=provenance) for name, task in self.tasks.items()}
        worst = max(drops, key=lambda name: drops[name].value)
        found, ends = drops[worst], [one.interval for one in drops.values()]
        known = [end for end in ends if end is not None]
        interval = (found.interval[0], max(high for _, high in known)) if found.interval else None
        return found.model_copy(update={
            "interval": interval, "method": f"{found.method}; of output '{worst}', the largest of {len(drops)}"})

    def decided(self, outputs: Array, truth: Truth) -> dict[str, Array]:
        """Of every output with classes."""
        return {name: right for name, task in self.tasks.items()
                for right in task.decided(outputs[name], self.part(truth, name)).values()}

    def recalls(self, reference: Array, outputs: Array, truth: Truth) -> dict[str, PairedCounts]:
        """Of every output's classes: "output/class"."""
        return {f"{name}/{each}": table for name, task in self.tasks.items()
                for each, table in task.recalls(reference[name], outputs[name], self.part(truth, name)).items()}

    def confidences(self, outputs: Array, truth: Truth) -> dict[str, tuple[Array, Array]]:
        """Of every output with probabilities."""
        return {name: pair for name, task in self.tasks.items()
                for pair in task.confidences(outputs[name], self.part(truth, name)).values()}

    def changes(self, reference: Array, outputs: Array, truth: Truth) -> Array | None:
        """Samples of which any output is decided otherwise."""
        masks = [task.changes(reference[name], outputs[name], self.part(truth, name))
                 for name, task in self.tasks.items()]
        known = [mask for mask in masks if mask is not None]
        return np.any(known, axis=0) if known else None

    def _class_names(self, name: str, class_names: tuple[str, ...]) -> tuple[str, ...]:
        """The data's class names for the one output that has classes; where several have, they go by numbers."""
        with_classes = [each for each, task in self.tasks.items() if task.label_kind != "values"]
        return class_names if with_classes == [name] else ()

    def _check_fields(self, array: Array, what: str, kind: type[DataError] | type[StageError]) -> None:
        """Refuse an array that lacks an output's field."""
        fields = array.dtype.names or ()
        missing = [name for name in self.tasks if name not in fields]
        if missing:
            found = f"there is no '{missing[0]}' in {what}, only {', '.join(fields) or 'a single array'}"
            raise kind(with_near_miss(found, missing[0], fields), ", ".join(self.tasks),
                       "name the parts as the outputs under task.outputs")


def _fields(arrays: Mapping[str, Array]) -> Array:
    """Arrays of as many samples as a structured array, each field of its array's type."""
    dtype = np.dtype([(name, values.dtype, values.shape[1:]) for name, values in arrays.items()])
    found = np.empty(len(next(iter(arrays.values()))), dtype)
    for name, values in arrays.items():
        found[name] = values
    return found
