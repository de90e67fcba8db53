"""Walks a plan: what the store has is taken, the rest is made; TensorFlow is imported once.

Calls of lane MAIN run here, one after another. Calls of lane ENGINES run beside them in a thread that drives engine
workers. Calls of lane ALONE wait until nothing else runs. A call that fails takes down the variants that need it and no
other: the calls over all variants are laid out again for those that are left, and so they are without the figures of a
device that could not be measured.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from device_profiles.errors import LitesmithError, StageError, StoreError
from pipeline.calls import Call, Plan
from pipeline.stage_order import STAGES, Lane
from pipeline.stopping import check_not_asked
from pipeline.store import Artifact, Store, explain
from stages.context import StageContext
from stages.records import StageResult

Status = Literal["kept", "made", "failed", "blocked"]


@dataclass(frozen=True)
class Outcome:
    """What became of a call.

    Attributes:
        status: "kept": the store had it; "made": it ran; "failed": it ran and `error` says why; "blocked": a call that
            it needs failed.
        artifact: None where it failed or is blocked.
        summary: the stage's line for people.
        seconds: how long it took; 0 where it did not run.
    """

    call: Call
    status: Status
    artifact: Artifact | None = None
    summary: str = ""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    error: LitesmithError | None = None


class Watcher:
    """Whom the runner tells what happens; this one tells nobody. What overrides it must be cheap and thread-safe."""

    def planned(self, plan: Plan) -> None:
        """What is about to be carried out; called again when variants that failed are left out."""

    def started(self, call: Call) -> None:
        """A call is about to run."""

    def progress(self, call: Call, done: int, total: int, text: str) -> None:
        """How far a running call is."""

    def ended(self, outcome: Outcome) -> None:
        """A call has an outcome."""

    def note(self, text: str) -> None:
        """Something that a user should know."""


@dataclass
class Runner:
    """Carries out plans on one store.

    Attributes:
        store: where artifacts are.
        log: where stages and runtimes write what they have to say.
        watcher: see `Watcher`.
        outcomes: by label, of all calls so far.
    """

    store: Store
    log: Path
    watcher: Watcher
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    _stopping: bool = False

    def run(self, plan: Plan, relay: Callable[[set[str]], Plan]) -> Plan:
        """Make every artifact of a plan.

        Args:
            plan: what to make.
            relay: gives the plan without the variants and the calls on devices named; called where some have failed.

        Returns:
            The plan as it was carried out in the end.

        Raises:
            StoreError: the store cannot be written: nothing else can go on either.
        """
        self.watcher.planned(plan)
        self._walk([call for call in plan.calls.values() if not call.is_over_all])
        lost = self.lost_variants(plan)
        plan = self._laid_out_again(plan, lost, relay)
        self._walk([call for call in plan.calls.values() if call.is_of_a_device])
        unreached = {call.label for call in plan.calls.values()
                     if call.is_of_a_device and self.outcomes[call.label].artifact is None}
        plan = self._laid_out_again(plan, lost | unreached if unreached else set(), relay)
        self._walk([call for call in plan.calls.values() if call.is_over_all])
        return plan

    def _laid_out_again(self, plan: Plan, lost: set[str], relay: Callable[[set[str]], Plan]) -> Plan:
        """The plan without what is lost; the same where nothing is."""
        if lost:
            plan = relay(lost)
            self.watcher.planned(plan)
        return plan

    def lost_variants(self, plan: Plan) -> set[str]:
        """Variants for which a call that they need has failed."""
        failed = {label for label, outcome in self.outcomes.items() if outcome.status in ("failed", "blocked")}
        ends = {name: {label, f"evaluate:{name}"} & set(plan.calls) for name, label in plan.variants.items()}
        return {name for name, labels in ends.items() if plan.upstream(labels) & failed}

    def _walk(self, calls: list[Call]) -> None:
        """Run calls in order, lane by lane; returns when all have an outcome."""
        todo = {call.label: call for call in calls if call.label not in self.outcomes}
        running: dict[Future[Outcome], Call] = {}
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engines")
        try:
            while todo or running:
                self._settle(todo)
                self._submit(todo, running, pool)
                call = self._next_main(todo, bool(running))
                if call is not None:
                    del todo[call.label]
                    self._record(self._carry_out(call))
                self._collect(running, block=call is None)
                check_not_asked()
        finally:
            self._stopping = bool(running)
            pool.shutdown(wait=False, cancel_futures=True)
            _end_workers(list(running))

    def _settle(self, todo: dict[str, Call]) -> None:
        """Give an outcome to every call that the store has, or that can no longer run."""
        for label, call in list(todo.items()):
            needed = [self.outcomes[name] for name in call.needs() if name in self.outcomes]
            lost = [outcome for outcome in needed if outcome.artifact is None]
            if lost:
                del todo[label]
                self._record(Outcome(call, "blocked", summary=f"needs {lost[0].call.label}, which failed"))
            elif len(needed) == len(call.needs()):
                kept = self._kept(call)
                if kept:
                    del todo[label]
                    self._record(kept)

    def _kept(self, call: Call) -> Outcome | None:
        """The outcome of a call that need not run."""
        artifact = self.store.find(call.key)
        if artifact is None or artifact.provisional:
            return None
        result = artifact.result()
        return Outcome(call, "kept", artifact, str(result["summary"]), tuple(result["warnings"]))

    def _ready(self, todo: dict[str, Call], lane: Lane) -> list[Call]:
        return [call for call in todo.values() if STAGES[call.stage].lane is lane
                and all(label in self.outcomes for label in call.needs())]

    def _submit(self, todo: dict[str, Call], running: dict[Future[Outcome], Call], pool: ThreadPoolExecutor) -> None:
        """Hand the calls of the engines' lane to the pool."""
        for call in self._ready(todo, Lane.ENGINES):
            del todo[call.label]
            running[pool.submit(self._carry_out, call)] = call

    def _next_main(self, todo: dict[str, Call], busy: bool) -> Call | None:
        """The next call for this thread: one of the main lane, or one that runs alone when nothing else does."""
        ready = self._ready(todo, Lane.MAIN) or ([] if busy else self._ready(todo, Lane.ALONE))
        return ready[0] if ready else None

    def _collect(self, running: dict[Future[Outcome], Call], block: bool) -> None:
        """Record what the pool has finished; with `block`, wait for one."""
        if running:
            done, _ = wait(running, timeout=None if block else 0, return_when=FIRST_COMPLETED)
            for future in done:
                del running[future]
                self._record(future.result())

    def _record(self, outcome: Outcome) -> None:
        self.outcomes[outcome.call.label] = outcome
        self.watcher.ended(outcome)

    def _carry_out(self, call: Call) -> Outcome:
        """Run one call under its key's lock and keep what it made."""
        with self.store.lock(call.key):
            kept = self._kept(call)
            if kept:
                return kept
            self.watcher.started(call)
            start = time.perf_counter()
            folder = self.store.begin(call.key)
            try:
                result = self._stage(call, folder)
                if self._stopping:
                    raise StageError(f"{call.label} was stopped")
                artifact = self.store.keep(call.key, folder, result.model_dump_json(indent=1),
                                           result.provisional + self._provisional_inputs(call))
            except StoreError:
                raise
            except LitesmithError as error:
                return Outcome(call, "failed", summary=error.found, seconds=time.perf_counter() - start, error=error)
            except OSError as error:
                raise StoreError(*explain(error, folder)) from error
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return Outcome(call, "made", artifact, result.summary, result.warnings, time.perf_counter() - start)

    def _stage(self, call: Call, folder: Path) -> StageResult:
        """Call the stage's `run` with its inputs' folders."""
        context = StageContext(out=folder, scratch=self.store.scratch(call.key), log=self.log,
                               progress=lambda done, total, text: self.watcher.progress(call, done, total, text))
        inputs: dict[str, Any] = {}
        for role, value in call.inputs.items():
            inputs[role] = self._folder(value) if isinstance(value, str) else {
                name: self._folder(label) for name, label in value.items()}
        result: StageResult = STAGES[call.stage].module().run(**inputs, options=call.options, context=context)
        return result

    def _provisional_inputs(self, call: Call) -> tuple[str, ...]:
        """What rests on a provisional artifact is provisional too."""
        artifacts = {label: self.outcomes[label].artifact for label in call.needs()}
        return tuple(f"{label} is provisional" for label, artifact in artifacts.items()
                     if artifact and artifact.provisional)

    def _folder(self, label: str) -> Path:
        artifact = self.outcomes[label].artifact
        if artifact is None:
            raise StoreError(f"{label} has no artifact", next_step="run the same command again")
        return artifact.folder


def failures(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The calls that failed themselves, in order."""
    return [outcome for outcome in outcomes if outcome.status == "failed"]


def _end_workers(running: list[Future[Outcome]]) -> None:
    """After an interruption: end the engine workers until the threads that drive them have let go."""
    import psutil

    from stages.engines.client import WORKER

    while any(not future.done() for future in running):
        for child in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):
                if str(WORKER) in child.cmdline():
                    child.kill()
        wait(running, timeout=0.1)
