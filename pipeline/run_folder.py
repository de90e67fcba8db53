"""The run folder: what a run leaves for people. Deleting it loses nothing that the store cannot give back.

    runs/<name>/
      manifest.json          what was run, from what, with what; the commit and whether the tree was dirty
      litesmith.yaml         the whole config, defaults included
      log.txt                what TensorFlow and the runtimes had to say
      models/                <variant>.tflite, <variant>@<profile>.tflite for the profile's NPU, and each Keras model
                             under its label
      data/                  preprocessing.json: what a device must do before the model; a front end
      figures/<stage>/       each stage's result as JSON
      check/                 junit.xml, verdicts.json
      report/                report.html, report.md, report.json
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from device_profiles.errors import StoreError
from pipeline.calls import Call, Plan, report_versions
from pipeline.config import FILE_NAME, RunConfig
from pipeline.runner import Outcome
from pipeline.store import RESULT, Artifact, copy_file, explained, write_text
from pipeline.version import VERSION

MANIFEST = "manifest.json"
_SHOWN = ("check", "report", "calibrate")
_SAMPLES = ("x_", "y_", "about_")
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class RunFolder:
    """A run's folder.

    Attributes:
        path: `runs/<name>`.
    """

    path: Path

    @property
    def log(self) -> Path:
        """Where stages and runtimes write what they have to say."""
        return self.path / "log.txt"

    def manifest(self) -> dict[str, Any]:
        """The last run's manifest; empty where there is none, or none that can be read."""
        try:
            loaded = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return loaded if isinstance(loaded, dict) and loaded.get("schema_version") == SCHEMA_VERSION else {}

    def lay_out(self, plan: Plan, outcomes: Mapping[str, Outcome]) -> int:
        """Put every artifact's files where people look for them.

        Returns:
            How many files were written; those that were there already are left alone.

        Raises:
            StoreError: the folder cannot be written.
        """
        written = 0
        for label, outcome in outcomes.items():
            if outcome.artifact is not None and label in plan.calls:
                for source, target in _places(plan, outcome.call, outcome.artifact):
                    digest = outcome.artifact.digests[source]
                    written += copy_file(outcome.artifact.folder / source, self.path / target, digest)
        return written

    def write_manifest(self, config: RunConfig, plan: Plan, outcomes: Mapping[str, Outcome], command: Iterable[str],
                       started: datetime) -> None:
        """Write down what was run; calls that this command did not touch keep their entries.

        Raises:
            StoreError: the folder cannot be written.
        """
        before = self.manifest().get("calls", {})
        calls = {label: call_record(call) | _outcome_record(outcomes[label]) for label, call in plan.calls.items()
                 if label in outcomes}
        record = {
            "schema_version": SCHEMA_VERSION, "litesmith": VERSION, "name": config.name, "command": list(command),
            "started": started.isoformat(timespec="seconds"),
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "python": sys.version.split()[0], "versions": report_versions(), "git": git_state(),
            "variants": {name: label for name, label in plan.variants.items() if label in calls},
            "calls": before | calls,
        }
        write_text(self.path / FILE_NAME, config.as_yaml())
        write_text(self.path / MANIFEST, json.dumps(record, indent=1) + "\n")


def call_record(call: Call) -> dict[str, Any]:
    """What the key of a call is made of, in a form in which two runs can be compared."""
    return {"stage": call.stage, "key": call.key, "options": call.options.model_dump(mode="json"),
            "inputs": {role: value if isinstance(value, str) else dict(value) for role, value in call.inputs.items()},
            "libraries": call.versions}


def _outcome_record(outcome: Outcome) -> dict[str, Any]:
    """What became of a call."""
    record: dict[str, Any] = {"status": outcome.status, "summary": outcome.summary,
                              "seconds": round(outcome.seconds, 2)}
    if outcome.artifact:
        record["files"] = outcome.artifact.digests
        record["provisional"] = list(outcome.artifact.provisional)
    if outcome.error:
        record["error"] = str(outcome.error)
    return record


def _places(plan: Plan, call: Call, artifact: Artifact) -> list[tuple[str, str]]:
    """(file in the artifact, place in the run folder) of what people look for."""
    name = call.name or ("float" if call.stage == "train" else call.stage)
    files = [file for file in artifact.digests if file != RESULT]
    places = [(RESULT, f"figures/{call.stage}/{name}.json"), *_model_places(plan, call, files)]
    if call.stage in _SHOWN:
        places += [(file, f"{call.stage}/{file}") for file in files]
    elif call.stage == "prepare":
        places += [(file, f"data/{file}") for file in files if not file.startswith(_SAMPLES)]
    return places


def _model_places(plan: Plan, call: Call, files: list[str]) -> list[tuple[str, str]]:
    """The same for models."""
    baseline = plan.calls.get("baseline")
    is_float = call.stage == "train" or (baseline is not None and baseline.inputs["model"] == call.label)
    places = []
    if "model.keras" in files and (is_float or call.stage == "prune"):  # a QAT one is the float structure
        places.append(("model.keras", f"models/{'float' if is_float else call.name}.keras"))
    if "model.tflite" in files:
        places += [("model.tflite", f"models/{variant}.tflite") for variant, label in plan.variants.items()
                   if label == call.label]
        if call.stage == "compile":
            places.append(("model.tflite", f"models/{call.name}.tflite"))
    return places


def git_state() -> dict[str, Any]:
    """Commit and dirty flag of the working folder's checkout; empty outside one."""
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return {}


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=True, timeout=5).stdout.strip()


def open_folder(runs: Path, name: str) -> RunFolder:
    """The folder of a run, made where it is not there.

    Raises:
        StoreError: it cannot be made, or a file is in its place.
    """
    path = runs / name
    if path.exists() and not path.is_dir():
        raise StoreError(f"{path} is a file", "a folder for the run",
                         "give another --runs, or another name in the run file")
    with explained(path):
        path.mkdir(parents=True, exist_ok=True)
    return RunFolder(path)
