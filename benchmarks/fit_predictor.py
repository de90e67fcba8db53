"""Fit the calibrated predictor to the published measurements, prove its error, and write both as package data.

    python benchmarks/fit_predictor.py [--output device_profiles/data/predictor.json] [--plot docs] [--class mcu]

Rows come from `device_profiles/data/published_latency.csv`, workloads from `device_profiles.networks`; nothing is drawn
at random, so the same rows give the same file. For every class of devices and number format it

1. fits the prices of the terms (`device_profiles.prediction.fitting`),
2. predicts every row again with its network family left out on that board, with the family left out on all boards, and
   with the board left out (`held_out`),
3. takes the scales of the intervals from those errors (`intervals`), and their coverage with each family's (or
   board's) own errors left out of the scales as well,
4. prints a line a board and a class, next to the rule "milliseconds per MAC", and one JSON line a class.

The floor comes first: a network measured again on the same board differs by 1 to 4 % (median) on application
processors.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from device_profiles.prediction.cores import CoreClass, FitFormat
from device_profiles.prediction.dataset import Sample, as_rows, expected_logs, samples
from device_profiles.prediction.effects import CALLS, board, effects_of
from device_profiles.prediction.fit_file import (
    COVARIANCE_UNIT,
    BoardPower,
    DeviceError,
    FormatFit,
    PredictorFit,
    chain_key,
)
from device_profiles.prediction.fitting import Fitted, Options, fit
from device_profiles.prediction.held_out import SCHEMES, LeftOut, Scheme, left_out
from device_profiles.prediction.intervals import Known, Scales, conformal_scales
from device_profiles.prediction.terms import TERMS, Term

CLASSES: tuple[CoreClass, ...] = ("cpu", "mcu")
TOGETHER: dict[CoreClass, tuple[tuple[FitFormat, ...], ...]] = {
    "cpu": (("float32",), ("int8",)), "mcu": (("float32", "int8", "int16x8"),)}
"""Formats that are fitted together, so that they share what calls cost. On application processors a fit to both formats
takes eight times as long and is no better."""
LOOSE: dict[CoreClass, dict[Term, float]] = {
    "cpu": {"window": 1.5, "conv_output": 1.5, "fully_connected_output": 1.5, "depthwise_output": 1.5},
    "mcu": {"inference": 0.7, "operator": 0.7, "window": 0.8, "conv_loop": 0.8, "conv_output": 0.7, "depthwise": 0.8,
            "depthwise_output": 0.7, "fully_connected": 0.6, "fully_connected_output": 0.8, "transcendental": 0.5,
            "pooling": 1.5}}
SPREADS: dict[CoreClass, dict[str, tuple[float, float]]] = {
    "cpu": {"all": (1.5, 1.0), "kernels": (0.4, 0.3), "engine": (0.2, 0.3), "runtime": (0.15, 0.15),
            "core": (0.4, 0.3), "runtime_core": (0.15, 0.15), "board": (0.2, 0.1), "device": (0.2, 0.15),
            "setup": (0.15, 0.07)},
    "mcu": {"all": (0.7, 1.0), "kernels": (0.3, 0.7), "engine": (0.02, 0.6), "runtime": (0.1, 0.15),
            "core": (0.25, 0.15), "runtime_core": (0.1, 0.1), "board": (0.08, 0.05), "device": (0.05, 0.04),
            "setup": (0.04, 0.03)}}
OF_KERNELS = ("all", "kernels", "runtime", "core", "runtime_core")
"""Levels whose common correction is of the kernels, on microcontrollers: slow kernels do not make the calls slow."""
LITTLE = 0.06  # of an engine's own spread that its kernels have: their prices belong to `kernels`
HALF = 0.5  # of the own spread of kernels that calls have: they are the engine's


def class_options(core_class: CoreClass) -> Options:
    """How a class is fitted."""
    loose = tuple(LOOSE[core_class].get(term, 1.0) for term in TERMS)
    if core_class == "cpu":
        return Options(SPREADS["cpu"], loose)
    of_kernels = tuple(0.0 if term in CALLS else 1.0 for term in TERMS)
    of_engine = tuple(1.0 if term in CALLS else LITTLE for term in TERMS)
    bound = {**dict.fromkeys(OF_KERNELS, tuple(HALF if term in CALLS else 1.0 for term in TERMS)), "engine": of_engine}
    return Options(SPREADS["mcu"], loose, dict.fromkeys(OF_KERNELS, of_kernels), bound, sigma=0.04)


OPTIONS: dict[CoreClass, Options] = {each: class_options(each) for each in CLASSES}
MISFITS = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2)
KNOWN: dict[Known, Scheme] = {"measured": "family", "unmeasured": "device"}
LEAST_ROWS = 8  # of a board in the table
MANY_ROWS, FEW_MACS, BOUND = 20, 2_000, 0.25  # of the table of causes
_PRICES = 4  # decimals
_KEPT = ("all", "kernels", "engine", "runtime_core", "device", "setup")  # chains to here have their covariance kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("device_profiles/data/predictor.json"))
    parser.add_argument("--plot", type=Path, help="also draw the errors, one picture a class, into this folder")
    parser.add_argument("--class", dest="classes", choices=CLASSES, action="append",
                        help="fit this class alone and keep what the file has of the others")
    parser.add_argument("--board", help="only print each network of this board, predicted without it; write nothing")
    arguments = parser.parse_args()
    started, every = time.monotonic(), samples()
    if arguments.board:
        print_networks(every, arguments.board)
        return
    print("floor: the same network measured again on the same board, median 1.1 to 4.3 % (application processors)")
    fits: dict[CoreClass, dict[FitFormat, FormatFit]] = {}
    errors: list[DeviceError] = []
    kept = PredictorFit.model_validate(json.loads(arguments.output.read_text())) if arguments.classes else None
    for core_class in CLASSES:
        if kept and core_class not in arguments.classes:
            fits[core_class] = kept.fits[core_class]
            errors += [each for each in kept.errors if each.device_class == core_class]
            continue
        found, own = fit_class(core_class, [s for s in every if s.core_class == core_class])
        fits[core_class] = found
        if arguments.plot:
            plot(arguments.plot / f"prediction_{core_class}.png", core_class, own)
        lines = table(core_class, own) + energy_lines(core_class, own, found)
        errors += lines
        print_table(core_class, lines)
        print_causes(core_class, [x for x in own if x.scheme == "family"])
    setups = {sample.setup.key: sample.setup for sample in every}
    made = PredictorFit(terms=TERMS, setups=setups, fits=fits, errors=tuple(errors), powers=powers(every))
    write(arguments.output, made)
    print(f"{len(every)} rows, {time.monotonic() - started:.0f} s, wrote {arguments.output}")


def fit_class(core_class: CoreClass, own: Sequence[Sample]) -> tuple[dict[FitFormat, FormatFit], list[LeftOut]]:
    """The fits of a class by format, and every row predicted without itself."""
    fitted: dict[FitFormat, tuple[Fitted, list[Sample]]] = {}
    left: list[LeftOut] = []
    for formats in TOGETHER[core_class]:
        chosen = [s for s in own if s.number_format in formats]
        full = fit(as_rows(chosen), OPTIONS[core_class])
        fitted.update({each: (full, [s for s in chosen if s.number_format == each]) for each in formats})
        for scheme in SCHEMES:
            started = time.monotonic()
            left += left_out(chosen, OPTIONS[core_class], scheme, full)
            print(f"{core_class} {'+'.join(formats)} {scheme}: {time.monotonic() - started:.0f} s", flush=True)
    scales: dict[Known, Scales] = {known: scales_of([x for x in left if x.scheme == scheme])
                                   for known, scheme in KNOWN.items()}
    return {key: format_fit(full, chosen, scales, OPTIONS[core_class]) for key, (full, chosen) in fitted.items()}, left


def scales_of(left: Sequence[LeftOut]) -> Scales:
    """The scales of the intervals from rows that were left out."""
    return conformal_scales([x.log_error for x in left], [x.variance for x in left], MISFITS)


def format_fit(full: Fitted, chosen: Sequence[Sample], scales: dict[Known, Scales], options: Options) -> FormatFit:
    """What is kept of a fit: prices of every effect with what was expected of it, covariances of parts of a chain."""
    chains = {effects[:length] for s in chosen for effects in [effects_of(s.setup, s.number_format)]
              for length in range(1, len(effects) + 1)}
    used = {effect for chain in chains for effect in chain}
    kept = sorted(chain for chain in chains if chain[-1][0] in _KEPT)
    upper = np.triu_indices(len(TERMS))
    return FormatFit(
        effects={chain_key([effect]): tuple((full.beta[number] + expected_logs([effect])).round(_PRICES).tolist())
                 for effect, number in sorted(full.index.items()) if effect in used},
        covariances={chain_key(chain): tuple(
            (full.setup_covariance(chain)[upper] / COVARIANCE_UNIT).round().astype(int).tolist()) for chain in kept},
        spreads=dict(options.spreads), loose=options.loose, rows=len(chosen), scales=scales,
        macs=(min(s.macs for s in chosen), max(s.macs for s in chosen)))


def table(core_class: CoreClass, left: Sequence[LeftOut]) -> list[DeviceError]:
    """A line for the class and one for each board with enough rows, for each scheme."""
    lines = []
    for scheme in SCHEMES:
        own = [x for x in left if x.scheme == scheme]
        covered = coverage(own)
        boards = sorted({x.sample.board for x in own})
        for name in ["all", *boards]:
            chosen = [i for i, x in enumerate(own) if name in ("all", x.sample.board)]
            if len(chosen) >= LEAST_ROWS:
                lines.append(line(core_class, scheme, name, [own[i] for i in chosen], [covered[i] for i in chosen]))
    return lines


def coverage(own: Sequence[LeftOut]) -> list[tuple[bool, bool]]:
    """Whether each row is inside its 80 % and 95 % interval, with scales that its own group had no part in."""
    def group(left: LeftOut) -> str:
        return left.sample.board if left.scheme == "device" else left.sample.row.family

    found: dict[str, Scales] = {}
    for name in {group(x) for x in own}:
        rest = [x for x in own if group(x) != name]
        found[name] = scales_of(rest or own)
    inside = []
    for x in own:
        narrow, wide = found[group(x)].factors(x.variance, 0.0)
        error = abs(x.log_error)
        inside.append((error <= np.log(narrow), error <= np.log(wide)))
    return inside


def line(core_class: CoreClass, scheme: str, device: str, own: Sequence[LeftOut],
         inside: Sequence[tuple[bool, bool]]) -> DeviceError:
    """One line of the table."""
    errors = np.abs(np.expm1([x.log_error for x in own]))
    naive = np.abs(np.expm1([x.naive_log_error for x in own if np.isfinite(x.naive_log_error)]))
    what = {"family": "a network family left out at a time", "device": "the device left out",
            "family_all": "a network family left out on all devices",
            "energy": "energy, a network family left out at a time"}[scheme]
    about = f"{len(own)} published rows of {device if device != 'all' else f'{core_class}s'}, {what}"
    narrow, wide = np.mean(np.array(inside, float), axis=0)
    return DeviceError(
        device=device, device_class=core_class, scheme=scheme, about=about, rows=len(own),
        median_error=round(float(np.median(errors)), 4), p90_error=round(float(np.quantile(errors, 0.9)), 4),
        coverage_80=round(float(narrow), 4), coverage_95=round(float(wide), 4),
        naive_median_error=round(float(np.median(naive)), 4),
        naive_p90_error=round(float(np.quantile(naive, 0.9)), 4))


def print_table(core_class: CoreClass, lines: Iterable[DeviceError]) -> None:
    """For people; then one JSON line a scheme."""
    for each in lines:
        print(f"{core_class} {each.scheme:11}{each.device:24}{each.rows:5} rows  median {each.median_error:6.1%}  p90 "
              f"{each.p90_error:6.1%}  inside 80 % {each.coverage_80:4.0%}  95 % {each.coverage_95:4.0%}  naive "
              f"{each.naive_median_error:6.1%} / {each.naive_p90_error:6.1%}")
    for each in lines:
        if each.device == "all":
            print(json.dumps(each.model_dump()))


def print_causes(core_class: CoreClass, left: Sequence[LeftOut]) -> None:
    """Where errors of families left out on a board come from: rows by what was left to learn from."""
    counts = Counter(x.sample.board for x in left)
    groups: dict[str, list[float]] = {}
    for x in left:
        if x.sample.row.family == "mlp":
            small = x.sample.macs < FEW_MACS
            kind = f"fully connected, {'below' if small else 'from'} {FEW_MACS:,} MACs"
        else:
            many = counts[x.sample.board] >= MANY_ROWS
            kind = f"others, board with {'at least' if many else 'fewer than'} {MANY_ROWS} rows"
        groups.setdefault(kind, []).append(abs(float(np.expm1(x.log_error))))
    beyond = max(1, sum(error > BOUND for errors in groups.values() for error in errors))
    for kind, errors in sorted(groups.items()):
        over = sum(error > BOUND for error in errors)
        print(f"{core_class} cause: {kind:45}{len(errors):5} rows  median {np.median(errors):6.1%}  p90 "
              f"{np.quantile(errors, 0.9):6.1%}  {over / len(errors):4.0%} of them and "
              f"{over / beyond:4.0%} of all rows beyond {BOUND:.0%} are here")


def energy_lines(core_class: CoreClass, left: Sequence[LeftOut], fits: dict[FitFormat, FormatFit]) -> list[DeviceError]:
    """Energy: the power that the board's other families drew, times the latency predicted without the family."""
    found, inside = [], []
    known = [x for x in left if x.scheme == "family" and x.sample.row.energy_uj]
    for x in known:
        row, rest = x.sample.row, [y.sample for y in known if _other_family(y.sample, x.sample)]
        if not rest:
            continue
        power, energy_uj = powers(rest)[x.sample.board], row.energy_uj or 0.0
        error = x.log_error + float(np.log(power.power_w / (energy_uj / 1e3 / row.latency_ms)))
        per_mac = median((y.row.energy_uj or 0.0) / y.macs for y in rest)
        naive = float(np.log(per_mac * x.sample.macs / energy_uj))
        factors = fits[x.sample.number_format].scales["measured"].factors(x.variance, 0.0)
        inside.append((bool(abs(error) <= np.log(factors[0] * power.spread)),
                       bool(abs(error) <= np.log(factors[1] * power.spread))))
        found.append(replace(x, log_error=error, naive_log_error=naive))
    return [line(core_class, "energy", "all", found, inside)] if len(found) >= LEAST_ROWS else []


