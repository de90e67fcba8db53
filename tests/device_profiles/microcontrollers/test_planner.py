"""The memory planner, on plans worked out by hand."""

from __future__ import annotations

from device_profiles.microcontrollers.planner import Buffer, Plan, aligned, plan


def test_no_buffers_take_no_bytes() -> None:
    assert plan([]) == Plan((), 0)


def test_sizes_are_rounded_up_to_16_bytes() -> None:
    assert (aligned(1), aligned(16), aligned(17), aligned(0), aligned(9, 4)) == (16, 16, 32, 0, 12)
    assert plan([Buffer(17, 0, 0)]).total_bytes == 32


def test_buffers_that_never_live_at_once_share_their_bytes() -> None:
    assert plan([Buffer(64, 0, 1), Buffer(32, 2, 3)]) == Plan((0, 0), 64)


def test_a_chain_alternates_between_the_two_ends() -> None:
    # each tensor lives with its neighbour: 48 and 32 at once, then 32 and 16, then 16 and 48
    made = plan([Buffer(48, 0, 1), Buffer(32, 1, 2), Buffer(16, 2, 3), Buffer(48, 3, 4)])

    # 48s first, the later of equal ones first: both at 0; 32 meets the first alone: 48; 16 meets 32 and the last 48
    assert made == Plan((0, 48, 80, 0), 96)


def test_a_buffer_goes_into_the_lowest_gap_that_holds_it() -> None:
    # 64 at 0 to 3; 32 meets it, at 64; another 32 in step 3 meets the first alone and slides in at 64 as well
    made = plan([Buffer(64, 0, 3), Buffer(32, 0, 1), Buffer(32, 2, 3), Buffer(16, 0, 3)])

    assert made == Plan((0, 64, 64, 96), 112)


def test_a_gap_between_two_buffers_is_filled() -> None:
    # 96 (steps 0-1) at 0; 64 (steps 0-2) behind it at 96; 48 (step 2) meets the second alone and fits in front of it
    assert plan([Buffer(96, 0, 1), Buffer(64, 0, 2), Buffer(48, 2, 2)]) == Plan((0, 96, 0), 160)


def test_of_equal_sizes_the_later_one_is_placed_first() -> None:
    assert plan([Buffer(16, 0, 0), Buffer(16, 0, 0)]).offsets == (16, 0)
