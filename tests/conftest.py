"""What several test files share: tiny models, made once a process because TensorFlow takes seconds to import."""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.context import StageContext
from tests import grouping

FROZEN = pytest.StashKey[bool]()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # what a shell starts in the background ignores Ctrl-C, and so would the processes that the tests interrupt
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the tests, those that take longest come first."""
    if hasattr(config, "workerinput"):
        grouping.longest_first(items)


def pytest_collection_finish() -> None:
    """The tests stay to the end: the garbage collector need not look through them again and again."""
    gc.freeze()


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Nor through the 400,000 objects of TensorFlow, once a test has imported it."""
    if "tf_keras" in sys.modules and FROZEN not in item.config.stash:
        item.config.stash[FROZEN] = True
        gc.collect()
        gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files that share a dear fixture go to one process."""
    return grouping.scheduler(config, log)


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    """A stage's surroundings in a fresh folder."""
    for name in ("out", "scratch"):
        (tmp_path / name).mkdir()
    return StageContext(out=tmp_path / "out", scratch=tmp_path / "scratch", log=tmp_path / "log.txt")


@pytest.fixture(scope="session")
def tiny_samples() -> np.ndarray:
    """64 inputs for `tiny_keras`, values in 0..1.  # (64, 6, 6, 2) float32"""
    return np.random.default_rng(7).random((64, 6, 6, 2), dtype=np.float32)


@pytest.fixture(scope="session")
def tiny_keras() -> Any:
    """A conv, depthwise, pool, dense network: 6x6x2 in, 3 classes (softmax) out, seeded weights, untrained."""
    import tf_keras as keras

    keras.utils.set_random_seed(11)
    return keras.Sequential([
        keras.layers.Input((6, 6, 2)),
        keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv"),
        keras.layers.DepthwiseConv2D(3, strides=2, padding="same", name="depthwise"),
        keras.layers.ReLU(name="relu"),
        keras.layers.GlobalAveragePooling2D(name="pool"),
        keras.layers.Dense(3, activation="softmax", name="dense"),
    ], name="tiny")


@pytest.fixture(scope="session")
def tiny_tflites(tiny_keras: Any, tiny_samples: np.ndarray) -> dict[str, bytes]:
    """`tiny_keras` as tflite models, by number format: float32, float16, dynamic, int8, int16x8 (integer inputs)."""
    formats = ("float32", "float16", "dynamic", "int8", "int16x8")
    return {name: _convert(tiny_keras, tiny_samples, name) for name in formats}


def _convert(model: Any, samples: np.ndarray, number_format: str) -> bytes:
    """The plain converter, so that tests of engines do not rest on the convert stage."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if number_format != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if number_format == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if number_format in ("int8", "int16x8"):
        converter.representative_dataset = lambda: ([row[None]] for row in samples)
        kind, sets = (tf.int8, tf.lite.OpsSet.TFLITE_BUILTINS_INT8) if number_format == "int8" else (
            tf.int16, tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8)
        converter.target_spec.supported_ops = [sets]
        converter.inference_input_type = converter.inference_output_type = kind
    return bytes(converter.convert())
