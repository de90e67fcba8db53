"""Faults planted in tiny networks are named first, at the right operator; a healthy one gives no cause."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import StageError
from device_profiles.records import Figure
from stages.explain import Case, completed, explain, in_float, verdict
from stages.explaining.runs import Source
from stages.records import CalibrationReport, Cause, ExplainResult, InputRange, LayerNoise, Step
from tests.stages.explaining import faulty


@functools.cache
def plain(build: Callable[[Any], Any]) -> bytes:
    """One of the networks as a float32 tflite model."""
    import tf_keras as keras

    return faulty.converted(build(keras))


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ExplainResult]:
    """`explained(build)`: the explanation of one of the networks in int8."""
    def made(build: Callable[[Any], Any], calibration: np.ndarray | None = None,
             report: CalibrationReport | None = None) -> ExplainResult:
        return faulty.subject(tmp_path_factory.mktemp("faulty"), plain(build), calibration).explain(report)
    return made


def report(**given: Any) -> CalibrationReport:
    inputs = {"input": InputRange(low=0, high=0.3, low_row=0, high_row=1, beyond_low=0, beyond_high=0, outside=0.0)}
    return CalibrationReport(**({"strategy": "random", "samples": 200, "available": 1000,
                                 "class_counts": (70, 65, 65), "inputs": inputs} | given))


def test_a_healthy_network_gives_no_cause_and_says_what_was_looked_at(explained: Any) -> None:
    found = explained(faulty.healthy)
    assert found.causes == ()
    assert "nothing is wrong in any one place" in found.summary
    assert len(found.looked_at) == 15
    assert 0.5 < sum(layer.share for layer in found.layers) <= 1
    assert max(layer.share for layer in found.layers) < 0.5
    assert all(layer.snr_db is None or layer.snr_db > 34 for layer in found.layers)


@pytest.mark.parametrize(("build", "kind", "layer", "said"), [
    (faulty.outlier_weight, "outlier_weights", "1:CONV_2D second", "2 of 8 channels"),
    (faulty.outlier_channel, "outlier_activations", "0:CONV_2D first", "1 of 16 channels set the range"),
    (faulty.dead_channels, "dead_channels", "0:CONV_2D first", "2 of 16 channels never change"),
    (faulty.activation_before_norm, "activation_before_norm", "0:CONV_2D conv", "RELU stands before"),
    (faulty.norm_read_twice, "unfolded_norm", "0:CONV_2D", "not folded"),
    (faulty.unequal_branches, "unequal_branches", "2:ADD sum", "ranges are"),
], ids=lambda value: getattr(value, "__name__", None))
def test_a_planted_fault_is_the_first_cause_at_its_layer(explained: Any, build: Any, kind: str, layer: str,
                                                         said: str) -> None:
    found = explained(build)
    first = found.causes[0]
    assert (first.kind, first.layer[:len(layer)]) == (kind, layer), [c.found for c in found.causes]
    assert said in first.short
    assert first.layer in found.summary
    assert first.changes


def test_a_normalization_that_is_folded_is_no_cause(explained: Any) -> None:
    assert [cause.kind for cause in explained(faulty.folded_norm).causes] == []


def test_a_calibration_set_without_a_class_is_named_before_the_ranges_that_it_left_too_narrow(explained: Any) -> None:
    found = explained(faulty.healthy, 0.3 * faulty.samples(), report(samples=40, class_counts=(40, 0, 0)))
    assert found.causes[0].kind == "calibration_one_sided"
    assert "classes 1 and 2 have none" in found.causes[0].short
    assert found.causes[0].changes[0].settings == {"quantize": {"calibration": "balanced", "calibration_samples": 200}}
    assert found.causes[0].share > 0.5


def test_few_calibration_samples_are_named_and_more_are_asked_for(explained: Any) -> None:
    found = explained(faulty.healthy, 0.5 * faulty.samples()[:1], report(samples=3, class_counts=(1, 1, 1)))
    assert found.causes[0].kind == "calibration_small"
    assert found.causes[0].changes[0].settings == {"quantize": {"calibration_samples": 256}}


def test_ranges_that_are_too_narrow_for_no_known_reason_are_each_named(explained: Any) -> None:
    found = explained(faulty.healthy, 0.4 * faulty.samples())
    assert found.causes[0].kind == "saturated_range"
    assert "more samples" in found.causes[0].changes[0].text


def test_one_sample_that_reaches_far_out_leaves_ranges_unused(explained: Any) -> None:
    stretched = np.concatenate([faulty.samples(), 20 * faulty.samples()[:1]])
    found = explained(faulty.healthy, stretched, report(outlier_count=1))
    assert found.causes[0].kind == "unused_range"
    assert found.causes[0].changes[0].settings == {"quantize": {"calibration": "outliers-dropped"}}
    assert "1 of the 200 calibration samples reach far out" in found.causes[0].found


def test_the_float_model_against_itself_makes_no_noise(tmp_path: Path) -> None:
    one = faulty.subject(tmp_path, plain(faulty.healthy))
    found = explain(one.plain, one.plain, one.bench(), Case("float32"))
    assert found.causes == ()
    assert "no noise" in found.summary


def test_weights_of_the_variant_in_float_leave_the_activations_noise_alone(tmp_path: Path) -> None:
    one = faulty.subject(tmp_path, plain(faulty.healthy))
    found = explain(one.made, in_float(one.made, one.plain), one.bench(), Case("int8"))
    conv = next(layer for layer in found.layers if layer.label == "1:CONV_2D second")
    usual = next(layer for layer in one.explain().layers if layer.label == "1:CONV_2D second")
    assert conv.weight_snr_db is None or conv.weight_snr_db > 100
    assert conv.rounded > 0.9 > usual.rounded


def test_another_network_and_samples_that_do_not_fit_are_clean_errors(tmp_path: Path) -> None:
    import tf_keras as keras

    one = faulty.subject(tmp_path / "one", plain(faulty.healthy))
    other = keras.Sequential([keras.layers.Input((5,)), keras.layers.Softmax()])
    stranger = Source(faulty.converted(other), {}, "other")
    with pytest.raises(StageError, match="no operator of int8 has a counterpart in other"):
        explain(one.made, stranger, one.bench(), Case("int8"))
    np.save(one.samples, np.zeros((4, 3, 3, 1), np.float32))
    with pytest.raises(StageError, match="do not fit int8"):
        explain(one.made, one.plain, one.bench(4), Case("int8"))


def test_causes_rank_by_their_part_of_the_points_and_their_share_of_it() -> None:
    steps = (Step(name="slim40", part="training", drop=points(3)), Step(name="int8", part="quantization",
                                                                        drop=points(1)))
    causes = [Cause(kind="a", layer="x", part="quantization", share=0.9, found="", short="noise", changes=()),
              Cause(kind="b", layer="y", part="training", share=0.5, found="", short="channels", changes=())]
    empty = ExplainResult(summary="", variant="slim40-int8", reference="slim40-float32", engine="litert", samples=1,
                          tflite_bytes=1, layers=(), causes=(causes[0],), looked_at=(), steps=steps, drop=points(4))
    found = completed(empty, causes=[causes[1]])
    assert [cause.kind for cause in found.causes] == ["b", "a"]  # 0.5 * 3/4 = 0.375 against 0.9 * 1/4 = 0.225
    assert found.summary == "slim40-int8 loses 4.0 points; 3.0 of them before the number format: channels"


@pytest.mark.parametrize(("share", "said"), [(0.4, "40 % of the noise is made in 0:CONV_2D x: short"),
                                             (0.6, "60 % of the noise has one cause, the most in 0:CONV_2D x: short")])
def test_a_cause_of_several_layers_is_not_said_to_be_made_in_one(share: float, said: str) -> None:
    layer = LayerNoise(label="0:CONV_2D x", original="0:CONV_2D x", matching="name", snr_db=20, local_db=20, share=0.5)
    cause = Cause(kind="a", layer="0:CONV_2D x", share=share, found="", short="short", changes=())
    result = ExplainResult(summary="", variant="int8", reference="float32", engine="litert", samples=1, tflite_bytes=1,
                           layers=(layer,), causes=(cause,), looked_at=(), drop=points(1))
    assert verdict(result) == f"int8 loses 1.0 points; {said}"


def points(value: float) -> Figure:
    return Figure(value=value, unit="points", provenance="measured", samples=100, interval=(value - 0.5, value + 0.5))
