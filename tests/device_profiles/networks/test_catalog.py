"""Keys name one network each; a wrong one says what was meant."""

from __future__ import annotations

import subprocess
import sys

import pytest

from device_profiles.errors import UsageError
from device_profiles.networks.catalog import NETWORKS, network_key, network_model, network_workload, parse_key


def test_an_option_with_its_default_is_not_part_of_the_key() -> None:
    assert network_key("mobilenet_v1", width=1.0, size=224) == "mobilenet_v1"
    assert network_key("mobilenet_v1", width=0.25, size=96, slim=True) == "mobilenet_v1 size=96 slim=yes width=0.25"


@pytest.mark.parametrize("key", ["mobilenet_v2", "mobilenet_v2 size=96 width=0.35", "resnet late=yes layers=101",
                                 "mlp layers=13-64-32-16-1", "squeezenet version=1.0"])
def test_a_key_is_read_back_as_it_was_written(key: str) -> None:
    family, options = parse_key(key)
    assert network_key(family, **options) == key


def test_options_have_the_types_of_their_defaults() -> None:
    assert parse_key("mobilenet_v1 size=96 slim=yes width=1")[1] == {"size": 96, "slim": True, "width": 1.0}
    assert parse_key("squeezenet version=1.0")[1] == {"version": "1.0"}


@pytest.mark.parametrize(("key", "found", "hint"), [
    ("mobilenet_v4", "'mobilenet_v4' is no network", "mobilenet_v"),
    ("mobilenet_v1 widht=1", "'widht' is no option", "width"),
    ("mobilenet_v1 size=big", "'size=big' has no int", ""),
    ("mobilenet_v1 slim=true", "neither yes nor no", ""),
])
def test_a_wrong_key_says_what_was_found_and_the_near_miss(key: str, found: str, hint: str) -> None:
    with pytest.raises(UsageError, match=found) as caught:
        network_workload(key)
    assert hint in caught.value.next_step


def test_an_unknown_option_in_code_is_refused_as_well() -> None:
    with pytest.raises(UsageError, match="'depth' is no option of the network 'mobilenet_v1'"):
        network_key("mobilenet_v1", depth=2)


@pytest.mark.parametrize("family", sorted(NETWORKS))
def test_every_network_can_be_built_as_it_is_in_float32_and_int8(family: str) -> None:
    plain, quantized = network_workload(family), network_workload(family, "int8")
    assert (plain.number_format, quantized.number_format) == ("float32", "int8")
    assert plain.macs == quantized.macs
    assert plain.macs > 0 or family == "layer_elementwise"
    assert [op.name for op in plain.operators] == [op.name for op in quantized.operators]
    assert quantized.activation_peak_bytes * 4 == plain.activation_peak_bytes
    assert not {op.kernel for op in plain.operators} & {"other", "recurrent"}


def test_the_same_key_gives_the_same_record_without_building_it_again() -> None:
    assert network_workload("ds_cnn", "int8") is network_workload("ds_cnn", "int8")


def test_rebuilding_loads_no_framework() -> None:
    code = ("import sys; from device_profiles.networks import network_workload; network_workload('mobilenet_v1');"
            "print([name for name in ('tensorflow', 'tf_keras', 'scipy', 'pandas') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_network_s_model_has_the_tensors_that_its_workload_counts() -> None:
    model, work = network_model("ds_cnn", "int8"), network_workload("ds_cnn", "int8")
    assert len(model.graphs[0].operators) == len(work.operators)
    assert model.size_bytes == work.tflite_bytes
    assert [graph.inputs for graph in model.graphs] == [(0,)]
