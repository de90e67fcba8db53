"""TFMOT's tutorial chain by hand: prune, then quantization-aware training that preserves the zeros, then convert.

What its pages "Pruning in Keras" and "Pruning preserving quantization aware training" show, on a model and data that
are given: Keras' own `fit`, a plain cross-entropy, the wrappers' own schedules. `compression.py` uses it as the
variant `tutorial-pruned75-int8qat`, with the same epochs, batches, augmentation and learning rates as its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SPARSITY, SEED = 0.75, 42


def make(model_file: Path, train: Any, prune: dict[str, Any], quantize: dict[str, Any], out: Path) -> bytes:
    """The chain; Keras models are kept in `out` on the way, and what is there is not trained again.

    Args:
        model_file: a trained `.h5` or `.keras` model of Keras 2 that gives probabilities.
        train: a `stages.datasets.prepared.Split`.
        prune: `FitSettings` of the pruning.
        quantize: those of the quantization-aware training.
        out: a folder.

    Returns:
        The tflite model, float at its ends as in the tutorial.
    """
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(SEED)
    half = out / "pruned.h5"
    if not half.exists():
        model = keras.models.load_model(model_file, compile=False)
        steps = prune["epochs"] * prune["samples_per_epoch"] // prune["batch_size"]
        schedule = tfmot.sparsity.keras.PolynomialDecay(0.5, SPARSITY, begin_step=0, end_step=steps)
        wrapped = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_schedule=schedule)
        fit(wrapped, train, prune, [tfmot.sparsity.keras.UpdatePruningStep()])
        tfmot.sparsity.keras.strip_pruning(wrapped).save(half)
    pruned = keras.models.load_model(half, compile=False)
    aware = tfmot.quantization.keras.quantize_apply(
        tfmot.quantization.keras.quantize_annotate_model(pruned),
        tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme())
    fit(aware, train, quantize, [])
    converter = tf.lite.TFLiteConverter.from_keras_model(aware)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


def fit(model: Any, train: Any, settings: dict[str, Any], callbacks: list[Any]) -> None:
    """Keras' own fit over the batches that litesmith's trainings have, at the same learning rates."""
    import tf_keras as keras

    from stages.fitting.settings import FitSettings, rate_at, steps_per_epoch

    given = FitSettings(**settings)
    model.compile(keras.optimizers.Adam(given.learning_rate), "sparse_categorical_crossentropy")
    model.fit(_endless(train, given), steps_per_epoch=steps_per_epoch(len(train.y), given), epochs=given.epochs,
              verbose=0, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: rate_at(given, epoch)),
                                    *callbacks])


def _endless(train: Any, settings: Any) -> Iterator[tuple[Any, Any]]:
    """One batch after the other."""
    from stages.fitting.batches import batches

    epoch = 0
    while True:
        for x, y, weight in batches(train, np.ones(len(train.y), np.float32), settings, SEED, epoch):
            for i in range(len(weight)):
                yield x[i], y[i]
        epoch += 1


def predict(content: bytes, x: Any) -> Any:
    """A plain interpreter loop in litert.  # (samples, classes)."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    found = []
    for sample in x:
        interpreter.set_tensor(taken["index"], sample[None].astype(taken["dtype"]))
        interpreter.invoke()
        found.append(interpreter.get_tensor(given["index"])[0].copy())
    return np.stack(found)
