"""MobileNets: MACs and parameters are those that their papers and READMEs state."""

from __future__ import annotations

import pytest

from device_profiles.networks.catalog import network_key, network_workload

MILLION = 1e6
SLIM = {"classes": 1001, "slim": True}


@pytest.mark.parametrize(("width", "size", "macs", "parameters"), [
    # research/slim/nets/mobilenet_v1.md; the three of width 0.75 are the paper's, the README's are 2.6 % lower
    (1.0, 224, 569, 4.24), (1.0, 192, 418, 4.24), (1.0, 160, 291, 4.24), (1.0, 128, 186, 4.24), (0.75, 224, 325, 2.59),
    (0.5, 224, 150, 1.34), (0.5, 192, 110, 1.34), (0.5, 160, 77, 1.34), (0.5, 128, 49, 1.34), (0.25, 224, 41, 0.47),
    (0.25, 160, 21, 0.47),
])
def test_v1_has_the_published_macs_at_every_width_and_size(width: float, size: int, macs: int,
                                                           parameters: float) -> None:
    work = network_workload(network_key("mobilenet_v1", width=width, size=size, **SLIM))
    assert work.macs / MILLION == pytest.approx(macs, abs=0.51)
    assert work.parameters / MILLION == pytest.approx(parameters, rel=0.012)


@pytest.mark.parametrize(("width", "size", "macs", "parameters"), [
    # research/slim/nets/mobilenet/README.md, which cuts the decimals off
    (1.4, 224, 582, 6.06), (1.3, 224, 509, 5.34), (1.0, 224, 300, 3.47), (1.0, 192, 221, 3.47), (1.0, 160, 154, 3.47),
    (1.0, 128, 99, 3.47), (1.0, 96, 56, 3.47), (0.75, 224, 209, 2.61), (0.75, 192, 153, 2.61), (0.75, 160, 107, 2.61),
    (0.75, 128, 69, 2.61), (0.75, 96, 39, 2.61), (0.5, 224, 97, 1.95), (0.5, 192, 71, 1.95), (0.5, 160, 50, 1.95),
    (0.5, 128, 32, 1.95), (0.5, 96, 18, 1.95), (0.35, 224, 59, 1.66), (0.35, 192, 43, 1.66), (0.35, 160, 30, 1.66),
    (0.35, 128, 20, 1.66), (0.35, 96, 11, 1.66),
])
def test_v2_has_the_published_macs_at_every_width_and_size(width: float, size: int, macs: int,
                                                           parameters: float) -> None:
    work = network_workload(network_key("mobilenet_v2", width=width, size=size, **SLIM))
    assert int(work.macs / MILLION) == macs
    assert work.parameters / MILLION == pytest.approx(parameters, rel=0.012)


@pytest.mark.parametrize(("key", "macs", "parameters"), [
    # Howard et al. 2019, tables 3 and 4
    ("mobilenet_v3_large", 217, 5.4), ("mobilenet_v3_large width=0.75", 155, 4.0), ("mobilenet_v3_small", 56, 2.5),
    ("mobilenet_v3_small width=0.75", 43, 2.0),
    # research/slim/nets/mobilenet/README.md
    ("mobilenet_v3_large minimalistic=yes", 209, 3.9),
])
def test_v3_has_the_published_macs(key: str, macs: int, parameters: float) -> None:
    work = network_workload(key)
    assert work.macs / MILLION == pytest.approx(macs, abs=0.6)
    assert work.parameters / MILLION == pytest.approx(parameters, abs=0.08)


def test_v3_has_its_hard_swish_as_one_operator_and_its_gates_as_relu6_and_a_product() -> None:
    operators = network_workload("mobilenet_v3_small").operators
    assert sum(op.name == "HARD_SWISH" for op in operators) == 19
    assert sum(op.name == "CONV_2D" and op.activation == "RELU6" for op in operators) == 9


def test_minimalistic_networks_have_neither_gates_nor_hard_swish_nor_5x5_kernels() -> None:
    operators = network_workload("mobilenet_v3_large minimalistic=yes slim=yes").operators
    assert {op.name for op in operators} == {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "AVERAGE_POOL_2D", "RESHAPE",
                                             "SOFTMAX"}
    assert {op.inputs[1].shape[1] for op in operators if op.name == "DEPTHWISE_CONV_2D"} == {3}


def test_slim_networks_end_in_a_pool_and_a_convolution_and_keras_ones_in_a_mean_and_a_dense_layer() -> None:
    ends = [[op.name for op in network_workload(key).operators][-4:] for key in
            ("mobilenet_v2 slim=yes", "mobilenet_v2")]
    assert ends == [["AVERAGE_POOL_2D", "CONV_2D", "RESHAPE", "SOFTMAX"],
                    ["CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX"]]


def test_the_last_layer_of_v2_is_narrowed_only_when_asked() -> None:
    # mit-han-lab/mcunet: 23.5 million MACs and 0.75 million parameters at width 0.35, size 144
    work = network_workload("mobilenet_v2 narrow=yes size=144 width=0.35")
    assert (round(work.macs / MILLION, 1), round(work.parameters / MILLION, 2)) == (23.5, 0.74)
    wider = network_workload("mobilenet_v2 size=144 width=0.35")
    assert wider.parameters - work.parameters == (1280 - 448) * (112 + 1001)


def test_person_detection_begins_with_a_depthwise_convolution_of_the_grey_image() -> None:
    work = network_workload("person_detection", "int8")
    first = work.operators[0]
    assert (first.name, first.macs, first.options["depth_multiplier"]) == ("DEPTHWISE_CONV_2D", 48 * 48 * 8 * 9, 8)
    assert work.inputs[0].shape == (1, 96, 96, 1)


def test_posenet_gives_a_grid_of_nine_for_an_image_of_257() -> None:
    assert [use.shape for use in network_workload("posenet").outputs] == [
        (1, 9, 9, 17), (1, 9, 9, 34), (1, 9, 9, 32), (1, 9, 9, 32)]
