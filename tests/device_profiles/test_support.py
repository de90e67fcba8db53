"""What a device refuses: the operator, its version, the reason and what to change; held against TFLM itself."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.loader import load_profile
from device_profiles.operators import BUILTIN_NAMES, UNREGISTERED
from device_profiles.schema import Profile
from device_profiles.strictyaml import loads
from device_profiles.support import reasons, rules, unsupported
from device_profiles.workload import Workload, read_workload
from stages.converting.weights import Editor, Integers, read_layers
from tests.device_profiles.handmade import Handmade, conv_model
from tests.device_profiles.test_schema import GOOD

REPOSITORY = Path(__file__).parents[2]


def board(old: str = "", new: str = "") -> Profile:
    text = GOOD.replace("value: [int8]", "value: [float32, int8, int16x8]").replace("[CONV_2D]", "[CONV_2D, SOFTMAX]")
    assert old in text
    return loads(text.replace(old, new) if old else text, Profile, "board.yaml")


def one(name: str, dtype: str = "FLOAT32", size: int = 4, version: int = 1, custom: str = "") -> Workload:
    made = Handmade()
    a, b = made.activation((1, size), dtype), made.activation((1, size), dtype)
    made.operator(name, [a], [b], version=version, custom=custom)
    return read_workload(made.bytes([a], [b]))


def quantized(dtype: str) -> Workload:
    kernel = np.ones((3, 3, 3, 2), np.int8)
    return read_workload(conv_model(kernel, dtype, scales=(1.0,), zero_points=(0,)))


def float16() -> Workload:
    made = Handmade()
    data, stored = made.activation((1, 2, 2, 1)), made.constant(np.ones((4, 1, 1, 1), np.float16))
    unpacked, out = made.activation((4, 1, 1, 1)), made.activation((1, 2, 2, 4))
    made.operator("DEQUANTIZE", [stored], [unpacked])
    made.operator("CONV_2D", [data, unpacked], [out])
    return read_workload(made.bytes([data], [out]))


def rules_of(workload: Workload, profile: Profile) -> dict[str, str]:
    return {reason.rule: reason.text for reason in reasons(workload, profile)}


@pytest.mark.parametrize("workload", [lambda: read_workload(conv_model()), lambda: quantized("INT8"),
                                      lambda: quantized("INT16")])
def test_a_model_that_the_device_can_run_has_no_reasons(workload: Any) -> None:
    assert unsupported(workload(), board()) == []


def test_a_dynamic_model_on_tflm_is_refused_for_its_format_and_its_kernels() -> None:
    found = rules_of(quantized("FLOAT32"), board())
    assert found == {
        "formats": "number format dynamic: a board takes float32, int8, int16x8; use int8",
        "hybrid_kernels": "float activations with 8-bit weights in CONV_2D (operator 0): TFLM has no hybrid kernels; "
                          "use int8, which quantizes the activations as well",
    }


def test_float16_weights_on_tflm_name_the_dequantize() -> None:
    found = rules_of(float16(), board("[CONV_2D, SOFTMAX]", "[CONV_2D, DEQUANTIZE]"))
    assert set(found) == {"formats", "float16_weights"}
    assert "use float32" in found["formats"]
    assert "float16 weights (operator 0)" in found["float16_weights"]


def test_a_missing_operator_is_named_with_its_version_and_place() -> None:
    text = rules_of(one("HARD_SWISH", version=2), board())["operators"]
    assert text == ("operator HARD_SWISH version 2 (operator 0): tflm any on a board does not have it; "
                    "replace the layer that makes it")


def test_a_missing_operator_is_listed_once_with_all_its_places() -> None:
    made = Handmade()
    tensors = [made.activation((1, 4)) for _ in range(6)]
    for left, right in pairwise(tensors):
        made.operator("ELU", [left], [right])
    (text,) = unsupported(read_workload(made.bytes([0], [5])), board())
    assert "operator ELU version 1 (operators 0, 1, 2 and 2 more)" in text


@pytest.mark.parametrize(("allowed", "refused"), [("all", True), ("[CONV_2D]", True), ("[MyOp]", False)])
def test_a_custom_operator_is_taken_only_where_it_is_listed_by_its_code(allowed: str, refused: bool) -> None:
    profile = board("value: [CONV_2D, SOFTMAX]", f"value: {allowed}")
    assert ("operators" in rules_of(one("CUSTOM", custom="MyOp"), profile)) is refused


def test_all_operators_of_the_engine_are_taken_where_the_profile_says_all() -> None:
    assert unsupported(one("HARD_SWISH"), board("value: [CONV_2D, SOFTMAX]", "value: all")) == []


def test_activations_that_cannot_fit_the_ram_are_refused_with_found_and_allowed() -> None:
    text = rules_of(one("SOFTMAX", "INT8", size=300_000), board())["memory"]
    assert "needs at least 600,000 bytes" in text
    assert "655,360 bytes of RAM, of which 524,288 are free" in text


def test_a_model_that_is_larger_than_the_flash_is_refused() -> None:
    small = board("  ram_bytes", "  flash_bytes: {value: 9000, source: the datasheet}\n  ram_bytes")
    made = Handmade()
    data, kernel, out = made.activation((1, 5, 5, 64)), made.constant(np.ones((64, 1, 1, 64), np.float32)), 0
    out = made.activation((1, 5, 5, 64))
    made.operator("CONV_2D", [data, kernel], [out])
    workload = read_workload(made.bytes([data], [out]))
    text = rules_of(workload, small)["flash"]
    assert f"the tflite model has {workload.tflite_bytes:,} bytes; a board has 9,000 bytes of flash" in text


def test_control_flow_and_text_are_refused_on_tflm_and_not_on_litert() -> None:
    on_litert = board("value: [CONV_2D, SOFTMAX]", "value: all").model_copy(
        update={"engine": board().engine.model_copy(update={"name": "litert"})})
    for workload, rule in ((one("WHILE"), "control_flow"), (one("CONV_2D", "STRING"), "tensor_types")):
        assert rule in rules_of(workload, board("[CONV_2D, SOFTMAX]", "[CONV_2D, WHILE]"))
        assert rule not in rules_of(workload, on_litert)


def test_mixed_formats_are_taken_where_the_device_takes_each_of_them() -> None:
    made = Handmade()
    data = made.activation((1, 4, 4, 2))
    middle, whole, out = made.activation((1, 4, 4, 2)), made.activation((1, 4, 4, 2), "INT8"), made.activation(
        (1, 4, 4, 2), "INT8")
    made.operator("CONV_2D", [data, made.constant(np.ones((2, 1, 1, 2), np.float32))], [middle])
    made.operator("QUANTIZE", [middle], [whole])
    made.operator("CONV_2D", [whole, made.constant(np.ones((2, 1, 1, 2), np.int8), (1.0,), (0,))], [out])
    workload = read_workload(made.bytes([data], [out]))
    both = board("[CONV_2D, SOFTMAX]", "[CONV_2D, QUANTIZE]")
    only_int8 = both.model_copy(update={"formats": both.formats.model_copy(update={"value": ("int8",)})})
    assert workload.number_format == "mixed"
    assert unsupported(workload, both) == []
    assert rules_of(workload, only_int8)["formats"].startswith("mixed number formats with float32 operators")


OFFER = """
import sys
from tests.device_profiles.handmade import Handmade
if sys.argv.pop(1) == "tflm":
    from tflite_micro import runtime
    load = runtime.Interpreter.from_bytes
