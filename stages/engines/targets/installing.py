"""Install the Arm emulator: Debian's packages through apt, wheels through pip, all into one folder, without root.

apt is given a state of its own in the folder, so it neither needs root nor changes the system; it checks the signatures
of what it downloads with the system's keys as ever. Packages are unpacked (`dpkg -x`), not installed: none of their
scripts runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from device_profiles.errors import TargetError
from stages.engines.targets.emulator import ABOUT, LAYOUT, About, Emulator
from stages.engines.targets.views import write_views

WHEELS = {"ai-edge-litert": "2.0.2", "tflite-runtime": "2.14.0", "numpy": "1.26.4"}
"""Of the newer ones, ai-edge-litert 2.3.0 crashes under QEMU 7.2."""
_PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64",
              "manylinux_2_34_aarch64")
_PYTHON = "3.11"
_ARM_PACKAGES = (f"python{_PYTHON}-minimal", f"libpython{_PYTHON}-stdlib", "libstdc++6")
_NEEDED = {"apt-get": "a Debian or Ubuntu system", "dpkg": "a Debian or Ubuntu system"}
_STATUS = "/var/lib/dpkg/status"
_LONG_S = 1800.0
COUNTER = Path(__file__).with_name("count.c")
_NAME = "arm-emulator"
Tell = Callable[[str], None]


def install_arm_emulator(folder: Path, tell: Tell, *, force: bool = False) -> About:
    """Set the emulator up, or keep the one that is there.

    Args:
        folder: where it is to be; what is half there is made anew.
        tell: told each step.
        force: make it anew even where it is whole.

    Raises:
        TargetError: a tool is missing, or a package cannot be had; nothing is left then.
    """
    if not force and (folder / ABOUT).exists():
        with contextlib.suppress(TargetError):  # damaged, or of another litesmith: made anew
            return Emulator(folder).about(_NAME)
    _require_tools()
    aside = folder.with_name(f"{folder.name}.part-{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        about = _fill(aside, tell)
        (aside / ABOUT).write_text(about.model_dump_json(indent=2), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return about


def _fill(aside: Path, tell: Tell) -> About:
    """Every part, and what came of it."""
    native = _said(["dpkg", "--print-architecture"]).strip()
    tell("QEMU's user-mode emulator (apt)")
    _unpack(aside, "qemu", native, _STATUS, ("qemu-user",))
    tell(f"Debian's Python {_PYTHON} for arm64 (apt)")
    _unpack(aside, "root", "arm64", os.devnull, _ARM_PACKAGES)
    write_views(aside)
    tell(f"Arm wheels (pip): {', '.join(f'{name} {version}' for name, version in WHEELS.items())}")
    _wheels(aside / "site")
    tell("the instruction counter (gcc)")
    counts = compile_counter(aside / "count.so")
    tell("a first start")
    return About(layout=LAYOUT, packages=_imported(Emulator(aside)), counts=counts, python=_python(Emulator(aside)),
                 qemu=_said(Emulator(aside).qemu("--version")).split()[2])


def compile_counter(path: Path) -> bool:
    """Compile the plugin; whether there is a compiler that could."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return False
    _said([compiler, "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o", str(path), str(COUNTER)])
    return True


def _require_tools() -> None:
    """Raise where a program that is needed is missing."""
    for tool, why in _NEEDED.items():
        if shutil.which(tool) is None:
            raise TargetError(_NAME, f"there is no {tool} here", why, "install it on such a system, or use a board "
                              "over ssh: see docs/targets.md")
    if os.uname().machine == "aarch64":
        raise TargetError(_NAME, "this machine runs Arm code itself", "", "use the target host")


def _unpack(aside: Path, name: str, architecture: str, status: str, packages: Sequence[str]) -> None:
    """Download packages and all that they need beyond what `status` lists as installed; unpack them.

    Args:
        aside: the folder that is being filled.
        name: of the folder in it that takes them.
        architecture: Debian's name for it.
        status: apt's list of what is installed.
        packages: names.
    """
    state = aside / "apt" / name
    for part in ("state/lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True)
    options = [word for option in (
        f"Dir::State={state}/state", f"Dir::State::status={status}", f"Dir::Cache={state}/cache",
        f"APT::Architecture={architecture}", f"APT::Architectures={architecture}", "APT::Install-Recommends=false",
        "APT::Sandbox::User=", "Debug::NoLocking=1", "APT::Get::Assume-Yes=1", "Acquire::Retries=2",
    ) for word in ("-o", option)]
    _said(["apt-get", *options, "update"])
    _said(["apt-get", *options, "install", "--download-only", *packages])
    for package in sorted((state / "cache" / "archives").glob("*.deb")):
        _said(["dpkg", "-x", str(package), str(aside / name)])
    shutil.rmtree(aside / "apt")


def _wheels(site: Path) -> None:
    """Unpack the Arm wheels, by name and version; what is inside is not run."""
    platforms = [word for platform in _PLATFORMS for word in ("--platform", platform)]
    wanted = [f"{name}=={version}" for name, version in WHEELS.items()]
    _said([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target",
           str(site), *platforms, "--python-version", _PYTHON, "--implementation", "cp", "--only-binary", ":all:",
           *wanted])


def _python(emulator: Emulator) -> str:
    """Version of the emulated Python, asked of itself."""
    code = "import platform; print(platform.python_version())"
    return _said(emulator.python("cortex-a72", _PYTHON, "-c", code)).strip()


def _imported(emulator: Emulator) -> dict[str, str]:
    """Versions of the wheels, asked of the emulated Python."""
    code = (f"import json; from importlib import metadata; "
            f"print(json.dumps({{name: metadata.version(name) for name in {list(WHEELS)!r}}}))")
    found: dict[str, str] = json.loads(_said(emulator.python("cortex-a72", _PYTHON, "-c", code)))
    return found


def _said(command: Sequence[str]) -> str:
    """What a command prints.

    Raises:
        TargetError: it fails, in its own words.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_LONG_S, check=False,
                              stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetError(_NAME, f"{command[0]} could not be run: {error}") from error
    if done.returncode:
        words = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise TargetError(_NAME, f"{Path(command[0]).name} failed: {'; '.join(words[-3:])}", "",
                          "see that the package servers can be reached, then run the same command again")
    return done.stdout
