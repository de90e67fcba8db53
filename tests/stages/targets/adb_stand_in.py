"""A stand-in for adb: a script that answers as adb does, whose device is a folder of this machine."""

from __future__ import annotations

import sys
from pathlib import Path

from stages.engines.targets.adb import AdbTarget
from stages.engines.targets.names import parse

# `adb devices`, `adb -s SERIAL shell -T SCRIPT`, `adb -s SERIAL push FILE PATH`. The file `devices` says who is there;
# the file `trouble`, where it is there, is what the next commands fail with; with `old`, no status comes through.
_SCRIPT = """#!{python}
import os, shutil, subprocess, sys
from pathlib import Path
state = Path({state!r})
words = sys.argv[1:]
trouble = state / "trouble"
if words == ["devices"]:
    print("List of devices attached\\n" + (state / "devices").read_text())
    sys.exit(0)
assert words[0] == "-s", words
if trouble.exists():
    sys.exit(trouble.read_text())
if words[2] == "push":
    source, path = words[3:]
    if (state / "full").exists():
        Path(path).write_bytes(b"half")
        sys.exit(f"adb: error: failed to copy '{{source}}' to '{{path}}': remote write failed: No space left on device")
    shutil.copyfile(source, path)
    print(f"{{source}}: 1 file pushed")
    sys.exit(0)
assert words[2:4] == ["shell", "-T"] and len(words) == 5, words
environment = dict(os.environ, PATH=f"{{state}}/bin:{{os.environ['PATH']}}")
status = subprocess.run(["sh", "-c", words[4]], env=environment).returncode
if (state / "old").exists():
    sys.exit(0)
sys.exit(status if status >= 0 else 128 - status)
"""


class StandIn:
    """A device at adb's stand-in."""

    def __init__(self, folder: Path, devices: str = "PIXEL6\tdevice\n") -> None:
        self.folder, self.state = folder, folder / "state"
        (self.state / "bin").mkdir(parents=True)
        self.program = folder / "adb"
        self.program.write_text(_SCRIPT.format(python=sys.executable, state=str(self.state)))
        self.program.chmod(0o755)
        self.plug(devices)
        self.command("getprop", 'case "$1" in *manufacturer) echo Google;; *) echo "Pixel 6";; esac')

    def plug(self, devices: str) -> None:
        """What `adb devices` lists."""
        (self.state / "devices").write_text(devices)

    def fail(self, words: str) -> None:
        """Let every command fail with these words; "" ends that."""
        path = self.state / "trouble"
        if words:
            path.write_text(words)
        else:
            path.unlink(missing_ok=True)

    def restart(self) -> None:
        """Let it start anew: files stay, processes end, and the kernel has another number for this start."""
        self.command("cat", 'case "$1" in */boot_id) echo another start;; *) exec /bin/cat "$@";; esac')

    def command(self, name: str, text: str) -> None:
        """Put a program on the device."""
        path = self.state / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def target(self, serial: str = "", **options: str) -> AdbTarget:
        """The device as a target, not yet opened."""
        given = {"folder": f"{self.folder}/phone", "python": sys.executable, **options}
        text = "adb" + (f":{serial}" if serial else "") + "".join(f",{key}={value}" for key, value in given.items())
        return AdbTarget(text, parse(text), [str(self.program)])

    def files(self) -> list[str]:
        """Names of the files that were sent."""
        return sorted(path.name for path in (self.folder / "phone" / "files").iterdir())
