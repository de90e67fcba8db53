"""The process that takes a user's model in: `python -m stages.models.import_worker FOLDER`, started by `importing.py`.

It reads `request.json` in the folder, looks into the file, loads it, writes the artifact into `out/` and what it found
into `answer.json`. An exception that nobody caught becomes the answer, too; where there is none, the process died.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import LitesmithError, ModelError
from stages.models import import_kinds
from stages.models.importing import ImportSettings
from stages.models.origin import Origin

ANSWER = "answer.json"
_MESSAGE_CHARACTERS = 600
_KERAS_CAUSE = "Exception encountered: "


def main(folder: Path) -> None:
    """Do what the folder's request asks for."""
    _end_with_parent()
    sys.excepthook = _answer_with(folder)
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    origin = Origin.model_validate(request["origin"])
    work = import_kinds.Work(
        origin=origin, settings=ImportSettings.model_validate(request["settings"]), out=folder / "out",
        samples=_read_samples(request["samples"]), input_shape=tuple(request["input_shape"] or ()),
        classes=request["classes"])
    imported = import_kinds.take_in(work)
    _write(folder, {"imported": imported.model_dump(mode="json")})


def _write(folder: Path, answer: dict[str, Any]) -> None:
    """The answer, whole or not at all."""
    aside = folder / f"{ANSWER}.part"
    aside.write_text(json.dumps(answer), encoding="utf-8")
    aside.replace(folder / ANSWER)


def _read_samples(path: str | None) -> dict[str, NDArray[Any]] | None:
    """Samples by input name; "" for the only input."""
    if path is None:
        return None
    with np.load(path, allow_pickle=False) as archive:
        return {name.removeprefix("input:"): archive[name] for name in archive.files}


def _end_with_parent() -> None:
    """End this process when the pipe to its parent closes: the parent may have been killed."""
    def wait() -> None:
        """Block until the end of the pipe."""
        while os.read(0, 1):  # unbuffered: a thread inside a buffered read upsets the interpreter when it ends
            continue
        os._exit(1)
    threading.Thread(target=wait, daemon=True).start()


def _answer_with(folder: Path) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    """An exception hook that makes the exception the answer."""
    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """As `sys.excepthook`; the whole trace goes to the log."""
        sys.__excepthook__(kind, error, trace)
        if isinstance(error, LitesmithError):
            said: dict[str, Any] = {"ours": True, "found": error.found, "allowed": error.allowed,
                                    "next_step": error.next_step}
        else:
            said = {"ours": False, "type": kind.__name__, "message": first_sentence(str(error)), "place": _place(trace)}
        _write(folder, {"error": said})
    return hook


def first_sentence(text: str) -> str:
    """The first line that says something, cut where it runs on; of Keras's nested messages the innermost one's."""
    text = text.rpartition(_KERAS_CAUSE)[2]
    line = next((line.strip() for line in text.splitlines() if line.strip()), "no message")
    return line if len(line) <= _MESSAGE_CHARACTERS else line[:_MESSAGE_CHARACTERS] + "..."


def _place(trace: TracebackType | None) -> str:
    """`file, line n` of the innermost frame in the user's own code; empty where there is none."""
    libraries = (sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[2] / "stages"), "<")
    place = ""
    while trace:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith(libraries):
            place = f"{file}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise ModelError("the import worker takes one folder", "", "it is started by litesmith itself")
    main(Path(sys.argv[1]))
