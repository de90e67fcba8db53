"""A profile calibrated on its user's own measurements: the published fit corrected, and the error that was found.

`own_fit` has the arithmetic; here a profile and rows become what the profile keeps (`own_records.OwnCalibration`), and
what cannot be used is named.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from device_profiles.errors import UsageError
from device_profiles.prediction.calibrated import FIT_FORMATS, setup_of
from device_profiles.prediction.cores import FitFormat, find_core
from device_profiles.prediction.effects import Setup
from device_profiles.prediction.fit_file import COVARIANCE_UNIT, load_fit
from device_profiles.prediction.intervals import LEVELS, Known, Scales
from device_profiles.prediction.measurements import Measurement
from device_profiles.prediction.own import amounts_by_format, basis_digest
from device_profiles.prediction.own_fit import (
    SCALES,
    Key,
    LeftOutRow,
    OwnFit,
    OwnRow,
    left_out_rows,
    published_prior,
    published_spreads,
)
from device_profiles.prediction.own_records import OwnCalibration, OwnError, OwnMeasurement
from device_profiles.prediction.terms import TERMS, Term
from device_profiles.records import Record
from device_profiles.schema import Calibrated, Profile

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

LEAST_NETWORKS = 3
"""With fewer networks an error says nothing."""
SEEN_SHARE = 0.02
"""A term that is a smaller part of every measured latency was not measured."""
_SLIP = 1000.0
_DOUBT = 12.0  # a prediction is not off by so much; a unit is off by a thousand
_DECIMALS = 4


class TermPrice(Record):
    """What the measurements say of one term in one format.

    Attributes:
        share: the largest part that it has of any measured latency, 0 to 1.
        ratio: of its price to that of the published fit.
        doubt: standard deviation of the log price after, and before.
    """

    term: Term
    format: FitFormat
    share: float
    ratio: float
    doubt: tuple[float, float]


class Unused(Record):
    """A measurement that could not be used, and why."""

    model: str
    reason: str


class CalibratedProfile(Record):
    """What came of it.

    Attributes:
        profile: the profile with its own corrections.
        prices: of every term that is part of a measured latency.
        unseen: terms that the measurements do not hold, by format; their prices are the published ones, moved with
            the others.
        unused: measurements that could not be used.
        known: whether the published rows have the device.
    """

    profile: Profile
    prices: tuple[TermPrice, ...]
    unseen: dict[FitFormat, tuple[Term, ...]]
    unused: tuple[Unused, ...]
    known: Known

    @property
    def own(self) -> OwnCalibration:
        """The corrections.

        Raises:
            UsageError: the profile has none.
        """
        latency = self.profile.latency
        if not isinstance(latency, Calibrated) or latency.own is None:
            raise UsageError(f"profile '{self.profile.name}' has no measurements of its own")
        return latency.own


@dataclass(frozen=True)
class _Usable:
    """A measurement with its amounts."""

    found: Measurement
    row: OwnRow


def calibrate(profile: Profile, measurements: Sequence[Measurement], source: str,
              units_are_right: bool = False) -> CalibratedProfile:
    """Fit a profile to its user's measurements.

    Args:
        profile: of the device; one with rates of its own, or whose latency is measured, becomes a calibrated one.
        measurements: one or more.
        source: where they are from.
        units_are_right: take latencies that look like a slip of the unit.

    Raises:
        UsageError: the profile states no hardware or a core that is not known; no measurement can be used.
        LitesmithError: a latency looks like microseconds or seconds.
    """
    if profile.hardware is None:
        raise UsageError(f"the profile of '{profile.device}' states no core and no clock, which a prediction rests on",
                         "a profile with hardware", "litesmith profiles new")
    model = profile.latency if isinstance(profile.latency, Calibrated) else Calibrated(kind="calibrated")
    model = model.model_copy(update={"own": None})
    setup = setup_of(profile, model)
    core_class = find_core(setup.core).core_class
    formats = tuple(load_fit().fits[core_class])
    usable, unused = _usable(measurements, formats, profile.threads)
    keys: list[Key] = [(each, profile.threads) for each in formats]
    keys += sorted({(each, one.row.threads) for one in usable for each in one.row.amounts} - set(keys))
    known = {key: published_prior(_with_threads(profile, model, key[1]), key[0]) for key in keys}
    spreads = published_spreads(setup, load_fit().fits[core_class][formats[0]])
    rows = [one.row for one in usable]
    fitted, left = OwnFit(rows, known, spreads), left_out_rows(rows, known, spreads)
    if not units_are_right:
        _check_units(usable, left)
    kind: Known = "measured" if _published(setup) else "unmeasured"
    scales, error = _scales(rows, left, SCALES[core_class]), _error(rows, left, SCALES[core_class])
    own = OwnCalibration(
        source=source, basis=basis_digest(setup, formats), terms=TERMS, scales=scales, error=error,
        measurements=tuple(_record(one, each, error is not None) for one, each in zip(usable, left, strict=True)),
        macs=_reach(setup, usable), **_stored(fitted, keys[:len(formats)]))
    latency = model.model_copy(update={"own": own})
    return CalibratedProfile(profile=profile.model_copy(update={"latency": latency}), unused=tuple(unused), known=kind,
                             prices=tuple(_prices(fitted)), unseen=_unseen(fitted, formats))


def _with_threads(profile: Profile, model: Calibrated, threads: int) -> Setup:
    return setup_of(profile.model_copy(update={"threads": threads}), model)


def _published(setup: Setup) -> bool:
    """Whether rows of this device with these kernels were published."""
    return any((each.device, each.kernels) == (setup.device, setup.kernels) for each in load_fit().setups.values())


def _usable(measurements: Sequence[Measurement], formats: Sequence[FitFormat],
            threads: int) -> tuple[list[_Usable], list[Unused]]:
    """The measurements with their amounts, and those of models that cannot be priced.

    Raises:
        UsageError: none can.
    """
    usable: list[_Usable] = []
    unused: list[Unused] = []
    for each in measurements:
        amounts = amounts_by_format(each.workload, formats)
        if isinstance(amounts, str):
            unused.append(Unused(model=each.model, reason=amounts))
        else:
            usable.append(_Usable(each, OwnRow(amounts, each.threads or threads, each.latency_ms / 1e3, each.variance,
                                               each.network())))
    if not usable:
        first = unused[0] if unused else Unused(model="", reason="there is none")
        raise UsageError(f"no measurement can be used: {first.model}: {first.reason}",
                         "models whose operators have published prices", "litesmith inspect MODEL.tflite")
    return usable, unused


def _check_units(usable: Sequence[_Usable], left: Sequence[LeftOutRow]) -> None:
    """Refuse latencies that are a thousand times what the published fit expects.

    Raises:
        LitesmithError: one is; all of them may be.
    """
    slips = [(one.found, math.exp(-each.before)) for one, each in zip(usable, left, strict=True)
             if not _DOUBT / _SLIP < math.exp(-each.before) < _SLIP / _DOUBT]
    if not slips:
        return
    found, ratio = slips[0]
    expected = found.latency_ms / ratio
    unit, meant = ("microseconds", found.latency_ms / _SLIP) if ratio > 1 else ("seconds", found.latency_ms * _SLIP)
    others = f" (and {len(slips) - 1} more such)" if len(slips) > 1 else ""
    raise found.refusal(
        f"{found.latency_ms:g} ms is {_times(ratio)} the {expected:.3g} ms that {found.model} is expected to take "
        f"there{others}", "milliseconds of one inference",
        f"if it is in {unit}, write {meant:g}; if it is right, add --units-are-right")


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio > 1 else f"1/{1 / ratio:,.0f} of"


def _scales(rows: Sequence[OwnRow], left: Sequence[LeftOutRow], base: Scales) -> Scales:
    """Those found on published boards, wider where the user's own networks say so.

    With n networks left out in turn, the conformal quantile of a level p is the ceil((n + 1) p)-th smallest score;
    it exists from 4 networks on for 80 % and from 19 on for 95 %. Of a network with several rows the worst counts.
    """
    worst: dict[str, float] = {}
    for row, each in zip(rows, left, strict=True):
        score = abs(each.after) / math.sqrt(base.misfit ** 2 + each.variance)
        worst[row.network] = max(worst.get(row.network, 0.0), score)
    ordered = sorted(worst.values())
    found = []
    for level, published in zip(LEVELS, (base.level_80, base.level_95), strict=True):
        rank = math.ceil((len(ordered) + 1) * level)
        found.append(max(published, ordered[rank - 1]) if rank <= len(ordered) else published)
    return Scales(misfit=base.misfit, level_80=round(found[0], _DECIMALS),
                  level_95=round(max(found), _DECIMALS))


def _error(rows: Sequence[OwnRow], left: Sequence[LeftOutRow], base: Scales) -> OwnError | None:
    """What was found on networks left out; None where there are too few."""
    networks = len({row.network for row in rows})
    if networks < LEAST_NETWORKS:
        return None
    before, after = ([abs(math.expm1(getattr(each, when))) for each in left] for when in ("before", "after"))
    inside = sum(abs(each.after) <= math.log(base.factors(each.variance, 0.0)[0]) for each in left)
    return OwnError(networks=networks, rows=len(rows), rows_inside_80=inside, median_before=_rounded(median(before)),
                    worst_before=_rounded(max(before)), median_after=_rounded(median(after)),
                    worst_after=_rounded(max(after)))


def _rounded(value: float) -> float:
    return round(value, _DECIMALS)


def _record(one: _Usable, left: LeftOutRow, told: bool) -> OwnMeasurement:
    """A measurement as the profile keeps it."""
    found = one.found
    left_out_ms = float(f"{found.latency_ms * math.exp(left.after):.5g}") if told else None
    return OwnMeasurement(model=found.model, sha256=found.sha256, format=found.workload.number_format,
                          threads=one.row.threads, macs=found.workload.macs, latency_ms=found.latency_ms,
                          published_ms=float(f"{found.latency_ms * math.exp(left.before):.5g}"),
                          left_out_ms=left_out_ms)


def _reach(setup: Setup, usable: Sequence[_Usable]) -> dict[FitFormat, tuple[int, int]]:
    """Smallest and largest model, of the published rows and the user's, by format."""
    macs = [one.found.workload.macs for one in usable]
    return {each: (min(*macs, fit.macs[0]), max(*macs, fit.macs[1]))
            for each, fit in load_fit().fits[find_core(setup.core).core_class].items()}