else:
    from ai_edge_litert.interpreter import Interpreter
    load = lambda data: Interpreter(model_content=data)
for name in sys.argv[1:]:
    made = Handmade()
    a, b = made.activation((1, 4)), made.activation((1, 4))
    made.operator(name, [a], [b], version=2 if name == "BROADCAST_TO" else 1)
    print("offered", name, file=sys.stderr, flush=True)
    try:
        load(made.bytes([a], [b]))
    except (RuntimeError, ValueError) as error:
        print(error, file=sys.stderr, flush=True)
"""


def registered_by(engine: str) -> set[str]:
    """Builtin operators that the engine's wheel knows: offered one by one, in processes that may crash."""
    left = [n for n in BUILTIN_NAMES.values() if not n.startswith("PLACEHOLDER") and n not in ("CUSTOM", "DELEGATE")]
    known: set[str] = set()
    while left:
        done = subprocess.run([sys.executable, "-c", OFFER, engine, *left], capture_output=True, text=True,
                              cwd=REPOSITORY, check=False, timeout=120)
        answers = done.stderr.split("offered ")[1:]
        assert answers, done.stderr[-500:]
        for answer in answers:
            name, _, said = answer.partition("\n")
            if "Didn't find op for builtin opcode" not in said:
                known.add(name)
        left = left[len(answers):]
    return known


def accepted_by_tflm(data: bytes) -> bool:
    """Whether the wheel can allocate the model's tensors; in a process of its own, without TensorFlow beside it."""
    pytest.importorskip("tflite_micro")
    code = "import sys; from tflite_micro import runtime; runtime.Interpreter.from_bytes(sys.stdin.buffer.read())"
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0 or b"failed to allocate tensors" in done.stderr, done.stderr[-500:]
    return done.returncode == 0


