"""Sensitivity: each layer alone in each format, the rest of the model bit for bit as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import StageError, StoreError
from device_profiles.tflite import read_tflite
from stages import sensitivity
from stages.converting.source import read_float
from stages.datasets.prepared import read_split
from stages.mixing.layout import read_layout
from stages.quantizing.mixed import read_sensitivity
from stages.records import LayerSensitivity, LayerTrial, SensitivityResult
from tests.stages.conftest import SEED, make_context

FORMATS = ("int4", "int8", "float32")


@pytest.fixture(scope="module")
def measured(make: Callable[..., Path], float_tflite: Path, prepared: Path) -> Path:
    """A sensitivity artifact of `small_cnn`."""
    return make(sensitivity, tflite=float_tflite, data=prepared, options=sensitivity.Options(
        formats=FORMATS, calibration_samples=30, workers=2, seed=SEED))


def test_every_layer_is_tried_in_every_format_but_float(measured: Path) -> None:
    result = read_sensitivity(measured)
    assert [(layer.label.split(" ")[0], [trial.format for trial in layer.trials]) for layer in result.layers] == [
        (name, ["int4", "int8"]) for name in ("0:CONV_2D", "1:CONV_2D", "3:CONV_2D", "5:FULLY_CONNECTED")]
    assert (result.samples, result.divergence, result.score_name) == (24, "kl", "accuracy")


def test_4_bits_diverge_more_than_8_and_take_fewer_bytes(measured: Path) -> None:
    for layer in read_sensitivity(measured).layers:
        low, high = layer.trial("int4"), layer.trial("int8")
        assert low is not None
        assert high is not None
        assert min(low.divergence, high.divergence) >= 0
        assert low.weight_bytes < high.weight_bytes
        assert low.snr_db is not None
        assert high.snr_db is not None
    trials = [(layer.trial("int4"), layer.trial("int8")) for layer in read_sensitivity(measured).layers]
    assert max(low.divergence for low, _ in trials if low) > 2 * max(high.divergence for _, high in trials if high)


def test_a_trial_quantizes_its_own_layer_and_nothing_else(float_tflite: Path, prepared: Path) -> None:
    content = read_float(float_tflite)
    layout = read_layout(content, FORMATS)
    trials = sensitivity._Trials(content, layout, np.asarray(read_split(prepared, "train").x[:20]), "classification")
    number = layout.layers()[1]
    graph = read_tflite(trials.model(number, "int4")).graphs[0]
    kinds = [(each.name, graph.tensors[each.inputs[1]].dtype) for each in graph.operators
             if each.name in ("CONV_2D", "FULLY_CONNECTED")]
    assert kinds == [("CONV_2D", "float32"), ("CONV_2D", "int4"), ("CONV_2D", "float32"),
                     ("FULLY_CONNECTED", "float32")]
    assert [each.name for each in graph.operators].count("QUANTIZE") == 1


def test_the_same_call_says_the_same(measured: Path, float_tflite: Path, prepared: Path, tmp_path: Path) -> None:
    context = make_context(tmp_path)
    again = sensitivity.run(tflite=float_tflite, data=prepared, context=context, options=sensitivity.Options(
        formats=FORMATS, calibration_samples=30, workers=1, seed=SEED))
    assert again == read_sensitivity(measured)


def trial(divergence_of: float, drop: float) -> LayerTrial:
    return LayerTrial(format="int8", divergence=divergence_of, snr_db=None, score_drop_points=drop, weight_bytes=1)


def test_the_slope_is_that_of_least_squares_through_the_origin() -> None:
    layers = (LayerSensitivity(label="a", names=("a",), macs=1, weights=1, float_bytes=4,
                               trials=(trial(1, 3), trial(2, 4))),)
    assert sensitivity.slope(layers) == pytest.approx((1 * 3 + 2 * 4) / 5)
    assert sensitivity.slope(()) == 0
    better = (LayerSensitivity(label="a", names=("a",), macs=1, weights=1, float_bytes=4,
                               trials=(trial(1, -3),)),)
    assert sensitivity.slope(better) == 0


def test_a_model_without_weights_is_refused(tmp_path: Path, prepared: Path) -> None:
    from tests.device_profiles.handmade import Handmade

    made = Handmade()
    data, out = made.activation((1, 6, 6, 1)), made.activation((1, 6, 6, 1))
    made.operator("LOGISTIC", [data], [out])
    (tmp_path / "model.tflite").write_bytes(made.bytes([data], [out]))
    with pytest.raises(StageError, match="no operator with float weights"):
        sensitivity.run(tflite=tmp_path, data=prepared, options=sensitivity.Options(), context=make_context(tmp_path))


def test_an_artifact_without_its_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no sensitivity of layers"):
        read_sensitivity(tmp_path)


def test_the_result_can_be_read_back(measured: Path) -> None:
    text = (measured / "sensitivity.json").read_text("utf-8")
    assert SensitivityResult.model_validate_json(text).layers[0].names