def _stored(fitted: OwnFit, keys: Sequence[Key]) -> dict[str, dict[FitFormat, tuple[Any, ...]]]:
    """Corrections and covariances, by format."""
    import numpy as np

    covariance, upper = fitted.covariance(), np.triu_indices(len(TERMS))
    return {"corrections": {key[0]: tuple(fitted.corrections(key).round(_DECIMALS).tolist()) for key in keys},
            "covariances": {key[0]: tuple((covariance[fitted.at[key], fitted.at[key]][upper] / COVARIANCE_UNIT)
                                          .round().astype(int).tolist()) for key in keys}}


def _prices(fitted: OwnFit) -> list[TermPrice]:
    """Terms that were measured, the one with the largest part first."""
    import numpy as np

    after, before = np.sqrt(np.diag(fitted.covariance())), np.sqrt(np.diag(fitted.prior))
    found: list[TermPrice] = []
    for key, columns in fitted.at.items():
        for number, term in enumerate(TERMS, columns.start):
            share = float(fitted.shares[:, number].max())
            if share >= SEEN_SHARE and not any((each.term, each.format) == (term, key[0]) for each in found):
                found.append(TermPrice(term=term, format=key[0], share=share, ratio=math.exp(fitted.own[number]),
                                       doubt=(float(after[number]), float(before[number]))))
    return sorted(found, key=lambda each: (each.format, -each.share))


def _unseen(fitted: OwnFit, formats: Sequence[FitFormat]) -> dict[FitFormat, tuple[Term, ...]]:
    """Terms that are hardly any part of a measured latency, by format."""
    seen: dict[FitFormat, set[Term]] = {each: set() for each in formats}
    for key, columns in fitted.at.items():
        largest = fitted.shares[:, columns].max(axis=0)
        seen[key[0]] |= {term for term, share in zip(TERMS, largest, strict=True) if share >= SEEN_SHARE}
    return {each: tuple(term for term in TERMS if term not in seen[each]) for each in formats}


def unsupported(profile: Profile, formats: Sequence[str]) -> list[str]:
    """Formats that the device takes and that nothing prices, however many measurements there are."""
    return [each for each in profile.formats.value if FIT_FORMATS.get(each, "") not in formats and each != "float16"]
