"""Small artifacts that several stages' tests start from: each is made once a process, by the stages themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.artifacts import RESULT_FILE
from stages.context import Progress, StageContext, no_progress
from stages.engines.client import EngineWorker

SEED = 5
CLASSES = 3


def make_context(folder: Path, progress: Progress = no_progress) -> StageContext:
    """A stage's surroundings in a folder that may be there already (a second try finds the first one's scratch)."""
    for name in ("out", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return StageContext(out=folder / "out", scratch=folder / "scratch", log=folder / "log.txt", progress=progress)


def stripes(count: int = 150, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noisy 6x6 images with a bright band; the label says in which third.  # x (count, 6, 6, 1), y (count,)"""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % CLASSES
    x = rng.normal(0, 0.6, (count, 6, 6, 1)).astype(np.float32)
    for row, label in zip(x, y, strict=True):
        row[2 * label:2 * label + 2] += 1
    return x, y.astype(np.int64)


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`make(stage, **inputs and options)` runs a stage in a fresh folder and gives its artifact, result included."""
    def run(stage: Any, **given: Any) -> Path:
        context = make_context(tmp_path_factory.mktemp(stage.NAME))
        result = stage.run(context=context, **given)
        (context.out / RESULT_FILE).write_text(result.model_dump_json())
        return context.out
    return run


@pytest.fixture(scope="session")
def prepared(make: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepare artifact of 150 `stripes`: 99 train, 21 validation, 30 test."""
    from stages import prepare

    path = tmp_path_factory.mktemp("data") / "stripes.npz"
    x, y = stripes()
    np.savez(path, x=x, y=y)
    return make(prepare, options=prepare.Options(source={"kind": "npz", "path": path}, seed=SEED))


@pytest.fixture(scope="session")
def built(make: Callable[..., Path], prepared: Path) -> Path:
    """A model artifact: `small_cnn`, untrained."""
    from stages import model

    return make(model, data=prepared, options=model.Options(seed=SEED))


@pytest.fixture(scope="session")
def trained(make: Callable[..., Path], prepared: Path, built: Path) -> Path:
    """A train artifact: `small_cnn`, four epochs."""
    from stages import train

    return make(train, model=built, data=prepared, options=train.Options(epochs=4, batch_size=16, seed=SEED))


@pytest.fixture(scope="session")
def pruned(make: Callable[..., Path], prepared: Path, trained: Path) -> Path:
    """`trained` with half of its weights zero."""
    from stages import prune

    options = prune.Options(epochs=2, batch_size=16, sparsity=0.5, seed=SEED)
    return make(prune, model=trained, data=prepared, options=options)


@pytest.fixture(scope="session")
def float_tflite(make: Callable[..., Path], trained: Path) -> Path:
    """`trained` as a float32 tflite model's artifact."""
    from stages import convert

    return make(convert, source=trained, options=convert.Options(format="float32"))


@pytest.fixture(scope="session")
def qat_model(make: Callable[..., Path], prepared: Path, pruned: Path) -> Path:
    """`pruned` trained with quantization, zeros kept."""
    from stages import quantize

    options = quantize.Options(format="int8qat", epochs=1, batch_size=16, sparsity=0.5, seed=SEED)
    return make(quantize, model=pruned, data=prepared, options=options)


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], EngineWorker]]:
    """`engines(name)` is a worker of that engine, for tests of what models compute: it is started once a file."""
    running: dict[str, EngineWorker] = {}
    log = tmp_path_factory.mktemp("engines") / "log.txt"

    def get(name: str) -> EngineWorker:
        if name not in running or not running[name].pid:
            running[name] = EngineWorker(name, log=log, model="model").__enter__()
        return running[name]

    yield get
    for worker in running.values():
        worker.close()
