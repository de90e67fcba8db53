"""The variant grammar: what a name such as `slim40-pruned75-int8qat-packed` means, and which names can be built.

    variant   = [ "distilled-" ] [ slim "-" ] [ pruned "-" ] [ clustered "-" ] format [ "-packed" ]
    slim      = "slim" NN          NN % of the MACs removed as whole channels
    pruned    = "pruned" NN        NN % of the weights set to zero
              | "pruned2of4"       two of every four weights set to zero
    clustered = "clustered" NN     NN shared values per layer
    format    = one of FORMATS
"""

from __future__ import annotations

import re
from typing import Literal

from device_profiles.errors import VariantError, near_miss
from device_profiles.records import Record

FORMATS: dict[str, str] = {
    "float32": "32-bit floats, as trained",
    "float16": "weights kept as 16-bit floats",
    "dynamic": "8-bit weights; activations quantized at run time (dynamic range)",
    "int8": "8-bit weights and activations, ranges from a calibration set (post-training)",
    "int8qat": "8-bit weights and activations, ranges learnt in training (quantization-aware)",
    "int16x8": "8-bit weights and 16-bit activations (post-training)",
    "int4": "4-bit weights and 8-bit activations (post-training)",
    "mixed": "a format per layer, chosen by measured sensitivity",
}
QAT_FORMATS = ("int8qat",)
CALIBRATED_FORMATS = ("int8", "int16x8", "int4", "mixed")
UNPACKED_FORMATS = ("float32", "float16", "dynamic")
"""Formats whose weights the microcontroller's DECODE operator does not unpack, or whose operators it does not run."""

TOKENS: dict[str, str] = {
    "distilled": "the float model teaches the others while they are trained",
    "slimNN": "NN % of the MACs removed as whole channels (1 to 95)",
    "prunedNN": "NN % of the weights set to zero (1 to 99)",
    "pruned2of4": "two of every four weights set to zero",
    "clusteredNN": "NN shared values per layer (2 to 256)",
    "packed": "after the format: weights stored compressed and unpacked on the microcontroller",
}
ORDER = "distilled, slimNN, prunedNN, clusteredNN, then the number format, then packed"

_PLACES = ("distilled", "slim", "pruned", "clustered", "format", "packed")
_TOKEN = re.compile(r"(?P<distilled>distilled)|slim(?P<slim>\d+)|pruned(?P<pruned>\d+|2of4)|clustered(?P<clustered>\d+)"
                    r"|(?P<packed>packed)")
_RANGES = {"slim": (1, 95), "pruned": (1, 99), "clustered": (2, 256)}
_PATTERN = "2of4"


class Variant(Record):
    """One path of compression choices.

    Attributes:
        name: the name in its canonical spelling.
        distilled: whether the float model, or a larger one, teaches it while it is trained.
        slim: percent of the MACs removed as whole channels, or None.
        pruned: percent of the weights set to zero, or None.
        pattern: "2of4" where two of every four weights are set to zero; `pruned` is then 50.
        clustered: number of shared values per layer, or None.
        format: one of `FORMATS`.
        packed: whether the weights are stored compressed in the tflite model.
    """

    name: str
    distilled: bool = False
    slim: int | None = None
    pruned: int | None = None
    pattern: Literal["", "2of4"] = ""
    clustered: int | None = None
    format: str
    packed: bool = False

    @property
    def is_qat(self) -> bool:
        """Whether the quantization ranges are learnt in training."""
        return self.format in QAT_FORMATS

    @property
    def is_compressed(self) -> bool:
        """Whether a stage before the number format changes the Keras model."""
        return any(number is not None for number in (self.slim, self.pruned, self.clustered))

    @property
    def is_trained(self) -> bool:
        """Whether making it trains a Keras model."""
        return self.is_qat or self.is_compressed or self.distilled

    @property
    def pruning(self) -> str:
        """The pruning token, or an empty string."""
        return "" if self.pruned is None else f"pruned{self.pattern or self.pruned}"

    def without(self, kind: str) -> str:
        """The name without one kind of token: "distilled", "slim", "pruned", "clustered" or "packed"."""
        return "-".join(word for word in self.name.split("-") if _kind(word) != kind)

    def describe(self) -> list[tuple[str, str]]:
        """(token, meaning) for each token of the name, in order."""
        parts = [("distilled", "taught by the float model, or a larger one, while it is trained")] * self.distilled
        if self.slim is not None:
            parts.append((f"slim{self.slim}", f"{self.slim} % of the MACs removed as whole channels, then fine-tuned"))
        if self.pruned is not None:
            zeros = "two of every four weights" if self.pattern else f"{self.pruned} % of the weights"
            parts.append((self.pruning, f"{zeros} set to zero, then fine-tuned"))
        if self.clustered is not None:
            kept = ", zeros kept" if self.pruned is not None else ""
            meaning = f"{self.clustered} shared values per layer{kept}, then fine-tuned"
            parts.append((f"clustered{self.clustered}", meaning))
        parts.append((self.format, FORMATS[self.format]))
        return parts + [("packed", "weights stored compressed, unpacked on the microcontroller")] * self.packed


