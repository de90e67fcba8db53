"""Keep what native code prints out of the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def native_errors_to(log: Path) -> Iterator[None]:
    """Append whatever this process writes to its standard error to `log`, C++ libraries and progress bars included.

    The converter, XNNPACK and litert-quantizer write there with no way to turn it off. The whole process is affected,
    so a console that draws while a stage runs must hold a descriptor of its own. Put back in any case.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 2)
            try:
                yield
            finally:
                sys.stderr.flush()
                os.dup2(terminal, 2)
    finally:
        os.close(terminal)
