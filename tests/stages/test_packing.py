"""The record of a packed model: what is worked out from it, and that it comes back from its JSON."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from device_profiles.records import Figure
from stages.records import ConvertResult, PackedTensor, Packing, PackResult


def bytes_figure(value: float) -> Figure:
    return Figure(value=value, unit="bytes", provenance="measured")


PACKING = Packing(
    unpacked_bytes=1000, shrunk_bytes=900, bytes_before={"weights": 1000}, bytes_after={"coded weights": 600},
    tensors=(PackedTensor(label="0:CONV_2D", coding="lut", elements=800, distinct_values=8, zeros=0.125,
                          entropy_bits=3.0, bytes_before=800, bytes_after=340),),
    left_alone={}, proven_samples=1000, proven_on="1,000 test samples", arena=bytes_figure(2064),
    unpacked_arena=bytes_figure(1536), decode=Figure(value=0.1, unit="ms", provenance="measured"),
    latency_ratio=Figure(value=1.1, unit="ratio", provenance="measured"))


def test_the_arenas_growth_is_the_difference_of_both() -> None:
    assert PACKING.arena_growth_bytes == 528


def test_a_pack_result_reads_as_a_convert_result_and_back() -> None:
    result = PackResult(summary="", format="int8", converter="", tflite_bytes=600, sha256="0", packing=PACKING)
    assert PackResult.model_validate_json(result.model_dump_json()) == result
    assert ConvertResult.model_validate_json(result.model_dump_json()).packing == PACKING


def test_a_pack_result_tells_what_packing_made() -> None:
    with pytest.raises(ValidationError, match="packing"):
        PackResult(summary="", format="int8", converter="", tflite_bytes=600, sha256="0")  # type: ignore[call-arg]


def test_a_coding_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="coding"):
        PackedTensor(label="", coding="zip", elements=1, distinct_values=1, zeros=0, entropy_bits=0, bytes_before=1,
                     bytes_after=1)  # type: ignore[arg-type]
