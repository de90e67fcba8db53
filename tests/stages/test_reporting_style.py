"""Each variant has its own pair of colour and symbol, and the same one in every plot."""

from __future__ import annotations

from stages.reporting.style import FORMAT_COLORS, line_style, variant_styles
from tests.stages.sample_run import VARIANTS


def test_no_two_variants_look_alike() -> None:
    styles = variant_styles(list(VARIANTS))
    assert len({(style.color, style.symbol) for style in styles.values()}) == len(VARIANTS)
    assert len({(style.color, style.marker) for style in styles.values()}) == len(VARIANTS)


def test_one_format_has_one_colour_and_its_variants_differ_by_symbol() -> None:
    styles = variant_styles(["int8", "pruned75-int8", "clustered16-int8"])
    assert {style.color for style in styles.values()} == {FORMAT_COLORS["int8"]}
    assert [style.symbol for style in styles.values()] == ["circle", "square", "diamond"]


def test_a_format_that_is_not_known_yet_gets_a_colour_too() -> None:
    assert variant_styles(["int2"])["int2"].color.startswith("#")


def _luminance(color: str) -> float:
    """Relative luminance (https://www.w3.org/TR/WCAG21/#dfn-relative-luminance)."""
    parts = [int(color[place:place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_colour_stands_out_on_the_light_and_on_the_dark_page() -> None:
    for color in FORMAT_COLORS.values():
        for surface in ("#ffffff", "#1a1d21"):
            high, low = sorted((_luminance(color), _luminance(surface)), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 2.4, (color, surface)


def test_the_ninth_line_takes_another_dash() -> None:
    assert line_style(0)[0] == line_style(8)[0]
    assert line_style(0)[1] != line_style(8)[1]
