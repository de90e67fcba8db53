"""A calibrated profile as lines for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from device_profiles.prediction.calibrating import LEAST_NETWORKS, CalibratedProfile, TermPrice, unsupported
from device_profiles.prediction.own_records import OwnCalibration
from pipeline.measured_runs import Measured
from pipeline.text import columns
from stages.reporting.text import listing, plural, significant

_MOST_TERMS = 8
_WIDTH = 100


def lines(found: CalibratedProfile, measured: Measured, path: Path) -> list[str]:
    """Everything: the rows, the error, the prices, what stays open, what to do next."""
    own, profile = found.own, found.profile
    known = "published rows of this device" if found.known == "measured" else "its core and clock, no published row"
    networks = len({row.network() for row in measured.rows})
    head = (f"{path}: {profile.device}, calibrated on {plural(len(own.measurements), 'measurement')} of "
            f"{plural(networks, 'network')}; before it rested on {known}")
    unused = [*measured.left_out, *(f"{each.model}: {each.reason}" for each in found.unused)]
    return [*_folded(head), *(f"! {warning}" for warning in measured.warnings), "", *_rows(own), "", *_error(own), "",
            *_prices(found.prices), "", *(line for text in _open(found) for line in _folded(text)),
            *(line for text in unused for line in _folded(f"not used: {text}")), "", "next:",
            f"  litesmith profiles compare MODEL.tflite --profiles {path}",
            f"  litesmith profiles show {path}"]


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _rows(own: OwnCalibration) -> list[str]:
    """A line a measurement."""
    rows = [[row.model, row.format, row.threads, significant(row.latency_ms), significant(row.published_ms),
             _off(row.published_ms, row.latency_ms),
             "-" if row.left_out_ms is None else significant(row.left_out_ms),
             "-" if row.left_out_ms is None else _off(row.left_out_ms, row.latency_ms)] for row in own.measurements]
    return columns(["model", "format", "threads", "measured, ms", "before", "off", "without it", "off"], rows,
                   frozenset(range(2, 8)))


def _off(predicted: float, measured: float) -> str:
    """`+12 %`."""
    return f"{100 * (predicted / measured - 1):+.0f} %"


def _error(own: OwnCalibration) -> Iterator[str]:
    """What was proven."""
    error = own.error
    if error is None:
        yield f"how far off: too few networks to say (under {LEAST_NETWORKS}); docs/add-a-device.md has what others had"
        return
    yield (f"how far off, each of {error.networks} networks predicted without its own {plural(error.rows, 'row')}:"
           if error.rows == error.networks else
           f"how far off, each of {error.networks} networks predicted without its own rows, {error.rows} in all:")
    yield f"  before  {_share(error.median_before)} median, {_share(error.worst_before)} at worst"
    yield f"  after   {_share(error.median_after)} median, {_share(error.worst_after)} at worst"
    yield f"  {error.rows_inside_80} of {error.rows} inside the 80 % interval" + _widened(own)
    if error.median_after > error.median_before:
        yield from _folded(_WORSE)


_WORSE = ("! the measurements make it worse: they do not fit together. Look for another clock, a governor, other "
          "kernels, a debug build, or a model that is not the file that was measured")


def _widened(own: OwnCalibration) -> str:
    """Whether the intervals are wider than on published boards."""
    from device_profiles.prediction.own_fit import SCALES

    usual = {scales.level_80 for scales in SCALES.values()}
    return "" if own.scales.level_80 in usual else "; the intervals were made wider for it"


def _share(value: float) -> str:
    return f"{100 * value:5.1f} %"


def _prices(prices: tuple[TermPrice, ...]) -> list[str]:
    """The largest terms: what they cost here, against what was published."""
    shown = sorted(prices, key=lambda each: -each.share)[:_MOST_TERMS]
    rows = [[each.format, each.term, f"{100 * each.share:.0f} %", f"{each.ratio:.2f}",
             f"{100 * each.doubt[1]:.0f} -> {100 * each.doubt[0]:.0f} %"] for each in shown]
    return columns(["format", "term", "largest part", "price, times published", "doubt"], rows,
                   frozenset({2, 3, 4}))


def _open(found: CalibratedProfile) -> Iterator[str]:
    """What the measurements do not say."""
    seen = {each.format for each in found.prices}
    never = [each for each in found.unseen if each not in seen and each in found.profile.formats.value]
    for each in sorted(seen):
        kernels = [term for term in found.unseen[each] if term in _KERNELS]
        if kernels:
            yield f"{each}: no measured model has {listing([_KERNELS[term] for term in kernels])} to speak of; their " \
                  "prices are the published ones, moved with the others"
    if never:
        yield f"{listing(never)}: not measured; moved with what all formats share, so little"
    unpriced = unsupported(found.profile, tuple(found.unseen))
    if unpriced:
        yield f"still unknown: {listing(unpriced)} models (nothing prices them), custom operators, control flow"


_KERNELS = {"conv_1x1": "1x1 convolutions", "conv": "other convolutions", "conv_narrow": "convolutions of few channels",
            "depthwise": "depthwise convolutions", "fully_connected": "fully connected layers", "pooling": "pooling",
            "transcendental": "softmax and the like", "elementwise": "elementwise operators"}
