"""The claim on instructions holds for every value in both ranges, and says what two cores differ in."""

from __future__ import annotations

import pytest

from device_profiles.records import Figure
from stages.comparing.instructions import Core, compared, why_not_comparable
from stages.engines.targets.counting import InstructionCounts

CORE = Core(target="emulated:max", engine="litert", engine_version="2.0.2", cpu="max", qemu="7.2.22", python="3.11.2",
            packages={"ai-edge-litert": "2.0.2"}, worker="a" * 64)


def counted(value: float, low: float, high: float) -> InstructionCounts:
    """Instructions with their range, and half as many accesses."""
    figure = Figure(value=value, unit="instructions", provenance="emulated", interval=(low, high), level=0.97)
    half = figure.model_copy(update={"value": value / 2, "unit": "accesses", "interval": (low / 2, high / 2)})
    return InstructionCounts(instructions=figure, accesses=half, cpu="max", engine_version="2.0.2")


EXACT = counted(1000, 1000, 1000)


@pytest.mark.parametrize(("candidate", "claim"), [
    (counted(1011, 1011, 1011), "more"), (counted(1010, 1010, 1010), "same"), (counted(1000, 1000, 1000), "same"),
    (counted(991, 991, 991), "same"), (counted(990, 990, 990), "fewer"),  # 1 / 1.01 = 0.99010
    (counted(1011, 1009, 1013), "undecided"), (counted(1012, 1011, 1013), "more"),
    (counted(989, 988, 990), "fewer"), (counted(990, 989, 991), "undecided")])
def test_a_claim_is_made_where_the_whole_range_bears_it(candidate: InstructionCounts, claim: str) -> None:
    assert compared(EXACT, candidate, 0.01, "counted").claim == claim


def test_the_reference_s_range_counts_too() -> None:
    wide = counted(1000, 996, 1004)
    found = compared(wide, counted(1012, 1012, 1012), 0.01, "kept")
    assert found.ratio.value == pytest.approx(1.012)
    assert found.ratio.interval == pytest.approx((1012 / 1004, 1012 / 996))  # 1.00797 to 1.01606
    assert (found.claim, found.ratio.provenance, found.how) == ("undecided", "emulated", "kept")
    assert found.why == ("+1.20 % (+0.80 % to +1.61 %) instructions: the rounds differ by more than the way to the "
                         "threshold of 1 %")


def test_no_two_claims_overlap_and_swapping_the_sides_swaps_the_claim() -> None:
    opposite = {"more": "fewer", "fewer": "more", "same": "same", "undecided": "undecided"}
    for value in range(970, 1031):
        other = counted(value, value - 1, value + 1)
        assert compared(other, EXACT, 0.01, "counted").claim == opposite[compared(EXACT, other, 0.01, "counted").claim]


def test_a_threshold_of_nought_makes_every_difference_beyond_the_range_one() -> None:
    assert compared(EXACT, counted(1001, 1000.5, 1002), 0, "counted").claim == "more"
    assert compared(EXACT, counted(1000, 1000, 1000), 0, "counted").claim == "same"


def test_cores_differ_in_what_is_named_and_equal_ones_in_nothing() -> None:
    assert why_not_comparable(CORE, CORE) == ""
    newer = CORE.model_copy(update={"qemu": "8.2.0", "packages": {"ai-edge-litert": "2.1.0"}, "worker": "b" * 64})
    assert why_not_comparable(CORE, newer) == (
        "with qemu 7.2.22 and not 8.2.0, with packages ai-edge-litert 2.0.2 and not ai-edge-litert 2.1.0, "
        "of another worker file")
