"""What ssh and adb share: a folder on the device with files by digest, a Python with a runtime, facts by script.

A file is written aside, its digest is taken there, and only then does it get its name: what has a name is whole. A
digest is taken again the first time that a session wants a file that is there already.
"""

from __future__ import annotations

import abc
import hashlib
import json
import re
import secrets
import shlex
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from device_profiles.errors import EngineUnavailable, TargetError, TargetLost
from stages.engines import registry
from stages.engines.registry import EngineInfo
from stages.engines.targets import facts
from stages.engines.targets.runtimes import PROBE, Runtime, choose, pythons, read_runtimes
from stages.engines.targets.target import WORKER, Target
from stages.records.targets import Device, DeviceState

_USUAL = 2  # of the Pythons to ask: an environment of ours, and python3
QUICK_S = 30.0  # for what a device answers at once
_SLOWEST_BYTES_PER_S = 100_000  # of a line that is still worth using
_FULL = re.compile(r"No space left on device|Disk quota exceeded", re.IGNORECASE)
_STALE_MINUTES = 120


@dataclass(frozen=True)
class Done:
    """What a script there came to: its exit status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """The last lines of what it said against it."""
        return "; ".join(line.strip() for line in self.err.splitlines()[-3:] if line.strip())


class RemoteTarget(Target):
    """A device with a POSIX shell, of which a subclass says how to reach it.

    Args:
        name: as users write it.
        folder: there, in which files are kept; a shell word: "$HOME" may stand in it.
        python: the interpreter to use there; "": the first that has the runtime.
    """

    is_remote = True
    most_workers = 6  # an OpenSSH server takes ten sessions of a connection; some are left for files

    def __init__(self, name: str, folder: str, python: str = "") -> None:
        super().__init__(name)
        self._wanted_folder, self._wanted_python = folder, python
        self._folder = ""
        self._there: dict[str, str] = {}  # path there by digest and suffix, of what this session has seen whole
        self._lock = threading.RLock()

    # -- how it is reached -----------------------------------------------------------------------------------------

    @abc.abstractmethod
    def carry(self, script: str) -> list[str]:
        """What to start here so that a shell there runs the script, its pipes being this process's."""

    @abc.abstractmethod
    def run(self, script: str, *, timeout_s: float = QUICK_S, source: Path | None = None) -> Done:
        """Run a script there, its stdin being `source`.

        Raises:
            TargetLost: the device did not answer.
        """

    @abc.abstractmethod
    def login_line(self, script: str) -> str:
        """What a user types to run the script there, for a message."""

    def upload(self, file: Path, path: str, timeout_s: float) -> Done:
        """Copy a file of this host to a path there."""
        return self.run(f"cat > {shlex.quote(path)}", timeout_s=timeout_s, source=file)

    # -- what every target can do ----------------------------------------------------------------------------------

    def open(self) -> None:
        """Make the folder, and take away what broken copies have left in it."""
        self._there, self._folder = {}, ""
        for cached in ("_runtimes", "_facts"):
            self.__dict__.pop(cached, None)
        tidy = f"find files -name '.part-*' -mmin +{_STALE_MINUTES} -exec rm -f {{}} + 2>/dev/null"
        done = self.run(f'umask 077; d={self._wanted_folder}; mkdir -p "$d/files" && cd "$d" && pwd && '
                        f"{{ {tidy}; true; }}")
        if done.status or not done.out.strip().startswith("/"):
            raise self._failed(done, f"the folder {self._wanted_folder} cannot be used there")
        self._folder = done.out.strip().splitlines()[-1]

    def command(self, engine: str) -> list[str]:
        """The worker file, sent there, with the Python there that has the engine.

        Raises:
            EngineUnavailable: no Python there has it.
        """
        runtime = choose(self._runtimes, engine)
        if runtime is None:
            raise EngineUnavailable(engine, "", self.missing(engine), next_step=self.login_line(self._pip(engine)))
        worker = self.send(WORKER)
        words = ["OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1", runtime.python, "-X", "faulthandler", worker, engine,
                 runtime.modules[engine]]
        return self.carry(f"exec env {shlex.join(words)}")

    def engine_info(self, engine: str) -> EngineInfo:
        """Version of the engine there, or what is missing with the line that installs it."""
        registry.engine(engine)
        runtime = choose(self._runtimes, engine)
        if runtime is None:
            reason = f"{self.missing(engine)}: {self.login_line(self._pip(engine))}"
            return EngineInfo(name=engine, version=None, available=False, reason=reason)
        return EngineInfo(name=engine, version=runtime.versions[engine], available=True)

    def missing(self, engine: str) -> str:
        """What of an engine is not there."""
        package = registry.ENGINES[engine].distribution
        if not self._runtimes:
            looked = self._wanted_python or "python3"
            return f"there is no {looked} on {self.name}, which {package} needs"
        found = ", ".join(dict.fromkeys(f"{each.python} ({each.version})" for each in self._runtimes))
        return f"{package} is not installed on {self.name} for {found}"

    def send(self, file: Path) -> str:
        """The path there of a file with this content; sent where it is not there yet.

        Raises:
            TargetError: the disk there is full, or the file cannot be written.
        """
        with self._lock, file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            key = digest + file.suffix
            if key not in self._there:
                path = f"{self._folder}/files/{key}"
                if self._digest_of(path) != digest:
                    self._copy(file, path, digest)
                self._there[key] = path
            return self._there[key]

    def device(self) -> Device:
        """What it says of itself, with the Python that a worker has there."""
        return facts.read_device(self._facts, self.name, next((each.version for each in self._runtimes), ""))

    def state(self) -> DeviceState:
        """Clocks, temperatures and load as /proc and /sys have them."""
        return facts.read_state(self.run(facts.STATE_SCRIPT).out)

    def cores(self) -> tuple[int, ...]:
        """Those that a process may use there."""
        return facts.allowed_cores(self._facts)

    def end(self, pid: int) -> None:
        """Kill a worker of ours that lives on; the process that has its number now may be another's."""
        try:
            if pid and self.is_up():
                mark = shlex.quote(Path(self.send(WORKER)).name)
                self.run(f"grep -q {mark} /proc/{pid}/cmdline 2>/dev/null && kill -9 {pid}; true")
        except TargetError:
            return

    def assure(self) -> None:
        """Let it say a word.

        Raises:
            TargetLost: it does not.
        """
        self.run("true")

    def is_up(self) -> bool:
        """Whether the connection stands, as far as is known without asking."""
        return bool(self._folder)

    def clear(self) -> None:
        """Take away the files; an environment of the user's in the same folder stays."""
        self._there = {}
        done = self.run(f"rm -rf {shlex.quote(self._folder)}/files")
        if done.status:
            raise self._failed(done, f"{self._folder}/files cannot be taken away")

    # -- parts -----------------------------------------------------------------------------------------------------

    @cached_property
    def _facts(self) -> str:
        return self.run(facts.DEVICE_SCRIPT).out

    @cached_property
    def _runtimes(self) -> list[Runtime]:
        """The Pythons there, each with the runtimes that it can import; the usual ones first, for asking takes time."""
        asked = pythons(self._folder, self._wanted_python)
        usual = self._asked(asked[:_USUAL])
        return usual if any(each.modules for each in usual) else usual + self._asked(asked[_USUAL:])

    def _asked(self, found: list[str]) -> list[Runtime]:
        """What some Pythons there say of themselves."""
        if not found:
            return []
        listed = " ".join(shlex.quote(each) for each in found)
        done = self.run(f'for p in {listed}; do command -v "$p" >/dev/null 2>&1 && "$p" -c {shlex.quote(PROBE)} '
                        "2>/dev/null; done; true", timeout_s=2 * QUICK_S)
        return read_runtimes([json.loads(line) for line in done.out.splitlines() if line.startswith("{")])

    def _pip(self, engine: str) -> str:
        """The line that installs an engine there, in an environment of its own: many systems allow no other."""
        numpy = "'numpy<2'" if engine == "tflite-runtime" else "numpy"
        package = registry.ENGINES[engine].distribution
        if self._wanted_python:
            return f"{self._wanted_python} -m pip install {package} {numpy}"
        venv = f"{self._folder}/venv"
        return f"python3 -m venv {venv} && {venv}/bin/pip install {package} {numpy}"

    def _digest_of(self, path: str) -> str:
        """SHA-256 of a file there; "" where there is none."""
        done = self.run(f"sha256sum {shlex.quote(path)} 2>/dev/null", timeout_s=10 * QUICK_S)
        return done.out.split(" ")[0].strip().lstrip("\\")

    def _copy(self, file: Path, path: str, digest: str) -> None:
        """Write aside, take the digest there, rename; nothing is left where that fails."""
        size = file.stat().st_size
        aside = f"{self._folder}/files/.part-{digest[:16]}-{secrets.token_hex(4)}"
        done = self.upload(file, aside, QUICK_S + size / _SLOWEST_BYTES_PER_S)
        arrived = self._digest_of(aside) if not done.status else ""
        if not done.status and arrived == digest:
            done = self.run(f"mv -f {aside} {path}")
            if not done.status:
                return
        self.run(f"rm -f {aside}")
        if not done.words:
            done = Done(1, "", f"it arrived damaged: its digest there is {arrived or 'not to be had'}, not {digest}")
        raise self._failed(done, f"{file.name} ({size:,} bytes) could not be sent")

    def _failed(self, done: Done, what: str) -> TargetError:
        """The error for a script that failed there."""
        if _FULL.search(done.err):
            free = self.run(f"df -Pk {shlex.quote(self._folder or '/')} | tail -n 1").out.split()
            left = f", {int(free[3]) * 1024:,} bytes are free" if len(free) > 3 and free[3].isdigit() else ""
            return TargetError(self.name, f"{what}: its disk is full{left}", "room for the model and the samples",
                               f"free some space there, or name another folder: {self._plain()},folder=PATH")
        return TargetError(self.name, f"{what}: {done.words or f'status {done.status}'}", "",
                           f"name another folder: {self._plain()},folder=PATH")

    def _plain(self) -> str:
        """The target without its options, for a message that names one."""
        return self.name.partition(",")[0]

    def lost(self, why: str) -> TargetLost:
        """The error for a device that does not answer any more; the connection counts as gone."""
        self._folder = ""
        return TargetLost(self.name, f"the connection was lost: {why}", "",
                          "see that it is on and reachable, then run again: what was sent whole is not sent anew")
