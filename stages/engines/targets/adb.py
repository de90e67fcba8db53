"""A phone or board over adb, without root.

Android brings no Python, and no runtime has a wheel for Android's C library, so two ways are real: Google's
`benchmark_model` program, which the user has downloaded and names by its path, and which gives latency and memory
(`benchmark_program.py`); and a Python with a runtime that somebody has put on the device, named by `python=`. A Debian
in Termux is reached over ssh instead (`docs/targets.md`), and can do all that a board can.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from device_profiles.errors import TargetError
from stages.engines.registry import EngineInfo
from stages.engines.targets.names import TargetName
from stages.engines.targets.remote import QUICK_S, Done, RemoteTarget
from stages.engines.targets.target import ended

PROGRAM_ENGINE = "litert"
FOLDER = "/data/local/tmp/litesmith"
_BOOT = "cat /proc/sys/kernel/random/boot_id"
_LOST = re.compile(
    r"^(?:adb: |error: |\* )+.*(?:device (?:\S+ )?(?:not found|offline|unauthorized|still )|no devices|closed|"
    r"protocol fault|connection reset|failed to get feature set|insufficient permissions|cannot connect to daemon|"
    r"daemon (?:not running|still not running)|failed to (?:start|check server) |didn't ACK)", re.MULTILINE)
_STATES = {
    "unauthorized": ("it does not trust this machine yet", "unlock the device and allow USB debugging"),
    "authorizing": ("it has not answered yet whether it trusts this machine", "unlock the device, then try again"),
    "connecting": ("it is still being connected", "try again in a moment, or: adb reconnect"),
    "offline": ("it is offline", "plug it in anew, or: adb reconnect"),
    **dict.fromkeys(("recovery", "rescue", "sideload", "bootloader"), (
        "it has not started Android", "start it: adb reboot, or by its keys")),
    "no permissions": ("this user may not open its USB port", "add the udev rule for it, or run as its group"),
}


class AdbTarget(RemoteTarget):
    """A device that the system's `adb` reaches.

    Args:
        text: the target as it was written.
        parts: the same, taken apart.
        program: the `adb` to start.
    """

    def __init__(self, text: str, parts: TargetName, program: Sequence[str] = ("adb",)) -> None:
        folder = shlex.quote(parts.options.get("folder", FOLDER))
        super().__init__(text, folder, parts.options.get("python", ""))
        self._serial, self._program = parts.where, list(program)
        self.benchmark_model = Path(parts.options["benchmark_model"]) if "benchmark_model" in parts.options else None
        self._boot = ""

    def open(self) -> None:
        """Find the device and make the folder there.

        Raises:
            TargetError: there is no device, more than one, it does not let this machine in, or it is too old.
        """
        self._boot = ""
        self._serial = self._found()
        if self.run("exit 7").status != 7:
            raise TargetError(self.name, "its shell gives no exit status, so that no failure there could be told",
                              "Android 7 or later and a current adb", "adb version; adb shell getprop "
                              "ro.build.version.release")
        super().open()
        self._boot = self.run(_BOOT).out.strip()

    def close(self) -> None:
        """Nothing stands open: each command is a connection of its own to adb's server."""
        self._folder = ""

    def carry(self, script: str) -> list[str]:
        """A shell without a terminal: its bytes come through as they are."""
        return [*self._program, "-s", self._serial, "shell", "-T", script]

    def run(self, script: str, *, timeout_s: float = QUICK_S, source: Path | None = None) -> Done:
        """Run a script there."""
        return self._adb(["shell", "-T", script], timeout_s, source)

    def upload(self, file: Path, path: str, timeout_s: float) -> Done:
        """`adb push`, which is faster than a shell's pipe."""
        return self._adb(["push", str(file), path], timeout_s, None)

    def login_line(self, script: str) -> str:
        """`adb -s SERIAL shell '...'`."""
        return shlex.join(["adb", "-s", self._serial, "shell", script])

    def engine_info(self, engine: str) -> EngineInfo:
        """Where the user has named Google's program, that stands for its engine; else what a Python there has."""
        if self.benchmark_model is None:
            return super().engine_info(engine)
        if engine == PROGRAM_ENGINE:
            return EngineInfo(name=engine, version=self.benchmark_model.name, available=True)
        return EngineInfo(name=engine, version=None, available=False,
                          reason=f"{self.benchmark_model.name} is {PROGRAM_ENGINE} alone")

    def missing(self, engine: str) -> str:
        """What of an engine is not there; on a device without a Python, what there is instead."""
        found = super().missing(engine)
        return found if self._runtimes else (
            f"{found}: Android brings none. Name a Python on the device (adb,python=PATH), or run a Debian in Termux "
            "and reach it over ssh")

    def ending(self, status: int | None, words: Sequence[str]) -> str:
        """How a worker ended there; a shell gives 128 and the signal's number."""
        del words
        self.assure()
        return ended(128 - status) if status is not None and 128 < status < 160 else ended(status)

    def assure(self) -> None:
        """Let it say that it is the one that was opened, and has not started anew: adb's own status tells neither.

        Raises:
            TargetLost: it is gone, or has.
        """
        self._check_boot()

    def _found(self) -> str:
        """Serial number of the device.

        Raises:
            TargetError: it is not to be had.
        """
        done = _finished([*self._program, "devices"], QUICK_S, None, self.name)
        states = dict(line.split("\t", 1) for line in done.out.splitlines() if "\t" in line)
        listed = ", ".join(f"{serial} ({state})" for serial, state in states.items()) or "none"
        if not self._serial and len(states) != 1:
            raise TargetError(self.name, f"adb sees {len(states)} devices: {listed}", "one, or its serial number",
                              "adb:SERIAL" if states else "plug it in with USB debugging on, then: adb devices")
        serial = self._serial or next(iter(states))
        state = states.get(serial, "")
        for word, (found, next_step) in _STATES.items():
            if state.startswith(word):
                raise TargetError(self.name, found, "", next_step)
        if state != "device":
            raise TargetError(self.name, f"adb does not see {serial}; it sees: {listed}", "", "adb devices")
        return serial

    def _adb(self, words: Sequence[str], timeout_s: float, source: Path | None) -> Done:
        """One adb command on the device; its own failures are told from the device's."""
        try:
            done = _finished([*self._program, "-s", self._serial, *words], timeout_s, source, self.name)
        except subprocess.TimeoutExpired as error:
            raise self.lost(f"no answer within {timeout_s:g} s") from error
        if done.status and _LOST.search(done.err):
            raise self.lost(done.words)
        if self._boot and words[-1] != _BOOT and done.status:
            self._check_boot()
        return done

    def _check_boot(self) -> None:
        """Raise where the device has started anew: each command is a connection of its own, so that none would tell."""
        now = self._adb(["shell", "-T", _BOOT], QUICK_S, None).out.strip()
        if now and self._boot and now != self._boot:
            raise self.lost("the device has started anew since")


def _finished(command: Sequence[str], timeout_s: float, source: Path | None, target: str) -> Done:
    """Run a command here to its end, fed by a file or by nothing."""
    try:
        with (source or Path("/dev/null")).open("rb") as stream:
            done = subprocess.run(command, stdin=stream, capture_output=True, timeout=timeout_s, check=False,
                                  start_new_session=True)
    except FileNotFoundError as error:
        raise TargetError(target, f"{command[0]} cannot be started: {error.strerror}", "Android's platform tools",
                          "apt-get install adb") from error
    return Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
