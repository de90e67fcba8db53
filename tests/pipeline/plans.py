"""What the tests of plans share: surroundings, and which calls two plans do not share."""

from __future__ import annotations

from pipeline.calls import Surroundings

AROUND = Surroundings({"litert": "2.3.0", "tflite-runtime": "2.14.0", "tflm": None}, "host-1")


def keys(plan):
    return {label: call.key for label, call in plan.calls.items()}


def changed_calls(before, after):
    old, new = keys(before), keys(after)
    return {label for label in new if old.get(label) != new[label]}