def test_the_operators_of_the_iot_profile_are_those_that_the_tflm_wheel_registers() -> None:
    pytest.importorskip("tflite_micro")
    assert set(load_profile("iot").operators.value) == registered_by("tflm") | {"TFLM_DECODE"}


def test_all_operators_are_those_that_the_litert_wheel_registers() -> None:
    known = registered_by("litert")
    profile = board("value: [CONV_2D, SOFTMAX]", "value: all")
    names = {n for n in BUILTIN_NAMES.values() if not n.startswith("PLACEHOLDER") and n not in ("CUSTOM", "DELEGATE")}
    assert {name for name in names if "operators" not in rules_of(one(name), profile)} == known
    assert names - known == set(UNREGISTERED)


def in_format(tiny_tflites: dict[str, bytes], number_format: str) -> bytes:
    """The tiny model; in int4 all of its weights have 4 bits, those of the dense layer one scale."""
    if number_format != "int4":
        return tiny_tflites[number_format]
    layers, editor = read_layers(tiny_tflites["float32"]), Editor(tiny_tflites["int8"])
    for layer in layers:
        count = 1 if layer.operator == "FULLY_CONNECTED" else layer.channels
        ones = Integers(np.ones(layer.weights.shape, np.int8), np.full(count, 0.1, np.float32), 4)
        editor.set_integers(layer.ordinal, ones, layer.bias)
    return editor.content()


@pytest.mark.parametrize("number_format", ["float32", "float16", "int8", "int16x8", "int4"])
def test_tflm_accepts_the_formats_that_the_iot_profile_accepts_and_no_others(tiny_tflites: dict[str, bytes],
                                                                             number_format: str) -> None:
    data = in_format(tiny_tflites, number_format)
    refused = unsupported(read_workload(data), load_profile("iot"))
    assert accepted_by_tflm(data) is (not refused)


def test_4_bit_weights_are_taken_where_the_device_takes_them(tiny_tflites: dict[str, bytes]) -> None:
    workload = read_workload(in_format(tiny_tflites, "int4"))
    assert workload.number_format == "int4"
    profile = load_profile("iot")
    without = profile.model_copy(update={"formats": profile.formats.model_copy(update={"value": ("float32", "int8")})})
    assert unsupported(workload, profile) == []
    assert rules_of(workload, without)["formats"].startswith("number format int4:")


def test_tflm_refuses_a_hybrid_convolution_as_the_rule_says() -> None:
    data = conv_model(np.ones((3, 3, 3, 2), np.int8), "FLOAT32", scales=(1.0,), zero_points=(0,))
    assert "hybrid_kernels" in rules_of(read_workload(data), load_profile("iot"))
    assert not accepted_by_tflm(data)
    assert accepted_by_tflm(conv_model())


@pytest.mark.parametrize("number_format", ["float32", "float16", "dynamic", "int8", "int16x8", "int4"])
def test_litert_runs_the_formats_that_the_cpu_and_mobile_profiles_accept(tiny_tflites: dict[str, bytes],
                                                                         number_format: str) -> None:
    data = in_format(tiny_tflites, number_format)
    if number_format == "dynamic":  # the converter leaves kernels as small as the tiny model's in float
        data = conv_model(np.ones((3, 3, 3, 2), np.int8), "FLOAT32", scales=(1.0,), zero_points=(0,))
    code = ("import sys; from ai_edge_litert.interpreter import Interpreter;"
            "i = Interpreter(model_content=sys.stdin.buffer.read()); i.allocate_tensors(); i.invoke()")
    subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True, timeout=60)
    for name in ("cpu", "mobile"):
        assert unsupported(read_workload(data), load_profile(name)) == []


def test_the_documentation_lists_every_rule_in_its_own_words() -> None:
    text = (REPOSITORY / "docs" / "profiles.md").read_text(encoding="utf-8")
    for name, demand in rules():
        assert f"| `{name}` | {demand} |" in text


def test_constants_behind_the_flatbuffer_are_refused_on_tflm_and_not_on_litert() -> None:
    outside = read_workload(conv_model()).model_copy(update={"outside_buffers": 2})
    found = rules_of(outside, board())
    assert found["constants_inside"].startswith("2 constants stand behind the FlatBuffer")
    assert "constants_inside" not in rules_of(outside, load_profile("cpu"))
    assert "constants_inside" not in rules_of(read_workload(conv_model()), board())


def test_an_operator_that_tflm_lacks_comes_with_what_to_put_in_its_stead() -> None:
    assert rules_of(one("GELU"), board())["operators"].endswith("use ReLU6 or hard-swish")
