"""C++ for the firmware: the op resolver of a model, the size of its arena, and the model's bytes as an array.

TFLM's names moved from the namespace `tflite` to `tflite::micro`; the generated header opens both under one name of its
own, so that it compiles against either.
"""

from __future__ import annotations

import re

from device_profiles.errors import UsageError
from device_profiles.microcontrollers.operators import instead, registrations
from device_profiles.microcontrollers.planner import aligned
from device_profiles.records import Figure
from device_profiles.workload import Workload

_BYTES_A_LINE = 16
_GUARD = re.compile(r"[^A-Za-z0-9]+")


def identifier(name: str) -> str:
    """A C++ name from a file's name: "int8-packed" is `int8_packed`; one that begins with a digit gets `model_`."""
    made = _GUARD.sub("_", name).strip("_").lower() or "model"
    return f"model_{made}" if made[0].isdigit() else made


def arena_constant(arena: Figure) -> tuple[int, str]:
    """(bytes to reserve, where they are from): the upper end of a figure with an interval, in steps of 16."""
    if arena.interval is None:
        return aligned(int(arena.value)), f"{arena.provenance}: {arena.method}"
    low, high = arena.interval
    return aligned(int(high)), (f"{arena.provenance}: {arena.value:,.0f} bytes, from {low:,.0f} to {high:,.0f}, of "
                                f"which this is the upper end; {arena.method}")


def resolver_header(name: str, workload: Workload, sha256: str, arena: Figure | None, *, int8: bool = False,
                    array: bool = False) -> str:
    """A header with the op resolver.

    Args:
        name: of the tflite model; it becomes the namespace.
        workload: of the model.
        sha256: of its bytes, to find the file again.
        arena: its tensor arena; None leaves the constant out.
        int8: take registrations of int8 kernels alone where all operators of a kind compute in int8.
        array: declare the array that `array_source` defines.

    Raises:
        UsageError: TFLM lacks an operator.
    """
    calls, missing = registrations(workload, int8=int8)
    if missing:
        named = "; ".join(f"{op.label} version {op.version} (operator {op.index}): {instead(op.name)}"
                          for op in missing)
        raise UsageError(f"TFLM has no registration for {named}", "operators of TFLM alone",
                         "change the layer, or add your own registration to the resolver by AddCustom")
    space = identifier(name)
    guard = f"LITESMITH_{space.upper()}_H_"
    lines = [f"// Made by `litesmith inspect --op-resolver` from a tflite model of {workload.tflite_bytes:,} bytes,",
             f"// sha256 {sha256}.", f"#ifndef {guard}", f"#define {guard}", "", "#include <cstddef>", "",
             '#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"', "",
             "namespace tflite {", "namespace micro {}  // where older releases have nothing", "}  // namespace tflite",
             "", "namespace litesmith {", f"namespace {space} {{", "", "namespace tflm {",
             "using namespace ::tflite;", "using namespace ::tflite::micro;", "}  // namespace tflm", ""]
    lines += [*_arena_lines(arena), *(_array_lines(workload) if array else ()), *_resolver_lines(calls, int8)]
    return "\n".join([*lines, f"}}  // namespace {space}", "}  // namespace litesmith", "", f"#endif  // {guard}", ""])


def _arena_lines(arena: Figure | None) -> list[str]:
    if arena is None:
        return []
    size, where_from = arena_constant(arena)
    return [f"// {where_from}.", "// MicroInterpreter::arena_used_bytes() tells what is used once the model is ready.",
            "// Declare it as: alignas(16) static uint8_t arena[kArenaBytes];",
            f"constexpr std::size_t kArenaBytes = {size};", ""]


def _array_lines(workload: Workload) -> list[str]:
    return [f"constexpr std::size_t kModelBytes = {workload.tflite_bytes};",
            "extern const unsigned char kModel[kModelBytes];  // aligned to 16 bytes", ""]


def _resolver_lines(calls: dict[str, str], int8: bool) -> list[str]:
    note = ["// Registrations of int8 kernels alone: they exist in builds with CMSIS-NN."] if int8 else []
    return [f"constexpr unsigned int kOperators = {len(calls)};",
            "using OpResolver = tflm::MicroMutableOpResolver<kOperators>;", "", *note,
            "inline TfLiteStatus RegisterOperators(OpResolver& resolver) {",
            *[f"  if (resolver.{call} != kTfLiteOk) return kTfLiteError;" for call in calls.values()],
            "  return kTfLiteOk;", "}", ""]


def array_source(name: str, content: bytes, header: str) -> str:
    """A source file with the model's bytes, aligned to 16 bytes as TFLM wants them.

    Args:
        name: as given to `resolver_header`.
        content: the tflite model.
        header: the header's file name, which declares the array.
    """
    rows = [", ".join(f"0x{byte:02x}" for byte in content[start:start + _BYTES_A_LINE])
            for start in range(0, len(content), _BYTES_A_LINE)]
    space = identifier(name)
    return "\n".join([f'#include "{header}"', "", "namespace litesmith {", f"namespace {space} {{", "",
                      "alignas(16) extern const unsigned char kModel[kModelBytes] = {",
                      *[f"    {row}," for row in rows], "};", "", f"}}  // namespace {space}",
                      "}  // namespace litesmith", ""])
