"""A tflite model on microcontrollers, as `inspect` shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from device_profiles.errors import UsageError
from device_profiles.microcontrollers import ArenaSplit
from device_profiles.workload import read_workload
from pipeline.inspection import EngineAnswer, Inspection, describe, inspect_file, write_firmware
from pipeline.micro_inspection import MicroInspection, describe_micro, inspect_micro, needed_arena
from tests.device_profiles.handmade import Handmade, conv_model
from tests.stages.sample_profiles import measured_profile, micro_profile


def _look(content: bytes, **more: Any) -> MicroInspection:
    return inspect_micro(content, read_workload(content), more.pop("host", None), **more)


def _lacking() -> bytes:
    """A model of one GELU, which TFLM does not have."""
    made = Handmade()
    first, second = made.activation((1, 4)), made.activation((1, 4))
    made.operator("GELU", [first], [second])
    return made.bytes([first], [second])


def test_without_a_device_every_kernel_family_is_shown() -> None:
    found = _look(conv_model())

    assert [device.arena.family for device in found.devices] == [
        "reference", "cmsis-nn", "cmsis-nn-dsp", "cmsis-nn-mve", "esp-nn", "esp-nn-s3", "esp-nn-p4"]
    assert [device.flash is None for device in found.devices] == [True, False, False, False, True, True, True]


def test_a_device_has_the_kernels_of_its_core_and_its_name_in_the_table() -> None:
    found = _look(conv_model(), profile=micro_profile())
    lines = describe_micro(found)

    assert [device.arena.family for device in found.devices] == ["cmsis-nn-dsp"]
    assert any(line.startswith("CMSIS-NN with DSP (micro)") for line in lines)
    assert any(line.startswith("arena ") and "to" in line for line in lines)
    assert any(line.startswith("kernels ") and "CMSIS" not in line[:12] for line in lines)


def test_a_profile_that_does_not_run_tflm_is_refused() -> None:
    with pytest.raises(UsageError, match="runs litert"):
        _look(conv_model(), profile=measured_profile())


def test_a_measured_arena_anchors_every_family() -> None:
    foreseen = _look(conv_model()).foreseen
    assert foreseen is not None
    more = ArenaSplit(persistent_bytes=foreseen.persistent_bytes + 64,
                      non_persistent_bytes=foreseen.non_persistent_bytes)
    found = _look(conv_model(), host=more)

    assert {(device.arena.anchored, device.arena.unexplained_bytes) for device in found.devices} == {(True, 64)}


def test_an_operator_that_tflm_lacks_is_named_with_what_to_change() -> None:
    found = _look(_lacking())

    assert found.missing == ("GELU version 1 (operator 0): use ReLU6 or hard-swish",)
    assert describe_micro(found)[0] == "TFLM lacks  GELU version 1 (operator 0): use ReLU6 or hard-swish"


def test_a_model_too_large_for_any_microcontroller_has_no_lines() -> None:
    made = Handmade()
    first, second = made.activation((1, 5000, 5000, 1)), made.activation((1, 5000, 5000, 1))
    made.operator("RELU", [first], [second])

    assert describe_micro(_look(made.bytes([first], [second]))) == []


def test_the_arena_to_reserve_is_that_of_the_hungriest_family() -> None:
    found = _look(conv_model())
    needed = needed_arena(found)

    assert needed is not None
    assert needed.value == max(device.arena.least_bytes for device in found.devices)


def test_both_files_are_written_and_name_each_other(tmp_path: Path) -> None:
    path = tmp_path / "my-net.tflite"
    path.write_bytes(conv_model())
    found = inspect_file(path, engines=False)
    header, array = tmp_path / "net.h", tmp_path / "net.cc"

    assert write_firmware(found, header, array, int8=False) == [header, array]
    assert "namespace my_net {" in header.read_text()
    assert "AddConv2D()" in header.read_text()
    assert found.sha256 in header.read_text()
    assert array.read_text().startswith('#include "net.h"')
    assert array.read_text().count("0x") == len(conv_model())
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["my-net.tflite", "net.cc", "net.h"]


def test_a_folder_that_is_not_there_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(conv_model())
    with pytest.raises(UsageError, match="cannot be written"):
        write_firmware(inspect_file(path, engines=False), tmp_path / "none/net.h", None, int8=False)

    assert [entry.name for entry in tmp_path.iterdir()] == ["net.tflite"]


def test_a_model_that_tflm_refuses_has_no_op_resolver(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(conv_model())
    refused = EngineAnswer(engine="tflm", version="1", status="refused", message="hybrid models are not supported")
    found = inspect_file(path, engines=False).model_copy(update={"engines": (refused,), "micro": None})

    with pytest.raises(UsageError, match="hybrid models are not supported"):
        write_firmware(found, tmp_path / "net.h", None, int8=False)


def test_a_split_arena_is_shown_beside_the_engine(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(conv_model())
    answer = EngineAnswer(engine="tflm", version="1", status="ok", load_ms=1.0, arena_bytes=3000,
                          arena_split=ArenaSplit(persistent_bytes=1000, non_persistent_bytes=2000))
    found: Inspection = inspect_file(path, engines=False).model_copy(update={"engines": (answer,)})

    assert describe(found)[-1] == ("tflm 1: accepts it, loads in 1.00 ms, arena 3,000 bytes: 1,000 stay, 2,000 for "
                                   "activations and scratch")


def test_the_command_writes_what_it_says(typed: Any, tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(conv_model())
    done = typed("inspect", "net.tflite", "--no-engines", "--profile", "iot", "--op-resolver", "net.h")

    assert done.code == 0
    assert "written     net.h" in done.out
    assert "CMSIS-NN with DSP (" in done.out
    assert "kArenaBytes" in (tmp_path / "net.h").read_text()
    record = json.loads(typed("inspect", "net.tflite", "--no-engines", "--json").out)
    assert record["micro"]["devices"][2]["arena"]["family"] == "cmsis-nn-dsp"


def test_an_array_without_a_header_is_wrong_usage(typed: Any, tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(conv_model())
    done = typed("inspect", "net.tflite", "--no-engines", "--c-array", "net.cc")

    assert done.code == 2
    assert "--op-resolver" in done.err
    assert not (tmp_path / "net.cc").exists()


def test_an_operator_that_tflm_lacks_stops_the_op_resolver(typed: Any, tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(_lacking())
    done = typed("inspect", "net.tflite", "--no-engines", "--op-resolver", "net.h")

    assert done.code == 2
    assert "GELU" in done.err
    assert not (tmp_path / "net.h").exists()
