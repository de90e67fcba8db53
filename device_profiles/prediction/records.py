"""What a prediction is."""

from __future__ import annotations

from device_profiles.prediction.own_records import OwnError
from device_profiles.records import Figure, Record
from device_profiles.schema import KernelClass


class OperatorPrediction(Record):
    """One operator's share.

    Attributes:
        bound: what decides it: "compute", "memory" or "overhead".
    """

    index: int
    operator: str
    kernel: KernelClass
    latency_ms: float
    bound: str


class HeldOutError(Record):
    """How far predictions were off on published rows that the fit had not seen.

    Attributes:
        about: what was left out, of which devices: "a network family at a time, 571 rows of microcontrollers".
        rows: how many.
        median_error, p90_error: of |predicted / published - 1|.
        coverage_80, coverage_95: share of the rows inside the interval of that level.
        naive_median_error, naive_p90_error: of the rule "milliseconds per MAC" on the same rows.
    """

    about: str
    rows: int
    median_error: float
    p90_error: float
    coverage_80: float
    coverage_95: float
    naive_median_error: float
    naive_p90_error: float


class Prediction(Record):
    """What was predicted, or why nothing was.

    Attributes:
        figure: median latency of one inference in ms, with its interval; None where none can be had.
        reason: why there is no figure; empty where there is one.
        operators: the share of each operator; empty where there is no figure.
        widened: the interval is wider than for what was validated, because the model lies outside of that.
        wide_interval: the 95 % interval in ms of a calibrated profile; its figure has the 80 % one.
        held_out: the proven error of a calibrated profile's fit.
        own_error: the same on the user's own measurements, where a profile has them.
    """

    figure: Figure | None
    reason: str = ""
    operators: tuple[OperatorPrediction, ...] = ()
    widened: bool = False
    wide_interval: tuple[float, float] | None = None
    held_out: HeldOutError | None = None
    own_error: OwnError | None = None
