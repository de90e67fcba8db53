"""A packed file is smaller with every constant that is coded, and what cannot be packed is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from device_profiles.errors import StageError, TfliteError
from stages.packing.assembling import Packer, check_decoded
from stages.packing.codes import Coding, Encoded
from stages.packing.objects import read_model
from stages.packing.shrinking import shrink, write
from tests.stages.packing.samples import DENSE, KERNEL, clustered, dense_random, network

ALL: tuple[Coding, ...] = ("prune", "lut", "huffman")
TWO_KINDS = network(clustered(KERNEL, 4), dense_random(DENSE))


def test_only_what_gains_is_coded() -> None:
    packed = Packer(TWO_KINDS).pack(ALL, 32)
    assert [packed.constants[position].label.split()[0] for position in packed.choices] == ["0:CONV_2D"]
    assert len(packed.content) <= len(packed.shrunk) - 32
    assert packed.shrunk == shrink(TWO_KINDS, "tflm")
    assert len(packed.shrunk) < len(TWO_KINDS)


def test_every_constant_that_is_coded_makes_the_file_smaller_by_what_is_asked_for() -> None:
    packer = Packer(network())
    packed = packer.pack(ALL, 32)
    assert packed.choices
    for position in packed.choices:
        others = {each: choice for each, choice in packed.choices.items() if each != position}
        assert len(packer.assemble(others)) - len(packed.content) >= 32


def test_a_gain_that_is_asked_for_and_not_there_leaves_the_shrunk_file() -> None:
    packed = Packer(network()).pack(ALL, 1 << 20)
    assert (packed.choices, packed.encoded, packed.content) == ({}, {}, packed.shrunk)
    assert Packer(network(dense_random(KERNEL), dense_random(DENSE))).pack(ALL, 1).choices == {}


def test_the_same_model_gives_the_same_bytes() -> None:
    assert Packer(network()).pack(ALL, 32).content == Packer(network()).pack(ALL, 32).content


def test_a_packed_model_is_refused() -> None:
    with pytest.raises(StageError, match="packed already: it has TFLM_DECODE"):
        Packer(Packer(network()).pack(ALL, 32).content)


def test_a_model_with_a_memory_plan_is_refused() -> None:
    model, entry, buffer = read_model(network()), schema.MetadataT(), schema.BufferT()
    buffer.data = np.zeros(16, np.uint8)
    model.buffers.append(buffer)
    entry.name, entry.buffer = b"OfflineMemoryAllocation", len(model.buffers) - 1
    model.metadata = [entry]
    with pytest.raises(StageError, match="offline memory plan"):
        Packer(write(model))


def test_a_file_that_is_no_model_is_refused() -> None:
    with pytest.raises(TfliteError):
        Packer(b"\x89HDF not a tflite model")


def test_a_code_that_decodes_to_something_else_is_refused_by_the_constants_name() -> None:
    packed = Packer(network()).pack(("prune",), 32)
    code = packed.encoded[0]
    wrong = Encoded("prune", code.stream, code.ancillary[:-1] + bytes([code.ancillary[-1] ^ 1]))
    with pytest.raises(StageError, match=r"0:CONV_2D .* is not the same after prune coding"):
        check_decoded(packed.constants, {0: wrong})


@pytest.mark.parametrize("weights", ["sparse", "few values", "fewer values"])
def test_all_codings_together_are_never_larger_than_one_alone(weights: str) -> None:
    content = {"sparse": network(), "few values": network(clustered(KERNEL, 16), clustered(DENSE, 14)),
               "fewer values": network(clustered(KERNEL, 3), clustered(DENSE, 2))}[weights]
    alone = [len(Packer(content).pack((coding,), 32).content) for coding in ALL]
    assert len(Packer(content).pack(ALL, 32).content) <= min(alone)


def test_weights_that_would_fill_the_arena_stay_as_they_are() -> None:
    packer = Packer(network())
    assert {packer.found.constants[n].values.nbytes for n in packer.pack(ALL, 32).choices} == {576, 384}
    bounded = packer.pack(("prune",), 32, 576)
    assert [bounded.constants[n].values.nbytes for n in bounded.choices] == [576, 384]
    assert [bounded.constants[n].values.nbytes for n in packer.pack(("prune",), 32, 575).choices] == [384]
