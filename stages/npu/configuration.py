"""What Vela can be told of a device: the names in its ini files, and whether a profile's are among them."""

from __future__ import annotations

import re
from configparser import ConfigParser
from configparser import Error as IniError
from functools import lru_cache
from importlib import metadata

from device_profiles.errors import UsageError, with_near_miss
from device_profiles.schema import Npu

DISTRIBUTION = "ethos-u-vela"
TESTED = "5.2.0"
INSTALL = f"pip install {DISTRIBUTION}=={TESTED}"
ARM_INI = "Arm/vela.ini"
"""Arm's configurations, by the name that Vela has for the file inside its own package."""
OWN_INI = "own.ini"
_KINDS = {"system_config": "System_Config", "memory_mode": "Memory_Mode"}
_KIND = re.compile(r"Ethos_(U\d\d)_")
_ARM_FILE = "ethosu/config_files/Arm/vela.ini"


def vela_version() -> str | None:
    """The installed version, or None."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None


def check_names(npu: Npu, profile: str) -> None:
    """Nothing where the ini files know the system configuration and the memory mode.

    Where Vela is not installed Arm's names are not known, and nothing is checked: compiling says that it is missing.

    Raises:
        UsageError: the profile's own ini file is none, a name is in no file, or is of another kind of Ethos-U.
    """
    _check_kind(npu, profile)
    known = [*_own_sections(npu, profile), *_arm_sections()]
    if not _arm_sections():
        return
    for field, kind in _KINDS.items():
        name, names = getattr(npu, field).value, _names(known, kind)
        if name not in names:
            found = f"profile '{profile}': npu.{field}: Vela knows no '{name}'"
            raise UsageError(with_near_miss(found, name, names), ", ".join(names),
                             "correct the name, or describe the device in an ini file (npu.ini)")


def _check_kind(npu: Npu, profile: str) -> None:
    """Refuse one of Arm's configurations of another kind of Ethos-U: Vela takes it without a word."""
    name, accelerator = npu.system_config.value, npu.accelerator.value
    match = _KIND.match(name)
    if match is not None and match[1].lower() not in accelerator:
        raise UsageError(f"profile '{profile}': npu.system_config: {name} is not of {accelerator}",
                         f"a configuration of Ethos-{accelerator.split('-')[1].upper()}",
                         "correct one of the two")


def _own_sections(npu: Npu, profile: str) -> list[str]:
    """The sections of the profile's own file."""
    if npu.ini is None:
        return []
    try:
        found = _sections(npu.ini.value)
    except IniError as error:
        said = str(error).splitlines()[0]
        raise UsageError(f"profile '{profile}': npu.ini is no ini file: {said}",
                         "sections [System_Config.NAME] and [Memory_Mode.NAME]",
                         "docs/npu.md has an example") from error
    return list(found)


@lru_cache(maxsize=1)
def _arm_sections() -> tuple[str, ...]:
    """The sections of the file that comes with Vela; read from its package without importing it."""
    if vela_version() is None:
        return ()
    files = [file for file in metadata.files(DISTRIBUTION) or () if str(file) == _ARM_FILE]
    return _sections(files[0].read_text()) if files else ()


def _sections(text: str) -> tuple[str, ...]:
    parser = ConfigParser()
    parser.read_string(text)
    return tuple(parser.sections())


def _names(sections: list[str], kind: str) -> list[str]:
    """`Memory_Mode.Shared_Sram` is the memory mode Shared_Sram."""
    return [section.removeprefix(f"{kind}.") for section in sections if section.startswith(f"{kind}.")]
