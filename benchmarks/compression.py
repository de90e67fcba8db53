"""Every way to make a model smaller or faster, on real data: shipped bytes and measured milliseconds against the drop.

    python benchmarks/compression.py SUBJECT --data FOLDER [--model FILE] [--variants NAME ...] [--minutes M] [--work W]
    python benchmarks/compression.py SUBJECT --data FOLDER [--model FILE] --latency
    python benchmarks/compression.py SUBJECT --data FOLDER [--model FILE] --paired FIRST SECOND
    python benchmarks/compression.py --table | --docs | --plot FILE.png

Subjects, all with the settings of `compression_settings.py`, none tuned for one of them:

    resnet8     ResNet-8 as it comes (--model, a trained .h5) on CIFAR-10 as JPEG (--data: train/<class>, test/<class>)
    ds_cnn      DS-CNN on the Free Spoken Digit Dataset (--data: recordings), trained first
    mobilenet   MobileNetV1 0.25 on the same CIFAR-10 images enlarged to 96x96, trained first

Each variant is a run of litesmith up to `evaluate`: the whole test split in litert (a packed variant in tflm, whose
decoded weights are proven equal, bit for bit, to the unpacked model's: so its predictions are taken from that). A JSON
line a variant goes to `benchmarks/results/compression.jsonl`; what is there is not done again, and a training that was
broken off goes on. `--minutes` starts no further variant after so long. `--latency` measures all variants there are in
litert in turns, one thread, and writes one line for the subject. Drops are paired with the float model, in points of
accuracy; each end of an interval is a one-sided 95 % bound. `--paired` holds two variants against each other the same
way, with McNemar's test, and writes a line. Bytes are those of the tflite file. `--docs` writes the tables into
`docs/`, between the marks there.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from compression_settings import LABELED, SETTINGS, TUTORIAL, VARIANTS, augmentation, config, named
from marked import write_between

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

OUT = HERE / "results" / "compression.jsonl"
DOCS = HERE.parent / "docs"
HEAD = """\
| variant | bytes | of int8 | accuracy | drop, points | ms in litert, of int8's | int8 over it |
|---|---|---|---|---|---|---|"""


def settled(words: argparse.Namespace, variants: list[str]) -> dict[str, Any]:
    """The run file."""
    return config(words, variants, rows(words.subject)[0].get("int8", {}).get("bytes", 0))


def tutorial(words: argparse.Namespace) -> dict[str, Any]:
    """The same by hand; see `tutorial_chain.py`."""
    import numpy as np
    import tutorial_chain

    import pipeline
    from stages.datasets.prepared import read_split
    from stages.paired import counts, drop_figure

    start = time.perf_counter()
    result = pipeline.run(settled(words, ["float32"]), runs=words.work / "runs", store=words.work / "store",
                          stage="evaluate")
    made = {name: outcome.artifact.folder for name, outcome in result.outcomes.items() if outcome.artifact}
    train, test = (read_split(made["prepare"], name) for name in ("train", "test"))
    trained = made["train" if "train" in made else "model"] / "model.keras"
    augment = {"augment": augmentation(words.subject)}
    content = tutorial_chain.make(trained, train, SETTINGS["prune"] | augment, SETTINGS["quantize"] | augment,
                                  words.work / f"tutorial-{words.subject}")
    right = tutorial_chain.predict(content, test.x).argmax(axis=1) == test.y
    before = np.load(made["baseline"] / "outputs.npy").argmax(axis=1) == test.y
    drop = drop_figure(counts(before, right))
    return {"subject": words.subject, "variant": TUTORIAL, "settings": SETTINGS, "versions": versions(),
            "machine": platform.platform(), "bytes": len(content), "accuracy": float(right.mean()),
            "samples": len(right), "drop_points": drop.value, "drop_interval": drop.interval,
            "seconds": round(time.perf_counter() - start, 1)}


def measure(words: argparse.Namespace, variant: str) -> dict[str, Any]:
    """One variant, made and evaluated."""
    import pipeline

    if variant == TUTORIAL:
        return tutorial(words)

    name = named(variant)
    unpacked = name.removesuffix("-packed")
    start = time.perf_counter()
    run_file = settled(words, list(dict.fromkeys([variant.removesuffix("-packed"), variant])))
    own = {stage: given for stage, given in run_file["variants"][-1].items() if stage != "name"}
    result = pipeline.run(run_file, runs=words.work / "runs", store=words.work / "store", stage="evaluate")
    errors = [str(outcome.error) for outcome in result.failed]
    line: dict[str, Any] = {"subject": words.subject, "variant": variant, "settings": SETTINGS, "own": own,
                            "versions": versions(), "machine": platform.platform()}
    found = result.result(f"evaluate:{unpacked}")
    if errors or found is None:
        return line | {"error": errors[0] if errors else "not evaluated"}
    engine = found["engines"]["litert"]
    made = result.result(result.plan.variants[name]) or {}
    accuracy = engine["metrics"]["figures"]["accuracy"]
    packing = made.get("packing")
    return line | {
        "bytes": made["tflite_bytes"], "accuracy": accuracy["value"], "samples": engine["metrics"]["samples"],
        "drop_points": engine["drop"]["value"], "drop_interval": engine["drop"]["interval"],
        "changed": engine["changed"],
        **({"proven_samples": packing["proven_samples"], "arena_bytes": packing["arena"]["value"],
            "unpacked_arena_bytes": packing["unpacked_arena"]["value"],
            "latency_ratio_in_tflm": packing["latency_ratio"]["value"]} if packing else {}),
        **choices(result), "trained_s": {label: round(outcome.seconds, 1) for label, outcome in result.outcomes.items()
                      if outcome.status == "made" and outcome.seconds > 5},
        "seconds": round(time.perf_counter() - start, 1)}


def choices(result: Any) -> dict[str, Any]:
    """What slim tried and took; empty where no channel was removed."""
    from stages.records import SlimBranch

    found = next((result.result(label) for label in result.outcomes if label.startswith("slim:")), None)
    if found is None:
        return {}
    return {"slimmed_ms": found["latency"] and [found["latency"]["before_ms"], found["latency"]["after_ms"]],
            "slimmed_channels": {name: pair["after"] for name, pair in found["channels"].items()},
            "auditions": [{"without": [SlimBranch.model_validate(each).name for each in one["without"]],
                           "joined_worth": one["joined_worth"], "again": one["again"], "traded": one["traded"],
                           "validation_loss": one["validation_loss"], "channels": list(one["channels"].values()),
                           "refused": one["refused"]}
                          for one in found["auditions"]]}


def latency(words: argparse.Namespace, variants: list[str]) -> dict[str, Any]:
    """All variants in litert, in turns."""
    import pipeline

    result = pipeline.run(settled(words, variants), runs=words.work / "runs", store=words.work / "store",
                          stage="benchmark")
    found = result.result("benchmark")
    if found is None:
        raise SystemExit(f"not measured: {[str(outcome.error) for outcome in result.failed]}")
    medians = {name: engines["litert"]["median"] for name, engines in found["variants"].items()
               if engines["litert"]["median"]}
    return {"subject": words.subject, "latency": {
        name: {"median_ms": one["value"], "interval": one["interval"]} for name, one in medians.items()},
        "cpu": found["host"]["cpu"], "versions": versions()}


def right(words: argparse.Namespace, variant: str) -> Any:
    """(samples,) bool: which test samples a variant that is made already answers rightly in litert."""
    import numpy as np

    import pipeline
    from stages.datasets.prepared import read_split

    name = named(variant)
    result = pipeline.run(settled(words, [variant]), runs=words.work / "runs", store=words.work / "store",
                          stage="evaluate")
    made = {label: outcome.artifact.folder for label, outcome in result.outcomes.items() if outcome.artifact}
    outputs = np.load(made[f"evaluate:{name}"] / "outputs_litert.npy")
    return outputs.argmax(axis=1) == read_split(made["prepare"], "test").y


def paired(words: argparse.Namespace, first: str, second: str) -> dict[str, Any]:
    """By how many points the second answers fewer test samples rightly than the first."""
    from stages.paired import counts, drop_figure, mcnemar

    table = counts(right(words, first), right(words, second))
    drop = drop_figure(table)
    return {"subject": words.subject, "paired": [first, second], "drop_points": drop.value,
            "drop_interval": drop.interval, "mcnemar_p": mcnemar(table.lost, table.gained), "samples": table.samples}


def versions() -> dict[str, str]:
    """Of what shapes the figures."""
    names = ("litesmith", "tensorflow", "tensorflow-model-optimization", "litert-quantizer", "ai-edge-litert",
             "tflite-micro")
    return {name: version(name) for name in names}


def read() -> list[dict[str, Any]]:
    """All lines there are."""
    return [json.loads(line) for line in OUT.read_text("utf-8").splitlines()] if OUT.exists() else []


def write(line: dict[str, Any]) -> None:
    """One more line."""
    with OUT.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def rows(subject: str) -> tuple[dict[str, dict[str, Any]], dict[str, tuple[float, float]]]:
    """A subject's variants, the last line of each; of each its last median and int8's of that run, in ms."""
    lines = [line for line in read() if line["subject"] == subject]
    timed = {name: (one["median_ms"], line["latency"]["int8"]["median_ms"])
             for line in lines if "latency" in line for name, one in line["latency"].items()}
    return {line["variant"]: line for line in lines if "variant" in line}, timed


def pairs(subject: str) -> Iterator[str]:
    """A table of the pairs, the last line of each."""
    found = {tuple(line["paired"]): line for line in read() if line["subject"] == subject and "paired" in line}
    if found:
        yield from ("", "| against | bytes | | bytes | drop, points | McNemar's p |", "|---|---|---|---|---|---|")
    made = rows(subject)[0]
    for (first, second), one in found.items():
        low, high = one["drop_interval"]
        yield (f"| `{first}` | {made[first]['bytes']:,} | `{second}` | {made[second]['bytes']:,} | "
               f"{one['drop_points']:+.2f} ({low:+.2f} to {high:+.2f}) | {one['mcnemar_p']:.2g} |")


def table(subject: str) -> Iterator[str]:
    """The table in Markdown."""
    found, timed = rows(subject)
    plain = found.get("int8", {}).get("bytes")
    yield HEAD
    for name, one in sorted(found.items(), key=lambda pair: -pair[1].get("bytes", 0)):
        if "error" in one:
            yield f"| `{name}` | not made: {' '.join(one['error'].split())} | | | | | |"
            continue
        low, high = one["drop_interval"]
        times, faster = "", ""
        if name in timed:
            own_ms, int8_ms = timed[name]
            times, faster = f"{own_ms:.3f} of {int8_ms:.3f}", f"{int8_ms / own_ms:.2f}"
        share = f"{one['bytes'] / plain:.2f}" if plain else ""
        yield (f"| `{name}` | {one['bytes']:,} | {share} | "
               f"{100 * one['accuracy']:.2f} % | {one['drop_points']:+.2f} ({low:+.2f} to {high:+.2f}) | "
               f"{times} | {faster} |")


def auditions(subject: str) -> Iterator[str]:
    """A table of what slim tried for its last variant that was asked to."""
    heard = [line for line in read() if line["subject"] == subject and line.get("auditions")]
    if heard:
        yield from ("| without | a joined channel counts | channels left | validation loss |", "|---|---|---|---|")
    for one in heard[-1]["auditions"] if heard else ():
        gone = ", ".join(f"`{name}`" for name in one["without"]) or "nothing"
        gone += (", trained at length" if one.get("again") else "") + (", traded" if one.get("traded") else "")
        loss = one["refused"] if one["validation_loss"] is None else f"{one['validation_loss']:.2f}"
        yield f"| {gone} | {one['joined_worth']:g} | {', '.join(map(str, one['channels']))} | {loss} |"


def write_docs() -> None:
    """Put each subject's tables between their marks."""
    parts: dict[str, str] = {}
    for subject in dict.fromkeys(line["subject"] for line in read()):
        parts |= {subject: "\n".join(table(subject)), f"{subject} pairs": "\n".join(pairs(subject)).lstrip(),
                  f"{subject} auditions": "\n".join(auditions(subject))}
    for path in sorted(DOCS.glob("*.md")):
        write_between(path, parts)


