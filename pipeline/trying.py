"""What `litesmith explain --try` makes: a variant's entry with a change over it, and how a run file has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pipeline.calls import Call
from pipeline.config import RunConfig, VariantEntry
from pipeline.runner import Outcome, Watcher
from stages.records import Change

_ADDED = ("int4_keep", "protect", "skip_layers")  # lists of layers, to which a change adds


class Quieted(Watcher):
    """Tells a watcher of progress alone: a change that cannot be made is a result, and shown as one."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def started(self, call: Call) -> None:
        """A call is about to run."""
        self._watcher.started(call)

    def progress(self, call: Call, done: int, total: int, text: str) -> None:
        """How far a running call is."""
        self._watcher.progress(call, done, total, text)

    def ended(self, outcome: Outcome) -> None:
        """A call has an outcome."""
        quiet = outcome.status in ("failed", "blocked")
        self._watcher.ended(replace(outcome, status="kept", error=None) if quiet else outcome)


def changed_entry(entry: VariantEntry, change: Change, config: RunConfig) -> VariantEntry:
    """The variant's entry with a change over it: layers are added to a list that holds, mappings are merged."""
    values: dict[str, Any] = entry.model_dump(mode="json", exclude_unset=True)
    if change.format:
        old = entry.variant().format
        values["name"] = "-".join(change.format if word == old else word for word in entry.name.split("-"))
    for section, keys in change.settings.items():
        own = values.get(section) or {}
        run = {} if change.format else getattr(config, section).model_dump(mode="json", exclude_unset=True)
        values[section] = {**own, **{key: _over(key, own.get(key, run.get(key)), value) for key, value in keys.items()}}
    return VariantEntry.model_validate_json(json.dumps(values))


def _over(key: str, known: Any, given: Any) -> Any:
    """A setting with a change over it."""
    if isinstance(given, dict):
        known = known or {}
        return {**known, **{name: _over(name, known.get(name), value) for name, value in given.items()}}
    return [*known, *(each for each in given if each not in known)] if known and key in _ADDED else given


def lines_of(entry: VariantEntry) -> Iterator[str]:
    """The entry as it stands under `variants` in a run file; JSON is YAML."""
    values = entry.model_dump(mode="json", exclude_unset=True)
    yield f"- name: {values.pop('name')}"
    for section, keys in values.items():
        yield f"  {section}: {json.dumps(keys)}"
