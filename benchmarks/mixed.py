"""The front of bytes against drop that `mixed` gives, beside uniform int8 and int4.

    python benchmarks/mixed.py FLOAT_TFLITE PREPARED [--budgets BYTES ...] [--formats int4 int8] [--out FILE]

FLOAT_TFLITE is a float32 tflite model, PREPARED a folder that the prepare stage wrote. Sensitivity is measured once;
then formats are chosen on the validation split for each budget, and every model is scored in litert on the test split.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from int4 import test_bench

from stages import convert, quantize, sensitivity
from stages.context import StageContext
from stages.mixing.trials import Runner
from stages.quantizing.options import MixedSettings


def main() -> None:
    """Print the table and write the lines."""
    options = _arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "float").mkdir()
        shutil.copyfile(options.tflite, folder / "float" / "model.tflite")
        shutil.copyfile(options.prepared / "preprocessing.json", folder / "float" / "preprocessing.json")
        start = time.perf_counter()
        _stage(sensitivity, folder / "sensitivity", tflite=folder / "float", data=options.prepared,
               options=sensitivity.Options(formats=tuple(options.formats), seed=options.seed))
        print(f"sensitivity: {time.perf_counter() - start:.1f} s")
        rows = [("int8", quantize.Options(format="int8", seed=options.seed)),
                ("int4", quantize.Options(format="int4", seed=options.seed))]
        rows += [(f"mixed, {budget:,} bytes", quantize.Options(
            format="mixed", seed=options.seed, mixed=MixedSettings(formats=tuple(options.formats), budget=budget)))
            for budget in options.budgets]
        with Runner(test_bench(options.prepared, options.test, folder)) as runner:
            reference = runner.outputs(options.tflite.read_bytes(), "float32")
            lines = [_row(number, *row, folder, options, runner, reference) for number, row in enumerate(rows)]
    if options.out:
        options.out.write_text("\n".join(lines) + "\n", "utf-8")


def _row(number: int, name: str, settings: quantize.Options, folder: Path, options: argparse.Namespace,
         runner: Runner, reference: Any) -> str:
    """Make one model, score it, print it."""
    extra = {"sensitivity": folder / "sensitivity" / "out", "tflite": folder / "float"} if "mixed" in name else {}
    start = time.perf_counter()
    result = _stage(quantize, folder / f"recipe{number}", data=options.prepared, options=settings, **extra)
    _stage(convert, folder / f"made{number}", source=folder / "float", recipe=folder / f"recipe{number}" / "out",
           options=convert.Options(format=settings.format))
    seconds = time.perf_counter() - start
    content = (folder / f"made{number}" / "out" / "model.tflite").read_bytes()
    drop = runner.bench.drop(reference, runner.outputs(content, name), 0, 1000)
    low, high = drop.interval or (0.0, 0.0)
    formats = dict(result.mixing.rounds[result.mixing.chosen].formats) if result.mixing else {}
    print(f"{name:24} {len(content):9,} bytes  drop {drop.value:6.2f} ({low:.2f} to {high:.2f})  {seconds:5.1f} s  "
          f"{formats or ''}", flush=True)
    return json.dumps({"variant": name, "tflite_bytes": len(content), "drop_points": round(drop.value, 3),
                       "drop_interval": [round(low, 3), round(high, 3)], "seconds": round(seconds, 1),
                       "formats": formats, "test_samples": runner.bench.count, "model": options.tflite.name})


def _stage(stage: Any, place: Path, **given: Any) -> Any:
    """Run a stage in a folder of its own."""
    for part in ("out", "scratch"):
        (place / part).mkdir(parents=True)
    return stage.run(context=StageContext(out=place / "out", scratch=place / "scratch", log=place / "log.txt"), **given)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tflite", type=Path)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--budgets", type=int, nargs="+", default=[48_000, 52_000, 58_000, 66_000, 76_000])
    parser.add_argument("--formats", nargs="+", default=["int4", "int8"])
    parser.add_argument("--test", type=int, default=2000, help="test samples at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the lines to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
