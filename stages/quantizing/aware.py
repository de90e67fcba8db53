"""Quantization-aware training.

It keeps what came before it: after pruning the zeros (PQAT), after clustering the shared values (CQAT), after both,
both (PCQAT). What is left is counted in the kernels, not assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import ModelError, StageError
from stages import clustering
from stages.context import StageContext
from stages.models import qat
from stages.models.arrays import Array, as_mapping, given_inputs
from stages.models.files import copy_companions, load_model
from stages.models.folding import fold, largest_difference
from stages.models.framework import tensorflow_turn
from stages.models.nested import opened
from stages.prune import MISSED_SHARE, read_kernels, share_of_zeros
from stages.quantizing.options import Options, calibration_rows, write_recipe
from stages.records import QuantizeResult
from stages.training import best_text, fit, read_lesson

_SHOWN = 8
PROOF_SAMPLES = 16
MOST_DIFFERENCE = 1e-4
"""Largest difference that folding may make, over the larger of 1 and the output's scale: float32 rounds each layer."""


def train_quantized(model: Path, data: Path, options: Options, context: StageContext,
                    teacher: Path | None = None) -> QuantizeResult:
    """Quantization-aware training. See `quantize.run`."""
    lesson = read_lesson(data, options.task, teacher, options.distil)
    train = lesson.train
    with tensorflow_turn(options.seed, context.log):
        source, rewritten = _in_known_layers(opened(load_model(model)), train.x[:PROOF_SAMPLES], options)
        quantized, floats = qat.quantize_aware(source, options.method, options.unsupported_layers == "float")
        rows = calibration_rows(train, options)
        given = given_inputs(quantized, train.x.dtype)
        qat.set_activation_ranges(quantized, given(as_mapping(train.x[rows])))
        history = fit(quantized, lesson, options, options.seed, context)
        plain = qat.as_plain(quantized, source, options.method)
        sparsity, shared = _verify_kept(read_kernels(source), qat.kernels(plain), options)
        qat.save_qat(plain, source, context.out)
    copy_companions(model, context.out)
    write_recipe([], options, context.out)
    return QuantizeResult(summary=f"{options.method}: validation {best_text(history)}", format=options.format,
                          method=options.method, history=history, not_quantized=floats, rewritten=rewritten,
                          sparsity=sparsity, shared_values=shared,
                          warnings=(_float_text(floats),) if floats else ())


def _float_text(floats: Mapping[str, str]) -> str:
    """What a user should know of layers that were left in float."""
    names = ", ".join(list(floats)[:_SHOWN]) + (f" and {len(floats) - _SHOWN} more" if len(floats) > _SHOWN else "")
    return f"{'1 layer computes' if len(floats) == 1 else f'{len(floats)} layers compute'} in float: {names}"


def _in_known_layers(model: Any, samples: Array, options: Options) -> tuple[Any, dict[str, str]]:
    """The model in layers that the 8-bit scheme knows, proven on samples, and what became of those that were rewritten.

    Raises:
        ModelError: the rewritten model computes something else.
    """
    folded = fold(model, keep_values=options.clusters is not None)
    if folded.changed:
        given = given_inputs(model, samples.dtype)(as_mapping(samples))
        difference = largest_difference(model, folded.model, given)
        if not difference <= MOST_DIFFERENCE:
            raise ModelError(f"folding batch normalization changes the outputs by {difference:.1e} of their scale",
                             f"at most {MOST_DIFFERENCE:g}", "use a post-training format such as int8")
    return folded.model, folded.changed


def _verify_kept(before: dict[str, NDArray[np.float32]], after: dict[str, NDArray[np.float32]],
                 options: Options) -> tuple[float | None, dict[str, int]]:
    """Zeros and shared values that are left after training, held against what was there before.

    Raises:
        StageError: more than one point of the zeros is lost, or a kernel holds more values than it was clustered to.
    """
    sparsity, shared = None, {}
    before = {name: before[name] for name in after}
    if options.sparsity is not None:
        wanted, sparsity = share_of_zeros(before)[0], share_of_zeros(after)[0]
        if sparsity < wanted - MISSED_SHARE:
            raise StageError(f"quantization-aware training left {100 * sparsity:.1f} % zeros of {100 * wanted:.1f} %",
                             f"at most {100 * MISSED_SHARE:.0f} point lost", "use int8 instead of int8qat")
    if options.clusters is not None:
        counts = {name: len(np.unique(kernel)) for name, kernel in before.items()}
        most = max(options.clusters, clustering.MOST_VALUES)
        clustered = {name: count for name, count in counts.items() if count <= most and count < before[name].size}
        shared = clustering.count_shared_values({name: after[name] for name in clustered}, clustered)
    return sparsity, shared
