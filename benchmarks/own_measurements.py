"""What a user's own measurements bring: how far off predictions are for a board with 0, 1, 2, 3, 5 or 10 of them.

    python benchmarks/own_measurements.py [--boards 12] [--seed 1]

A board is taken out of the published measurements whole and the fit is made without it: it is then a device that nobody
measured. A few of its networks are given back as "own measurements", one number format and setup at a time, and the
networks that were not given are predicted (`device_profiles.prediction.own_fit`).

Errors are |predicted / published - 1|; `inside_80` and `inside_95` are shares inside the intervals, a score is
|log error| / deviation, by whose quantiles the scales of the intervals (`own_fit.SCALES`) were chosen.

Prints one table a class and one JSON line a row of it.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from fit_predictor import CLASSES, LEAST_ROWS, OPTIONS, TOGETHER

from device_profiles.prediction.cores import CoreClass, find_core, priors
from device_profiles.prediction.dataset import Sample, as_rows, expected_logs, samples
from device_profiles.prediction.effects import effects_of
from device_profiles.prediction.fit_file import load_fit
from device_profiles.prediction.fitting import Fitted, fit
from device_profiles.prediction.own_fit import NOISE, SCALES, OwnFit, OwnRow, Prior, published_spreads
from device_profiles.prediction.terms import TERMS

COUNTS = (0, 1, 2, 3, 5, 10)
MOST_NETWORKS, DRAWS = 40, 3
QUICK = {each: replace(options, rounds=5, tolerance=1e-4) for each, options in OPTIONS.items()}


@dataclass(frozen=True)
class Predicted:
    """One network predicted from `count` others: log(predicted / published), and its variance by the model."""

    board: str
    count: int
    log_error: float
    variance: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boards", type=int, default=12, help="of each class, drawn by the seed")
    parser.add_argument("--class", dest="classes", choices=CLASSES, action="append", help="only this class")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dump", type=Path, help="write every prediction as JSON lines")
    arguments = parser.parse_args()
    every, drawn = samples(), random.Random(arguments.seed)
    found: list[Predicted] = []
    for core_class in arguments.classes or CLASSES:
        started = time.monotonic()
        own = list(predictions(core_class, [s for s in every if s.core_class == core_class], arguments.boards, drawn))
        show(core_class, own)
        print(f"{core_class}: {time.monotonic() - started:.0f} s", flush=True)
        found += own
    if arguments.dump:
        arguments.dump.write_text("".join(json.dumps(vars(each)) + "\n" for each in found), encoding="utf-8")


def predictions(core_class: CoreClass, own: Sequence[Sample], boards: int, drawn: random.Random) -> Iterator[Predicted]:
    """Every network that was not given back, on some boards."""
    names = sorted({s.board for s in own})
    names = [name for name in names if sum(s.board == name for s in own) >= LEAST_ROWS]
    chosen = sorted(drawn.sample(names, min(boards, len(names))))
    quick = QUICK[core_class]
    for formats in TOGETHER[core_class]:
        rows = [s for s in own if s.number_format in formats]
        full = fit(as_rows(rows), quick)
        for name in chosen:
            kept, held = [s for s in rows if s.board != name], [s for s in rows if s.board == name]
            if held:
                yield from board_predictions(fit(as_rows(kept), quick, full), held, drawn)


def board_predictions(fitted: Fitted, held: Sequence[Sample], drawn: random.Random) -> Iterator[Predicted]:
    """One board: each of its setups and formats on its own, with networks drawn a few times."""
    groups: dict[tuple[str, str], list[Sample]] = {}
    for s in held:
        groups.setdefault((s.setup.key, s.number_format), []).append(s)
    for group in groups.values():
        setup, number_format = group[0].setup, group[0].number_format
        anonymous = setup.model_copy(update={"device": ""})
        effects, stored = effects_of(anonymous, number_format), load_fit().fits[group[0].core_class][number_format]
        prices = priors(find_core(setup.core), number_format, setup.clock_hz, setup.threads, setup.small_threads)
        prior = Prior(np.array([prices[term] for term in TERMS]) * np.exp(expected_logs(effects)),
                      fitted.log_prices(effects), fitted.setup_covariance(effects))
        known, spreads = {(number_format, setup.threads): prior}, published_spreads(anonymous, stored)
        if len(group) > MOST_NETWORKS:
            group = drawn.sample(group, MOST_NETWORKS)
        for count in COUNTS:
            if count < len(group):
                for _ in range(DRAWS if count else 1):
                    order = drawn.sample(group, len(group))
                    own = OwnFit([as_own(s) for s in order[:count]], known, spreads)
                    for s in order[count:]:
                        log_s, variance = own.predict(as_own(s))
                        yield Predicted(s.board, count, log_s - float(np.log(s.row.latency_ms / 1e3)), variance)


def as_own(s: Sample) -> OwnRow:
    """A published row as a user's."""
    return OwnRow({s.number_format: s.amounts}, s.setup.threads, s.row.latency_ms / 1e3, network=s.row.network)


def show(core_class: CoreClass, own: Sequence[Predicted]) -> None:
    """A table by the number of own measurements."""
    for count in COUNTS:
        rows = [x for x in own if x.count == count]
        if not rows:
            continue
        errors = np.abs(np.expm1([x.log_error for x in rows]))
        factors = [SCALES[core_class].factors(x.variance, 0.0) for x in rows]
        inside = [np.mean([abs(x.log_error) <= np.log(each[k]) for x, each in zip(rows, factors, strict=True)])
                  for k in (0, 1)]
        scores = [abs(x.log_error) / np.hypot(NOISE, np.sqrt(x.variance)) for x in rows]
        line = {"class": core_class, "own_measurements": count, "boards": len({x.board for x in rows}),
                "predictions": len(rows), "median_error": round(float(np.median(errors)), 4),
                "p90_error": round(float(np.quantile(errors, 0.9)), 4),
                "inside_80": round(float(inside[0]), 3), "inside_95": round(float(inside[1]), 3),
                "score_80": round(float(np.quantile(scores, 0.8)), 2),
                "score_95": round(float(np.quantile(scores, 0.95)), 2)}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
