"""Energy of one inference: the power that a board draws while it infers, times the latency.

Over 27 MLPerf Tiny submissions a board's power changes by 8 % (median) between networks, so one power serves all. Rail
energy is that of the chip, wall energy that of the whole board with its supply; the two are never mixed.
"""

from __future__ import annotations

from device_profiles.prediction.effects import board
from device_profiles.prediction.fit_file import BoardPower, load_fit
from device_profiles.records import Figure

_UJ_PER_MS_AND_W = 1e3


def published_power(device: str) -> BoardPower | None:
    """Power of a board while an inference runs, by published energies; None where none was published.

    Args:
        device: key of the device in the published measurements.
    """
    return load_fit().powers.get(board(device))


def energy_by_power(power_w: float, source: str, latency: Figure, spread: float = 1.0) -> Figure:
    """Energy in uJ of a latency in ms.

    Args:
        power_w: while an inference runs.
        source: of the power, for people; empty where the profile states it.
        latency: measured or predicted.
        spread: factor by which the power itself varies between networks; widens the interval.
    """
    uj_per_ms = power_w * _UJ_PER_MS_AND_W
    interval = latency.interval
    if interval is not None:
        interval = (interval[0] * uj_per_ms / spread, interval[1] * uj_per_ms * spread)
    power = f"{power_w:g} W ({source})" if source else f"{power_w:g} W"
    return Figure(value=latency.value * uj_per_ms, unit="uJ", provenance="predicted", interval=interval,
                  level=latency.level, method=f"{power} times the {latency.provenance} latency")
