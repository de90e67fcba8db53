"""Flash of a model with its runtime."""

from __future__ import annotations

from device_profiles.microcontrollers.flash import CODE_BYTES, CORE_BYTES, ERROR_BYTES, UNKNOWN_BYTES, flash


def test_code_is_added_once_for_each_kind_of_operator() -> None:
    found = flash(10_000, ["CONV_2D", "CONV_2D", "SOFTMAX", "RESHAPE"], "cmsis-nn-dsp")

    assert found is not None
    assert found.runtime_bytes == CORE_BYTES + CODE_BYTES["CONV_2D"] + CODE_BYTES["SOFTMAX"]
    assert found.figure.value == 10_000 + found.runtime_bytes
    assert found.figure.interval == (10_000 + found.runtime_interval[0], 10_000 + found.runtime_interval[1])
    assert found.runtime_interval[1] == found.runtime_bytes + ERROR_BYTES


def test_an_operator_of_unknown_code_widens_the_interval() -> None:
    known, wider = (flash(0, ["CONV_2D", *more], "cmsis-nn") for more in ((), ("GATHER",)))

    assert known is not None
    assert wider is not None
    assert wider.unknown == ("GATHER",)
    assert [wider.runtime_interval[end] - known.runtime_interval[end] for end in (0, 1)] == [UNKNOWN_BYTES[0],
                                                                                             UNKNOWN_BYTES[2]]
    assert "the code of GATHER is a guess" in wider.figure.method


def test_other_cores_than_cortex_m_have_no_figure() -> None:
    assert flash(10_000, ["CONV_2D"], "esp-nn-s3") is None
    assert flash(10_000, ["CONV_2D"], "reference") is None
