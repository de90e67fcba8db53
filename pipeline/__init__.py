"""How a run is described, carried out and shown.

    import pipeline
    result = pipeline.run({"name": "mine", "variants": ["float32", "int8"]})
    result.report["profiles"]["iot"]["winner"]
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.config import RunConfig
    from pipeline.runner import Watcher
    from pipeline.session import RunResult

__all__ = ["DEFAULT_RUNS", "DEFAULT_STORE", "run"]

DEFAULT_RUNS = "runs"
DEFAULT_STORE = ".litesmith/store"


def run(config: RunConfig | Mapping[str, Any] | str | Path | None = None, *, runs: str | Path = DEFAULT_RUNS,
        store: str | Path = DEFAULT_STORE, stage: str | None = None, watcher: Watcher | None = None) -> RunResult:
    """Run the pipeline from Python.

    Args:
        config: a run file's path, its content as a mapping, a `RunConfig`, or None for `litesmith.yaml` here or else
            the built-in run.
        runs: where run folders are.
        store: where artifacts are kept.
        stage: go as far as this stage; None runs all.
        watcher: told what happens; None tells nobody.

    Returns:
        A `RunResult`: `folder`, `report` (report.json as data), `fits`, `failed`, `outcomes` by call.

    Raises:
        LitesmithError: see its subclasses; each carries found, allowed and next step.
    """
    from pipeline import config as configs
    from pipeline.session import Session

    if config is None or isinstance(config, str | Path):
        loaded, _ = configs.load(None if config is None else Path(config))
    else:
        loaded = configs.from_mapping(config) if isinstance(config, Mapping) else config
    return Session(loaded, Path(runs), Path(store)).run(stage, watcher)
