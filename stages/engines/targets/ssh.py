"""A machine over ssh, by the system's OpenSSH: one connection that every worker and copy shares.

The master connection runs `cat` there and is fed by a pipe of this process, so it ends with this process, however that
ends. All else goes through its control socket and never opens a connection of its own: their `ProxyCommand` is one that
fails. Host keys are checked strictly; nothing is ever added to or taken from a list of known hosts.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from device_profiles.errors import TargetError
from stages.engines.targets.names import TargetName
from stages.engines.targets.remote import QUICK_S, Done, RemoteTarget
from stages.engines.targets.target import ended

FOLDER = '"$HOME/.cache/litesmith"'
_GREETING = "litesmith-is-in"
_CONNECT_S, _ALIVE_S, _ALIVE_COUNT = 10, 5, 3  # a dead line is noticed after 15 s
_OPTIONS = tuple(word for option in (
    "BatchMode=yes", "StrictHostKeyChecking=yes", f"ServerAliveCountMax={_ALIVE_COUNT}", "TCPKeepAlive=yes",
    "ForwardAgent=no", "ForwardX11=no", "ClearAllForwardings=yes", "RequestTTY=no", "ControlPersist=no",
    "EscapeChar=none", "LogLevel=INFO") for word in ("-o", option))
_SSH_FAILED = 255
_BOOT = "cat /proc/sys/kernel/random/boot_id"
_FATAL = re.compile(r"Fatal Python error: ([^\n]+)")

# What OpenSSH says, what that means, and what a user can do; {where} is the login as ssh takes it.
_MEANINGS = (
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED",
     "its host key has changed{key}. Either the system there was set up anew, or somebody stands between",
     "only if you know why it changed: {forget}, then once by hand: ssh {where}"),
    (r"host key is known for|Host key verification failed",
     "its host key is not known here", "see the key and take it once by hand: ssh {where}"),
    (r"Permission denied", "it does not let this user in with a key: {last}",
     "ssh-copy-id {where}, or load the key into the agent: ssh-add"),
    (r"Connection refused", "it answers, but no ssh server listens on that port", "start sshd there, or name its port: "
     "ssh:user@host:port"),
    (r"Could not resolve hostname", "no machine of that name is known here", "check the name, or give its address"),
    (r"timed out|No route to host|Network is unreachable|Host is down",
     "it does not answer: {last}", "see that it is on and in the same network: ssh {where}"),
)


class SshTarget(RemoteTarget):
    """A machine that the system's `ssh` logs in to without a question.

    Args:
        text: the target as it was written.
        parts: the same, taken apart.
        program: the `ssh` to start, with options of its own.
        alive_s: how often the machine is asked for a sign of life; after three without one it is lost.
    """

    def __init__(self, text: str, parts: TargetName, program: Sequence[str] = ("ssh",),
                 alive_s: int = _ALIVE_S) -> None:
        folder = shlex.quote(parts.options["folder"]) if "folder" in parts.options else FOLDER
        super().__init__(text, folder, parts.options.get("python", ""))
        self._login, self._program = parts.where.replace("[", "").replace("]", ""), list(program)
        self._alive_s = alive_s
        self._port = ["-p", str(parts.port)] if parts.port else []
        self._master: subprocess.Popen[bytes] | None = None
        self._sockets: Path | None = None
        self._boot = ""

    def open(self) -> None:
        """Connect and make the folder there.

        Raises:
            TargetError: no connection, no login, or a host key that is unknown or has changed.
        """
        self.close()
        self._sockets = Path(tempfile.mkdtemp(prefix="litesmith-"))
        with contextlib.ExitStack() as on_error:
            on_error.callback(self.close)
            self._connect()
            super().open()
            self._boot = self.run(_BOOT).out.strip()
            on_error.pop_all()

    def close(self) -> None:
        """End the connection, and with it every worker that still runs through it."""
        master, self._master, self._folder = self._master, None, ""
        if master:
            master.kill()
            master.wait()
            for stream in (master.stdin, master.stdout):
                if stream:
                    stream.close()
        if self._sockets:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None

    def carry(self, script: str) -> list[str]:
        """A session of the connection."""
        return self._ssh(f"exec sh -c {shlex.quote(script)}", "-S", self._socket(), "-o", "ControlMaster=no", "-o",
                         "ProxyCommand=false")

    def run(self, script: str, *, timeout_s: float = QUICK_S, source: Path | None = None) -> Done:
        """Run a script there through the connection."""
        try:
            done = _finished(self.carry(script), timeout_s, source)
        except subprocess.TimeoutExpired as error:
            raise self.lost(f"no answer within {timeout_s:g} s") from error
        if done.status == _SSH_FAILED:
            raise self.lost(self._why_lost(done.words))
        return done

    def login_line(self, script: str) -> str:
        """`ssh -p 2222 pi@host '...'`."""
        return shlex.join(["ssh", *self._port, self._login, script])

    def ending(self, status: int | None, words: Sequence[str]) -> str:
        """How a worker ended there; ssh says 255 both for its own failures and for a process that a signal ended."""
        if status not in (None, _SSH_FAILED):
            return ended(status)
        if self.run("true", timeout_s=self._alive_s * _ALIVE_COUNT + 1).status == 0 and status is None:
            return ended(status)
        match = _FATAL.search("\n".join(words))
        return f"was ended by a signal ({match[1]})" if match else (
            "was ended by a signal (without a word: by the system, for want of memory, or by somebody)")

    def is_up(self) -> bool:
        """Whether the master connection runs."""
        return super().is_up() and self._master is not None and self._master.poll() is None

    # -- the connection --------------------------------------------------------------------------------------------

    def _socket(self) -> str:
        if self._sockets is None:
            raise self.lost("it is closed")
        return str(self._sockets / "s")

    def _ssh(self, script: str, *options: str) -> list[str]:
        alive = ("-o", f"ServerAliveInterval={self._alive_s}", "-o", f"ConnectTimeout={_CONNECT_S}")
        return [*self._program, *options, *_OPTIONS, *alive, *self._port, "--", self._login, script]

    def _connect(self) -> None:
        """Start the master and wait until it is in."""
        command = self._ssh(f"echo {_GREETING}; exec cat", "-M", "-S", self._socket(), "-T")
        with self._log().open("wb") as log:
            try:
                self._master = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                                start_new_session=True)
            except OSError as error:
                raise TargetError(self.name, f"{command[0]} cannot be started: {error.strerror}", "OpenSSH's client",
                                  "apt-get install openssh-client") from error
        said = self._listen(time.monotonic() + 2 * _CONNECT_S)
        if said is None:
            raise self._refused()
        if said:
            raise TargetError(self.name, f"the shell there prints text before a command runs: {said[:80]!r}",
                              "nothing, where no person sits", "guard it in ~/.bashrc: [ -t 0 ] || return")

    def _listen(self, end: float) -> str | None:
        """What the shell there printed before our greeting; None where that never came."""
        heard, stream = b"", self._master.stdout if self._master else None
        while stream and (left := end - time.monotonic()) > 0:
            if select.select([stream], [], [], left)[0]:
                part = os.read(stream.fileno(), 4096)
                heard += part
                if _GREETING.encode() in heard:
                    return heard.partition(_GREETING.encode())[0].decode(errors="replace").strip()
                if not part:
                    break
        return None

    def _log(self) -> Path:
        return Path(self._socket()).with_name("log.txt")

    def _said(self) -> str:
        """What the master connection has said on stderr."""
        try:
            return self._log().read_text(errors="replace") if self._sockets else ""
        except OSError:
            return ""

    def _refused(self) -> TargetError:
        """Why there is no connection, of what OpenSSH said."""
        text = self._said()
        where = shlex.join([*self._port, self._login])
        for pattern, found, next_step in _MEANINGS:
            if re.search(pattern, text):
                values = {"where": where, "last": _last_line(text), "key": _changed_key(text),
                          "forget": self._forget()}
                return TargetError(self.name, found.format(**values), "", next_step.format(**values))
        return TargetError(self.name, f"cannot connect: {_last_line(text) or 'no answer'}", "", f"try: ssh {where}")

    def _forget(self) -> str:
        """The command that takes the old key out of the list, which nobody but the user may give."""
        host = self._login.rpartition("@")[2]
        return shlex.join(["ssh-keygen", "-R", f"[{host}]:{self._port[1]}" if self._port else host])

    def _why_lost(self, words: str) -> str:
        """What became of the connection, and what the machine says when it is asked once more."""
        said = "; ".join(line.strip() for line in self._said().splitlines()[-2:] if line.strip()) or words
        done = _finished(self._ssh(_BOOT, "-o", "ConnectTimeout=3", "-o", "ControlPath=none"), QUICK_S, None)
        if done.status:
            return f"{said or 'it broke'}; the machine does not answer now"
        again = done.out.strip()
        if self._boot and again != self._boot:
            return f"{said or 'it broke'}; the machine has started anew since"
        return f"{said or 'it broke'}; the machine answers again"


def _finished(command: Sequence[str], timeout_s: float, source: Path | None) -> Done:
    """Run a command here to its end, fed by a file or by nothing."""
    with (source or Path("/dev/null")).open("rb") as stream:
        done = subprocess.run(command, stdin=stream, capture_output=True, timeout=timeout_s, check=False,
                              start_new_session=True)
    return Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _changed_key(text: str) -> str:
    """` (now ED25519 SHA256:..., where ~/.ssh/known_hosts:3 has another)`, as far as OpenSSH says it."""
    kind, digest = re.search(r"fingerprint for the (\S+) key", text), re.search(r"(SHA256:\S+)", text)
    place = re.search(r"Offending \S+ key in (\S+)", text)
    shown = f"now {kind[1]} {digest[1].rstrip('.')}" if kind and digest else ""
    listed = f"{place[1]} has another" if place else ""
    words = ", ".join(filter(None, (shown, listed)))
    return f" ({words})" if words else ""
