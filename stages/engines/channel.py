"""A worker process and its three pipes: one request out, one reply in, within a time limit."""

from __future__ import annotations

import collections
import contextlib
import os
import re
import selectors
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from stages.engines import worker

_PIPE_BYTES = 1 << 20  # Linux gives 64 KiB: a switch between the processes for every sixteenth of this
_F_SETPIPE_SZ = 1031  # fcntl(2), Linux
_WORDS = 20  # lines of stderr that are kept for a message
_CHATTER = re.compile(r"^\s*$|^(INFO|WARNING):|Created TensorFlow Lite XNNPACK delegate")


class ChannelTimeout(Exception):
    """The reply did not come in time."""


class ChannelClosed(Exception):
    """The process ended before it replied."""


class Reply:
    """A frame that comes in pieces: prefix, header, payload."""

    def __init__(self) -> None:
        self._parts: list[bytearray] = []
        self._begin(worker.PREFIX.size)

    def _begin(self, size: int) -> None:
        self._parts.append(bytearray(size))
        self._room = memoryview(self._parts[-1])

    def read_from(self, descriptor: int) -> bool:
        """Read what is there, until the pipe is empty; whether the frame is whole.

        Raises:
            ChannelClosed: the other end is closed.
            worker.UsageError: what comes is no frame.
        """
        while self._room or len(self._parts) < 3:
            if not self._room:
                self._advance()
                continue
            count = os.readv(descriptor, [self._room])
            if not count:
                raise ChannelClosed
            self._room = self._room[count:]
        return True

    def _advance(self) -> None:
        """Go on to the frame's next part."""
        header_bytes, payload_bytes = worker.unpack_prefix(self._parts[0])
        self._begin(header_bytes if len(self._parts) == 1 else payload_bytes)

    def frame(self) -> tuple[dict[str, Any], list[Any]]:
        """(header, arrays) of a whole frame."""
        return worker.unpack_frame(self._parts[1], self._parts[2])


class Channel:
    """Starts a command in a session of its own, so that Ctrl-C in the terminal does not reach it.

    Args:
        command: program and arguments.
        log: the file to which its stderr is appended.

    Raises:
        OSError: it cannot be started, or the log cannot be opened.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        # A BLAS with threads of its own would take the cores from the engine, and 40 ms to start.
        environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
        self._log = log.open("ab")
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                                             stderr=subprocess.PIPE, start_new_session=True, env=environment)
        except OSError:
            self._log.close()
            raise
        self._stdin, self._stdout, self._stderr = (
            _prepare(stream) for stream in (self._process.stdin, self._process.stdout, self._process.stderr))
        self._words: collections.deque[str] = collections.deque(maxlen=_WORDS)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._selector.register(self._stderr, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        """Process id of the worker, or of what carries it (ssh, an emulator)."""
        return self._process.pid

    def words(self) -> list[str]:
        """The last lines of stderr since the last request began, without the runtimes' greetings."""
        return [line for line in self._words if not _CHATTER.search(line)]

    def exchange(self, buffers: Sequence[Any], timeout_s: float) -> tuple[dict[str, Any], list[Any]]:
        """Write a request and read its reply, both at once: neither side may wait for the other's full pipe.

        Args:
            buffers: the request's bytes.
            timeout_s: from now to the last byte of the reply.

        Returns:
            (header, arrays) of the reply.

        Raises:
            ChannelTimeout, ChannelClosed, worker.UsageError: the process is then of no more use.
        """
        self._words.clear()
        left, reply, end = [memoryview(buffer).cast("B") for buffer in buffers], Reply(), time.monotonic() + timeout_s
        self._selector.register(self._stdin, selectors.EVENT_WRITE)
        try:
            while True:
                for key, _ in self._wait(end):
                    if key.fileobj is self._stdin:
                        self._write(left)
                    elif key.fileobj is self._stderr:
                        self._hear()
                    elif _is_whole(reply, self._stdout):
                        return reply.frame()
        finally:
            if self._stdin in self._selector.get_map():
                self._selector.unregister(self._stdin)
            self._hear()

    def _wait(self, end: float) -> list[tuple[selectors.SelectorKey, int]]:
        """The pipes that are ready."""
        left = end - time.monotonic()
        ready = self._selector.select(max(0.0, left))
        if not ready and left <= 0:
            raise ChannelTimeout
        return ready

    def _write(self, left: list[memoryview]) -> None:
        """Write what the pipe takes; when all is written, stop asking."""
        try:
            while left:
                left[0] = left[0][os.write(self._stdin.fileno(), left[0]):]
                if not left[0]:
                    left.pop(0)
        except BlockingIOError:
            return
        except BrokenPipeError as error:
            raise ChannelClosed from error
        self._selector.unregister(self._stdin)

    def _hear(self) -> None:
        """Take what stderr has to say into the log and the last words."""
        with contextlib.suppress(BlockingIOError):
            while text := os.read(self._stderr.fileno(), 1 << 16):
                self._log.write(text)
                self._words.extend(line.strip() for line in text.decode(errors="replace").splitlines())
            if self._stderr in self._selector.get_map():
                self._selector.unregister(self._stderr)

    def kill(self) -> None:
        """End the process; its pipes stay, so that a thread that waits for it sees them close."""
        self._process.kill()

    def close(self) -> int:
        """Kill the process, wait for it, close the pipes; its exit status as subprocess gives it; twice is fine."""
        self._process.kill()
        status = self._process.wait()
        if not self._log.closed:
            self._hear()
            self._selector.close()
            for stream in (self._stdin, self._stdout, self._stderr, self._log):
                stream.close()
        return status

    def wait(self, seconds: float) -> int | None:
        """Exit status once the process has ended by itself, or None after `seconds`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None


def _is_whole(reply: Reply, stream: BinaryIO) -> bool:
    """Read into `reply` what is there."""
    try:
        return reply.read_from(stream.fileno())
    except BlockingIOError:
        return False


def _prepare(stream: Any) -> BinaryIO:
    """A pipe that does not block and, where the system allows, holds a megabyte."""
    import fcntl

    os.set_blocking(stream.fileno(), False)
    with contextlib.suppress(OSError):
        fcntl.fcntl(stream.fileno(), _F_SETPIPE_SZ, _PIPE_BYTES)
    piped: BinaryIO = stream
    return piped
