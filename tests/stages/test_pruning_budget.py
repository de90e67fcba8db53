"""How zeros are shared out, on kernels small enough to do it by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.errors import StageError
from stages.pruning.budget import layer_adaptive_scores, share_out

LARGE = np.float32([30, -40]).reshape(1, 2)
MIXED = np.float32([1, -2, 3, 4]).reshape(2, 2)


def test_scores_are_the_part_of_the_norm_that_goes_with_a_weight() -> None:
    # by falling magnitude 16/16, 9/25, 4/29, 1/30, in the kernel's own order
    assert layer_adaptive_scores(MIXED).tolist() == pytest.approx([1 / 30, 4 / 29, 9 / 25, 1])


def test_scores_do_not_know_the_scale_of_a_kernel() -> None:
    assert layer_adaptive_scores(MIXED * 1000).tolist() == pytest.approx(layer_adaptive_scores(MIXED).tolist())


def test_a_kernel_of_zeros_has_scores_of_zero() -> None:
    assert layer_adaptive_scores(np.zeros((2, 2), np.float32)).tolist() == [0, 0, 0, 0]


def test_the_smallest_scores_of_all_kernels_become_zero() -> None:
    # LARGE scores 900/2500 = 0.36 and 1; of six scores the three smallest are 1/30, 4/29 and 9/25 = 0.36, which both
    # have: the order of the kernels decides
    assert share_out({"mixed": MIXED, "large": LARGE}, 1 / 3, "global") == {"mixed": 0.5, "large": 0.0}
    assert share_out({"mixed": MIXED, "large": LARGE}, 0.5, "global") == {"mixed": 0.75, "large": 0.0}
    assert share_out({"large": LARGE, "mixed": MIXED}, 0.5, "global") == {"large": 0.5, "mixed": 0.5}


def test_no_kernel_is_emptied() -> None:
    assert share_out({"mixed": MIXED, "large": LARGE}, 4 / 6, "global") == {"mixed": 0.75, "large": 0.5}


def test_a_kernel_that_may_have_fewer_zeros_leaves_them_to_the_others() -> None:
    assert share_out({"mixed": MIXED, "large": LARGE}, 0.5, "global", {"mixed": 0.5}) == {"mixed": 0.5, "large": 0.5}


def test_by_layer_every_kernel_has_the_same_share_but_for_those_that_may_not() -> None:
    four = {name: np.ones((2, 2), np.float32) for name in "abc"}
    assert share_out(four, 0.5, "layer") == {"a": 0.5, "b": 0.5, "c": 0.5}
    assert share_out(four, 0.5, "layer", {"a": 0.25}) == {"a": 0.25, "b": 0.625, "c": 0.625}


def test_more_zeros_than_there_is_room_for_name_the_kernel_and_the_most_that_can_be_had() -> None:
    with pytest.raises(StageError) as caught:
        share_out({"mixed": MIXED, "large": LARGE}, 5 / 6, "global", {"mixed": 0.5})
    assert caught.value.found == ("83.3 % of the 6 weights cannot become zero; most of the rest is in 'mixed' with 4 "
                                  "weights, of which 50 % may be zero")
    assert caught.value.allowed == "at most 50.0 %"
    assert "pruned50" in caught.value.next_step


@given(st.lists(st.integers(2, 60), min_size=1, max_size=5), st.floats(0.05, 0.9), st.integers(0, 99))
def test_the_shares_add_up_to_the_whole_whatever_the_kernels(sizes: list[int], sparsity: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kernels = {f"k{i}": rng.normal(size=(1, size)).astype(np.float32) for i, size in enumerate(sizes)}
    total = sum(sizes)
    wanted = min(round(sparsity * total), total - len(sizes))
    for scope in ("global", "layer"):
        shares = share_out(kernels, wanted / total, scope)
        assert sum(shares[name] * kernels[name].size for name in kernels) == pytest.approx(wanted)
        assert all(shares[name] * kernels[name].size <= kernels[name].size - 1 + 1e-9 for name in kernels)
