"""How far off the latency of a profile is known to be: the error that its fit had on rows that it had not seen.

It is looked up in the fit (`data/predictor.json`), so that a new fit cannot leave an old figure in a profile.
"""

from __future__ import annotations

from typing import Literal

from device_profiles.errors import UsageError
from device_profiles.prediction.calibrated import setup_of
from device_profiles.prediction.cores import CoreClass, find_core
from device_profiles.prediction.effects import Setup, board
from device_profiles.prediction.fit_file import DeviceError, PredictorFit, load_fit
from device_profiles.records import Record
from device_profiles.schema import Calibrated, Predicted, Profile

Basis = Literal["host", "own rates", "own measurements", "this board", "boards of its class", "other engines",
                "core and clock", "nothing"]
PEOPLE: dict[CoreClass, str] = {"cpu": "application processors", "mcu": "microcontrollers"}
_XNNPACK = "xnnpack"


class StatedError(Record):
    """What is known of the error of a profile's latency.

    Attributes:
        basis: what was left out or measured.
        text: for people, one sentence.
        rows: published measurements behind the figures; 0 where there are none.
        median_error, p90_error: of |predicted / published - 1|: of half and of nine tenths of the rows; None where
            there are none.
    """

    basis: Basis
    text: str
    rows: int = 0
    median_error: float | None = None
    p90_error: float | None = None


def stated_error(profile: Profile) -> StatedError:
    """What is known of the error of a profile's latency."""
    model = profile.latency
    if isinstance(model, Predicted):
        factor = model.uncertainty_factor
        return StatedError(basis="own rates", text="the profile's own statement: a factor of "
                           f"{factor.value:g} at {100 * model.level:.0f} % ({factor.source})")
    if not isinstance(model, Calibrated):
        return StatedError(basis="host", text="measured on this host, not predicted")
    if model.own is not None:
        return _of_own(model)
    try:
        setup = setup_of(profile, model)
        core_class = find_core(setup.core).core_class
    except UsageError as error:
        return StatedError(basis="nothing", text=f"unknown, as is the latency: {error.found}")
    found = _of_fit(load_fit(), setup, core_class)
    if profile.npu is None:
        return found
    return found.model_copy(update={"text": f"{found.text}; of operators on the core, Vela states none for the NPU"})


def _of_own(model: Calibrated) -> StatedError:
    """From the user's own measurements."""
    error = model.own.error if model.own is not None else None
    if error is None:
        return StatedError(basis="own measurements", text="fitted to own measurements of too few networks to say")
    return StatedError(
        basis="own measurements", rows=error.rows, median_error=error.median_after,
        text=f"fitted to own measurements: median {_percent(error.median_after)}, worst {_percent(error.worst_after)} "
             f"({error.rows} rows, each network left out in turn)")


def _of_fit(fit: PredictorFit, setup: Setup, core_class: CoreClass) -> StatedError:
    """From published rows that were left out."""
    own, people = board(setup.device), PEOPLE[core_class]
    kernels = {each.kernels for each in fit.setups.values() if setup.device and each.device == setup.device}
    if setup.kernels in kernels:
        line = _line(fit, core_class, own, "family")
        if line is not None:
            return _figures("this board", line, "each network family of this board left out in turn", _older(setup))
        return _figures("boards of its class", _line(fit, core_class, "all", "family"),
                        f"{people} that were measured, each network family left out in turn; of this board itself too "
                        "few families were published", _older(setup))
    line = _line(fit, core_class, own, "device") if kernels else None
    if line is not None:
        return _figures("other engines", line, "its rows are of other engines; this board left out whole")
    return _figures("core and clock", _line(fit, core_class, "all", "device"),
                    f"not measured, predicted from core and clock; {people}, each board left out whole")


def _older(setup: Setup) -> str:
    """A warning where the rows ran kernels that today's TFLite does not."""
    if setup.kernels != "ruy":
        return ""
    return f"; the rows are of {setup.runtime}, without {_XNNPACK.upper()}, which is mostly faster in float32"


def _line(fit: PredictorFit, core_class: CoreClass, device: str, scheme: str) -> DeviceError | None:
    """A line of the fit's table of errors."""
    return next((line for line in fit.errors
                 if (line.device_class, line.device, line.scheme) == (core_class, device, scheme)), None)


def _figures(basis: Basis, line: DeviceError | None, about: str, remark: str = "") -> StatedError:
    """A line in words."""
    if line is None:
        return StatedError(basis="nothing", text=f"not known: {about}{remark}")
    return StatedError(basis=basis, rows=line.rows, median_error=line.median_error, p90_error=line.p90_error,
                       text=f"median {_percent(line.median_error)}, nine of ten rows within "
                            f"{_percent(line.p90_error)} ({line.rows:,} rows; {about}{remark})")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
