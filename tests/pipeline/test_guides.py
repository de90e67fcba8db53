"""The guides for users' own models and data: every file in them is written, every script and every command is run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"
_FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUICK = ("evaluate.engines=[litert,tflm]", "benchmark.engines=[litert,tflm]", "benchmark.rounds=5",
         "benchmark.warm_up_s=0", "benchmark.budget_s=0.1", "prune.epochs=1", "evaluate.resamples=100")


@dataclass
class Guide:
    """What a page tells its reader to write and to type.

    Attributes:
        files: by name, files that are written.
        scripts: names of those that are run with Python: make_*.py and export.py.
        commands: what is typed, and the lines that are said to come of it.
    """

    files: dict[str, str] = field(default_factory=dict)
    scripts: list[str] = field(default_factory=list)
    commands: list[tuple[str, list[str]]] = field(default_factory=list)


def read_guide(name: str) -> Guide:
    guide = Guide()
    for kind, file, text in _FENCE.findall((DOCS / name).read_text("utf-8")):
        if kind == "console":
            for line in text.splitlines():
                if line.startswith("$ "):
                    guide.commands.append((line[2:], []))
                else:
                    guide.commands[-1][1].append(line)
        else:
            assert file, f"{name} has a block of {kind} without a file's name"
            guide.files[file] = text
            if kind == "python" and file.startswith(("make_", "export")):
                guide.scripts.append(file)
    return guide


GUIDES = {name: read_guide(name) for name in ("your-model.md", "your-data.md")}
SCRIPTS = [script for guide in GUIDES.values() for script in guide.scripts]


def write_photos(folder: Path) -> None:
    """48 small photographs of two classes, from four sessions."""
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for number in range(24):
            image = rng.integers(0, 255, (40, 48, 3), np.uint8)
            Image.fromarray(image).save(folder / label / f"session{number % 4 + 1}_{number}.png")


def make_two_outputs(path: Path) -> None:
    """A model with the inputs and outputs of `two.npz`."""
    import tf_keras as keras

    image, weight = keras.Input((12, 12, 1), name="image"), keras.Input((1,), name="weight")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(image))
    x = keras.layers.Concatenate()([x, weight])
    kind = keras.layers.Dense(2, activation="softmax", name="kind")(x)
    keras.Model([image, weight], [kind, keras.layers.Dense(1, name="size")(x)]).save(path)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with what a reader of both pages has."""
    folder = tmp_path_factory.mktemp("guides")
    for guide in GUIDES.values():
        for name, text in guide.files.items():
            (folder / name).write_text(text, "utf-8")
    write_photos(folder / "photos")
    make_two_outputs(folder / "two.keras")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for script in SCRIPTS:
            subprocess.run([sys.executable, script], check=True, capture_output=True, timeout=300)
        yield folder


COMMANDS = [pytest.param(command, lines, id=command) for guide in GUIDES.values() for command, lines in guide.commands]


@pytest.mark.parametrize(("command", "lines"), COMMANDS)
def test_a_command_of_the_guides_does_what_they_say(desk, typed, command, lines):
    words = command.split()
    assert words[0] == "litesmith"
    quick = [word for change in QUICK for word in ("--set", change)]
    if "train.epochs" not in command:
        quick += ["--set", "train.epochs=1"]
    done = typed(*words[1:], *quick, folder=desk)
    assert done.code == 0, done.err
    for line in lines:
        assert line in done.err


def test_the_guides_have_what_this_test_looks_for():
    assert len(COMMANDS) >= 15
    assert {"make_model.py", "make_npz.py", "export.py"} <= set(SCRIPTS)
