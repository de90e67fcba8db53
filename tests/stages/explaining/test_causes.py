"""Which operators are worth a rule, and how causes are ranked and worded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from stages.explaining.causes import SCALED, Evidence, channel_list, find, finer, fixed, question
from stages.records import Cause
from tests.stages.explaining.evidence import evidence, tally


def test_quiet_operators_and_small_shares_are_left_alone() -> None:
    quiet = tally(distance=np.full(4, 0.01), local_error=0.04)  # 40 dB
    small = tally(index=1, distance=np.full(4, 0.1), local_error=0.4)  # 30 dB
    found = evidence(tally(index=2), quiet, small)
    assert [(one.label, round(share, 3)) for one, share in found.loud()] == [
        ("2:CONV_2D t", round(0.01 / 0.0111, 3)), ("1:CONV_2D t", round(0.001 / 0.0111, 3))]


def cause(share: float) -> Cause:
    return Cause(kind=str(share), layer="", share=share, found="", short="", changes=())


def test_causes_are_ranked_by_what_they_explain() -> None:
    def rule(_: Evidence) -> Iterator[Cause]:
        """Something that is looked for.

        And more of it.
        """
        yield from (cause(0.1), cause(0.7), cause(0.3))

    quiet = tally(distance=np.full(4, 0.01), local_error=0.04)
    assert [each.kind for each in find([rule], evidence(quiet))] == ["0.7", "0.3", "0.1"]
    assert question(rule) == "Something that is looked for"


def test_an_operator_that_makes_most_of_the_noise_is_named_even_where_no_rule_knows_why() -> None:
    loud, other = tally(clip_error=0.4), tally(index=1, distance=np.full(4, 0.1), local_error=0.4)
    (one,) = find([], evidence(loud, other))
    assert (one.kind, one.layer, round(one.share, 2)) == ("noisy_operator", "0:CONV_2D t", 0.91)
    assert "10 % comes from values beyond the range, 1 % from rounding the output, 89 % from weights" in one.found
    assert one.changes[0].format == "mixed"
    known = cause(0.2)
    assert find([lambda _: [known]], evidence(loud, other)) == [known]


def test_what_explains_next_to_nothing_is_no_cause_unless_it_is_a_fault_of_the_model() -> None:
    dead = cause(0.0).model_copy(update={"kind": "dead_channels"})
    found = find([lambda _: [cause(0.019), cause(0.3), dead]], evidence(tally(distance=np.full(4, 0.01))))
    assert [each.kind for each in found] == ["0.3", "dead_channels"]


@pytest.mark.parametrize(("number_format", "others", "text"), [
    ("int8", "int8", "the others as they are"), ("int4", "int4", "the others as they are"),
    ("int8qat", "int8", "the others in int8")])
def test_the_others_keep_the_format_and_the_algorithm_that_they_have(number_format: str, others: str,
                                                                     text: str) -> None:
    change = fixed(evidence(tally(), number_format=number_format, algorithm="mse"), "3:ADD a", "3:ADD", "float32")
    assert change.settings["quantize"] == {"algorithm": "mse", "bias_correction": False, "mixed": {
        "formats": [others, "float32"], "fixed": {"3:ADD": "float32"}, "drop_points": 100.0, "rounds": 1}}
    assert change.text.endswith(text)


def test_samples_in_another_scale_are_the_only_cause_that_is_named() -> None:
    scaled = cause(1.0).model_copy(update={"kind": SCALED})
    assert find([lambda _: [cause(1.0), scaled, cause(0.2)]], evidence(tally())) == [scaled]


def test_a_finer_format_is_offered_for_the_operator_by_its_number_in_the_float_model() -> None:
    first, second, third = finer(evidence(tally(index=3)), tally(index=3))
    assert first.settings["quantize"]["mixed"]["fixed"] == {"3:CONV_2D": "float32"}
    assert (first.format, second.format, third.format, third.costly) == ("mixed", "int16x8", "int8qat", True)
    assert finer(evidence(tally(), number_format="int16x8"), tally()) == ()


@pytest.mark.parametrize(("channels", "text"), [([3], "3"), ([3, 7], "3 and 7"), ([1, 2, 3], "1, 2 and 3"),
                                                (list(range(9)), "0, 1, 2, 3, 4, 5 and 3 more")])
def test_channels_are_listed_as_people_do(channels: list[int], text: str) -> None:
    assert channel_list(channels) == text
