"""DS-CNN trained from scratch on spoken digits: float and int8, over seeds and with every speaker left out in turn.

    python benchmarks/spoken_digits.py RECORDINGS [--seeds 1 2 3] [--speakers all] [--work FOLDER]

RECORDINGS is the folder `recordings` of the Free Spoken Digit Dataset; `examples/spoken_digits/README.md` says where
it is from. Every line is a run of litesmith itself, up to `evaluate`, in a process of its own, from the run file in
`examples/spoken_digits` with another seed or another speaker to test on. So the settings are the example's, and a run
that was broken off goes on where it was. Accuracy of int8 is that of the tflite model in litert. The last line is JSON.

    official    tested on the recordings 0 to 4 of each digit and speaker, as the data set's authors do; a speaker who
                is tested is one who was trained on
    speaker     tested on one speaker, validated on another (drawn by seed), trained on the other four
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parent.parent / "examples" / "spoken_digits"
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


def run_file(recordings: Path, source: str, name: str, seed: int, speaker: str | None) -> dict[str, Any]:
    """The example's run file with another name, seed and test split."""
    from ruamel.yaml import YAML

    config: dict[str, Any] = YAML(typ="safe").load((EXAMPLE / source).read_text("utf-8"))
    config |= {"name": name, "seed": seed, "variants": ["float32", "int8"], "profiles": ["cpu"]}
    config["data"]["source"]["path"] = str(recordings)
    if speaker is not None:
        config["data"]["splits"] = {"test": {"pattern": f"_{speaker}_"}}
    return config


def run(work: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Train, convert and evaluate; the figures."""
    path = work / f"{config['name']}.json"  # JSON is YAML too
    path.write_text(json.dumps(config, indent=1))
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "pipeline", "evaluate", "-c", path.name, "--quiet"], cwd=work,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{config['name']}: {done.stderr}")
    figures = work / "runs" / config["name"] / "figures"
    floats, int8, history = (json.loads((figures / place).read_text()) for place in (
        "baseline/baseline.json", "evaluate/int8.json", "train/float.json"))
    engine = int8["engines"]["litert"]
    return {"seed": config["seed"], "samples": floats["metrics"]["samples"],
            "float_accuracy": value(floats["metrics"]), "int8_accuracy": value(engine["metrics"]),
            "int8_drop_points": round(engine["drop"]["value"], 2), "epochs": len(history["history"]["loss"]),
            "seconds": round(time.perf_counter() - start, 1)}


def value(metrics: dict[str, Any]) -> float:
    """The accuracy."""
    return round(metrics["figures"]["accuracy"]["value"], 4)


def spread(found: list[dict[str, Any]], key: str) -> str:
    """Mean, least and largest, for people."""
    values = [row[key] for row in found]
    return f"{100 * statistics.mean(values):.2f} % ({100 * min(values):.2f} to {100 * max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--speakers", nargs="*", default=["all"], choices=["all", *SPEAKERS],
                        help="whom to leave out; without a name: nobody")
    parser.add_argument("--work", type=Path, help="where runs and the store are kept; by default nothing is kept")
    given = parser.parse_args()
    speakers = SPEAKERS if "all" in given.speakers else given.speakers
    rows: dict[str, list[dict[str, Any]]] = {"official": [], "speaker": []}
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        plans = [("official", "litesmith.yaml", f"official-{seed}", seed, None) for seed in given.seeds]
        plans += [("speaker", "by_speaker.yaml", f"without-{speaker}", 1, speaker) for speaker in speakers]
        for kind, source, name, seed, speaker in plans:
            row = run(work, run_file(given.recordings.resolve(), source, name, seed, speaker))
            rows[kind].append(row | ({"speaker": speaker} if speaker else {}))
            print(f"{name}: float {100 * row['float_accuracy']:.2f} %, int8 {100 * row['int8_accuracy']:.2f} %, "
                  f"{row['samples']} samples, {row['epochs']} epochs, {row['seconds']:.0f} s", flush=True)
    for kind, found in rows.items():
        if found:
            print(f"{kind}: float {spread(found, 'float_accuracy')}, int8 {spread(found, 'int8_accuracy')}, "
                  f"{len(found)} runs")
    print(json.dumps({**rows, "cpu": platform.processor() or platform.machine(), "python": platform.python_version(),
                      "versions": {name: version(name) for name in ("tensorflow", "tf-keras", "litert-quantizer",
                                                                    "ai-edge-litert", "numpy", "scipy")}}))


if __name__ == "__main__":
    main()
