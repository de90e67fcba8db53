"""Numbers for people: one spelling of each unit, everywhere. KiB is 1024 bytes; a figure brings its interval."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from device_profiles.records import Figure

UNIT_WORDS = {"fraction": "%", "1/s": "inferences/s", "uJ": "µJ", "target": "", "value": ""}
"""How units are written; errors in the target's own unit and a user's own metric stand without one."""
MISSING = "not obtained"
VERDICT_MARKS = {"pass": "✓", "fail": "✕", "undecided": "≈", "unknown": "?"}
_NAMES = {"f1": "macro F1", "micro_f1": "micro F1", "r2": "R2", "rmse": "RMSE", "mae": "MAE", "auc": "ROC AUC",
          "partial_auc": "partial AUC", "auc_mean": "mean AUC"}

# XML 1.0 allows tab, newline, carriage return and nothing else below a blank (https://www.w3.org/TR/xml/#charsets).
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def significant(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, thousands separators and no exponent.

    Args:
        value: any number; a NaN or an infinity is said in words.
        digits: significant digits kept; digits before the point are never rounded away.
    """
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    decimals = max(digits - 1 - magnitude, 0)
    return f"{value:,.{decimals}f}"


def plain_number(value: float, unit: str) -> str:
    """The number alone, spelt as its unit asks: 0.983 of "fraction" is `98.3`, 25840 of "bytes" is `25,840`.

    A figure without a unit (R2, an area under a curve) has three decimals: `0.953`.
    """
    if not math.isfinite(value):
        return significant(value)
    if unit == "bytes":
        return f"{value:,.0f}"
    if unit == "fraction":
        return f"{100 * value:.1f}"
    if not unit:
        return f"{value:z.3f}"
    if unit == "points":
        return f"{value:z.2f}"
    return significant(value)


def quantity(value: float, unit: str) -> str:
    """Number and unit: `25,840 bytes`, `98.3 %`, `0.412 ms`, `0.953`."""
    return f"{plain_number(value, unit)} {UNIT_WORDS.get(unit, unit)}".rstrip()


def figure_name(key: str) -> str:
    """The name for people of a figure that a task measures: `log_loss` is `log loss`, `r2` is `R2`."""
    return _NAMES.get(key, key.replace("_", " "))


def axis_scale(figure: Figure | None) -> tuple[float, str]:
    """What to multiply by, and what to write after the name, to show figures of this unit on an axis."""
    unit = "" if figure is None else UNIT_WORDS.get(figure.unit, figure.unit)
    return (100.0 if unit == "%" else 1.0), (f", {unit}" if unit else "")


def kib(count: float) -> str:
    """A count of bytes in KiB (1024 bytes): `25.2 KiB`, and from 1,000 KiB on without a decimal."""
    return f"{count / 1024:,.1f} KiB" if count < 1000 * 1024 else f"{count / 1024:,.0f} KiB"


def figure_text(figure: Figure | None) -> str:
    """A figure with its unit and, where it has one, its interval: `98.3 % [96.9 to 99.4]`."""
    if figure is None:
        return MISSING
    text = quantity(figure.value, figure.unit)
    if figure.interval is None:
        return text
    low, high = (plain_number(end, figure.unit) for end in figure.interval)
    return f"{text} [{low} to {high}]"


def samples_text(figure: Figure) -> str:
    """How the figure came about: `measured, 500 samples, 95 % interval`, `measured, exact count`."""
    if figure.samples <= 1 and figure.interval is None:
        return f"{figure.provenance}, one value" if figure.unit != "bytes" else f"{figure.provenance}, exact count"
    parts: list[str] = [figure.provenance]
    if figure.samples > 1:
        parts.append(f"{figure.samples:,} samples")
    if figure.interval is not None:
        parts.append(f"{100 * figure.level:.0f} % interval")
    return ", ".join(parts)


def printable(text: str) -> str:
    r"""The text without the control characters and lone surrogates that XML and browsers refuse, spelt as `\x1b`."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def shortened(text: str, most: int = 120) -> str:
    """The text, cut at a word where it is longer than a note may be."""
    return text if len(text) <= most else f"{text[:most].rsplit(' ', 1)[0]} …"


def listing(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    known = list(words)
    return " and ".join([", ".join(known[:-1]), known[-1]]) if len(known) > 1 else "".join(known)


def plural(count: int, word: str) -> str:
    """`1 variant`, `4 variants`."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")
