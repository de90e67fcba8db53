"""Slimmings for tests: of half of the MACs, in two epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages import slim
from stages.records import SlimResult
from tests.stages.conftest import SEED, make_context


def options(**given: Any) -> slim.Options:
    return slim.Options(**({"share": 0.5, "epochs": 2, "batch_size": 16, "seed": SEED} | given))


def slimmed(folder: Path, model: Path, data: Path, **given: Any) -> tuple[SlimResult, Path]:
    context = make_context(folder)
    return slim.run(model=model, data=data, options=options(**given), context=context), context.out
