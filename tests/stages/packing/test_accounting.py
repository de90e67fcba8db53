"""Every byte of a file is counted once, as what it is."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import TfliteError
from stages.packing.accounting import KINDS, account
from stages.packing.assembling import Packer
from stages.packing.layout import lay_out
from stages.packing.objects import read_model, record
from stages.packing.shrinking import shrink
from tests.device_profiles.handmade import Handmade
from tests.stages.packing.samples import DENSE, KERNEL, network


@pytest.mark.parametrize("number_format", ["float32", "float16", "dynamic", "int8", "int16x8"])
def test_the_bytes_of_a_converted_model_add_up_to_the_file(tiny_tflites: dict[str, bytes], number_format: str) -> None:
    content = tiny_tflites[number_format]
    for each in (content, shrink(content), shrink(content, "tflm")):
        found = account(each)
        assert sum(found.values()) == len(each)
        assert set(found) <= set(KINDS)
        assert found["padding"] < 0.1 * len(each)


def test_what_the_bytes_of_a_small_network_are() -> None:
    found = account(network())
    assert found["weights"] == np.prod(KERNEL) + np.prod(DENSE) + 2 * 4  # and the counts
    assert found["biases"] == 4 * (32 + 3) + 2 * 4
    # three activations, the dense weights and their bias have a scale and a zero point; kernel and bias 32
    assert found["scales"] == 5 * (4 + 4) + 2 * (4 + 4 * 32)
    assert found["zero points"] == 5 * (4 + 8) + 2 * (4 + 8 * 32)
    assert "signatures" not in found


def test_a_vector_that_several_tensors_share_is_counted_once() -> None:
    found = account(lay_out(record(read_model(network()))))
    # 32 zeros; 0 for both of the dense layer; 3, -5 and 1 of the activations
    assert found["zero points"] == 4 + 8 * 32 + 4 * (4 + 8)
    assert found["scales"] == account(network())["scales"]


def test_a_packed_models_streams_and_tables_are_told_apart() -> None:
    packed = Packer(network()).pack(("prune",), 1)
    found = account(packed.content)
    assert "weights" not in found
    assert found["coded weights"] == sum(4 + len(each.stream) for each in packed.encoded.values())
    assert found["decoding tables"] == sum(4 + len(each.ancillary) for each in packed.encoded.values())
    assert sum(found.values()) == len(packed.content)


def test_constants_that_are_no_weights_are_others() -> None:
    made = Handmade()
    a, b = made.activation((1, 4)), made.activation((1, 4))
    made.operator("ADD", [a, made.constant(np.ones((1, 4), np.float32))], [b], "AddOptions")
    assert account(made.bytes([a], [b]))["other constants"] == 4 + 16


def test_a_file_that_is_no_model_is_refused() -> None:
    with pytest.raises(TfliteError):
        account(b"nothing of the kind")
