"""The variant grammar: what a name such as `pruned75-int8qat` means, and which names can be built.

    variant   = [ "distilled-" ] [ slim "-" ] [ pruned "-" ] [ clustered "-" ] format [ "-packed" ]
    slim      = "slim" NN          NN % of the MACs removed as whole channels
    pruned    = "pruned" NN        NN % of the weights set to zero
              | "pruned2of4"       two of every four weights set to zero
    clustered = "clustered" NN     NN shared values per layer
    format    = one of FORMATS
"""

from __future__ import annotations

import re

from device_profiles.errors import VariantError, near_miss
from device_profiles.records import Record

FORMATS: dict[str, str] = {
    "float32": "32-bit floats, as trained",
    "float16": "weights kept as 16-bit floats",
    "dynamic": "8-bit weights; activations quantized at run time (dynamic range)",
    "int8": "8-bit weights and activations, ranges from a calibration set (post-training)",
    "int8qat": "8-bit weights and activations, ranges learnt in training (quantization-aware)",
    "int16x8": "8-bit weights and 16-bit activations (post-training)",
}
RESERVED: dict[str, str] = {
    "int4": "4-bit weights",
    "mixed": "a format per layer, chosen by measured sensitivity",
}
QAT_FORMATS = ("int8qat",)
CALIBRATED_FORMATS = ("int8", "int16x8")

TOKENS: dict[str, str] = {
    "prunedNN": "NN % of the weights set to zero (1 to 99)",
    "clusteredNN": "NN shared values per layer (2 to 256)",
}
ORDER = "distilled, slimNN, prunedNN, clusteredNN, then the number format, then packed"

_TOKEN = re.compile(r"(pruned|clustered)(\d+)")
_RESERVED_TOKEN = re.compile(r"distilled|slim\d+|pruned2of4|packed")


class Variant(Record):
    """One path of compression choices.

    Attributes:
        name: the name in its canonical spelling.
        pruned: percent of the weights set to zero, or None.
        clustered: number of shared values per layer, or None.
        format: one of `FORMATS`.
    """

    name: str
    pruned: int | None = None
    clustered: int | None = None
    format: str

    @property
    def is_qat(self) -> bool:
        """Whether the quantization ranges are learnt in training."""
        return self.format in QAT_FORMATS

    @property
    def is_trained(self) -> bool:
        """Whether making it trains a Keras model."""
        return self.is_qat or self.pruned is not None or self.clustered is not None

    def describe(self) -> list[tuple[str, str]]:
        """(token, meaning) for each token of the name, in order."""
        parts = []
        if self.pruned is not None:
            parts.append((f"pruned{self.pruned}", f"{self.pruned} % of the weights set to zero, then fine-tuned"))
        if self.clustered is not None:
            kept = ", zeros kept" if self.pruned is not None else ""
            meaning = f"{self.clustered} shared values per layer{kept}, then fine-tuned"
            parts.append((f"clustered{self.clustered}", meaning))
        return [*parts, (self.format, FORMATS[self.format])]


def parse_variant(name: str) -> Variant:
    """Read a variant's name.

    Args:
        name: for example `pruned75-int8qat`.

    Raises:
        VariantError: an unknown token, tokens out of order or doubled, a number out of range, no format, or a token
            of the grammar that nothing here builds.
    """
    *tokens, last = name.split("-")
    _refuse_reserved(name, [*tokens, last])
    numbers = dict(_read_token(name, token) for token in tokens)
    _read_format(name, last)
    if list(numbers) != sorted(numbers, reverse=True) or len(numbers) != len(tokens):
        raise VariantError(f"variant '{name}': tokens are doubled or out of order", f"the order {ORDER}",
                           "litesmith variants")
    _check_range(name, "pruned", numbers.get("pruned"), 1, 99)
    _check_range(name, "clustered", numbers.get("clustered"), 2, 256)
    return Variant(name=name, pruned=numbers.get("pruned"), clustered=numbers.get("clustered"), format=last)


def _refuse_reserved(name: str, tokens: list[str]) -> None:
    """Refuse what the grammar knows but nothing here builds."""
    for token in tokens:
        if token in RESERVED or _RESERVED_TOKEN.fullmatch(token):
            raise VariantError(f"variant '{name}': '{token}' is in the grammar but nothing here builds it yet",
                               ", ".join([*TOKENS, *FORMATS]), "litesmith variants")


def _read_token(name: str, token: str) -> tuple[str, int]:
    """(kind, number) of one token before the format."""
    match = _TOKEN.fullmatch(token)
    if match:
        return match[1], int(match[2])
    if token in FORMATS:
        raise VariantError(f"variant '{name}': the number format '{token}' must come last", f"the order {ORDER}")
    hint = near_miss(token, [*TOKENS, *FORMATS])
    raise VariantError(f"variant '{name}': unknown token '{token}'" + (f"; {hint}" if hint else ""),
                       ", ".join(TOKENS), "litesmith variants")


def _read_format(name: str, token: str) -> None:
    """Refuse a last token that is no number format."""
    if token in FORMATS:
        return
    if _TOKEN.fullmatch(token):
        raise VariantError(f"variant '{name}' has no number format", ", ".join(FORMATS), f"for example '{name}-int8'")
    hint = near_miss(token, FORMATS)
    raise VariantError(f"variant '{name}': unknown number format '{token}'" + (f"; {hint}" if hint else ""),
                       ", ".join(FORMATS), "litesmith variants")


def _check_range(name: str, token: str, value: int | None, low: int, high: int) -> None:
    """Refuse a number outside the token's range."""
    if value is not None and not low <= value <= high:
        raise VariantError(f"variant '{name}': {token}{value} is out of range", f"{low} to {high}")
