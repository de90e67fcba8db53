"""What this machine has: versions, engines that load, cores, memory; what is missing and the command that mends it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.calls import installed_version

if TYPE_CHECKING:
    from stages.engines.registry import EngineInfo
    from stages.records.targets import Device, DeviceState


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        needed: whether litesmith cannot do its work without it.
        good: whether it is there and right.
        found: what was found.
        mend: the command that mends it; empty where nothing is to be mended.
        remark: whether it is something to know and not something that may be missing.
    """

    name: str
    needed: bool
    good: bool
    found: str
    mend: str = ""
    remark: bool = False


def examine() -> list[Check]:
    """Everything, in the order in which a user would ask."""
    return [_python(), *_requirements(), *_engines(), *_machine(), _browser(), _emulator(), _vela()]


def examine_target(name: str) -> list[Check]:
    """What a target is, how it feels, and which engines it has.

    Raises:
        UsageError: there is no such target.
        TargetError: it cannot be reached.
    """
    from stages.engines import registry
    from stages.engines.targets import facts
    from stages.engines.targets.opening import open_target

    with open_target(name) as target:
        device, state = target.device(), target.state()
        infos = [target.engine_info(engine) for engine in registry.ENGINES]
        told = facts.remarks(facts.conditions(device, state, state)) if target.tells_time else []
    said = [Check("state", False, False, text, remark=True) for text in told]
    return [*_device(device), *_state(state), *said, *_engines_there(infos)]


def _device(device: Device) -> list[Check]:
    """What a target is."""
    here, cores = device.host, ", ".join(device.core_names) or f"{device.host.cores} cores"
    return [Check("device", True, True, ", ".join(filter(None, (device.board, here.cpu)))),
            Check("cores", True, True,
                  f"{cores}, {here.memory_bytes / 2**30:.1f} GiB, {here.architecture}, {here.system}")]


def _state(state: DeviceState) -> list[Check]:
    """A target's clocks and heat."""
    clocks = [Check(f"clock of core {','.join(map(str, group.cores))}", False, group.governor in ("performance", ""),
                    f"{group.frequency_hz / 1e6:.0f} of {group.hardware_hz / 1e6:.0f} MHz, governor {group.governor}",
                    remark=True) for group in state.groups]
    return clocks + [Check(f"heat {zone}", False, True, f"{value:.1f} C")
                     for zone, value in state.temperatures_c.items()]


def _engines_there(infos: list[EngineInfo]) -> list[Check]:
    """Engines of a target; the first is needed where there is none at all."""
    none = not any(info.available for info in infos)
    return [Check(f"engine {info.name}", none and info is infos[0], info.available,
                  f"{info.version or 'version not said'}, found there" if info.available else info.reason)
            for info in infos]


def _emulator() -> Check:
    """The emulated Arm core, which nobody needs but who wants it."""
    from device_profiles.errors import TargetError
    from stages.engines.targets.emulator import Emulator, default_folder

    try:
        about = Emulator(default_folder()).about("emulated")
    except TargetError as error:
        return Check("arm-emulator", False, False, error.found, error.next_step)
    packages = ", ".join(f"{name} {version}" for name, version in about.packages.items())
    return Check("arm-emulator", False, True, f"QEMU {about.qemu}, Python {about.python}, {packages}")


def _vela() -> Check:
    """The compiler of the NPUs; a run without one does not need it."""
    from stages.npu.configuration import INSTALL, TESTED, vela_version

    found = vela_version()
    said = "not installed" if found is None else found if found == TESTED else f"{found}, tested with {TESTED}"
    return Check("vela", False, found == TESTED, said, "" if found == TESTED else INSTALL)


def _python() -> Check:
    version = sys.version_info
    good = (3, 11) <= version[:2] <= (3, 13)
    return Check("python", True, good, sys.version.split()[0],
                 "" if good else "install Python 3.11, then: make distclean venv PYTHON=python3.11")


def _requirements() -> list[Check]:
    """The packages that the distribution asks for, held against what is installed."""
    from packaging.requirements import Requirement

    try:
        wanted = metadata.requires("litesmith") or []
    except metadata.PackageNotFoundError:
        return [Check("litesmith", True, False, "not installed", "pip install -e . in the checkout")]
    checks = [Check("litesmith", True, True, metadata.version("litesmith"))]
    for text in wanted:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found = installed_version(requirement.name)
            good = found != "absent" and requirement.specifier.contains(found, prereleases=True)
            mend = "" if good else f"pip install '{requirement.name}{requirement.specifier}'"
            checks.append(Check(requirement.name, True, good, found + ("" if good else f", {requirement.specifier} "
                                                                       "is needed"), mend))
    return checks


def _engines() -> list[Check]:
    """Each engine started for real in a worker."""
    from stages.engines import registry

    checks = []
    for name in registry.ENGINES:
        info = registry.probe(name)
        mend = "" if info.available or not _is_for_here(name) else f"pip install {registry.ENGINES[name].distribution}"
        checks.append(Check(f"engine {name}", name == "litert", info.available,
                            f"{info.version}, starts" if info.available else info.reason, mend))
    return checks


def _is_for_here(engine: str) -> bool:
    """Whether a wheel of the engine exists for this Python and system."""
    return engine != "tflite-runtime" or (sys.version_info < (3, 12) and sys.platform == "linux")


def _machine() -> list[Check]:
    from stages.engines.host import host

    here = host()
    free = shutil.disk_usage(Path.cwd()).free
    return [Check("machine", False, True, f"{here.cpu}, {here.cores} cores, {here.memory_bytes / 2**30:.1f} GiB"),
            Check("disk", True, free > 2**30, f"{free / 2**30:.1f} GiB free in the working folder",
                  "" if free > 2**30 else "free some space, or set --store and --runs to another disk")]


def _browser() -> Check:
    """Only the project's own tests need one."""
    found = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
    return Check("chromium (for make test)", False, bool(found), found or "the report's browser test is skipped",
                 "" if found else "apt-get install chromium chromium-driver")
