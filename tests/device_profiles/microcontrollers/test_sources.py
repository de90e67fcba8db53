"""C++ for the firmware: it says what it should, and a compiler takes it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from device_profiles.errors import UsageError
from device_profiles.microcontrollers.sources import arena_constant, array_source, identifier, resolver_header
from device_profiles.records import Figure
from device_profiles.workload import workload_of
from tests.device_profiles.microcontrollers.graphs import model
from tests.stages.sample_profiles import workload

_ARENA = Figure(value=2000, unit="bytes", provenance="predicted", interval=(1900, 2050), method="by the plan")
# What the header needs of TFLM, with each call counted; the namespace moved between releases.
_STUB = """
enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
struct TFLMRegistration {};
namespace tflite { SPACE_OPEN
inline TFLMRegistration Register_CONV_2D_INT8() { return {}; }
inline TFLMRegistration Register_FULLY_CONNECTED_INT8() { return {}; }
inline TFLMRegistration Register_SOFTMAX_INT8() { return {}; }
template <unsigned int N> struct MicroMutableOpResolver {
  unsigned int count = 0;
  TfLiteStatus Add() { return ++count <= N ? kTfLiteOk : kTfLiteError; }
  TfLiteStatus AddConv2D(TFLMRegistration = {}) { return Add(); }
  TfLiteStatus AddFullyConnected(TFLMRegistration = {}) { return Add(); }
  TfLiteStatus AddSoftmax(TFLMRegistration = {}) { return Add(); }
  TfLiteStatus AddMean() { return Add(); }
};
SPACE_CLOSE }
"""
_MAIN = """
#include "model.h"
#include <cstdint>
#include <cstdio>
int main() {
  litesmith::my_model::OpResolver resolver;
  if (litesmith::my_model::RegisterOperators(resolver) != kTfLiteOk) return 1;
  std::uintptr_t place = reinterpret_cast<std::uintptr_t>(litesmith::my_model::kModel);
  unsigned sum = 0;
  for (unsigned char byte : litesmith::my_model::kModel) sum += byte;
  std::printf("%u %zu %u %u", resolver.count, litesmith::my_model::kArenaBytes, unsigned(place % 16), sum);
}
"""


@pytest.mark.parametrize(("name", "made"), [("int8", "int8"), ("slim40-int8", "slim40_int8"), ("2of4", "model_2of4"),
                                            ("Ärger", "rger"), ("--", "model")])
def test_a_file_name_becomes_a_cpp_name(name: str, made: str) -> None:
    assert identifier(name) == made


def test_an_arena_is_reserved_to_the_upper_end_of_its_interval() -> None:
    size, where_from = arena_constant(_ARENA)

    assert size == 2064  # 2,050 in steps of 16
    assert where_from.startswith("predicted: 2,000 bytes, from 1,900 to 2,050")


def test_an_exact_arena_is_reserved_as_it_is() -> None:
    exact = Figure(value=2001, unit="bytes", provenance="measured", method="as reported")

    assert arena_constant(exact) == (2016, "measured: as reported")


def test_the_header_names_the_model_and_where_its_arena_is_from() -> None:
    text = resolver_header("my-model", workload_of(model()), "abc123", _ARENA)

    assert "sha256 abc123" in text
    assert "constexpr std::size_t kArenaBytes = 2064;" in text
    assert "predicted: 2,000 bytes" in text
    assert "using OpResolver = tflm::MicroMutableOpResolver<kOperators>;" in text
    assert text.count("resolver.Add") == 4
    assert "kModel" not in text


def test_without_an_arena_there_is_no_constant() -> None:
    assert "kArenaBytes" not in resolver_header("m", workload_of(model()), "abc123", None)


def test_a_model_that_tflm_cannot_run_is_refused_with_what_to_change() -> None:
    with pytest.raises(UsageError) as caught:
        resolver_header("m", workload(operator="GELU"), "abc123", None)

    assert "GELU version 1 (operator 0): use ReLU6 or hard-swish" in caught.value.found


@pytest.mark.parametrize("space", ["", "micro"])
def test_a_compiler_takes_the_header_and_the_array(tmp_path: Path, space: str) -> None:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++")
    content = bytes(range(40))
    work = workload_of(model()).model_copy(update={"tflite_bytes": len(content)})
    stub = tmp_path / "tensorflow/lite/micro/micro_mutable_op_resolver.h"
    stub.parent.mkdir(parents=True)
    opened = f"namespace {space} {{" if space else ""
    stub.write_text(_STUB.replace("SPACE_OPEN", opened).replace("SPACE_CLOSE", "}" if space else ""))
    (tmp_path / "model.h").write_text(resolver_header("my-model", work, "abc", _ARENA, int8=True, array=True))
    (tmp_path / "model.cc").write_text(array_source("my-model", content, "model.h"))
    (tmp_path / "main.cc").write_text(_MAIN)

    subprocess.run([compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-I.", "main.cc", "model.cc", "-o", "made"],
                   cwd=tmp_path, check=True)
    said = subprocess.run([str(tmp_path / "made")], capture_output=True, text=True, check=True).stdout

    assert said == f"4 2064 0 {sum(content)}"
