"""TensorFlow set up in one place: deterministic, seeded, quiet, one stage at a time."""

from __future__ import annotations

import logging
import random
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

_TURN = threading.RLock()


@contextmanager
def tensorflow_turn(seed: int, log: Path) -> Iterator[Any]:
    """A stage's turn with TensorFlow: names, random states and kernels as in a fresh process.

    Keras numbers layers, and Python, numpy and TensorFlow draw random numbers, from state that the whole process
    shares. So turns are taken one after another, and each starts from the same state whatever ran before; the artifact
    of a stage is then the same byte for byte, alone or in the middle of a run. Warnings and log lines go to the log.

    Args:
        seed: of all random numbers in this turn.
        log: where warnings of the libraries are appended.

    Yields:
        The module `tf_keras`.
    """
    with _TURN, _library_words_to(log):
        python_state, numpy_state = random.getstate(), np.random.get_state()
        keras = prepare_tensorflow(seed)
        try:
            yield keras
        finally:
            keras.backend.clear_session()
            random.setstate(python_state)
            np.random.set_state(numpy_state)


def prepare_tensorflow(seed: int) -> Any:
    """Make TensorFlow deterministic and start its random numbers afresh.

    Keras layers that draw random numbers (dropout, noise) are made with `tf.random.Generator`, whose state is a
    variable that can be set; the older stateful operators keep theirs where no checkpoint reaches.

    Args:
        seed: any integer from 0.

    Returns:
        The module `tf_keras`.
    """
    import tensorflow as tf
    import tf_keras as keras

    tf.get_logger().setLevel(logging.ERROR)
    tf.config.experimental.enable_op_determinism()
    keras.backend.experimental.enable_tf_random_generator()
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    return keras


@contextmanager
def _library_words_to(log: Path) -> Iterator[None]:
    """Append Python warnings and absl's and TensorFlow's log records to `log` instead of the terminal."""
    handler = logging.FileHandler(log, delay=True, encoding="utf-8")
    loggers = [logging.getLogger(name) for name in ("absl", "tensorflow")]
    before = [(logger.handlers[:], logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers[:] = [handler]
        logger.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_in(log)
            yield
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers[:] = handlers
            logger.propagate = propagate
        handler.close()


def _show_in(log: Path) -> Any:
    """A `warnings.showwarning` that appends to a file."""
    def show(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any) -> None:
        """As `warnings.showwarning`."""
        with log.open("a", encoding="utf-8") as file:
            file.write(warnings.formatwarning(message, category, filename, lineno))
    return show
