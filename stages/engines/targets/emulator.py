"""An Arm machine in a folder: QEMU's user-mode emulator, Debian's arm64 Python, the runtimes' Arm wheels, a counter.

    about.json   what is there; written last, so that a folder that has it is whole
    qemu/        qemu-aarch64 and the libraries of this host's kind that it needs, unpacked from Debian's packages
    root/        Debian's arm64 Python and what it needs: the emulated machine's file system
    cores/       for each core, links to all that is in `root`, and what it says of itself; see `views.py`
    site/        numpy and the runtimes for it, unpacked from their wheels
    count.so     the plugin that counts instructions, compiled from `count.c`
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from device_profiles.errors import TargetError, with_near_miss
from device_profiles.records import Record
from stages.engines.targets.views import CORES, view_of

LAYOUT = 2
ABOUT = "about.json"
INSTALL = "litesmith doctor --install arm-emulator"
_COUNTS = struct.Struct("<QQ")


def default_folder() -> Path:
    """Where it is installed unless told otherwise."""
    return Path.home() / ".cache" / "litesmith" / "arm-emulator"


class About(Record):
    """What an installation holds.

    Attributes:
        layout: of the folder; another one is installed anew.
        qemu, python: versions.
        packages: versions of the wheels by distribution.
        counts: whether the plugin could be compiled.
    """

    layout: int
    qemu: str
    python: str
    packages: dict[str, str]
    counts: bool


@dataclass(frozen=True)
class Counts:
    """What an emulated process has executed so far."""

    instructions: int
    accesses: int

    def since(self, earlier: Counts) -> Counts:
        """What came after an earlier reading."""
        return Counts(self.instructions - earlier.instructions, self.accesses - earlier.accesses)


@dataclass(frozen=True)
class Emulator:
    """An installation in a folder."""

    folder: Path

    def about(self, target: str) -> About:
        """What it holds.

        Raises:
            TargetError: there is none, or not a whole one.
        """
        try:
            found = About.model_validate_json((self.folder / ABOUT).read_text(encoding="utf-8"))
        except OSError as error:
            raise TargetError(target, f"no emulator is installed in {self.folder}", "", INSTALL) from error
        except ValidationError as error:
            raise TargetError(target, f"the emulator in {self.folder} is damaged", "", f"{INSTALL} --force") from error
        if found.layout != LAYOUT:
            raise TargetError(target, f"the emulator in {self.folder} is of another litesmith", f"layout {LAYOUT}",
                              f"{INSTALL} --force")
        return found

    def qemu(self, *words: str) -> list[str]:
        """The emulator itself, with the libraries that came with it, none of which the emulated program sees."""
        found = sorted((self.folder / "qemu").glob("usr/lib/*-linux-gnu"))
        libraries = ":".join(str(each) for each in found)
        return ["env", f"LD_LIBRARY_PATH={libraries}", str(self.folder / "qemu/usr/bin/qemu-aarch64"), "-U",
                "LD_LIBRARY_PATH", *words]

    def python(self, cpu: str, version: str, *words: str, counting: Path | None = None) -> list[str]:
        """The emulated Python.

        Args:
            cpu: as QEMU names it: "cortex-a72", "max".
            version: "3.11".
            *words: what it is given.
            counting: a file of `new_counts` that takes what it executes.

        Raises:
            TargetError: there is no such core.
        """
        if cpu not in CORES:
            raise TargetError(f"emulated:{cpu}", with_near_miss(f"there is no core '{cpu}'", cpu, CORES),
                              ", ".join(CORES), "see docs/targets.md")
        plugin = ["-plugin", f"{self.folder}/count.so,out={counting}"] if counting else []
        return self.qemu("-L", str(view_of(self.folder, cpu)), "-cpu", cpu, *plugin,
                         "-E", f"PYTHONPATH={self.folder}/site", "-E", "PYTHONHASHSEED=0",
                         "-E", "OPENBLAS_NUM_THREADS=1", "-E", "OMP_NUM_THREADS=1",
                         f"{self.folder}/root/usr/bin/python{version}", *words)


def new_counts(path: Path) -> Path:
    """A file for the plugin, with nothing counted."""
    path.write_bytes(bytes(_COUNTS.size))
    return path


def read_counts(path: Path) -> Counts:
    """What the plugin has counted until now."""
    return Counts(*_COUNTS.unpack(path.read_bytes()[:_COUNTS.size]))
