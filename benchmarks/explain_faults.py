"""Does `litesmith explain` find what was done to a model? Faults planted one at a time, and healthy variants.

    python benchmarks/explain_faults.py --data FOLDER --model FILE.h5 --work FOLDER [--only WORD ...] [--trials N]
    python benchmarks/explain_faults.py --table | --docs

FILE.h5 is a trained ResNet-8 and FOLDER the images that it knows (train/<class>, test/<class>): 1,000 training images
calibrate, 1,000 test images serve as the validation split that explain looks at. `planted_faults.py` has the faults.
For each: the rank of the first cause that names it, in the right layer; and of the changes that `--try` makes for that
cause (those that train nothing) the one that wins most, in points against the float model before and after. Faults of
files are mended by hand, as explain says, and so are those that only a change of the model mends exactly. Healthy
variants are the network's own in which nothing is planted, and those of a run on the built-in digits: what is listed
for one is a false alarm unless the change takes noise off the outputs. A JSON line a case goes to
`benchmarks/results/explain_faults.jsonl`; what is there is not done again. `--docs` writes the tables into
`docs/explain.md`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import planted_faults
from marked import write_between
from planted_faults import FAULTS, Fault

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

if TYPE_CHECKING:
    from stages.records import ExplainResult

OUT = HERE / "results" / "explain_faults.jsonl"
DOCS = HERE.parent / "docs" / "explain.md"
TRAIN, SEEN, TEST = 100, 100, 20
"""Images a class: to calibrate, to look at, and left over."""
_SHOWN = 3
HEALTHY = ("float32", "int8", "int8qat", "int16x8", "int4", "mixed", "clustered16-int8-packed",
           "slim40-int8", "distilled-slim40-int8")
PLAIN = ("int8 of the ResNet-8", "int16x8 of the ResNet-8", "int4 of the ResNet-8")
FILES = ("calibrated on 0 to 1, fed with 0 to 255", "calibrated on 0 to 255, fed with 0 to 1",
         "one scale for all channels of a kernel", "a range cut to a quarter", "a range 16 times too wide")


def main() -> None:
    """Run what is missing, or print the tables."""
    words = _arguments()
    if words.table or words.docs:
        text = "\n\n".join(tables(read()))
        if words.docs:
            write_between(DOCS, {"faults": text})
        print(text)
        return
    words.work.mkdir(parents=True, exist_ok=True)
    done = set() if words.again else {line["case"] for line in read()}
    wanted = [case for case in (*(fault.name for fault in FAULTS), *FILES, *PLAIN, *HEALTHY)
              if case not in done and (not words.only or any(word in case for word in words.only))]
    for case in wanted:
        start = time.perf_counter()
        line = measure(words, case) | {"seconds": round(time.perf_counter() - start, 1)}
        print(json.dumps(line), flush=True)
        _keep(line)


def measure(words: argparse.Namespace, case: str) -> dict[str, Any]:
    """One case."""
    fault = next((each for each in FAULTS if each.name == case), None)
    if fault is not None:
        return planted(words, fault)
    return planted_file(words, case) if case in FILES else healthy(words, case)


# -- faults in a run ---------------------------------------------------------------------------------------------------


def planted(words: argparse.Namespace, fault: Fault) -> dict[str, Any]:
    """A fault in a run: found where, and mended by what."""
    found = explained(words, _config(words, fault), fault.entry["name"], trying=not fault.slow)
    line = {"case": fault.name, "kind": "slow" if fault.slow else "fell", "format": fault.entry["name"],
            "summary": found.summary, **_facts(found)}
    if fault.slow:
        names = [each.kind for each in found.slow]
        rank = next((number for number, name in enumerate(names, start=1) if name in fault.kinds), 0)
        said = found.slow[rank - 1].found if rank else ""
        return line | {"rank": rank, "said": said, "first": names[0] if names else ""}
    rank = next((number for number, cause in enumerate(found.causes, start=1) if cause.kind in fault.kinds and (
        not fault.layers or any(part in cause.layer for part in fault.layers))), 0)
    first = f"{found.causes[0].kind} {found.causes[0].layer}" if found.causes else ""
    line |= {"rank": rank, "first": first, "said": found.causes[rank - 1].found if rank else ""}
    if fault.by_hand and rank:
        return line | _mended_by_hand(words, fault, found, found.causes[rank - 1].changes[0].text)
    return line | _mended(found, found.causes[rank - 1].kind if rank else "")


def _mended_by_hand(words: argparse.Namespace, fault: Fault, found: ExplainResult, change: str) -> dict[str, Any]:
    """The same variant of the model without the fault, which computes the same in float."""
    mended = explained(words, _config(words, replace(fault, edit=None)), fault.entry["name"], trying=False)
    if found.drop is None or mended.drop is None:
        return {}
    return {"change": change, "after": _points(mended.drop.value),
            "won": _points(found.drop.value - mended.drop.value), "snr_after": _decibel(mended.output_snr_db),
            "bytes_after": mended.tflite_bytes, "tried": 1}


def _mended(found: ExplainResult, kind: str) -> dict[str, Any]:
    """The best of the changes that were made for a cause."""
    tried = [trial for trial in found.trials if trial.kind == kind and trial.drop is not None]
    best = max(tried, key=lambda each: each.gain.value if each.gain else 0.0, default=None)
    if best is None or best.drop is None or best.gain is None:
        return {}
    return {"change": best.change, "after": _points(best.drop.value), "won": _points(best.gain.value),
            "won_interval": [_points(each) for each in best.gain.interval or ()], "bytes_after": best.tflite_bytes,
            "snr_after": _decibel(best.output_snr_db), "tried": len(tried)}


def explained(words: argparse.Namespace, config: dict[str, Any], name: str, *, trying: bool) -> ExplainResult:
    """What `litesmith explain NAME [--try]` gives."""
    from pipeline import config as configs
    from pipeline.explaining import Asked, explain_variant
    from pipeline.session import Session

    session = Session(configs.from_mapping(config), words.work / "runs", words.work / "store")
    return explain_variant(session, name, Asked(trying=trying and words.trials > 0, most=words.trials))


def _facts(found: ExplainResult) -> dict[str, Any]:
    """What is said of the loss and of the layers."""
    drop = found.drop
    loudest = max(found.layers, key=lambda each: each.share, default=None)
    return {"drop": _points(drop.value) if drop else None,
            "drop_interval": [_points(each) for each in drop.interval or ()] if drop else None,
            "snr": _decibel(found.output_snr_db), "bytes": found.tflite_bytes,
            "loudest": loudest.label if loudest else "",
            "causes": [f"{cause.kind} {cause.layer} {cause.share:.3f}" for cause in found.causes],
            "reasons": [each.kind for each in found.slow],
            "trials": [{"kind": each.kind, "change": each.change, "won": _points(each.gain.value),
                        "won_interval": [_points(end) for end in each.gain.interval or ()],
                        "snr": _decibel(each.output_snr_db)} for each in found.trials if each.gain is not None]}


def _points(value: float) -> float:
    return round(value, 2)


def _decibel(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _config(words: argparse.Namespace, fault: Fault) -> dict[str, Any]:
    """The run file of a fault."""
    slug = "".join(each if each.isalnum() else "-" for each in fault.name)[:40]
    return {"name": slug, "model": str(_model(words, fault, slug)), "profiles": ["cpu", "mobile"],
            "data": {"source": {"kind": "npz", "path": str(_samples(words, fault.data))}, "normalization": "none",
                     "allowed_duplicates": 100},
            "variants": [{"name": "float32"}, fault.entry]}


def _model(words: argparse.Namespace, fault: Fault, slug: str) -> Path:
    """The float32 tflite model, with the fault in it: a run that starts from one needs no TensorFlow."""
    path = Path(words.work / f"{slug if fault.edit else 'came' if fault.as_it_came else 'sound'}.tflite")
    if not path.exists():
        import tensorflow as tf
        import tf_keras

        model = tf_keras.models.load_model(words.model, compile=False)
        model = model if fault.as_it_came else planted_faults.sound(model)
        made = fault.edit(model) if fault.edit else model
        path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(made or model).convert())
    return path


def _samples(words: argparse.Namespace, data: str) -> Path:
    """The images as arrays; with a training split as `data` says."""
    path = Path(words.work / f"{data}.npz")
    if not path.exists():
        plain = images(words.data) if data == "plain" else dict(np.load(_samples(words, "plain")))
        rows = np.arange(len(plain["y_train"]))
        if data == "one-sided":  # one class, and two of each other: a split must have all of them
            rows = np.concatenate([np.flatnonzero(plain["y_train"] == each)[:None if each == 0 else 2]
                                   for each in range(10)])
        if data == "glaring":
            plain = {name: value.astype(np.float32) if name[0] == "x" else value for name, value in plain.items()}
            plain["x_train"][::50] *= 8.0
        np.savez(path, **{**plain, "x_train": plain["x_train"][rows], "y_train": plain["y_train"][rows]})
    return path


def images(folder: Path) -> dict[str, np.ndarray]:
    """(samples, 32, 32, 3) uint8 and labels: training images, test images to look at, and the rest."""
    from PIL import Image

    found: dict[str, list[Any]] = {f"{what}_{split}": [] for split in ("train", "validation", "test") for what in "xy"}
    for split, parts in (("train", (("train", 0, TRAIN),)),
                         ("test", (("validation", 0, SEEN), ("test", SEEN, SEEN + TEST)))):
        for label, place in enumerate(sorted(each for each in (folder / split).iterdir() if each.is_dir())):
            files = sorted(place.iterdir())
            for name, start, stop in parts:
                found[f"x_{name}"] += [np.asarray(Image.open(file).convert("RGB")) for file in files[start:stop]]
                found[f"y_{name}"] += [label] * len(files[start:stop])
    return {name: np.stack(values) for name, values in found.items()}


# -- faults in files ---------------------------------------------------------------------------------------------------


def planted_file(words: argparse.Namespace, case: str) -> dict[str, Any]:
    """A fault that another tool makes, in a file; mended by hand as explain says."""
    from pipeline.explaining import explain_files

    kinds, layers, plain, faulty, mended, samples, labels = planted_faults.file_fault(
        case, words.model, _samples(words, "plain"))
    place = words.work / "files"
    place.mkdir(exist_ok=True)
    for name, content in (("float32", plain), ("int8", faulty)):
        (place / f"{name}.tflite").write_bytes(content)
    np.save(place / "x.npy", samples)
    found = explain_files(place / "int8.tflite", place / "float32.tflite", place / "x.npy")
    rank = next((number for number, cause in enumerate(found.causes, start=1) if cause.kind in kinds and (
        not layers or any(part in cause.layer for part in layers))), 0)
    (place / "mended.tflite").write_bytes(mended)
    after = explain_files(place / "mended.tflite", place / "float32.tflite", place / "x.npy")
    right = [100 * float((planted_faults.answers(each, samples) == labels).mean()) for each in (plain, faulty, mended)]
    return {"case": case, "kind": "fell", "format": "int8, a file", "summary": found.summary, **_facts(found),
            "drop": _points(right[0] - right[1]), "rank": rank,
            "first": f"{found.causes[0].kind} {found.causes[0].layer}" if found.causes else "",
            "said": found.causes[rank - 1].found if rank else "",
            "change": found.causes[rank - 1].changes[0].text if rank else "", "after": _points(right[0] - right[2]),
            "won": _points(right[2] - right[1]), "snr_after": _decibel(after.output_snr_db)}


# -- healthy variants --------------------------------------------------------------------------------------------------


def healthy(words: argparse.Namespace, case: str) -> dict[str, Any]:
    """A variant of the ResNet-8 in which nothing is planted, or of the built-in run; with what its changes win."""
    name = case.partition(" ")[0]
    config = {"name": "healthy", "variants": list(HEALTHY), "profiles": ["cpu"],
              "train": {"epochs": 12}, "slim": {"epochs": 6}}
    if case in PLAIN:
        config = _config(words, Fault(case, (), entry={"name": name}))
    found = explained(words, config, name, trying=True)
    won = _mended(found, found.causes[0].kind) if found.causes else {}
    return {"case": case, "kind": "healthy", "format": name, "summary": found.summary, **_facts(found), **won,
            "said": "; ".join(cause.found for cause in found.causes)}


# -- tables ------------------------------------------------------------------------------------------------------------


def read() -> list[dict[str, Any]]:
    """The lines there are; of two for one case the later."""
    lines = [json.loads(line) for line in OUT.read_text().splitlines()] if OUT.exists() else []
    last = {line["case"]: line for line in lines}
    order = [*(fault.name for fault in FAULTS), *FILES, *PLAIN, *HEALTHY]
    return sorted((line for line in last.values() if line["case"] in order), key=lambda each: order.index(each["case"]))


def _keep(line: dict[str, Any]) -> None:
    OUT.parent.mkdir(exist_ok=True)
    kept = [each for each in read() if each["case"] != line["case"]]
    text = "".join(json.dumps(each) + "\n" for each in [*kept, line])
    OUT.with_suffix(".part").write_text(text)
    OUT.with_suffix(".part").replace(OUT)


def tables(lines: list[dict[str, Any]]) -> Iterator[str]:
    """Markdown: why it fell, why it is not faster, false alarms."""
    rows = [[each["case"], each["format"], _rank(each), _said(each), _signed(-each["drop"]),
             each.get("change", "–") or "–", _signed(-each["after"]) if "after" in each else "–", _won(each),
             _ratios(each)] for each in lines if each["kind"] == "fell"]
    yield _table(("planted", "format", "found as", "of the noise", "points before", "change", "after", "won",
                  "outputs, dB: taken off"), rows)
    rows = [[each["case"], each["format"], _rank(each), each["said"]] for each in lines if each["kind"] == "slow"]
    yield _table(("planted", "format", "found as", "what it says"), rows)
    rows = [[each["case"], _signed(-each["drop"]), _listed(each), each.get("change", "–"), _won(each), _ratios(each)]
            for each in lines if each["kind"] == "healthy"]
    if rows:
        yield _table(("healthy variant", "points", "causes listed, with their share of the noise",
                      "change for the first that wins most", "won", "outputs, dB: taken off"), rows)


def _listed(line: dict[str, Any]) -> str:
    """Causes as in "pooled_range 12:AVERAGE_POOL_2D 55 %"."""
    parts = [each.split(" ") for each in line["causes"]]
    shown = [f"`{part[0]}` {part[1]} {100 * float(part[-1]):.0f} %" for part in parts[:_SHOWN]]
    return ", ".join([*shown, *([f"and {len(parts) - _SHOWN} with less"] if len(parts) > _SHOWN else [])]) or "none"


def _ratios(line: dict[str, Any]) -> str:
    """Signal to noise of the outputs, before and after; and what part of the noise that took off."""
    before, after = line.get("snr"), line.get("snr_after")
    if before is None or after is None:
        return "–" if before is None else f"{before:.1f}"
    return f"{before:.1f} → {after:.1f}: {100 * (1 - 10 ** ((before - after) / 10)):.0f} %"


def _said(line: dict[str, Any]) -> str:
    """The share of the noise that the cause is said to explain."""
    share = line["causes"][line["rank"] - 1].rpartition(" ")[2] if line["rank"] else ""
    return f"{100 * float(share):.0f} %" if share else "–"


def _rank(line: dict[str, Any]) -> str:
    if not line["rank"]:
        return f"not found (first: {line['first'] or 'nothing'})"
    return f"no. {line['rank']}" + (f", after `{line['first'].partition(' ')[0]}`" if line["rank"] > 1 else "")


def _won(line: dict[str, Any]) -> str:
    ends = line.get("won_interval")
    return "–" if "won" not in line else _signed(line["won"]) + (
        f" ({_signed(ends[0])} to {_signed(ends[1])})" if ends else "")


def _signed(value: float) -> str:
    shown = f"{value:+.1f}"
    return "0.0" if shown in ("-0.0", "+0.0") else shown


def _table(head: Iterable[str], rows: Iterable[list[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with train/<class> and test/<class>")
    parser.add_argument("--model", type=Path, help="a trained ResNet-8 (.h5)")
    parser.add_argument("--work", type=Path, default=Path("explain-faults"), help="for models, store and runs")
    parser.add_argument("--only", nargs="*", default=[], help="cases whose name holds one of these words")
    parser.add_argument("--trials", type=int, default=6, help="changes that are made for a fault; 0: none")
    parser.add_argument("--again", action="store_true", help="also cases that are done")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--docs", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
