"""Keeps what TensorFlow and the runtimes print out of the terminal: file descriptors 1 and 2 go to a log file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pipeline.store import explained


@contextmanager
def kept_out(log: Path) -> Iterator[tuple[TextIO, TextIO]]:
    """Send all that is written to standard output and error by whatever code, C++ included, to a log file.

    Args:
        log: appended to; its folder is made.

    Yields:
        The terminal's own output and error, to print on meanwhile.
    """
    with explained(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    streams = [os.fdopen(os.dup(number), "w", encoding="utf-8", errors="replace", buffering=1) for number in saved]
    os.dup2(file, 1)
    os.dup2(file, 2)
    try:
        yield streams[0], streams[1]
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream in streams:
            stream.flush()
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        for descriptor in (*saved, file):
            os.close(descriptor)
        for stream in streams:
            stream.close()