def _other_family(other: Sample, sample: Sample) -> bool:
    """Whether a sample says something about another's power: the same board and supply, another family."""
    return (other.board, other.row.energy_of) == (sample.board, sample.row.energy_of) and (
        other.row.family != sample.row.family)


def print_networks(every: Sequence[Sample], name: str) -> None:
    """Each network of a board predicted without its rows on that board, and the factors by runtime."""
    core_class = next(s.core_class for s in every if s.board == name)
    found: list[LeftOut] = []
    for formats in TOGETHER[core_class]:
        chosen = [s for s in every if s.core_class == core_class and s.number_format in formats]
        options = OPTIONS[core_class]
        found += left_out(chosen, options, "network", fit(as_rows(chosen), options), only=name)
    for x in sorted(found, key=lambda x: (x.sample.row.runtime, x.sample.number_format, x.sample.row.latency_ms)):
        print(f"{x.sample.row.runtime:22}{x.sample.number_format:9}{x.sample.row.network:40}"
              f"{x.sample.row.latency_ms:11.4g} ms  predicted / published {np.exp(x.log_error):.2f}")
    for runtime in sorted({x.sample.row.runtime for x in found}):
        factors = np.exp(np.abs([x.log_error for x in found if x.sample.row.runtime == runtime]))
        print(json.dumps({"board": name, "runtime": runtime, "rows": len(factors), **dict(zip(
            ("factor_median", "factor_p90", "factor_max"),
            np.quantile(factors, (0.5, 0.9, 1)).round(3).tolist(), strict=True))}))


