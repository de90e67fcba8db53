"""Stages without TensorFlow, for tests of the flow: each writes a file with what went in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from device_profiles.records import Record
from pipeline import stage_order
from pipeline.calls import Call, Plan
from pipeline.runner import Outcome, Watcher
from pipeline.stage_order import Lane, Stage
from stages.context import StageContext
from stages.records import StageResult


class FakeOptions(Record):
    word: str = ""


@dataclass(frozen=True)
class FakeStage(Stage):
    """A stage whose module is a function of this test."""

    body: Callable[..., StageResult] | None = None

    def module(self) -> Any:
        return SimpleNamespace(run=self.body)


@dataclass
class Flow:
    """Fake stages, what was called, and how they misbehave.

    Attributes:
        ran: labels in the order in which they ran.
        faults: by label, an exception to raise or a function to call.
        provisional: labels whose result is provisional.
    """

    ran: list[str] = field(default_factory=list)
    faults: dict[str, Any] = field(default_factory=dict)
    provisional: set[str] = field(default_factory=set)

    def body(self, *, options: FakeOptions, context: StageContext, **inputs: Any) -> StageResult:
        """Write the inputs' texts and the own word into `text`."""
        label = options.word
        self.ran.append(label)
        fault = self.faults.get(label)
        if isinstance(fault, BaseException):
            raise fault
        if fault is not None:
            fault(context)
        texts = {role: _texts(value) for role, value in sorted(inputs.items())}
        (context.out / "text").write_text(json.dumps({"label": label, "inputs": texts}))
        context.progress(1, 1, "done")
        return StageResult(summary=f"did {label}",
                           provisional=("it crashed",) if label in self.provisional else ())

    def install(self, monkeypatch: Any) -> None:
        """Put fake stages in the place of the real ones, lane by lane."""
        for name, stage in stage_order.STAGES.items():
            monkeypatch.setitem(stage_order.STAGES, name, FakeStage(name, stage.lane, stage.help, self.body))


def _texts(value: Any) -> Any:
    if isinstance(value, Path):
        return json.loads((value / "text").read_text())["label"]
    return {name: _texts(folder) for name, folder in value.items()}


def call(label: str, key: str = "", **inputs: Any) -> Call:
    """A call of a fake stage; its key is its label unless given."""
    return Call(label, label.partition(":")[0], FakeOptions(word=label), inputs,
                (key or label).encode().hex().ljust(32, "0")[:48], {})


def with_a_device(without: set[str] = frozenset()) -> Plan:
    """`two_variants`, and a benchmark on a device that check takes as well."""
    plan, label = two_variants(without), "benchmark:door"
    if "check" not in plan.calls or label in without:
        return plan
    check = plan.calls["check"]
    there = call(label, key=f"door{''.join(plan.variants)}", tflites=plan.calls["benchmark"].inputs["tflites"])
    calls = {**plan.calls, label: there}
    calls["check"] = call("check", key=f"with-{check.key}", **check.inputs, devices={"door": label})
    return Plan(calls, plan.variants)


def two_variants(without: set[str] = frozenset()) -> Plan:
    """train -> convert and evaluate for a and b -> benchmark -> check."""
    calls = [call("prepare"), call("train", data="prepare")]
    names = [name for name in ("a", "b") if name not in without]
    for name in names:
        calls += [call(f"convert:{name}", source="train"), call(f"evaluate:{name}", tflite=f"convert:{name}")]
    tflites = {name: f"convert:{name}" for name in names}
    suffix = "".join(names)
    calls += [] if not names else [call("benchmark", key=f"benchmark{suffix}", tflites=tflites),
              call("check", key=f"check{suffix}", benchmark="benchmark",
                   evaluations={name: f"evaluate:{name}" for name in names})]
    return Plan({c.label: c for c in calls}, tflites)


class Listener(Watcher):
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self.events: list[str] = []
        self.plans: list[set[str]] = []

    def planned(self, plan: Plan) -> None:
        self.plans.append(set(plan.calls))

    def started(self, call: Call) -> None:
        self.events.append(f"start {call.label}")

    def progress(self, call: Call, done: int, total: int, text: str) -> None:
        self.events.append(f"progress {call.label} {done}/{total}")

    def ended(self, outcome: Outcome) -> None:
        self.outcomes[outcome.call.label] = outcome.status
        self.events.append(f"end {outcome.call.label}")

    def note(self, text: str) -> None:
        self.events.append(text)


__all__ = ["FakeOptions", "Flow", "Lane", "Listener", "call", "two_variants", "with_a_device"]
