"""Sensitivity: each layer of the float32 tflite model alone in each candidate format, on validation samples.

For each trial one operator is quantized, as `convert` would do it, and everything else stays in float; nothing is
trained and no Keras model is converted. Ranges of activations and 4-bit weights are found once for all trials.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from pydantic import Field

from device_profiles.errors import EngineUnavailable, StageError
from device_profiles.records import Record
from device_profiles.workload import read_workload
from stages import calibration
from stages.bench import Array, Bench
from stages.context import StageContext
from stages.converting.quantizing import FAULTS, PostTraining
from stages.converting.ranges import RangeMethod, Ranges, method_for
from stages.converting.reconstruction import Fitted
from stages.converting.source import read_float
from stages.datasets.prepared import read_split
from stages.datasets.records import TRAIN
from stages.engines import host, registry
from stages.mixing.cost import weight_bytes
from stages.mixing.layout import DEFAULT_FORMATS, Layout, read_layout, recipe_parts, weight_recipe
from stages.mixing.trials import (
    Maker,
    Runner,
    divergence,
    divergence_kind,
    make_bench,
    noise_share,
)
from stages.models.quiet import native_errors_to
from stages.recipes import WeightRecipe, mixed_rules, rules_for
from stages.records.sensitivity import Divergence, LayerFormat, LayerSensitivity, LayerTrial, SensitivityResult
from stages.tasks.settings import TaskSettings

NAME = "sensitivity"
VERSION = 4
LIBRARIES = ("litert-quantizer", "ai-edge-litert", "numpy")

SENSITIVITY_FILE = "sensitivity.json"
LOW_BITS = WeightRecipe(algorithm="gptq")
"""How weights become 4-bit integers here, and in `mixed` where nothing else is asked for."""


class Settings(Record):
    """What a user may set for the sensitivity of layers."""

    samples: int = Field(default=512, ge=1, description="validation samples that every trial runs on")
    calibration_samples: int = Field(default=200, ge=1, description="training samples that set activation ranges")
    engine: registry.EngineName = Field(default="litert", description=f"engine to run: {', '.join(registry.ENGINES)}")
    workers: int = Field(default=0, ge=0, le=256, description="processes, one thread each; 0: one per core")
    timeout_s: float = Field(default=120.0, gt=0, description="seconds that the engine may take to load or to run")


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        formats: candidates; float32 is the reference and needs no trial.
        engine_version: installed version; part of the key.
        task: what the outputs are scored by.
        seed: of the choice of samples.
    """

    formats: tuple[LayerFormat, ...] = DEFAULT_FORMATS
    engine_version: str | None = None
    task: TaskSettings = TaskSettings()
    seed: int = 0


def run(*, tflite: Path, data: Path, options: Options, context: StageContext) -> SensitivityResult:
    """Write `sensitivity.json`.

    Args:
        tflite: a float32 convert artifact, or a model artifact with a float32 tflite model.
        data: a prepare artifact.
        options: see `Options`.
        context: where to write.

    Raises:
        StageError: a model without weights, that cannot be quantized, or that does not fit the data.
        EngineError: the engine is not there, or cannot run a trial.
        StoreError: an artifact without its files.
    """
    info = registry.engine_info(options.engine)
    if not info.available:
        raise EngineUnavailable(options.engine, "", info.reason)
    content = read_float(tflite)
    layout = read_layout(content, options.formats)
    if not layout.layers():
        raise StageError("the tflite model has no operator with float weights, so there is no layer to compare",
                         "a float32 tflite model with convolutions or fully connected layers")
    bench = make_bench(data, options.task, samples=options.samples, seed=options.seed, engine=options.engine,
                       workers=options.workers or len(host.cores()), timeout_s=options.timeout_s, log=context.log,
                       folder=context.scratch)
    try:
        with native_errors_to(context.log):
            trials = _Trials(content, layout, _calibration_samples(data, options), options.task.kind)
            result = _measure(trials, bench, options, context)
    except FAULTS as error:
        raise StageError(f"a layer cannot be quantized: {error}", "", f"see {context.log}") from error
    (context.out / SENSITIVITY_FILE).write_text(result.model_dump_json(indent=1) + "\n", "utf-8")
    return result


class _Trials:
    """Makes the float model with one layer in another format."""

    def __init__(self, content: bytes, layout: Layout, samples: Array, task_kind: str) -> None:
        self.content, self.layout, self._kind = content, layout, task_kind
        self.pairs: list[tuple[int, LayerFormat]] = [
            (number, each) for number in layout.layers() for each in layout.nodes[number].formats if each != "float32"]
        methods = sorted({method_for(each, task_kind) for _, each in self.pairs})
        self._ranges: dict[RangeMethod, Ranges] = {
            method: PostTraining(content, rules_for("int8"), None, method).calibrate(samples) for method in methods}
        low = any(each == "int4" for _, each in self.pairs)
        self._fitted: Mapping[int, Fitted] = _low_bits(content, samples) if low else {}

    def model(self, number: int, layer_format: LayerFormat) -> bytes:
        """The model of one trial."""
        domains, bits = recipe_parts(self.layout, {number: layer_format})
        weights = weight_recipe(bits, LOW_BITS) if layer_format == "int4" else None
        work = PostTraining(self.content, mixed_rules(domains), weights)
        fitted = {layer.ordinal: self._fitted[layer.ordinal] for layer in self.layout.nodes[number].layers} \
            if weights else {}
        ranges = self._ranges[method_for(layer_format, self._kind)]
        return work.quantize(dict(ranges) if work.needs_calibration else None, fitted)


