"""Set weights to zero by magnitude, or have them share values, and fine-tune; then count what was reached.

Pruning follows TFMOT: in the first part of the fine-tuning the share of zeros rises along a polynomial, then the
zeros stand still while the rest of the weights recovers. How many zeros a kernel gets is said in `pruning.budget`.
Clustering replaces each kernel by an index into a few trained values.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from device_profiles.errors import ModelError, with_near_miss
from stages import clustering
from stages.clustering import scaled, tied
from stages.context import StageContext
from stages.distillation import Distillation
from stages.models.files import copy_companions, load_model, save_model
from stages.models.framework import tensorflow_turn
from stages.models.nested import opened
from stages.pruning.budget import Scope, share_out
from stages.pruning.kernels import (
    DEPTHWISE,
    GROUP,
    MISSED_SHARE,
    NONZERO,
    PRUNED_LAYERS,
    Kernels,
    read_kernels,
    share_of_zeros,
    verify_pattern,
    verify_sparsity,
)
from stages.pruning.masks import Ramp, strip_pruning, wrap_pruning, zero_again
from stages.pruning.sensitivity import Sensitivity, in_pattern, spared
from stages.records import History, PruneResult
from stages.tasks.settings import TaskSettings
from stages.training import FitSettings, Hooks, Lesson, best_text, fit, read_lesson, steps_per_epoch

__all__ = ["LIBRARIES", "MISSED_SHARE", "NAME", "PRUNED_LAYERS", "VERSION", "Options", "Settings", "read_kernels",
           "run", "share_of_zeros", "verify_sparsity"]

NAME = "prune"
VERSION = 4
LIBRARIES = ("tensorflow", "tf-keras", "tensorflow-model-optimization", "numpy")


STATISTICS_BATCHES = 20
"""Where values are scaled: a weight that steps from one value to the next moves what follows by much."""


class Settings(FitSettings):
    """What a user may set for pruning and clustering; the fine-tuning's defaults differ from the training's."""

    epochs: int = Field(default=16, ge=1, description="epochs of fine-tuning")
    learning_rate: float = Field(default=3e-3, gt=0, description="of the optimizer, at the start of the fine-tuning")
    patience: int = Field(default=0, ge=0, description="epochs without a better validation loss to wait; 0: no end")
    scope: Scope = Field(default="global", description="global: the weights that matter least of all kernels become "
                         "zero; layer: the same share of each kernel")
    initial_sparsity: float = Field(default=0.5, ge=0, lt=1, description="share of zeros that the ramp starts from")
    ramp_share: float = Field(default=0.6, gt=0, le=1, description="share of the epochs in which the zeros grow")
    skip_layers: tuple[str, ...] = Field(default=(), description="layers to leave alone, by name")
    spare_ends: bool = Field(default=False, description="leave the first and the last kernel alone")
    depthwise: bool = Field(default=False, description="prune depthwise kernels too")
    sensitive_points: float | None = Field(
        default=None, gt=0, description="points of the validation score that one kernel alone may cost before any "
                                        "training; one that costs more gets fewer zeros, or more shared values")
    sensitivity_samples: int = Field(default=500, ge=1, description="validation samples that this is measured on")
    cluster_scale: Literal["kernel", "channel"] = Field(
        default="kernel", description="what clustered kernels share. kernel: the values themselves (TFMOT); channel: "
                                      "values that each output channel scales, as few in the int8 weights as here")
    layer_clusters: dict[str, int] = Field(
        default_factory=dict, description="shared values of a kernel, by layer, where it is not to be the variant's")


class Options(Settings):
    """Settings and what the plan fills in: `clusters` is given, or `sparsity` or `pattern` or both.

    Attributes:
        sparsity: share of all pruned weights that become zero, or None.
        pattern: "2of4" where two of every four weights become zero.
        clusters: values that each clustered kernel may hold, or None.
        preserve_sparsity: for clustering after pruning: keep the zeros.
        distil: how the teacher teaches, where there is one.
        task: what is to be predicted.
        seed: of the shuffling, the random layers and the samples that sensitivity is measured on.
    """

    sparsity: float | None = Field(default=None, gt=0, lt=1)
    pattern: Literal["", "2of4"] = ""
    clusters: int | None = Field(default=None, ge=2)
    preserve_sparsity: bool = False
    distil: Distillation | None = None
    task: TaskSettings = TaskSettings()
    seed: int = 0

    @model_validator(mode="after")
    def _one_technique(self) -> Options:
        if (self.sparsity is None and not self.pattern) == (self.clusters is None):
            raise ValueError("give either sparsity or clusters")
        return self


def run(*, model: Path, data: Path, options: Options, context: StageContext,
        teacher: Path | None = None) -> PruneResult:
    """Write the compressed `model.keras` and `preprocessing.json`.

    Args:
        model: an artifact with a trained Keras model.
        data: a prepare artifact.
        options: see `Options`.
        context: where to write.
        teacher: an artifact with the Keras model that teaches while the weights recover, or None.

    Raises:
        ModelError: the model cannot be read, or has nothing to compress; a teacher that does not fit.
        StageError: the sparsity or the number of shared values was missed, or cannot be had.
    """
    lesson = read_lesson(data, options.task, teacher, options.distil)
    with tensorflow_turn(options.seed, context.log):
        source = opened(load_model(model))
        _check_named(source, "skip_layers", options.skip_layers)
        if options.clusters is None:
            finished, result = _prune(source, lesson, options, context)
        else:
            finished, result = _cluster(source, options.clusters, lesson, options, context)
        save_model(finished, context.out)
    copy_companions(model, context.out)
    return result


# -- pruning -------------------------------------------------------------------------------------------------------


def _prune(source: Any, lesson: Lesson, options: Options, context: StageContext) -> tuple[Any, PruneResult]:
    """Pruning with fine-tuning, the wrappers stripped, the zeros counted."""
    skipped = _layers_to_skip(source, options)
    names = [layer.name for layer in source.layers if _is_pruned(layer, options) and layer.name not in skipped]
    _check_any(names, "prune")
    kernels = read_kernels(source, names)
    shares, costs = _shares(source, kernels, lesson, options)
    pruned = [name for name in names if shares[name]]
    skipped |= {name: f"sensitive: alone it costs {costs[name]:.1f} points" if name in costs else
                "none of its weights is among the smallest" for name in names if name not in pruned}
    _check_any(pruned, "prune")
    finished, history = _fine_tuned(source, shares, lesson, options, context)
    overall, by_layer = _counted(read_kernels(finished, names), pruned, options)
    what = "two zeros in every four weights" if options.pattern else f"{100 * overall:.1f} % zeros"
    return finished, PruneResult(
        summary=f"{what} in {len(pruned)} kernels, {_score(history)}", history=history, sparsity=overall,
        layer_sparsity={name: by_layer[name] for name in pruned}, shared_values={}, skipped_layers=skipped,
        pattern=options.pattern, sensitivity=costs)


def _counted(kernels: Kernels, pruned: list[str], options: Options) -> tuple[float, dict[str, float]]:
    """Share of zeros over all kernels, and by layer, held against what was asked for."""
    if not options.pattern:
        return verify_sparsity(kernels, options.sparsity or 0.0)
    verify_pattern({name: kernels[name] for name in pruned}, "pruning")
    return share_of_zeros(kernels)


def _fine_tuned(source: Any, shares: Mapping[str, float], lesson: Lesson, options: Options,
                context: StageContext) -> tuple[Any, History]:
    """The pruned model without its wrappers, and its curves."""
    epochs = min(max(1, round(options.epochs * options.ramp_share)), options.epochs)
    ramp = Ramp(options.initial_sparsity, epochs, epochs * steps_per_epoch(len(lesson.train.y), options))
    wrapped = wrap_pruning(source, shares, ramp, bool(options.pattern))
    keep_from = 0 if options.pattern else epochs - 1
    history = fit(wrapped, lesson, options, options.seed, context, Hooks(partial(zero_again, wrapped), keep_from))
    return strip_pruning(wrapped), history


def _shares(source: Any, kernels: Kernels, lesson: Lesson, options: Options) -> tuple[dict[str, float],
                                                                                      dict[str, float]]:
    """The share of zeros of each kernel, and what each cost alone where that was measured."""
    even = dict.fromkeys(kernels, 1 - NONZERO / GROUP)
    points = options.sensitive_points
    sensitivity = Sensitivity(source, lesson, options.sensitivity_samples, options.seed) if points else None
    if options.pattern:
        if sensitivity is None or points is None:
            return even, {}
        costs = {name: sensitivity.cost(name, in_pattern(kernel)) for name, kernel in kernels.items()}
        return {name: 0.0 if costs[name] > points else share for name, share in even.items()}, costs
    shared = partial(share_out, kernels, options.sparsity or 0.0, options.scope)
    if sensitivity is None or points is None:
        return shared(), {}
    return spared(sensitivity, kernels, points, shared)


def _is_pruned(layer: Any, options: Options) -> bool:
    """Whether a layer is of a kind that is pruned."""
    kind = type(layer).__name__
    return kind in PRUNED_LAYERS or (kind == DEPTHWISE and options.depthwise and not options.pattern)


def _layers_to_skip(model: Any, options: Options) -> dict[str, str]:
    """Layers with weights that are left alone, with the reason."""
    ends: list[str] = []
    if options.spare_ends:
        inside = [layer.name for layer in model.layers if type(layer).__name__ in PRUNED_LAYERS]
        ends = [inside[0], inside[-1]] if inside else []
    skipped = {}
    for layer in model.layers:
        if layer.name in options.skip_layers:
            skipped[layer.name] = "named in skip_layers"
        elif layer.name in ends:
            skipped[layer.name] = "the first or last kernel, which spare_ends leaves alone"
        elif layer.weights and not _is_pruned(layer, options):
            skipped[layer.name] = f"{type(layer).__name__} has no kernel that is pruned"
        elif options.pattern and layer.weights and layer.kernel.shape[-2] < GROUP:
            skipped[layer.name] = f"its {layer.kernel.shape[-2]} input channels hold no group of {GROUP}"
    return skipped


# -- clustering ----------------------------------------------------------------------------------------------------


def _cluster(source: Any, clusters: int, lesson: Lesson, options: Options,
             context: StageContext) -> tuple[Any, PruneResult]:
    """Weight clustering with fine-tuning, the wrappers stripped, the values counted."""
    _check_named(source, "layer_clusters", options.layer_clusters)
    zeros_before = {name: kernel == 0 for name, kernel in read_kernels(source).items()}
    counts, costs = _value_counts(source, clusters, lesson, options)
    is_scaled = options.cluster_scale == "channel"
    wrap = scaled.wrap_scaled if is_scaled else clustering.wrap_clustering
    if is_scaled and options.statistics_batches is None:
        options = options.model_copy(update={"statistics_batches": STATISTICS_BATCHES})
    wrapped, skipped = wrap(source, counts, options.preserve_sparsity, frozenset(options.skip_layers))
    names = [name for name in zeros_before if name not in skipped]
    _check_any(names, "cluster")
    history = fit(wrapped, lesson, options, options.seed, context)
    if is_scaled:
        finished, found = scaled.strip_scaled(wrapped)
        kernels = read_kernels(finished, names)
        shared = tied.count_codes(kernels, found)
        tied.write_shared(found, context.out)
    else:
        finished = clustering.strip_clustering(wrapped)
        kernels = read_kernels(finished, names)
        shared = clustering.count_shared_values(kernels, counts)
    if options.preserve_sparsity:
        clustering.check_zeros_kept(kernels, zeros_before)
    overall, by_layer = share_of_zeros(kernels)
    most = max(shared.values())
    what = f"at most {most} {'int8 weights' if is_scaled else 'values'} in each of {len(names)} kernels"
    return finished, PruneResult(
        summary=f"{what}, {_score(history)}", history=history, sparsity=overall, layer_sparsity=by_layer,
        shared_values=shared, skipped_layers=skipped, sensitivity=costs)


def _value_counts(source: Any, clusters: int, lesson: Lesson, options: Options) -> tuple[dict[str, int],
                                                                                        dict[str, float]]:
    """Shared values by layer, and what each kernel cost alone with the variant's number where that was measured."""
    kernels = {name: kernel for name, kernel in read_kernels(source).items() if name not in options.skip_layers}
    counts = dict.fromkeys(kernels, clusters) | {
        name: count for name, count in options.layer_clusters.items() if name in kernels}
    if options.sensitive_points is None:
        return counts, {}
    sensitivity = Sensitivity(source, lesson, options.sensitivity_samples, options.seed)
    free = {name: kernel for name, kernel in kernels.items() if name not in options.layer_clusters}
    nearest = scaled.nearest_scaled if options.cluster_scale == "channel" else clustering.nearest_values
    found, costs = clustering.enough_values(sensitivity.cost, free, clusters, options.sensitive_points, nearest)
    return counts | found, costs


# -- checks --------------------------------------------------------------------------------------------------------


def _check_named(model: Any, setting: str, names: Mapping[str, int] | tuple[str, ...]) -> None:
    """Refuse a setting that names a layer which the model does not have."""
    known = [layer.name for layer in model.layers]
    for name in names:
        if name not in known:
            found = with_near_miss(f"{setting} names '{name}', which the model does not have", name, known)
            raise ModelError(found, ", ".join(known), f"set prune.{setting} in the run file")


def _check_any(names: list[str], verb: str) -> None:
    """Refuse to do nothing."""
    if not names:
        raise ModelError(f"the model has no layer to {verb}", f"at least one of {', '.join(PRUNED_LAYERS)}",
                         "choose a variant without this token, or shorten skip_layers")


def _score(history: History) -> str:
    return f"validation {best_text(history)}"
