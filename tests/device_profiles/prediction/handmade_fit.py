"""A fit with round numbers: a board that is twice as slow as its datasheet says, and a phone's core that is not."""

from __future__ import annotations

from device_profiles.prediction.cores import CoreClass, FitFormat
from device_profiles.prediction.effects import LEVELS, Setup, effects_of
from device_profiles.prediction.fit_file import (
    COVARIANCE_UNIT,
    BoardPower,
    DeviceError,
    FormatFit,
    PredictorFit,
    chain_key,
)
from device_profiles.prediction.intervals import Scales
from device_profiles.prediction.terms import TERMS

LN2 = 0.6931471805599453
BOARD = Setup(device="board", core="cortex-m4", clock_hz=120e6, threads=1, runtime="tflm-cmsis-nn", kernels="tflm")
SIZE = len(TERMS) * (len(TERMS) + 1) // 2
SPREADS = dict.fromkeys(LEVELS, (0.1, 0.1))


def error(device: str, scheme: str, rows: int) -> DeviceError:
    """A line of the table."""
    return DeviceError(device=device, device_class="mcu", scheme=scheme, about=f"{rows} rows", rows=rows,
                       median_error=0.1, p90_error=0.25, coverage_80=0.8, coverage_95=0.95, naive_median_error=0.5,
                       naive_p90_error=0.9)


def format_fit(number_format: FitFormat, covariance: float = 0.0) -> FormatFit:
    """Everything costs twice the prior on the board; `covariance` is that of every pair of terms there."""
    chain = effects_of(BOARD, number_format)
    return FormatFit(
        effects={chain_key(chain[:1]): (0.0,) * len(TERMS), chain_key(chain[-1:]): (LN2,) * len(TERMS)},
        covariances={chain_key(chain): (round(covariance / COVARIANCE_UNIT),) * SIZE,
                     chain_key(chain[:1]): (100,) * SIZE},
        spreads=SPREADS, loose=(1.0,) * len(TERMS), macs=(100, 1_000_000), rows=50,
        scales={"measured": Scales(misfit=0.1, level_80=1.0, level_95=2.0),
                "unmeasured": Scales(misfit=0.2, level_80=1.5, level_95=3.0)})


def handmade_fit(covariance: float = 0.0) -> PredictorFit:
    """One board, float32 and int8."""
    core_class: CoreClass = "mcu"
    return PredictorFit(
        terms=TERMS, setups={BOARD.key: BOARD},
        fits={core_class: {"float32": format_fit("float32", covariance), "int8": format_fit("int8", covariance)}},
        errors=(error("all", "family", 400), error("all", "device", 300), error("board", "family", 40)),
        powers={"board": BoardPower(power_w=0.05, rows=4, spread=1.1, energy_of="rail")})
