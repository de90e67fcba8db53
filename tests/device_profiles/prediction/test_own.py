"""The prediction from what a profile keeps: sums by hand, intervals, and `unknown` where it no longer holds."""

from __future__ import annotations

import math

import pytest

from device_profiles.prediction import calibrated
from device_profiles.prediction.calibrated import setup_of
from device_profiles.prediction.intervals import Scales
from device_profiles.prediction.own import amounts_by_format, basis_digest
from device_profiles.prediction.own_records import OwnCalibration, OwnError, OwnMeasurement
from device_profiles.prediction.terms import TERMS, inference_amounts, operator_amounts
from device_profiles.predictor import predict_latency
from device_profiles.schema import Calibrated, Profile
from device_profiles.strictyaml import loads
from device_profiles.workload import read_workload
from tests.device_profiles.handmade import Handmade, conv_model
from tests.device_profiles.prediction.handmade_fit import BOARD, LN2, SIZE, handmade_fit
from tests.device_profiles.test_schema import GOOD

HEAD = GOOD[:GOOD.index("latency:")]
ROW = OwnMeasurement(model="a.tflite", format="float32", threads=1, macs=216, latency_ms=2.0, published_ms=1.0)
ERROR = OwnError(networks=3, rows=3, median_before=0.2, worst_before=0.4, median_after=0.05, worst_after=0.1,
                 rows_inside_80=3)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit in which everything costs twice the datasheet's price on the board."""
    monkeypatch.setattr(calibrated, "load_fit", handmade_fit)


def profile(corrections: float = 2 * LN2, covariance: int = 0, macs: tuple[int, int] = (100, 1_000_000),
            basis: str = "") -> Profile:
    """A board whose own measurements say four times the datasheet's price."""
    bare = loads(f"{HEAD}latency:\n  kind: calibrated\n  device: board\n", Profile, "board.yaml")
    setup = setup_of(bare, Calibrated(kind="calibrated", device="board"))
    own = OwnCalibration(
        source="a test of prices", basis=basis or basis_digest(setup, ["float32", "int8"]), measurements=(ROW,),
        terms=TERMS,
        corrections=dict.fromkeys(("float32", "int8"), (corrections,) * len(TERMS)),
        covariances=dict.fromkeys(("float32", "int8"), (covariance,) * SIZE),
        macs=dict.fromkeys(("float32", "int8"), macs), scales=Scales(misfit=0.1, level_80=1.0, level_95=2.0),
        error=ERROR)
    return bare.model_copy(update={"latency": Calibrated(kind="calibrated", device="board", own=own)})


def published() -> Profile:
    return loads(f"{HEAD}latency:\n  kind: calibrated\n  device: board\n", Profile, "board.yaml")


def test_the_latency_is_the_datasheet_s_times_the_own_corrections() -> None:
    workload = read_workload(conv_model())
    own, before = (predict_latency(workload, each) for each in (profile(), published()))
    assert own.figure is not None
    assert before.figure is not None
    assert own.figure.value == pytest.approx(2 * before.figure.value)  # four times against twice the datasheet
    assert [op.latency_ms for op in own.operators] == pytest.approx([2 * op.latency_ms for op in before.operators])
    assert own.own_error == ERROR
    assert own.held_out is None
    assert own.figure.method.startswith("calibrated on 1 own measurement and the published ones; ")


def test_the_interval_rests_on_misfit_and_doubt() -> None:
    workload = read_workload(conv_model())
    sure, unsure = predict_latency(workload, profile()), predict_latency(workload, profile(covariance=100))
    assert sure.figure is not None
    assert sure.figure.interval is not None
    assert sure.wide_interval is not None
    assert sure.figure.interval[1] / sure.figure.value == pytest.approx(math.exp(0.1))
    assert sure.wide_interval[1] / sure.figure.value == pytest.approx(math.exp(0.2))
    # every pair of terms has a covariance of 100 * 0.0001, and the shares sum to 1: a variance of 0.01
    assert unsure.figure is not None
    assert unsure.figure.interval is not None
    assert unsure.figure.interval[1] / unsure.figure.value == pytest.approx(math.exp(math.sqrt(0.01 + 0.01)))


def test_a_model_larger_than_any_measured_one_gets_a_wider_interval() -> None:
    found = predict_latency(read_workload(conv_model()), profile(macs=(1, 100)))
    assert found.widened
    assert found.figure is not None
    assert found.figure.interval is not None
    distance = math.log(216 / 100)
    assert found.figure.interval[1] / found.figure.value == pytest.approx(
        math.exp(math.hypot(0.1, 0.15 * distance)))
    assert "widened" in found.figure.method


def test_too_much_doubt_is_unknown() -> None:
    found = predict_latency(read_workload(conv_model()), profile(covariance=30_000))
    assert found.figure is None
    assert "factor of" in found.reason


def test_corrections_of_another_clock_or_another_predictor_are_not_used() -> None:
    good = profile()
    slower = loads(HEAD.replace("120e6", "60e6") + "latency: {kind: calibrated}\n", Profile, "board.yaml")
    assert "120e6" in HEAD
    for each in (profile(basis="0123456789abcdef"), slower.model_copy(update={"latency": Calibrated(
            kind="calibrated", own=good.latency.own if isinstance(good.latency, Calibrated) else None)})):
        found = predict_latency(read_workload(conv_model()), each)
        assert found.figure is None
        assert "run 'litesmith profiles calibrate' again" in found.reason


def test_the_basis_tells_cores_clocks_and_formats_apart() -> None:
    faster = BOARD.model_copy(update={"clock_hz": 240e6})
    found = {basis_digest(BOARD, ["int8"]), basis_digest(faster, ["int8"]), basis_digest(BOARD, ["float32"])}
    assert len(found) == 3
    assert basis_digest(BOARD, ["int8", "float32"]) == basis_digest(BOARD, ["float32", "int8"])


def test_an_operator_without_a_price_is_unknown_by_name() -> None:
    made = Handmade()
    a, b = made.activation((1, 4)), made.activation((1, 4))
    made.operator("CUSTOM", [a], [b], custom="Mine")
    found = predict_latency(read_workload(made.bytes([a], [b])), profile())
    assert found.figure is None
    assert found.reason == "operator 0 (CUSTOM 'Mine'): its cost is not known"


def test_amounts_are_added_up_by_the_format_whose_prices_they_have() -> None:
    workload = read_workload(conv_model())
    found = amounts_by_format(workload, ("float32", "int8"))
    assert isinstance(found, dict)
    total: dict[str, float] = dict(inference_amounts())
    for op in workload.operators:
        for term, amount in operator_amounts(op).items():
            total[term] = total.get(term, 0.0) + amount
    assert found == {"float32": total}
    assert amounts_by_format(workload, ("int8",)) == "nothing was published for float32 on devices of this kind"
