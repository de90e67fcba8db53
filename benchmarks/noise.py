"""Do latency claims hold on a loaded machine? False alarms of equal models, and how often a 5 % slow-down is found.

    python benchmarks/noise.py                       200 comparisons of each kind; goes on where it was stopped
    python benchmarks/noise.py --comparisons 3       a few, to see that it works
    python benchmarks/noise.py --simulate 10000      the whole rule on the launches recorded so far; needs no quiet
    python benchmarks/noise.py --summary             what the file says so far

While it measures, another process sorts and copies 16 MB without end on a core of its own choice (`--loads`); or the
machine is loaded already, and `--beside` says by what (with `--loads 0`). Two kinds of comparison take turns, each as
`litesmith compare` makes it (noise floor, launches in turns, stop when clear):

  equal    a tflite model against itself. Any claim of slower or faster is a false alarm.
  slower   the same tflite model in a worker that waits, busily and inside the clock, until every inference has taken
           exactly 1.05 times what it took; the reference runs in the same worker without the wait. So the slow-down is
           5 % of every inference, whatever the machine does. Any claim but slower is a miss.

Each comparison is a line of `benchmarks/results/noise.jsonl` with the claim, the interval, and the logarithm of every
launch's ratio. The last line printed is JSON: counts, shares and exact 95 % bounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from stages.benchmarking.settings import Settings, pinned
from stages.comparing.differences import loaded, random_samples
from stages.comparing.launching import Contender, Launch, Place
from stages.comparing.pairing import bench_of
from stages.comparing.trial import Outcome, Rule, run_trial, words
from stages.engines import host, registry
from stages.statistics import clopper_pearson

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "noise.jsonl"
KINDS = ("equal", "slower")
LOAD = """
import os, numpy
parent, values = os.getppid(), numpy.random.default_rng(0).random(2_000_000)
while os.getppid() == parent:
    values.copy().sort()
"""


# -- the worker that is slower by a share -----------------------------------------------------------------------------


def run_slowed_worker(engine: str, share: float) -> int:
    """The project's worker, but every inference takes 1 + share times what it took."""
    from stages.engines import worker

    class Slowed(worker.LiteModel):
        """A model whose `invoke` waits."""

        def rebuild(self) -> None:
            super().rebuild()
            self.invoke = slowed(self.invoke, share)

    worker.LiteModel = Slowed
    return worker.main([engine])


def slowed(invoke: Callable[[], None], share: float,
           clock: Callable[[], int] = time.perf_counter_ns) -> Callable[[], None]:
    """`invoke`, and then a busy wait of `share` of the time that it took."""
    def both() -> None:
        start = clock()
        invoke()
        end = clock()
        end += int(share * (end - start))
        while clock() < end:
            pass

    return both


def slow_command(engine: str, share: float) -> tuple[str, ...]:
    return (sys.executable, str(Path(__file__).resolve()), "--as-worker", engine, str(share))


