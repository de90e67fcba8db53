"""Quantization-aware training.

It keeps what came before it: after pruning the zeros (PQAT), after clustering the shared values (CQAT), after both,
both (PCQAT). What is left is counted in the kernels, not assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import ModelError, StageError
from stages import clustering
from stages.clustering import tied
from stages.clustering.scaled import Shared
from stages.clustering.tied import read_shared, tying
from stages.context import StageContext
from stages.models import qat
from stages.models.arrays import Array, as_mapping, given_inputs
from stages.models.files import copy_companions, load_model
from stages.models.folding import fold, largest_difference
from stages.models.framework import tensorflow_turn
from stages.models.nested import opened
from stages.pruning.kernels import (
    DEPTHWISE,
    MISSED_SHARE,
    breaks_pattern,
    read_kernels,
    share_of_zeros,
    verify_pattern,
)
from stages.quantizing.options import CALIBRATION_FILE, Options, calibration_rows, write_recipe
from stages.records import QuantizeResult
from stages.training import Hooks, best_text, fit, read_lesson

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
        shared = read_shared(model)
        scheme = "qat" if shared else options.method  # zeros are among these values
        quantized, floats = qat.quantize_aware(source, scheme, options.unsupported_layers != "refuse")
        rows = calibration_rows(train, options)
        given = given_inputs(quantized, train.x.dtype)
        qat.set_activation_ranges(quantized, given(as_mapping(train.x[rows])))
        zeros = _depthwise_zeros(source, options)
        history = fit(quantized, lesson, options, options.seed, context,
                      Hooks(after_step=_keeping(_zeroing(quantized, zeros),
                                                tying(qat.kernel_variables(quantized), shared))))
        plain = qat.as_plain(quantized, source, scheme)
        if shared:
            qat.set_kernel_ranges(plain)
        sparsity, values = _verify_kept(read_kernels(source), qat.kernels(plain), options, shared)
        qat.save_qat(plain, source, context.out)
    if floats and options.unsupported_layers == "post":
        np.save(context.out / CALIBRATION_FILE, train.x[rows])
    copy_companions(model, context.out)
    write_recipe([], options, context.out)
    return QuantizeResult(summary=f"{options.method}: validation {best_text(history)}", format=options.format,
                          method=options.method, history=history, not_quantized=floats, rewritten=rewritten,
                          sparsity=sparsity, shared_values=values,
                          warnings=(_float_text(floats, options),) if floats else ())


def _depthwise_zeros(source: Any, options: Options) -> dict[str, NDArray[np.bool_]]:
    """Where pruning has set depthwise weights to zero, by layer: TFMOT preserves the zeros of other kernels alone."""
    if options.sparsity is None:
        return {}
    found = {layer.name: layer.depthwise_kernel.numpy() == 0 for layer in source.layers
             if type(layer).__name__ == DEPTHWISE}
    return {name: zeros for name, zeros in found.items() if zeros.any()}


def _zeroing(quantized: Any, zeros: Mapping[str, NDArray[np.bool_]]) -> Callable[[], None]:
    """What sets these weights to zero again after each step."""
    variables = qat.depthwise_kernels(quantized)
    pairs = [(variables[name], (~mask).astype(np.float32)) for name, mask in zeros.items() if name in variables]

    def zero() -> None:
        """Part of the compiled step."""
        for variable, kept in pairs:
            variable.assign(variable * kept)

    return zero


def _keeping(*keepers: Callable[[], None]) -> Callable[[], None]:
    """All of them, one after the other."""
    def keep() -> None:
        """Part of the compiled step."""
        for keeper in keepers:
            keeper()

    return keep


def _float_text(floats: Mapping[str, str], options: Options) -> str:
    """What a user should know of layers that were not trained with quantization."""
    names = ", ".join(list(floats)[:_SHOWN]) + (f" and {len(floats) - _SHOWN} more" if len(floats) > _SHOWN else "")
    one = len(floats) == 1
    if options.unsupported_layers == "post":
        who = "1 layer is" if one else f"{len(floats)} layers are"
        return f"{who} quantized after training, by calibration: {names}"
    return f"{'1 layer computes' if one else f'{len(floats)} layers compute'} in float: {names}"


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


def _verify_kept(before: dict[str, NDArray[np.float32]], after: dict[str, NDArray[np.float32]], options: Options,
                 scaled: Mapping[str, Shared]) -> tuple[float | None, dict[str, int]]:
    """Zeros and shared values that are left after training, held against what was there before.

    Raises:
        StageError: more than one point of the zeros is lost, or a kernel holds more values than it was clustered to.
    """
    sparsity = None if options.sparsity is None else _verify_zeros({name: before[name] for name in after}, after)
    if scaled:
        return sparsity, tied.count_codes({name: after[name] for name in scaled if name in after}, scaled)
    if options.clusters is None:
        return sparsity, {}
    most = max(options.clusters, clustering.MOST_VALUES)
    counts = {name: len(np.unique(before[name])) for name in after}
    clustered = {name: count for name, count in counts.items() if count <= most and count < before[name].size}
    return sparsity, clustering.count_shared_values({name: after[name] for name in clustered}, clustered)


def _verify_zeros(before: dict[str, NDArray[np.float32]], after: dict[str, NDArray[np.float32]]) -> float:
    """The share of zeros that is left, held against what was there before, patterns included."""
    wanted, sparsity = share_of_zeros(before)[0], share_of_zeros(after)[0]
    if sparsity < wanted - MISSED_SHARE:
        raise StageError(f"quantization-aware training left {100 * sparsity:.1f} % zeros of {100 * wanted:.1f} %",
                         f"at most {100 * MISSED_SHARE:.0f} point lost", "use int8 instead of int8qat")
    verify_pattern({name: after[name] for name, kernel in before.items() if not breaks_pattern(kernel)},
                   "quantization-aware training")
    return sparsity
