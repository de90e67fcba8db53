"""How many calibration samples int8 and int16x8 need: on the digits, and on a model and images of yours.

    python benchmarks/calibration_study.py [--model FILE --images FOLDER] [--formats int8 int16x8] [--draws 5]
                                           [--validation-share 0.1] [--allowed-duplicates 50] [--plots FOLDER]

Without a model, `small_cnn` is trained on scikit-learn's digits. With `--model` (a Keras file) and `--images` (a folder
for each class, below train and test) that model is taken as it is. Each study is the calibrate stage itself: training
samples calibrate, the validation split is scored in litert, each number of samples is drawn `--draws` times, balanced
by class. Printed are the drop against the float model, mean and range over the draws; how many predictions differ from
the float model's; the mean difference of the outputs from its outputs; and how wide the activations' ranges are as a
share of those of the largest set. `*` marks sizes at which a difference from the largest set is proven. The last line
is JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from stages import calibrate, convert, model, prepare, train
from stages.artifacts import RESULT_FILE
from stages.calibrating.record import CalibrationPoint, CalibrationStudy
from stages.context import StageContext
from stages.engines import host


def run_stage(stage: Any, work: Path, **given: Any) -> Path:
    """Run a stage in a folder of its own; its artifact."""
    folder = work / f"{stage.NAME}-{len(list(work.iterdir()))}"
    out, scratch = folder / "out", folder / "scratch"
    for each in (out, scratch):
        each.mkdir(parents=True)
    result = stage.run(context=StageContext(out=out, scratch=scratch, log=folder / "log.txt"), **given)
    (out / RESULT_FILE).write_text(result.model_dump_json())
    return out


def float_model(options: argparse.Namespace, work: Path) -> tuple[Path, Path]:
    """(prepare artifact, float32 convert artifact)."""
    if options.model:
        source = {"kind": "image_folder", "path": options.images}
        data = run_stage(prepare, work, options=prepare.Options(
            source=source, given_model=True, seed=options.seed, validation_share=options.validation_share,
            allowed_duplicates=options.allowed_duplicates))
        keras = run_stage(model, work, data=data, options=model.Options(source=str(options.model)))
    else:
        data = run_stage(prepare, work, options=prepare.Options(
            seed=options.seed, validation_share=options.validation_share))
        built = run_stage(model, work, data=data, options=model.Options(source="small_cnn", seed=options.seed))
        keras = run_stage(train, work, model=built, data=data, options=train.Options(seed=options.seed))
    return data, run_stage(convert, work, source=keras, options=convert.Options(format="float32"))


def study(number_format: str, data: Path, tflite: Path, options: argparse.Namespace, work: Path) -> tuple[
        CalibrationStudy, float]:
    """The study of one format, and the seconds that it took."""
    start = time.perf_counter()
    made = run_stage(calibrate, work, tflite=tflite, data=data, options=calibrate.Options(
        format=number_format, draws=options.draws, seed=options.seed, strategy=options.strategy))
    seconds = time.perf_counter() - start
    if options.plots:
        options.plots.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made / "calibration.png", options.plots / f"calibration_{options.name}_{number_format}.png")
    return CalibrationStudy.model_validate_json((made / RESULT_FILE).read_text()), seconds


def row(point: CalibrationPoint) -> dict[str, Any]:
    """The figures of one size."""
    drops = [drop.value for drop in point.drops]
    return {"samples": point.samples, "drop_points": round(float(np.mean(drops)), 3),
            "drop_points_range": [round(min(drops), 3), round(max(drops), 3)],
            "changed": round(float(np.mean(point.changed)), 1),
            "output_distance": round(float(np.mean(point.distances)), 6),
            "range_share": round(float(np.mean(point.range_shares)), 3), "differs": point.differs}


def show(found: CalibrationStudy, seconds: float) -> dict[str, Any]:
    """Print a table; the same for the JSON line."""
    print(f"\n{found.format}: float {found.float_score:.4f} on {found.scored:,} {found.split} samples, {seconds:.0f} s")
    print(" samples   drop, points (range over draws)    changed   output distance   ranges found")
    rows = [row(point) for point in found.points]
    for each in rows:
        low, high = each["drop_points_range"]
        print(f"{each['samples']:>8}{'*' if each['differs'] else ' '}  {each['drop_points']:>7.2f}  "
              f"{f'({low:.2f} to {high:.2f})':<20}{each['changed']:>11.1f}{each['output_distance']:>18.5f}"
              f"{100 * each['range_share']:>13.0f} %")
    print(f"  {found.summary}")
    return {"format": found.format, "float_score": round(found.float_score, 4), "scored": found.scored,
            "enough": found.enough, "resolution_points": round(found.resolution_points, 2),
            "seconds": round(seconds, 1), "sizes": rows}


def main() -> None:
    """Read the command line, make the model, study each format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--name", default="digits")
    parser.add_argument("--formats", nargs="+", default=["int8", "int16x8"], choices=["int8", "int16x8"])
    parser.add_argument("--strategy", default="balanced", choices=["balanced", "random"])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--validation-share", type=float, default=0.3)
    parser.add_argument("--allowed-duplicates", type=int, default=0)
    parser.add_argument("--plots", type=Path)
    options = parser.parse_args()
    if bool(options.model) != bool(options.images):
        parser.error("--model and --images go together")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        data, tflite = float_model(options, work)
        found = [show(*study(each, data, tflite, options, work)) for each in options.formats]
    print(json.dumps({"name": options.name, "strategy": options.strategy, "draws": options.draws, "studies": found,
                      "cpu": host.host().cpu, "cores": host.host().cores,
                      "versions": {each: version(each) for each in ("litert-quantizer", "ai-edge-litert")}}))


if __name__ == "__main__":
    main()