# -- comparisons ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def loaded_machine(processes: int) -> Iterator[None]:
    """Other processes at work; they end with this one, however it ends."""
    started = [subprocess.Popen([sys.executable, "-c", LOAD]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def default_model(folder: Path) -> Path:
    """MLPerf Tiny's ResNet-8 in float32, untrained: what it computes does not matter for its time."""
    import tensorflow as tf
    import tf_keras as keras

    from stages.models import resnet8

    keras.utils.set_random_seed(1)
    path = folder / "resnet8-float32.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(resnet8.build((32, 32, 3), 10)).convert())
    return path


def contenders(kind: str, model: Path, place: Place, share: float) -> tuple[Contender, Contender]:
    """Reference and candidate."""
    plain = Contender(model.stem, model.read_bytes(), ())
    samples = random_samples([loaded(plain, place)], 32)
    commands = ((), ()) if kind == "equal" else (slow_command(place.engine, 0.0), slow_command(place.engine, share))
    first, second = (Contender(model.stem, plain.content, samples, command) for command in commands)
    return first, second


def line_of(kind: str, number: int, outcome: Outcome, options: argparse.Namespace) -> dict[str, Any]:
    """What is kept of a comparison."""
    def mean(name: str) -> float | None:
        known = [getattr(each, name) for each in (*outcome.floor, *outcome.launches) if getattr(each, name) is not None]
        return round(float(np.mean(known)), 4) if known else None

    def logs(launches: tuple[Launch, ...]) -> list[float]:
        return [round(each.log_ratio, 6) for each in launches]

    decision = outcome.decision
    median = float(np.median(np.concatenate([each.pooled(0) for each in outcome.launches])))
    return {"kind": kind, "number": number, "claim": decision.claim, "ratio": round(decision.ratio, 5),
            "interval": [round(end, 5) for end in decision.interval] if decision.interval else None,
            "sound": outcome.sound, "launches": logs(outcome.launches), "floor": logs(outcome.floor),
            "seconds": round(outcome.seconds, 1), "waited": mean("waited"), "stolen": mean("stolen"),
            "load_average": mean("load"), "median_ms": round(median / 1e6, 5), "share": options.share,
            "margin": options.margin, "loads": options.loads, **({"beside": options.beside} if options.beside else {}),
            "engine": options.engine,
            "at": datetime.now(UTC).isoformat(timespec="seconds")}


def read(path: Path) -> list[dict[str, Any]]:
    """The lines so far; a line that was cut off by a kill is dropped."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def measure(options: argparse.Namespace) -> None:
    """Make the comparisons that are missing."""
    done = {kind: sum(line["kind"] == kind for line in read(options.out)) for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder, loaded_machine(options.loads):
        model = options.model or default_model(Path(folder))
        place = Place(options.engine, Path(folder) / "log.txt", cpus=pinned(Settings()))
        rule = Rule(margin=options.margin, budget_s=options.budget)
        while (kind := min(KINDS, key=lambda each: done[each])) and done[kind] < options.comparisons:
            first, second = contenders(kind, model, place, options.share)
            outcome = run_trial(bench_of(first, second, place, 2 * done[kind] + KINDS.index(kind)), rule)
            with options.out.open("a") as file:
                file.write(json.dumps(line_of(kind, done[kind], outcome, options)) + "\n")
            done[kind] += 1
            print(f"{kind} {done[kind]}/{options.comparisons}: {outcome.decision.claim}, {words(outcome.decision)}, "
                  f"{len(outcome.launches)} launches, {outcome.seconds:.0f} s", flush=True)


# -- what came of it --------------------------------------------------------------------------------------------------


def summary(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts, and shares with exact bounds (Clopper and Pearson), by kind."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        ones = [line for line in lines if line["kind"] == kind]
        if not ones:
            continue
        claims = {claim: sum(line["claim"] == claim for line in ones) for claim in ("slower", "faster", "same",
                                                                                     "undecided")}
        hits = claims["slower"] + (claims["faster"] if kind == "equal" else 0)
        low, high = clopper_pearson(hits, len(ones), 0.95)
        found[kind] = {
            "comparisons": len(ones), **claims, "false_alarms" if kind == "equal" else "found": hits,
            "share": round(hits / len(ones), 4), "share_95": [round(low, 4), round(high, 4)],
            "ratio_geometric_mean": round(math.exp(float(np.mean([np.log(line["ratio"]) for line in ones]))), 5),
            "seconds_median": float(np.median([line["seconds"] for line in ones])),
            "launches_median": float(np.median([len(line["launches"]) for line in ones])),
            "waited_mean": round(float(np.mean([line["waited"] or 0 for line in ones])), 3)}
    return found


def recorded_noise(lines: list[dict[str, Any]]) -> list[float]:
    """Logarithms of launches of equal models, in the order in which they were made."""
    return [log for line in lines for log in (line["floor"] + line["launches"] if line["kind"] == "equal"
                                              else line["floor"])]


def simulate(noise: list[float], trials: int, share: float, rule: Rule, launch_s: float) -> dict[str, Any]:
    """The whole rule on noise drawn from recorded launches, in blocks of three neighbours, each with a sign of its own.

    Which of two equal processes comes first is a coin's throw, so a block with its signs turned is as likely.
    """
    generator = np.random.default_rng(0)
    turn = np.full(1, 1e6)
    found = {}
    for kind, effect in (("equal", 0.0), ("slower", math.log1p(share))):
        claims = dict.fromkeys(("slower", "faster", "same", "undecided"), 0)
        for _ in range(trials):
            left: list[float] = []
            spent = [0.0]

            def bench(against: str, left: list[float] = left, spent: list[float] = spent,
                      effect: float = effect) -> Launch:
                if not left:
                    start, sign = generator.integers(len(noise)), generator.choice([-1.0, 1.0])
                    left.extend(sign * noise[(start + step) % len(noise)] for step in range(3))
                spent[0] += launch_s
                log = left.pop() + (effect if against == "candidate" else 0.0)
                return Launch(turns=((turn,), (turn * math.exp(log),)))

            outcome = run_trial(bench, rule, now=lambda spent=spent: spent[0])
            claims[outcome.decision.claim] += 1
        hits = claims["slower"] + (claims["faster"] if kind == "equal" else 0)
        found[kind] = {**claims, "share": hits / trials,
                       "share_95": [round(end, 5) for end in clopper_pearson(hits, trials, 0.95)]}
    return {"recorded_launches": len(noise), "recorded_spread": round(float(np.std(noise, ddof=1)), 5), **found}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=200, help="of each kind, those in the file included")
    parser.add_argument("--share", type=float, default=0.05, help="the slow-down")
    parser.add_argument("--margin", type=float, default=0.02, help="the difference that does not matter")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds a comparison")
    parser.add_argument("--loads", type=int, default=1, help="other processes at work")
    parser.add_argument("--beside", help="what else runs while this measures; kept with each comparison")
    parser.add_argument("--engine", default="litert", choices=["litert", "tflite-runtime"])
    parser.add_argument("--model", type=Path, help="a tflite model; default: MLPerf Tiny's ResNet-8 in float32")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file that is added to")
    parser.add_argument("--simulate", type=int, metavar="TRIALS", help="the rule on recorded launches")
    parser.add_argument("--summary", action="store_true", help="measure nothing")
    return parser.parse_args()


def main() -> int:
    if sys.argv[1:2] == ["--as-worker"]:
        return run_slowed_worker(sys.argv[2], float(sys.argv[3]))
    options = parsed()
    if options.simulate:
        lines = read(options.out)
        rule = Rule(margin=options.margin, budget_s=options.budget)
        launch_s = float(np.median([line["seconds"] / (len(line["floor"]) + len(line["launches"])) for line in lines]))
        print(json.dumps(simulate(recorded_noise(lines), options.simulate, options.share, rule, launch_s)))
        return 0
    if not options.summary:
        measure(options)
    machine = host.host()
    print(json.dumps({**summary(read(options.out)), "cpu": machine.cpu, "cores": machine.cores,
                      "system": machine.system, "engine_version": registry.engine_info(options.engine).version,
                      "loads": options.loads, "cores_seen": os.cpu_count()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
