"""What a device cannot run. Each rule is one function whose first docstring line is the rule that a user is shown."""

from __future__ import annotations

from collections.abc import Callable

from device_profiles.microcontrollers.operators import instead
from device_profiles.operators import CONTROL_FLOW, UNREGISTERED
from device_profiles.records import Record
from device_profiles.schema import MICRO_ENGINE, Profile
from device_profiles.workload import NumberFormat, OperatorWork, Workload

Rule = Callable[[Workload, Profile], list[str]]

_ARITHMETIC_FORMAT: dict[str, tuple[str, ...]] = {
    "float32": ("float32", "float16"), "hybrid": ("dynamic",), "int8": ("int8", "int4"), "int16x8": ("int16x8",),
}
_EXACT_DTYPES = ("float32", "int8", "int16", "int32", "int64", "uint8", "bool", "float16", "int4", "uint32")


class Reason(Record):
    """Why a device cannot run a model.

    Attributes:
        rule: name of the rule that was broken: "formats", "operators", ...
        text: what was found, what the device takes, and what to change.
    """

    rule: str
    text: str


def formats(workload: Workload, profile: Profile) -> list[str]:
    """The model's number format is one that the device takes."""
    allowed = profile.formats.value
    found = workload.number_format
    if found == "mixed" or (found == "int4" and found in allowed):  # 4-bit weights beside layers in other formats
        kinds = sorted({op.arithmetic for op in workload.operators if op.macs})
        refused = [kind for kind in kinds if not set(_ARITHMETIC_FORMAT.get(kind, ())) & set(allowed)]
        if not refused:
            return []
        found_text = f"mixed number formats with {', '.join(refused)} operators"
    elif found in allowed:
        return []
    else:
        found_text = f"number format {found}"
    return [f"{found_text}: {profile.device} takes {', '.join(allowed)}; use {_nearest(found, allowed)}"]


def operators(workload: Workload, profile: Profile) -> list[str]:
    """Every operator is one that the device's engine has."""
    allowed = profile.operators.value
    missing: dict[str, list[OperatorWork]] = {}
    for op in workload.operators:
        known = op.custom_code in allowed if op.name == "CUSTOM" else op.name in allowed
        if allowed == "all":
            known = op.name not in ("CUSTOM", *UNREGISTERED) and not op.name.startswith("UNKNOWN_")
        if not known:
            missing.setdefault(op.label, []).append(op)
    return [f"operator {label} version {ops[0].version} ({_places(ops)}): {profile.engine.name} "
            f"{profile.engine.version} on {profile.device} does not have it; {_change(ops[0], profile)}"
            for label, ops in missing.items()]


def _change(operator: OperatorWork, profile: Profile) -> str:
    """What to do about an operator that the device lacks."""
    return instead(operator.name) if profile.engine.name == MICRO_ENGINE else "replace the layer that makes it"


def hybrid_kernels(workload: Workload, profile: Profile) -> list[str]:
    """TFLM has no kernels that mix float activations with 8-bit weights (dynamic range)."""
    found = [op for op in workload.operators if op.hybrid]
    if profile.engine.name != MICRO_ENGINE or not found:
        return []
    names = ", ".join(sorted({op.label for op in found}))
    return [f"float activations with 8-bit weights in {names} ({_places(found)}): TFLM has no hybrid kernels; "
            "use int8, which quantizes the activations as well"]


def float16_weights(workload: Workload, profile: Profile) -> list[str]:
    """TFLM does not unpack float16 weights."""
    found = [op for op in workload.operators
             if op.name == "DEQUANTIZE" and any(tensor.dtype == "float16" for tensor in op.inputs)]
    if profile.engine.name != MICRO_ENGINE or not found:
        return []
    return [f"float16 weights ({_places(found)}): the DEQUANTIZE of TFLM takes int8, int16 and uint8; "
            "use float32 or int8"]