def powers(every: Sequence[Sample]) -> dict[str, BoardPower]:
    """Power of each board, the median of energy over latency; rail energies where there are any."""
    found: dict[str, dict[str, list[float]]] = {}
    for s in every:
        if s.row.energy_uj and s.row.energy_of:
            by_kind = found.setdefault(board(s.row.device), {})
            by_kind.setdefault(s.row.energy_of, []).append(s.row.energy_uj / 1e3 / s.row.latency_ms)
    kept = {}
    for name, by_kind in sorted(found.items()):
        kind = "rail" if "rail" in by_kind else "wall"
        middle = median(by_kind[kind])
        factors = [max(each / middle, middle / each) for each in by_kind[kind]]
        kept[name] = BoardPower(power_w=round(middle, 6), rows=len(factors), energy_of=kind,
                                spread=round(float(np.quantile(factors, 0.9)), 4))
    return kept


def write(path: Path, made: PredictorFit) -> None:
    """One effect a line, so that a new fit shows as a readable difference."""
    plain = made.model_dump(mode="json")
    text = json.dumps(plain, indent=1)
    path.with_suffix(".tmp").write_text(_compact(text), encoding="utf-8")
    path.with_suffix(".tmp").replace(path)


def _compact(text: str) -> str:
    """Lists of numbers on one line."""
    import re

    return re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m.group(1)) + "]", text) + "\n"


def plot(path: Path, core_class: CoreClass, left: Sequence[LeftOut]) -> None:
    """Predicted over published latency of every row left out of a class, by scheme."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    titles = {"family": "network family left out", "device": "device left out"}
    figure, panels = plt.subplots(1, len(titles), figsize=(10, 3.6), sharey=True)
    for axes, (scheme, title) in zip(panels, titles.items(), strict=True):
        own = [x for x in left if x.scheme == scheme]
        for family in sorted({x.sample.row.family for x in own}):
            chosen = [x for x in own if x.sample.row.family == family]
            axes.plot([x.sample.row.latency_ms for x in chosen], [np.exp(x.log_error) for x in chosen], ".",
                      markersize=3, alpha=0.6, label=family)
        axes.set(xscale="log", yscale="log", ylim=(0.2, 5), title=f"{core_class}: {title}",
                 xlabel="published latency, ms")
        axes.axhspan(1 / 1.3, 1.3, color="0.9", zorder=0)
        axes.axhline(1, color="0.4", linewidth=0.8)
    panels[0].set(ylabel="predicted / published")
    panels[-1].legend(fontsize=6, loc="upper left", bbox_to_anchor=(1, 1))
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
