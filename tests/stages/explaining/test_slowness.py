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


def test_operators_outside_the_delegate_are_counted_with_their_macs() -> None:
    (one,) = found("outside_delegate", delegations={"litert": Delegation(delegates=1, operators=2, alone=(1,))})
    assert "1 of 2 operators (0 % of the MACs)" in one.found
    assert one.layers == ("1:SOFTMAX",)
    assert "take the largest logit" in one.change
    assert one.provenance == "measured"


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
    assert "2 QUANTIZE and DEQUANTIZE operators move 80 bytes" in one.found  # 32 + 8 in and out, twice


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
