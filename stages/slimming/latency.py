"""Milliseconds of a Keras model on a profiled device: predicted by the profile, or measured on this host.

What a channel saves in time differs from what it saves in MACs: kernels work on tiles of channels, and small layers are
bound by memory or by the call itself. So each space of channels is halved by itself and the time that this saves guides
the choice; whether the choice as a whole reaches its goal is then found out on the converted model itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StageError
from device_profiles.predictor import predict_latency
from device_profiles.schema import Measured, Profile
from device_profiles.workload import read_workload
from stages.benchmarking.trial import warm_up
from stages.engines import host
from stages.engines.client import EngineWorker
from stages.models.quiet import native_errors_to

LatencyFormat = Literal["float32", "int8"]
Clock = Callable[[Any], float]
"""Milliseconds of one inference of a `tf_keras.Model`."""
_ROUNDS, _ROUND_S, _ROUND_SAMPLES, _WARM_UP_S = 15, 0.03, 1000, 0.3
_RANGES = 16  # samples that set int8 ranges; they shape the time of no kernel


def make_clock(profile: Profile, number_format: LatencyFormat, original: Any, samples: NDArray[np.float32] | None,
               log: Path) -> Clock:
    """How long a model takes on a profile's device.

    Args:
        profile: one that predicts, or one that is measured on this host.
        number_format: what models are converted to.
        original: the model that others are measured beside.
        samples: for int8, (samples, *shape) inputs of a model with one input.
        log: gets the converter's and the engine's words.

    Raises:
        StageError: the profile cannot say.
    """
    def convert(model: Any) -> bytes:
        """The tflite model."""
        return as_tflite(model, number_format, samples, log)

    if isinstance(profile.latency, Measured):
        return _Measured(profile, convert(original), convert, log)

    def predicted(model: Any) -> float:
        """By the profile's roofline."""
        prediction = predict_latency(read_workload(convert(model)), profile)
        if prediction.figure is None:
            raise StageError(f"profile '{profile.name}' cannot predict the model in {number_format}: "
                             f"{prediction.reason}", "a profile that predicts all of its operators",
                             "set slim.budget to macs, or slim.latency_format")
        return prediction.figure.value
    return predicted


def as_tflite(model: Any, number_format: LatencyFormat, samples: NDArray[np.float32] | None, log: Path) -> bytes:
    """A tflite model that takes as long as the one that the convert stage makes.

    Raises:
        StageError: the converter cannot take the model, or there are no samples for int8.
    """
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    if number_format == "int8" and samples is None:
        raise StageError("slim.latency_format is int8, but the model has several inputs", "float32",
                         "set slim.latency_format to float32")
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if samples is not None and number_format == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([row[None]] for row in samples[:_RANGES])
        converter.inference_input_type = converter.inference_output_type = tf.int8
    with native_errors_to(log):
        try:
            return bytes(converter.convert())
        except (ConverterError, ValueError, RuntimeError, TypeError, KeyError, NotImplementedError) as error:
            line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise StageError(f"the latency of the model cannot be found, for it cannot be converted: {line[:200]}", "",
                             "set slim.budget to macs") from error


class _Measured:
    """Measures a model in turns with the original, so that a machine that drifts hits both."""

    def __init__(self, profile: Profile, original: bytes, convert: Callable[[Any], bytes], log: Path) -> None:
        self._profile, self._original, self._convert, self._log = profile, original, convert, log
        self._reference_ms = 0.0

    def __call__(self, model: Any) -> float:
        """The original's first median times the ratio of the two, the median over the rounds."""
        ratios, medians = [], []
        for one, other in self._rounds(self._convert(model)):
            ratios.append(float(np.median(other) / np.median(one)))
            medians.append(float(np.median(one)) / 1e6)
        self._reference_ms = self._reference_ms or float(np.median(medians))
        return self._reference_ms * float(np.median(ratios))

    def _rounds(self, content: bytes) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Nanoseconds of the original and of another tflite model, round by round."""
        with ExitStack() as stack:
            workers = [stack.enter_context(EngineWorker(self._profile.engine.name, log=self._log, model=name))
                       for name in ("the model as it came", "the slimmed model")]
            for worker, each in zip(workers, (self._original, content), strict=True):
                loaded = worker.load(each, threads=self._profile.threads, cpus=host.cores()[-self._profile.threads:])
                worker.feed(*(np.zeros((1, *(max(1, length) for length in info.shape[1:])), np.float32)
                              for info in loaded.inputs))
                warm_up(worker, _WARM_UP_S)
            for _ in range(_ROUNDS):
                one, other = (worker.measure(_ROUND_SAMPLES, _ROUND_S) for worker in workers)
                yield one, other
