"""A wish to stop, by Ctrl-C or SIGTERM, that does not get lost.

Python raises `KeyboardInterrupt` wherever the main thread happens to be. In a finalizer or in a callback from native
code it is printed or dropped, and the run would go on as if nobody had asked. So the signal is remembered as well, and
the runner looks between two calls.
"""

from __future__ import annotations

import signal
import threading

_asked = threading.Event()


def listen() -> None:
    """Take both signals; for a process of its own, not for a library."""
    _asked.clear()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def check_not_asked() -> None:
    """Stop now where an earlier wish was lost.

    Raises:
        KeyboardInterrupt: it was.
    """
    if _asked.is_set():
        raise KeyboardInterrupt


def _stop(_number: int, _frame: object) -> None:
    """Remember, and stop at once where that is possible."""
    _asked.set()
    raise KeyboardInterrupt