def parse_variant(name: str) -> Variant:
    """Read a variant's name.

    Args:
        name: for example `pruned75-int8qat`.

    Raises:
        VariantError: an unknown token, tokens out of order or doubled, a number out of range, no format, or a format
            that the tokens do not go with.
    """
    words = name.split("-")
    read = [_read(name, word, is_last=place == len(words) - 1) for place, word in enumerate(words)]
    _check_order(name, [kind for kind, _ in read])
    values = dict(read)
    for kind, (low, high) in _RANGES.items():
        if kind in values and values[kind] != _PATTERN and not low <= int(values[kind]) <= high:
            raise VariantError(f"variant '{name}': {kind}{values[kind]} is out of range", f"{low} to {high}")
    if "packed" in values and values["format"] in UNPACKED_FORMATS:
        raise VariantError(f"variant '{name}': {values['format']} weights cannot be packed",
                           ", ".join(known for known in FORMATS if known not in UNPACKED_FORMATS),
                           f"for example '{name.replace(values['format'], 'int8')}'")
    return _variant(name, values)


def _variant(name: str, values: dict[str, str]) -> Variant:
    """The record of the tokens' values by kind."""
    has_pattern = values.get("pruned") == _PATTERN
    numbers = {kind: int(values[kind]) for kind in _RANGES if kind in values and values[kind] != _PATTERN}
    return Variant(name=name, distilled="distilled" in values, slim=numbers.get("slim"),
                   pruned=50 if has_pattern else numbers.get("pruned"), pattern="2of4" if has_pattern else "",
                   clustered=numbers.get("clustered"), format=values["format"], packed="packed" in values)


def _read(name: str, word: str, is_last: bool) -> tuple[str, str]:
    """(kind, value) of one word: ("pruned", "75"), ("format", "int8")."""
    kind = _kind(word)
    if kind == "format":
        return kind, word
    if kind:
        return kind, word.removeprefix(kind) or word
    hint = near_miss(word, FORMATS if is_last else [*TOKENS, *FORMATS]) or near_miss(word, TOKENS)
    what, allowed = ("number format", FORMATS) if is_last else ("token", TOKENS)
    raise VariantError(f"variant '{name}': unknown {what} '{word}'" + (f"; {hint}" if hint else ""),
                       ", ".join(allowed), "litesmith variants")


def _kind(word: str) -> str:
    """What a word of a name is, one of `_PLACES`; an empty string where it is none."""
    match = _TOKEN.fullmatch(word)
    return "format" if word in FORMATS else str(match.lastgroup) if match else ""


def _check_order(name: str, kinds: list[str]) -> None:
    """Refuse a name without a format, doubled tokens, and tokens out of order."""
    order = f"the order {ORDER}"
    if "format" not in kinds:
        packed = "-packed" if kinds[-1] == "packed" else ""
        example = f"{name.removesuffix(packed)}-int8{packed}".removeprefix("-")
        raise VariantError(f"variant '{name}' has no number format", ", ".join(FORMATS), f"for example '{example}'")
    places = [_PLACES.index(kind) for kind in kinds]
    if places == sorted(set(places)):
        return
    after = kinds[kinds.index("format") + 1:]
    if any(kind != "packed" for kind in after):
        raise VariantError(f"variant '{name}': the number format must come last, or before packed", order)
    raise VariantError(f"variant '{name}': tokens are doubled or out of order", order, "litesmith variants")