def _low_bits(content: bytes, samples: Array) -> dict[int, Fitted]:
    """Every layer in 4 bits, each fitted as if the others were float."""
    recipe = LOW_BITS.model_copy(update={"bits": 4})
    return PostTraining(content, rules_for("int8"), recipe).fit(samples, alone=True)


def _measure(trials: _Trials, bench: Bench, options: Options, context: StageContext) -> SensitivityResult:
    """All trials, and what they say together."""
    with Runner(bench) as runner:
        context.progress(0, len(trials.pairs), "the float model")
        reference = runner.outputs(trials.content, "float32")
        kind = divergence_kind(bench.task, reference)
        found: dict[int, list[LayerTrial]] = {}
        for done, ((number, layer_format), outputs) in enumerate(zip(
                trials.pairs, runner.many(_models(trials)), strict=True)):
            node = trials.layout.nodes[number]
            found.setdefault(number, []).append(
                _trial(layer_format, kind, reference, outputs, bench, weight_bytes(node, layer_format)))
            context.progress(done + 1, len(trials.pairs), f"{node.label}: {layer_format}")
    layers = tuple(_layer(trials, number, tuple(found.get(number, ()))) for number in trials.layout.layers())
    return SensitivityResult(
        summary=_summary(layers, len(trials.pairs), bench.count), warnings=_warnings(layers), formats=options.formats,
        divergence=kind, engine=options.engine, samples=bench.count, score_name=bench.task.score_name,
        score=bench.score(reference), points_per_divergence=slope(layers), layers=layers,
        left_float=_left_float(trials.layout))


def _models(trials: _Trials) -> Iterator[tuple[str, Maker]]:
    """Name and maker of each trial."""
    for number, layer_format in trials.pairs:
        yield (f"{trials.layout.nodes[number].label} in {layer_format}",
               lambda number=number, layer_format=layer_format: trials.model(number, layer_format))  # type: ignore[misc]


def _trial(layer_format: LayerFormat, kind: Divergence, reference: Array, outputs: Array, bench: Bench,
           size: int) -> LayerTrial:
    """What one trial's outputs say."""
    noise = noise_share(reference, outputs)
    return LayerTrial(
        format=layer_format, divergence=divergence(kind, reference, outputs, bench), weight_bytes=size,
        snr_db=-10 * math.log10(noise) if noise > 0 else None,
        score_drop_points=bench.drop(reference, outputs).value)


def _layer(trials: _Trials, number: int, found: tuple[LayerTrial, ...]) -> LayerSensitivity:
    """One layer's record."""
    node = trials.layout.nodes[number]
    work = read_workload(trials.content).operators
    return LayerSensitivity(label=node.label, names=tuple(layer.name for layer in node.layers), trials=found,
                            macs=sum(work[index].macs for index in node.operators),
                            weights=int(node.layers[0].weights.size), float_bytes=weight_bytes(node, "float32"))


def slope(layers: tuple[LayerSensitivity, ...]) -> float:
    """Points of score for a unit of divergence, by least squares through the origin: `sum(d k) / sum(k^2)`, or 0."""
    pairs = [(trial.divergence, trial.score_drop_points) for layer in layers for trial in layer.trials]
    square = sum(each * each for each, _ in pairs)
    return max(0.0, sum(each * drop for each, drop in pairs) / square) if square > 0 else 0.0


def _left_float(layout: Layout) -> dict[str, str]:
    """Operators that stay in float whatever is chosen."""
    return {node.label: "litert-quantizer does not know it" for node in layout.nodes
            if node.operators and node.formats == ("float32",)}


def _summary(layers: tuple[LayerSensitivity, ...], trials: int, samples: int) -> str:
    """One line for people."""
    worst = max(((trial.divergence, layer.label, trial.format) for layer in layers for trial in layer.trials),
                default=(0.0, "", ""))
    most = f"; {worst[1]} loses most, in {worst[2]}" if worst[1] else ""
    return f"{len(layers)} layers, {trials} trials on {samples} samples{most}"


def _warnings(layers: tuple[LayerSensitivity, ...]) -> tuple[str, ...]:
    """Layers that nothing was tried for."""
    bare = [layer.label for layer in layers if not layer.trials]
    return (f"no candidate format can take {', '.join(bare)}: left in float",) if bare else ()


def _calibration_samples(data: Path, options: Options) -> Array:
    """Training samples that set the ranges."""
    train = read_split(data, TRAIN, in_memory_bytes=0)
    rows = calibration.choose(train.y, options.calibration_samples, options.seed, kind=options.task.kind)
    return np.asarray(train.x[rows])
