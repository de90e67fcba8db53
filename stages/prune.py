"""Set weights to zero by magnitude, or have them share values, and fine-tune; then count what was reached.

Pruning follows TFMOT: in the first part of the fine-tuning the share of zeros rises along a polynomial, then the
zeros stand still while the rest of the weights recovers. Clustering replaces each kernel by an index into a few trained
values.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from device_profiles.errors import ModelError, StageError, near_miss
from stages import clustering
from stages.context import StageContext
from stages.distillation import Distillation
from stages.models.files import copy_companions, load_model, save_model
from stages.models.framework import tensorflow_turn
from stages.models.nested import opened
from stages.records import History, PruneResult
from stages.tasks.settings import TaskSettings
from stages.training import FitSettings, Hooks, Lesson, best_text, fit, read_lesson, steps_per_epoch

NAME = "prune"
VERSION = 2
LIBRARIES = ("tensorflow", "tf-keras", "tensorflow-model-optimization", "numpy")

PRUNED_LAYERS = ("Conv2D", "Dense")
"""Layers whose kernels are pruned: those whose zeros quantization-aware training can preserve as well."""
MISSED_SHARE = 0.01
_MASK_UPDATES_PER_EPOCH = 4


class Settings(FitSettings):
    """What a user may set for pruning and clustering; the fine-tuning's defaults differ from the training's."""

    epochs: int = Field(default=16, ge=1, description="epochs of fine-tuning")
    learning_rate: float = Field(default=3e-3, gt=0, description="of Adam, at the start of the fine-tuning")
    patience: int = Field(default=0, ge=0, description="epochs without a better validation loss to wait; 0: no end")
    initial_sparsity: float = Field(default=0.5, ge=0, lt=1, description="share of zeros that the ramp starts from")
    ramp_share: float = Field(default=0.6, gt=0, le=1, description="share of the epochs in which the zeros grow")
    skip_layers: tuple[str, ...] = Field(default=(), description="layers to leave alone, by name")


class Options(Settings):
    """Settings and what the plan fills in; exactly one of `sparsity` and `clusters` is given.

    Attributes:
        sparsity: share of each pruned kernel that becomes zero, or None.
        clusters: values that each clustered kernel may hold, or None.
        preserve_sparsity: for clustering after pruning: keep the zeros.
        distil: how the teacher teaches, where there is one.
        task: what is to be predicted.
        seed: of the shuffling and the random layers.
    """

    sparsity: float | None = Field(default=None, gt=0, lt=1)
    clusters: int | None = Field(default=None, ge=2)
    preserve_sparsity: bool = False
    distil: Distillation | None = None
    task: TaskSettings = TaskSettings()
    seed: int = 0

    @model_validator(mode="after")
    def _one_technique(self) -> Options:
        if (self.sparsity is None) == (self.clusters is None):
            raise ValueError("give either sparsity or clusters")
        return self


def run(*, model: Path, data: Path, options: Options, context: StageContext,
        teacher: Path | None = None) -> PruneResult:
    """Write the compressed `model.keras` and `preprocessing.json`.

    Args:
        model: a train or prune artifact.
        data: a prepare artifact.
        options: see `Options`.
        context: where to write.
        teacher: an artifact with the Keras model that teaches while the weights recover, or None.

    Raises:
        ModelError: the model cannot be read, or has nothing to compress; a teacher that does not fit.
        StageError: the sparsity or the number of shared values was missed.
    """
    lesson = read_lesson(data, options.task, teacher, options.distil)
    with tensorflow_turn(options.seed, context.log):
        source = opened(load_model(model))
        _check_skipped(source, options)
        if options.sparsity is not None:
            finished, result = _prune(source, options.sparsity, lesson, options, context)
        else:
            finished, result = _cluster(source, options.clusters or 0, lesson, options, context)
        save_model(finished, context.out)
    copy_companions(model, context.out)
    return result


def _prune(source: Any, sparsity: float, lesson: Lesson, options: Options,
           context: StageContext) -> tuple[Any, PruneResult]:
    """Magnitude pruning with fine-tuning, the wrappers stripped, the zeros counted."""
    import tensorflow_model_optimization as tfmot

    skipped = _layers_to_skip(source, options)
    names = [layer.name for layer in source.layers if _has_kernel(layer) and layer.name not in skipped]
    _check_any(names, "prune")
    ramp_epochs = min(max(1, round(options.epochs * options.ramp_share)), options.epochs)
    ramp_steps = ramp_epochs * steps_per_epoch(len(lesson.train.y), options)
    wrapped = _wrap_pruning(source, sparsity, names, ramp_steps, options)
    masks = [layer.pruning_obj for layer in wrapped.layers if hasattr(layer, "pruning_obj")]

    def zero_again() -> None:
        """Undo what the epoch's last gradient step did to pruned weights."""
        for mask in masks:
            mask.weight_mask_op()

    history = fit(wrapped, lesson, options, options.seed, context, Hooks(zero_again, ramp_epochs - 1))
    finished = tfmot.sparsity.keras.strip_pruning(wrapped)
    kernels = read_kernels(finished, names)
    overall, by_layer = verify_sparsity(kernels, sparsity)
    return finished, PruneResult(
        summary=f"{100 * overall:.1f} % zeros in {len(names)} kernels, {_score(history)}", history=history,
        sparsity=overall, layer_sparsity=by_layer, shared_values={}, skipped_layers=skipped)


