"""One run from config to run folder: what the commands and the Python API both call. Prints nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from device_profiles.errors import DoesNotFit, StageError, UsageError
from pipeline import DEFAULT_RUNS, DEFAULT_STORE
from pipeline.calls import Plan, Surroundings
from pipeline.config import RunConfig
from pipeline.plan import build
from pipeline.run_folder import RunFolder, open_folder
from pipeline.runner import Outcome, Runner, Watcher, failures
from pipeline.status import CallStatus, statuses
from pipeline.store import Store


@dataclass(frozen=True)
class RunResult:
    """What a run came to.

    Attributes:
        folder: the run folder.
        plan: the calls as they were carried out.
        outcomes: what became of each call, by label.
        seconds: wall time of the whole.
    """

    folder: Path
    plan: Plan
    outcomes: Mapping[str, Outcome]
    seconds: float

    @property
    def failed(self) -> list[Outcome]:
        """Calls that failed themselves."""
        return failures(self.outcomes.values())

    @property
    def made(self) -> list[Outcome]:
        """Calls that ran."""
        return [outcome for outcome in self.outcomes.values() if outcome.status == "made"]

    def result(self, label: str) -> dict[str, Any] | None:
        """A call's result as JSON data, or None where it has none."""
        outcome = self.outcomes.get(label)
        return outcome.artifact.result() if outcome and outcome.artifact else None

    @property
    def report(self) -> dict[str, Any] | None:
        """report.json, or None where the run did not come that far."""
        outcome = self.outcomes.get("report")
        if outcome is None or outcome.artifact is None:
            return None
        loaded: dict[str, Any] = json.loads((outcome.artifact.folder / "report.json").read_text(encoding="utf-8"))
        return loaded

    @property
    def fits(self) -> bool | None:
        """Whether every required profile has a variant that passes; None where `check` did not run."""
        check = self.result("check")
        return None if check is None else bool(check["fits"])

    def require_fit(self) -> None:
        """Nothing where every required profile has a variant that passes.

        Raises:
            DoesNotFit: a required profile has none; it says which, and what stood in the way.
        """
        check = self.result("check") or {"profiles": {}}
        unfit = [f"{name}: {profile['reason']}" for name, profile in check["profiles"].items()
                 if profile["required"] and profile["winner"] is None]
        if unfit:
            raise DoesNotFit("no variant passes on " + "; on ".join(unfit),
                             next_step="another variant, or another limit in check.limits; the report shows each limit")


@dataclass
class Session:
    """A config, a store and a run folder.

    Attributes:
        config: what to make.
        runs: the folder that holds run folders.
        store_path: the store's folder.
        command: the words of the command, for the manifest.
    """

    config: RunConfig
    runs: Path = Path(DEFAULT_RUNS)
    store_path: Path = Path(DEFAULT_STORE)
    command: tuple[str, ...] = ()
    _around: Surroundings | None = field(default=None, repr=False)

    @property
    def folder(self) -> RunFolder:
        """The run folder; `run` makes it."""
        return RunFolder(self.runs / self.config.name)

    def around(self) -> Surroundings:
        """Engines and host, looked up once."""
        if self._around is None:
            from stages.engines import host, registry

            versions = {name: registry.engine_info(name).version for name in registry.ENGINES}
            self._around = Surroundings(versions, host.fingerprint(host.host()), self.store_path / "digests.json")
        return self._around

    def plan(self, stage: str | None = None, without: Iterable[str] = ()) -> Plan:
        """The calls: all, or those that a stage's artifacts need; without the variants and device calls named."""
        plan = build(self.config, self.around(), without)
        if stage is None:
            return plan
        wanted = plan.of_stage(stage)
        if stage == "compile" and not wanted:
            raise UsageError(f"none of the profiles has an NPU: {', '.join(self.config.profiles)}",
                             "a profile with a section npu", "litesmith compile --profile corstone-300")
        return plan.only(wanted + plan.of_stage("calibrate") if stage == "quantize" else wanted)

    def statuses(self) -> list[CallStatus]:
        """What is up to date, and why the rest is not."""
        return statuses(self.plan(), Store(self.store_path), self.folder.manifest())

    def run(self, stage: str | None = None, watcher: Watcher | None = None) -> RunResult:
        """Make what is missing and lay out the run folder.

        Args:
            stage: go as far as this stage; None runs all.
            watcher: told what happens.

        Raises:
            LitesmithError: a call that every variant needs failed, or store or run folder cannot be written. A variant
                that fails alone does not raise: see `RunResult.failed`.
        """
        started = datetime.now(UTC)
        folder = open_folder(self.runs, self.config.name)
        runner = Runner(Store(self.store_path), folder.log, watcher or Watcher())
        plan = self.plan(stage)
        for name, reason in plan.left_out.items():
            runner.watcher.note(f"{name} is left out: {reason}")
        try:
            plan = runner.run(plan, lambda lost: self.plan(stage, lost))
        finally:
            folder.lay_out(plan, runner.outcomes)
            if any(outcome.status != "kept" for outcome in runner.outcomes.values()) or not folder.manifest():
                folder.write_manifest(self.config, plan, runner.outcomes, self.command or tuple(sys.argv), started)
        for key in runner.store.damaged:
            runner.watcher.note(f"the artifact {key} in the store was damaged and was made again")
        self._raise_if_nothing_left(plan, runner.outcomes)
        return RunResult(folder.path, plan, runner.outcomes, (datetime.now(UTC) - started).total_seconds())

    @staticmethod
    def _raise_if_nothing_left(plan: Plan, outcomes: Mapping[str, Outcome]) -> None:
        """Raise the first error where nothing that was asked for could be made."""
        failed = failures(outcomes.values())
        needed = {label for call in plan.calls.values() for label in call.needs()}
        ends = [outcomes[label] for label in plan.calls if label not in needed and label in outcomes]
        if failed and not any(outcome.artifact for outcome in ends):
            raise failed[0].error or StageError(failed[0].summary)