def control_flow(workload: Workload, profile: Profile) -> list[str]:
    """A microcontroller's model has no control flow, whose arena and time depend on the data."""
    found = [op for op in workload.operators if op.name in CONTROL_FLOW]
    if profile.engine.name != MICRO_ENGINE or not found:
        return []
    return [f"operator {found[0].label} version {found[0].version} ({_places(found)}): the work depends on the data; "
            "unroll the loop or take the branch out of the model"]


def tensor_types(workload: Workload, profile: Profile) -> list[str]:
    """No tensor holds text, resources or other things without a fixed size where the engine is TFLM."""
    if profile.engine.name != MICRO_ENGINE:
        return []
    bad = sorted({t.dtype for op in workload.operators for t in (*op.inputs, *op.outputs)
                  if t.dtype not in _EXACT_DTYPES})
    if not bad:
        return []
    return [f"tensors of type {', '.join(bad)}: TFLM has no kernels for them; move that step out of the model"]


def constants_inside(workload: Workload, profile: Profile) -> list[str]:
    """All constants stand inside the FlatBuffer where the engine is TFLM, which does not look behind it."""
    if profile.engine.name != MICRO_ENGINE or not workload.outside_buffers:
        return []
    return [f"{workload.outside_buffers} constants stand behind the FlatBuffer, where TFLM does not read them: it "
            "would compute with memory that nobody has set; write the file again with its weights inside"]


def memory(workload: Workload, profile: Profile) -> list[str]:
    """The activations that live at the same time fit the RAM that is free; a lower bound of the arena."""
    if profile.hardware is None:
        return []
    free, needed = profile.hardware.arena_bytes.value, workload.activation_peak_bytes
    if needed <= free:
        return []
    return [f"needs at least {needed:,} bytes for the activations that live at the same time; {profile.device} has "
            f"{profile.hardware.ram_bytes.value:,} bytes of RAM, of which {free:,} are free; make the input or the "
            "widest layers smaller, or use int8"]


def flash(workload: Workload, profile: Profile) -> list[str]:
    """The tflite model fits the flash."""
    if profile.hardware is None or profile.hardware.flash_bytes is None:
        return []
    size, allowed = workload.tflite_bytes, profile.hardware.flash_bytes.value
    if size <= allowed:
        return []
    return [f"the tflite model has {size:,} bytes; {profile.device} has {allowed:,} bytes of flash; "
            "use int8 or fewer channels"]


RULES: tuple[Rule, ...] = (formats, operators, hybrid_kernels, float16_weights, control_flow, tensor_types,
                           constants_inside, memory, flash)


def reasons(workload: Workload, profile: Profile) -> list[Reason]:
    """Every broken rule, with its name; empty where the device can run the model."""
    return [Reason(rule=_name(rule), text=text) for rule in RULES for text in rule(workload, profile)]


def unsupported(workload: Workload, profile: Profile) -> list[str]:
    """Why the device cannot run the model, for people; empty where it can."""
    return [reason.text for reason in reasons(workload, profile)]


def rules() -> list[tuple[str, str]]:
    """(name, what it demands) of every rule, for help and docs."""
    return [(_name(rule), str(rule.__doc__).splitlines()[0]) for rule in RULES]


def _name(rule: Rule) -> str:
    return str(getattr(rule, "__name__", rule))


def _places(ops: list[OperatorWork]) -> str:
    """Where operators stand: "operator 3", "operators 3, 5, 7 and 4 more"."""
    shown = ", ".join(str(op.index) for op in ops[:3])
    more = f" and {len(ops) - 3} more" if len(ops) > 3 else ""
    return f"operator{'s' if len(ops) > 1 else ''} {shown}{more}"


def _nearest(found: NumberFormat, allowed: tuple[str, ...]) -> str:
    """The format to try instead."""
    wish = {"float16": ("float32", "int8"), "int16x8": ("int8",), "float32": ("float16", "int8")}.get(found, ("int8",))
    return next((name for name in wish if name in allowed), allowed[0])
