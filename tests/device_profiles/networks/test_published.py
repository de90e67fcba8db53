"""The published rows that ship with the project: they can be read, and each can be rebuilt."""

from __future__ import annotations

import pytest

from device_profiles.networks.catalog import network_key, parse_key
from device_profiles.networks.names import FAMILIES
from device_profiles.networks.published import published_layers, published_rows


def test_every_row_names_a_network_that_can_be_rebuilt_and_its_family() -> None:
    for row in published_rows():
        family, options = parse_key(row.network)
        assert row.network == network_key(family, **options)
        assert row.family == FAMILIES.get(family, family)


def test_every_figure_is_positive_and_plausible() -> None:
    for row in published_rows():
        assert 0 < row.latency_ms < 60_000
        assert row.energy_uj is None or row.energy_uj > 0
        assert bool(row.energy_of) == (row.energy_uj is not None)
        assert row.clock_hz is None or 40e6 <= row.clock_hz <= 4e9
        assert (row.clock_hz is None) == (row.clock == "")
        assert row.threads is None or 1 <= row.threads <= 16
        assert row.number_format in ("float32", "int8", "int16x8")
        assert row.source


def test_no_figure_stands_there_twice() -> None:
    figures = [(row.device, row.threads, row.kernels, row.network, row.number_format, row.latency_ms)
               for row in published_rows()]
    assert len(set(figures)) == len(figures)


@pytest.mark.parametrize(("device", "network", "number_format", "runtime", "latency_ms"), [
    # the rows as their sources print them
    ("raspberry-pi-4-1500", "mobilenet_v1 classes=1001 slim=yes", "float32", "xnnpack-2022", 77.0),
    ("pixel-4", "efficientnet_lite", "float32", "tflite-2020", 12.0),
    ("nucleo-l4r5zi", "resnet_cifar blocks=1", "int8", "tflm-2.3.1-cmsis-nn", 704.225),
])
def test_known_rows_are_there(device: str, network: str, number_format: str, runtime: str, latency_ms: float) -> None:
    found = [row.latency_ms for row in published_rows()
             if (row.device, row.network, row.number_format, row.runtime) == (device, network, number_format, runtime)]
    assert latency_ms in found


@pytest.mark.parametrize("device", ["jetson-agx-orin", "raspberry-pi-4-1800", "firefly-rk3588s", "odroid-n2-plus",
                                    "pixel-3", "imx8m-plus", "nucleo-l4r5zi", "nucleo-h7a3zi-q", "nucleo-u575zi-q",
                                    "stm32h747i-disco", "nrf5340-dk", "esp32-p4", "raspberry-pi-pico"])
def test_devices_that_profiles_rest_on_have_rows(device: str) -> None:
    assert len([row for row in published_rows() if row.device == device]) >= 7


def test_accelerators_are_not_among_them() -> None:
    words = ("npu", "gpu", "nnapi", "edge-tpu", "hexagon", "ethos", "mvp")
    assert not [row for row in published_rows() if any(word in row.runtime for word in words)]
    assert {row.device for row in published_rows()}.isdisjoint({"xg24", "gap9", "gap8"})


def test_kernels_alone_are_kept_apart_from_whole_networks() -> None:
    assert not [row for row in published_rows() if row.network.startswith("layer_")]
    assert {row.device for row in published_layers()} == {"esp32-s3", "esp32-p4"}
    (conv,) = [row for row in published_layers()
               if (row.device, row.network, row.runtime) == ("esp32-s3", "layer_conv", "esp-nn-kernel")]
    assert conv.latency_ms * (conv.clock_hz or 0) / 1e3 == pytest.approx(331_008)  # ticks, as Espressif prints them
