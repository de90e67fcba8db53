"""The stages in order: the one place that lists them. A new stage is a module in `stages/`, a line here and a test."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import Any


class Lane(Enum):
    """Where a call runs.

    MAIN: in the run's own process, one at a time; TensorFlow lives here and is imported once.
    ENGINES: in engine workers, while MAIN goes on with the next call.
    ALONE: in engine workers with nothing else running, since it takes times.
    """

    MAIN = "main"
    ENGINES = "engines"
    ALONE = "alone"


@dataclass(frozen=True)
class Stage:
    """A stage's place in the flow.

    Attributes:
        name: also the Click command's name and the module's in `stages/`.
        lane: where it runs.
        help: one line, for `--help`.
    """

    name: str
    lane: Lane
    help: str

    def module(self) -> Any:
        """The module: NAME, VERSION, LIBRARIES, Settings, Options, run."""
        return import_module(f"stages.{self.name}")


STAGES: dict[str, Stage] = {stage.name: stage for stage in (
    Stage("prepare", Lane.MAIN, "Split, normalize and examine the data."),
    Stage("model", Lane.MAIN, "Build the model, or take in one that is there."),
    Stage("examine", Lane.ENGINES, "Look for leakage, label errors and odd samples in the data."),
    Stage("train", Lane.MAIN, "Train the float model."),
    Stage("baseline", Lane.MAIN, "Evaluate the float Keras model: what every drop is measured from."),
    Stage("distil", Lane.MAIN, "Have a teacher train a student."),
    Stage("slim", Lane.MAIN, "Remove whole channels, and fine-tune."),
    Stage("prune", Lane.MAIN, "Set weights to zero, or have them share values, and fine-tune."),
    Stage("sensitivity", Lane.MAIN, "Measure what each layer alone loses in each format."),
    Stage("quantize", Lane.MAIN, "Train with quantization, or choose the calibration set and recipe."),
    Stage("convert", Lane.MAIN, "Make the tflite models."),
    Stage("pack", Lane.ENGINES, "Store weights compressed, for the microcontroller to unpack."),
    Stage("calibrate", Lane.MAIN, "Measure how many calibration samples are enough."),
    Stage("evaluate", Lane.ENGINES, "Measure accuracy of every tflite model in every engine."),
    Stage("benchmark", Lane.ALONE, "Measure latency and memory of every tflite model in every engine."),
    Stage("compile", Lane.ENGINES, "Compile for the NPU of every profile that has one, with Vela."),
    Stage("check", Lane.MAIN, "Hold every variant against every device profile."),
    Stage("report", Lane.MAIN, "Write report.json, report.md and report.html."),
)}