def draw(path: Path) -> None:
    """Bytes against drop, a panel a subject; variants are numbered by size and named beside the panel."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    subjects = list(dict.fromkeys(line["subject"] for line in read() if "variant" in line))
    figure, panels = plt.subplots(len(subjects), 1, figsize=(11, 5.4 * len(subjects)), squeeze=False)
    for subject, axes in zip(subjects, panels[:, 0], strict=True):
        made = [(name, one) for name, one in rows(subject)[0].items() if "error" not in one and name not in LABELED]
        draw_subject(axes, subject, sorted(made, key=lambda pair: pair[1]["bytes"]))
    figure.tight_layout()
    figure.subplots_adjust(right=0.68)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def draw_subject(axes: Any, subject: str, ordered: list[tuple[str, dict[str, Any]]]) -> None:
    """One panel: blue points, orange ones for packed files, which run in TFLM alone."""
    for place, (name, one) in enumerate(ordered):
        color, (low, high) = "#d55e00" if name.endswith("-packed") else "#0072b2", one["drop_interval"]
        axes.errorbar(one["bytes"], one["drop_points"], fmt="o", color=color, markersize=5, elinewidth=0.7,
                      yerr=[[one["drop_points"] - low], [high - one["drop_points"]]])
        corner = ((4, 3), (4, -9), (-11, 3), (-11, -9))[place % 4]  # neighbours in size have theirs apart
        axes.annotate(str(place + 1), (one["bytes"], one["drop_points"]), fontsize=8, xytext=corner,
                      textcoords="offset points", color=color)
        axes.text(1.02, 1 - 0.036 * place, f"{place + 1}  {name}", transform=axes.transAxes, fontsize=8, color=color,
                  va="top")
    low, high = (function(one["bytes"] for _, one in ordered) for function in (min, max))
    axes.set_xscale("log")
    axes.set_xlim(low * 0.85, high * 1.2)
    ticks = [leading * power for power in (10**3, 10**4, 10**5, 10**6) for leading in (1, 2, 3, 5)]
    axes.set_xticks([tick for tick in ticks if low * 0.85 < tick < high * 1.2])
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter("")
    axes.set_xlabel("bytes of the tflite file")
    axes.set_ylabel("drop, points of accuracy (each end: a one-sided 95 % bound)")
    axes.set_title(f"{subject} (orange: packed, for TFLM)", fontsize=10)
    axes.grid(color="#e6e7e4", linewidth=0.8)
    axes.axhline(1, color="#6a717b", linewidth=0.9, linestyle=":")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subject", nargs="?", choices=("resnet8", "ds_cnn", "mobilenet"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--work", type=Path, default=Path("compression"), help="runs and store are kept there")
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--paired", nargs=2, metavar=("FIRST", "SECOND"))
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--docs", action="store_true")
    parser.add_argument("--plot", type=Path)
    words = parser.parse_args()
    if words.plot:
        draw(words.plot)
    elif words.docs:
        write_docs()
    elif words.table:
        for subject in dict.fromkeys(line["subject"] for line in read()):
            print(f"\n{subject}\n", *table(subject), *pairs(subject), sep="\n")
    elif words.subject is None or words.data is None or (words.subject == "resnet8" and words.model is None):
        parser.error("give a subject and --data; resnet8 needs --model as well")
    else:
        work(words)


def work(words: argparse.Namespace) -> None:
    """Make what is missing, or measure latency."""
    words.data, words.work = words.data.resolve(), words.work.resolve()
    words.model = words.model.resolve() if words.model else None
    done = {name for name, line in rows(words.subject)[0].items() if "error" not in line}
    if words.latency:
        timed = [name for name in words.variants if name in done and not name.endswith("-packed")]
        write(latency(words, [name for name in timed if named(name) == name and name != TUTORIAL]))
        return
    if words.paired:
        line = paired(words, *words.paired)
        write(line)
        print(line)
        return
    start = time.perf_counter()
    for variant in words.variants:
        if variant not in done and time.perf_counter() - start < 60 * words.minutes:
            line = measure(words, variant)
            write(line)
            print({key: value for key, value in line.items() if key not in ("settings", "own", "versions")}, flush=True)


if __name__ == "__main__":
    main()
