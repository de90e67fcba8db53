"""ST's small networks: MACs as its overview states them, which count biases and activations as well."""

from __future__ import annotations

import pytest

from device_profiles.networks.catalog import network_workload


@pytest.mark.parametrize(("key", "published"), [
    ("fd_mobilenet", 12.099), ("fd_mobilenet size=128", 3.953), ("st_fd_mobilenet", 24.744),
    ("st_fd_mobilenet size=128", 8.082), ("st_mnist", 1.082), ("resnet_cifar blocks=1", 12.541),
    ("resnet_cifar blocks=5 classes=100", 69.287), ("squeezenet classes=5", 266.333),
    ("squeezenet classes=5 size=128", 81.244), ("mobilenet_v1 classes=5 width=0.25", 41.092),
    ("mobilenet_v2 classes=5 width=0.35", 58.465),
])
def test_macs_are_just_below_what_st_counts(key: str, published: float) -> None:
    assert 0.97 < network_workload(key).macs / 1e6 / published <= 1.0


@pytest.mark.parametrize(("key", "macs"), [
    # by hand, layer by layer
    ("activity_gmp", 20 * 3 * 16 * 5 + 16 * 3 * 16 * 80 + 16 * 4),
    ("activity_ign window=48", 33 * 3 * 24 * 16 + 11 * 3 * 24 * 12 + 12 * 4),
    ("hand_posture", 36 * 8 * 18 + 72 * 32 + 32 * 8),
    ("st_mnist", 196 * (16 * 9 + 16 * 9 + 32 * 144) + 49 * (32 * 9 + 64 * 32) + 64 * 36),
    ("st_yolo_lc", 96 ** 2 * 432 + 48 ** 2 * 4608 + 24 ** 2 * 18432 + 144 * (73728 + 1152 + 32768 + 2304 + 65536 + 2304
                                                                           + 32768 + 1152 + 32768 + 256 * 30)),
])
def test_small_networks_are_right_to_the_mac(key: str, macs: int) -> None:
    assert network_workload(key).macs == macs


def test_yamnet_turns_its_spectrum_and_ends_at_256_channels() -> None:
    operators = network_workload("yamnet_256").operators
    assert (operators[0].name, operators[0].outputs[0].shape) == ("TRANSPOSE", (1, 96, 64, 1))
    assert next(op for op in operators if op.name == "MEAN").inputs[0].shape == (1, 12, 8, 256)


def test_tiny_yolo_keeps_its_grid_at_the_last_pool() -> None:
    operators = network_workload("tiny_yolo_v2").operators
    pools = [op.outputs[0].shape[1] for op in operators if op.name == "MAX_POOL_2D"]
    assert pools == [208, 104, 52, 26, 13, 13]
    assert operators[-1].outputs[0].shape == (1, 13, 13, 30)


@pytest.mark.parametrize(("stacks", "grid", "channels"), [(1, (8, 7), 64), (2, (4, 4), 128)])
@pytest.mark.parametrize("family", ["st_resnet", "st_resnet_v2"])
def test_each_stack_halves_the_spectrum(family: str, stacks: int, grid: tuple[int, int], channels: int) -> None:
    mean = next(op for op in network_workload(f"{family} stacks={stacks}".removesuffix(" stacks=1")).operators
                if op.name == "MEAN")
    assert mean.inputs[0].shape == (1, *grid, channels)
