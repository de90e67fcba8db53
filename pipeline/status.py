"""What is up to date, what would run, and why: a plan held against the store and the last run's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.calls import Call, Plan
from pipeline.run_folder import call_record
from pipeline.store import Store


@dataclass(frozen=True)
class CallStatus:
    """Whether a call would run.

    Attributes:
        up_to_date: the store has its artifact, whole and not provisional, and so has it all inputs.
        why: a sentence: what changed since the last run.
    """

    label: str
    stage: str
    up_to_date: bool
    why: str


def statuses(plan: Plan, store: Store, manifest: Mapping[str, Any]) -> list[CallStatus]:
    """One status a call, in the plan's order.

    Args:
        plan: of the config as it is now.
        store: where artifacts are; every artifact's digests are checked.
        manifest: of the last run in this run folder; empty where there is none.
    """
    last: Mapping[str, Any] = manifest.get("calls", {})
    found: dict[str, CallStatus] = {}
    for label, call in plan.calls.items():
        stale = [name for name in call.needs() if not found[name].up_to_date]
        why = _why(call, store, last, stale)
        found[label] = CallStatus(label, call.stage, not why, why or "up to date")
    return list(found.values())


def _why(call: Call, store: Store, last: Mapping[str, Any], stale: list[str]) -> str:
    """Why a call would run; empty where it would not."""
    artifact = store.find(call.key)
    if artifact is not None and artifact.provisional:
        return f"tried again: {artifact.provisional[0]}"
    if artifact is not None:
        return ""
    if call.key in store.damaged:
        return "its artifact was damaged"
    before = last.get(call.label)
    if before is None:
        return "never run here" if not stale else f"never run here; needs {stale[0]}"
    changes = _changes(before, call_record(call))
    if changes:
        return "; ".join(changes[:3])
    if stale:
        return f"{stale[0]} would run"
    return "its artifact is not in the store" if before.get("status") != "failed" else "it failed last time"


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between a call as it was and as it is, in words."""
    options = [f"{key}: {old} -> {new}" for key, old, new in _differences(before["options"], now["options"])
               if (now["stage"], key) != ("report", "config")]  # the run file's text: its other calls say what changed
    libraries = [f"{name} {old} -> {new}" for name, old, new in _differences(before["libraries"], now["libraries"])]
    inputs = [f"input {role}: {old} -> {new}" for role, old, new in _differences(before["inputs"], now["inputs"])]
    return options + libraries + inputs


def _differences(before: Any, now: Any, place: str = "") -> list[tuple[str, Any, Any]]:
    """(dotted place, old, new) wherever two JSON values differ; long values are cut."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = sorted(set(before) | set(now))
        inner = (_differences(before.get(key), now.get(key), f"{place}.{key}" if place else key) for key in keys)
        return [one for some in inner for one in some]
    return [] if before == now else [(place, _cut(before), _cut(now))]


def _cut(value: Any) -> str:
    """A value on one line, at most 40 characters of it."""
    text = " ".join(str(value).split())
    return text if len(text) <= 40 else text[:37] + "..."