def _wrap_pruning(source: Any, sparsity: float, names: Iterable[str], ramp_steps: int, options: Options) -> Any:
    """The model with TFMOT's pruning wrappers, ready for its first step."""
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    api = tfmot.sparsity.keras
    schedule = _schedule(sparsity, ramp_steps, options)
    wanted = set(names)

    def wrap(layer: Any) -> Any:
        """The layer in a pruning wrapper, or as it is."""
        return api.prune_low_magnitude(layer, pruning_schedule=schedule) if layer.name in wanted else layer

    wrapped = keras.models.clone_model(source, clone_function=wrap)
    for layer in wrapped.layers:
        if hasattr(layer, "pruning_step"):
            layer.pruning_step.assign(0)  # TFMOT's UpdatePruningStep callback does this in Keras' own fit
    return wrapped


def _schedule(sparsity: float, ramp_steps: int, options: Options) -> Any:
    """How the share of zeros grows: along a polynomial, or at once where the ramp has no room for two updates.

    Masks change on steps 1, 1 + every, 1 + 2 * every, ...; the ramp ends on one of these, or its last rise is left out.
    """
    import tensorflow_model_optimization as tfmot

    api = tfmot.sparsity.keras
    ramp_epochs = max(1, round(options.epochs * options.ramp_share))
    every = max(1, ramp_steps // (ramp_epochs * _MASK_UPDATES_PER_EPOCH))
    last = 1 + (ramp_steps - 1) // every * every
    if last == 1:
        return api.ConstantSparsity(sparsity, begin_step=1, end_step=1, frequency=1)
    return api.PolynomialDecay(initial_sparsity=min(options.initial_sparsity, sparsity), final_sparsity=sparsity,
                               begin_step=1, end_step=last, frequency=every)


def _cluster(source: Any, clusters: int, lesson: Lesson, options: Options,
             context: StageContext) -> tuple[Any, PruneResult]:
    """Weight clustering with fine-tuning, the wrappers stripped, the values counted."""
    zeros_before = {name: kernel == 0 for name, kernel in read_kernels(source).items()}
    wrapped, skipped = clustering.wrap_clustering(source, clusters, options.preserve_sparsity,
                                                  frozenset(options.skip_layers))
    names = [name for name in zeros_before if name not in skipped]
    _check_any(names, "cluster")
    history = fit(wrapped, lesson, options, options.seed, context)
    finished = clustering.strip_clustering(wrapped)
    kernels = read_kernels(finished, names)
    shared = clustering.count_shared_values(kernels, clusters)
    if options.preserve_sparsity:
        _check_zeros_kept(kernels, zeros_before)
    overall, by_layer = share_of_zeros(kernels)
    most = max(shared.values())
    return finished, PruneResult(
        summary=f"at most {most} values in each of {len(names)} kernels, {_score(history)}", history=history,
        sparsity=overall, layer_sparsity=by_layer, shared_values=shared, skipped_layers=skipped)


def read_kernels(model: Any, names: Iterable[str] | None = None) -> dict[str, NDArray[np.float32]]:
    """Kernels of the layers that can be pruned, by layer name; of `names` alone where given."""
    wanted = None if names is None else set(names)
    return {layer.name: layer.kernel.numpy() for layer in model.layers
            if _has_kernel(layer) and (wanted is None or layer.name in wanted)}


def share_of_zeros(kernels: dict[str, NDArray[np.float32]]) -> tuple[float, dict[str, float]]:
    """Share of zeros over all kernels, and by layer."""
    zeros = sum(int((kernel == 0).sum()) for kernel in kernels.values())
    size = sum(kernel.size for kernel in kernels.values())
    return zeros / size, {name: float((kernel == 0).mean()) for name, kernel in kernels.items()}


def verify_sparsity(kernels: dict[str, NDArray[np.float32]], wanted: float) -> tuple[float, dict[str, float]]:
    """`share_of_zeros`, held against what was asked for.

    Raises:
        StageError: the share of zeros lies more than one point below.
    """
    overall, by_layer = share_of_zeros(kernels)
    if overall < wanted - MISSED_SHARE:
        worst = min(by_layer, key=lambda name: by_layer[name])
        raise StageError(f"{100 * overall:.1f} % of the pruned weights are zero; the least has '{worst}' with "
                         f"{100 * by_layer[worst]:.1f} %", f"at least {100 * (wanted - MISSED_SHARE):.0f} %",
                         "train for more epochs, or lower ramp_share")
    return overall, by_layer


def _check_zeros_kept(kernels: dict[str, NDArray[np.float32]], before: dict[str, NDArray[np.bool_]]) -> None:
    """Refuse a clustering that filled zeros which it was to keep."""
    for name, kernel in kernels.items():
        filled = int((before[name] & (kernel != 0)).sum())
        if filled > MISSED_SHARE * kernel.size:
            raise StageError(f"clustering filled {filled} of the zeros in '{name}'", "zeros stay zeros",
                             "ask for more shared values")


def _layers_to_skip(model: Any, options: Options) -> dict[str, str]:
    """Layers with weights that are left alone, with the reason."""
    skipped = {}
    for layer in model.layers:
        if layer.name in options.skip_layers:
            skipped[layer.name] = "named in skip_layers"
        elif layer.weights and not _has_kernel(layer):
            skipped[layer.name] = f"{type(layer).__name__} has no kernel that is pruned"
    return skipped


def _has_kernel(layer: Any) -> bool:
    return type(layer).__name__ in PRUNED_LAYERS


def _check_skipped(model: Any, options: Options) -> None:
    """Refuse a name under skip_layers that the model does not have."""
    known = [layer.name for layer in model.layers]
    for name in options.skip_layers:
        if name not in known:
            hint = near_miss(name, known)
            found = f"skip_layers names '{name}', which the model does not have" + (f"; {hint}" if hint else "")
            raise ModelError(found, ", ".join(known), "set prune.skip_layers in the run file")


def _check_any(names: list[str], verb: str) -> None:
    """Refuse to do nothing."""
    if not names:
        raise ModelError(f"the model has no layer to {verb}", f"at least one of {', '.join(PRUNED_LAYERS)}",
                         "choose a variant without this token, or shorten skip_layers")


def _score(history: History) -> str:
    return f"validation {best_text(history)}"
