"""One colour and one symbol for each variant, the same in every plot.

The colour says the number format, the symbol tells the variants of one format apart, so no pair rests on colour alone.
Hues are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), some darkened to stand out on white and on black.
"""

from __future__ import annotations

from collections.abc import Sequence

from device_profiles.records import Record

FORMAT_COLORS = {
    "float32": "#6f7782", "float16": "#3a9bd9", "dynamic": "#d98e04", "int8": "#0072b2", "int8qat": "#009e73",
    "int16x8": "#d55e00", "int4": "#c2679c", "mixed": "#8a7d12",
}
SEQUENCE = ("#0072b2", "#d55e00", "#009e73", "#c2679c", "#d98e04", "#3a9bd9", "#6f7782", "#8a7d12")
_DASHES = ("solid", "dash", "dashdot", "longdash")
# name in plotly, name in matplotlib, polygon for the key in the page's own 16 x 16 grid
_SYMBOLS = (
    ("circle", "o", "8,2.5 11.9,4.1 13.5,8 11.9,11.9 8,13.5 4.1,11.9 2.5,8 4.1,4.1"),
    ("square", "s", "3,3 13,3 13,13 3,13"),
    ("diamond", "D", "8,1.5 14.5,8 8,14.5 1.5,8"),
    ("triangle-up", "^", "8,2 14.5,13.5 1.5,13.5"),
    ("triangle-down", "v", "1.5,2.5 14.5,2.5 8,14"),
    ("pentagon", "p", "8,1.5 14.5,6.3 12,14 4,14 1.5,6.3"),
    ("cross", "P", "6,2 10,2 10,6 14,6 14,10 10,10 10,14 6,14 6,10 2,10 2,6 6,6"),
    ("star", "*", "8,1 10,6 15,6 11,9.5 12.5,14.5 8,11.5 3.5,14.5 5,9.5 1,6 6,6"),
)


class Style(Record):
    """How a variant is drawn.

    Attributes:
        color: hexadecimal RGB.
        symbol: plotly's name of the marker.
        marker: matplotlib's.
        polygon: the marker's outline in a 16 x 16 box, as SVG points.
    """

    color: str
    symbol: str
    marker: str
    polygon: str


def variant_styles(names: Sequence[str]) -> dict[str, Style]:
    """A style for each variant; they depend on the names and their order alone."""
    seen: dict[str, int] = {}
    styles = {}
    for name in names:
        number_format = name.removesuffix("-packed").rpartition("-")[2]
        count = seen.setdefault(number_format, 0)
        seen[number_format] += 1
        symbol, marker, polygon = _SYMBOLS[count % len(_SYMBOLS)]
        color = FORMAT_COLORS.get(number_format, SEQUENCE[len(seen) % len(SEQUENCE)])
        styles[name] = Style(color=color, symbol=symbol, marker=marker, polygon=polygon)
    return styles


def line_style(index: int) -> tuple[str, str]:
    """Colour and dash of the n-th line of a plot; after eight lines the dash changes."""
    return SEQUENCE[index % len(SEQUENCE)], _DASHES[(index // len(SEQUENCE)) % len(_DASHES)]
