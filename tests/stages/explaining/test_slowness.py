"""Each reason why a model is not faster, from facts put together by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles.predictor import OperatorPrediction, Prediction
from device_profiles.workload import Workload, read_workload
from stages.engines.client import Delegation
from stages.explaining.slowness import Facts, delegation, features, reasons
from stages.records import Slowness
from tests.device_profiles.handmade import Handmade, conv_model


def workload(**changed: object) -> Workload:
    """A float32 convolution to 3 channels and a softmax."""
    return read_workload(conv_model()).model_copy(update=changed)


def found(kind: str, **given: object) -> list[Slowness]:
    plain = workload()
    facts = Facts(**({"workload": plain, "float_workload": plain} | given))
    return [each for each in reasons(facts) if each.kind == kind]


def test_operators_outside_the_delegate_are_counted_with_their_macs_and_their_part_of_the_bytes() -> None:
    (one,) = found("outside_delegate", delegations={"litert": Delegation(delegates=1, operators=2, alone=(1,))})
    assert "1 of 2 operators (0 % of the MACs)" in one.found
    assert one.layers == ("1:SOFTMAX",)
    assert "take the largest logit" in one.change
    assert one.provenance == "measured"
    conv, softmax = workload().operators
    bytes_moved = [op.input_bytes + op.output_bytes for op in (conv, softmax)]
    assert one.share == bytes_moved[1] / sum(bytes_moved)


def test_an_operator_outside_the_delegate_that_hardly_moves_a_byte_is_not_worth_a_word() -> None:
    conv, softmax = workload().operators
    large = workload(operators=(conv.model_copy(update={"input_bytes": 10**6}), softmax))
    assert found("outside_delegate", workload=large, delegations={
        "litert": Delegation(delegates=1, operators=2, alone=(1,))}) == []


def test_what_an_engine_left_alone_is_looked_up_in_the_model_that_it_was_given() -> None:
    conv, softmax = workload().operators
    packed = workload(operators=(softmax.model_copy(update={"index": 0}), conv.model_copy(update={"index": 1})))
    (one,) = found("outside_delegate", workload=packed, unpacked=workload(),
                   delegations={"litert": Delegation(delegates=1, operators=2, alone=(1,))})
    assert one.layers == ("1:SOFTMAX",)


def test_reasons_that_concern_most_of_the_work_come_first() -> None:
    facts = Facts(workload=workload(sparsity=0.4, number_format="float16"), float_workload=workload())
    assert [(each.kind, each.share) for each in reasons(facts)][:2] == [("float_arithmetic", 1.0), ("zeros", 0.4)]


def test_kernels_of_microcontrollers_are_no_reason_on_other_devices() -> None:
    conv, softmax = workload().operators
    integer = workload(number_format="int8", operators=(conv, softmax.model_copy(update={"name": "MEAN"})))
    assert "1 MEAN" in found("reference_kernels", workload=integer)[0].found.replace("SOFTMAX", "MEAN")
    assert found("reference_kernels", workload=integer, microcontroller=False) == []


@pytest.mark.parametrize(("times", "count"), [((0.4, 0.3), 1), ((0.2, 0.3), 0)], ids=["slower", "faster"])
def test_ranges_found_in_every_inference_are_named_where_dynamic_is_not_faster(times: tuple[float, float],
                                                                               count: int) -> None:
    conv, softmax = workload().operators
    hybrid = workload(operators=(conv.model_copy(update={"arithmetic": "hybrid"}), softmax))
    made = found("dynamic_ranges", workload=hybrid, latencies_ms={"litert": times})
    assert len(made) == count
    assert all("litert: 0.4 ms against 0.3 ms in float32" in each.found for each in made)


def test_operators_that_multiply_are_spoken_of_before_a_softmax() -> None:
    (one,) = found("outside_delegate", delegations={"litert": Delegation(delegates=1, operators=2, alone=(0, 1))})
    assert one.change.startswith("give CONV_2D another number format")
    assert one.change.endswith("it is the same class")


def test_an_engine_that_delegates_nothing_is_said_to() -> None:
    (one,) = found("outside_delegate", delegations={"x": Delegation(delegates=0, operators=2, alone=(0, 1))})
    assert "(100 % of the MACs) run outside its delegate, which takes nothing" in one.found
    assert "takes over none of this format's operators" in one.change


def test_a_model_that_is_all_delegated_gives_no_reason() -> None:
    assert found("outside_delegate", delegations={"litert": Delegation(delegates=1, operators=2, alone=())}) == []


def test_boundaries_are_counted_with_the_bytes_that_they_move() -> None:
    made = Handmade()
    data, middle, out = made.activation((1, 8)), made.activation((1, 8), "INT8"), made.activation((1, 8))
    made.operator("QUANTIZE", [data], [middle])
    made.operator("DEQUANTIZE", [middle], [out])
    (one,) = found("boundaries", workload=read_workload(made.bytes([data], [out])))
    assert "move 80 bytes, 100 % of all that is moved" in one.found  # 32 + 8 in and out, twice


@pytest.mark.parametrize(("flags", "times", "count"), [
    ({"avx2"}, (0.44, 0.36), 1), ({"avx2"}, (0.3, 0.36), 0), ({"avx2", "avx512_vnni"}, (0.44, 0.36), 0)],
    ids=["slower", "faster", "has-dot-products"])
def test_a_cpu_without_dot_products_is_blamed_only_where_int8_is_measured_to_be_no_faster(
        flags: set[str], times: tuple[float, float], count: int) -> None:
    given = {"workload": workload(number_format="int8"), "architecture": "x86_64", "features": frozenset(flags),
             "latencies_ms": {"litert": times}}
    assert len(found("no_dot_products", **given)) == count


def test_zeros_that_are_stored_are_multiplied_all_the_same() -> None:
    (one,) = found("zeros", workload=workload(sparsity=0.75))
    assert "75 % of the weights are zero" in one.found
    assert found("zeros", workload=workload(sparsity=0.1)) == []


def test_three_channels_leave_part_of_a_vector_empty() -> None:
    (one,) = found("layout")
    assert "give 3 channels" in one.found
    assert found("layout", workload=workload(macs=10**6)) == []  # too small a part of the work to matter


def test_what_a_profile_predicts_is_said_to_be_predicted() -> None:
    share = [OperatorPrediction(index=i, operator="ADD", kernel="elementwise", latency_ms=ms, bound=bound)
             for i, (ms, bound) in enumerate([(3.0, "memory"), (1.0, "compute"), (0.5, "overhead")])]
    (one,) = found("memory_bound", predictions={"iot": Prediction(figure=None, operators=tuple(share))})
    assert "on 'iot' 67 % of the time" in one.found  # 3 of 4.5 ms
    assert (one.provenance, one.layers) == ("predicted", ("0:ADD",))
    assert found("overhead_bound", predictions={"iot": Prediction(figure=None, operators=tuple(share))}) == []


def test_decoding_and_float16_are_named() -> None:
    assert "4 tensors" in found("decoding", decodes=4)[0].found
    assert "computes in float32" in found("float_arithmetic", workload=workload(number_format="float16"))[0].found


def test_features_are_read_on_x86_and_arm(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("processor : 0\nflags\t\t: fpu avx2 avx512_vnni\n")
    (tmp_path / "a").write_text("processor : 0\nFeatures\t: fp asimd asimddp\n")
    assert features(tmp_path / "x") == {"fpu", "avx2", "avx512_vnni"}
    assert "asimddp" in features(tmp_path / "a")
    assert features(tmp_path / "nowhere") == frozenset()


def test_the_engine_itself_says_which_operators_it_took_over(tmp_path: Path) -> None:
    answer = delegation(conv_model(), "litert", "conv", tmp_path / "log.txt")
    assert answer == Delegation(delegates=1, operators=2, alone=())


def test_an_engine_that_refuses_the_model_has_nothing_to_say(tmp_path: Path) -> None:
    assert delegation(b"no model at all, not at all", "litert", "broken", tmp_path / "log.txt") is None
