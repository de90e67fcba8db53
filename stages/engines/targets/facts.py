"""What a device says of itself: one shell script that prints files of /proc and /sys, and what is read from them.

The script needs a POSIX shell and `cat` alone, so that it runs on a workstation, a board and a phone alike. What a
system does not have, it leaves out, and the records say so by their empty fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from stages.engines.host import cpu_name
from stages.engines.targets.core_names import core_name, counted
from stages.records import Host
from stages.records.targets import Conditions, CoreGroup, Device, DeviceState

Texts = Mapping[str, str]
"""Content by path of the file, or by `!command` of what printed it."""

_CPU = "/sys/devices/system/cpu"
_THERMAL = "/sys/class/thermal"
_PI_THROTTLED = "!vcgencmd get_throttled"
_FIXED = ("/proc/cpuinfo", "/proc/meminfo", "/proc/sys/kernel/random/boot_id", "/proc/device-tree/model")
_MOVING = (
    "/proc/loadavg", "/proc/meminfo", "/proc/sys/kernel/random/boot_id",
    *(f"{_CPU}/cpufreq/policy*/{name}" for name in (
        "affected_cpus", "scaling_governor", "scaling_cur_freq", "scaling_min_freq", "scaling_max_freq",
        "cpuinfo_max_freq")),
    *(f"{_THERMAL}/{name}" for name in ("thermal_zone*/type", "thermal_zone*/temp", "cooling_device*/type",
                                        "cooling_device*/cur_state")),
    f"{_CPU}/cpu*/thermal_throttle/core_throttle_count")
_SHOW = 'for f in {paths}; do [ -r "$f" ] && echo "@$f" && cat "$f" 2>/dev/null && echo; done'
_RUN = "{guard} && echo '@!{command}' && {command} 2>/dev/null"
_ANYWHERE, _ANDROID, _PI = "true", "command -v getprop >/dev/null", "command -v vcgencmd >/dev/null"
_AFFINITY = "grep Cpus_allowed_list /proc/self/status"


def _script(paths: Iterable[str], commands: Iterable[tuple[str, str]]) -> str:
    """Shell text that prints files, then what commands say; (guard, command) each."""
    return "; ".join([_SHOW.format(paths=" ".join(paths)),
                      *(_RUN.format(guard=guard, command=command) for guard, command in commands), "true"])


DEVICE_SCRIPT = _script(_FIXED, [
    (_ANYWHERE, "uname -s"), (_ANYWHERE, "uname -r"), (_ANYWHERE, "uname -m"), (_ANYWHERE, _AFFINITY),
    (_ANDROID, "getprop ro.product.manufacturer"), (_ANDROID, "getprop ro.product.model")])
"""Prints what a device is."""
STATE_SCRIPT = _script(_MOVING, [(_PI, "vcgencmd get_throttled")])
"""Prints the state that it is in."""

# https://www.raspberrypi.com/documentation/computers/os.html#get_throttled: bits 0 to 3 now, 16 to 19 since the start
_PI_BITS = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
_PI_SINCE_START = 16
_PROCESSOR_COOLERS = re.compile(r"processor|cpufreq|cpu-|thermal-cpu", re.IGNORECASE)
_MHZ = 1e6


def sections(text: str) -> dict[str, str]:
    """Content by name of what one of the scripts printed."""
    found: dict[str, str] = {}
    for part in re.split(r"^@(?=[/!])", text.replace("\0", "").replace("\r\n", "\n"), flags=re.MULTILINE)[1:]:
        name, _, content = part.partition("\n")
        found[name.strip()] = content.strip()
    return found


def read_device(text: str, target: str, python: str = "") -> Device:
    """What `DEVICE_SCRIPT` printed.

    Args:
        text: its output.
        target: how the device was reached.
        python: version of the Python that the worker runs in there.
    """
    found = sections(text)
    cpuinfo = found.get("/proc/cpuinfo", "")
    phone = " ".join(filter(None, (found.get(f"!getprop ro.product.{name}") for name in ("manufacturer", "model"))))
    board = found.get("/proc/device-tree/model", "") or phone
    names = counted(core_name(*each) for each in _core_ids(cpuinfo))
    system, release = found.get("!uname -s", ""), found.get("!uname -r", "")
    architecture = found.get("!uname -m", "")
    host = Host(cpu=cpu_name(cpuinfo) or ", ".join(names) or architecture, architecture=architecture,
                cores=len(allowed_cores(text)), memory_bytes=_kib(found.get("/proc/meminfo", ""), "MemTotal"),
                system=f"{system} {release}".strip(), python=python)
    return Device(target=target, board=board, core_names=names, host=host)


def allowed_cores(text: str) -> tuple[int, ...]:
    """The cores that a process may use there, from what `DEVICE_SCRIPT` printed; (0,) where it is not said."""
    return core_list(sections(text).get(f"!{_AFFINITY}", "").partition(":")[2]) or (0,)


def core_list(text: str) -> tuple[int, ...]:
    """(0, 1, 2, 5) from `0-2,5` (cpuset(7), list format) or from numbers with spaces between."""
    cores: list[int] = []
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        cores += range(int(first), int(last or first) + 1)
    return tuple(sorted(set(cores)))


def read_state(text: str) -> DeviceState:
    """What `STATE_SCRIPT` printed."""
    found = sections(text)
    load, meminfo = found.get("/proc/loadavg", "").split(), found.get("/proc/meminfo", "")
    return DeviceState(
        groups=_groups(found), temperatures_c=_temperatures(found), throttle=_throttle(found),
        load_1min=float(load[0]) if load else 0.0, boot_id=found.get("/proc/sys/kernel/random/boot_id", ""),
        memory_free_bytes=_kib(meminfo, "MemAvailable"))


def conditions(device: Device, before: DeviceState, after: DeviceState) -> Conditions:
    """Both states with what they say of throttling."""
    return Conditions(device=device, before=before, after=after, throttling=tuple(_throttling(before, after)))


def remarks(found: Conditions) -> list[str]:
    """What somebody who reads a latency should know of the conditions that it was measured under."""
    said = [f"throttling on {found.device.target}: {', '.join(found.throttling)}"] if found.throttling else []
    moving = sorted({group.governor for group in found.before.groups} - {"performance", ""})
    if moving:
        said.append(f"the frequency governor of {found.device.target} is {', '.join(moving)}: the clock follows the "
                    "load; for steady figures set it to performance")
    if found.before.load_1min > 0.5 * found.device.host.cores:
        said.append(f"{found.device.target} had other load before the measurement: {found.before.load_1min:g} "
                    f"processes for {found.device.host.cores} cores")
    return said


def _core_ids(cpuinfo: str) -> list[tuple[int, int]]:
    """(implementer, part) of each core; empty on processors without such numbers."""
    implementers, parts = (re.findall(rf"^CPU {name}\s*: (0x[0-9a-fA-F]+)", cpuinfo, re.MULTILINE)
                           for name in ("implementer", "part"))
    return [(int(one, 16), int(other, 16)) for one, other in zip(implementers, parts, strict=False)]


def _kib(meminfo: str, name: str) -> int:
    """Bytes of an entry of /proc/meminfo; 0 where it is not there."""
    match = re.search(rf"^{name}:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def _numbered(found: Texts, pattern: str) -> dict[str, dict[str, str]]:
    """Content by folder and file name, of the files whose path fits `(folder)/(name)`."""
    by_folder: dict[str, dict[str, str]] = {}
    for path, content in found.items():
        match = re.fullmatch(pattern, path)
        if match:
            by_folder.setdefault(match[1], {})[match[2]] = content
    return by_folder


def _groups(found: Texts) -> tuple[CoreGroup, ...]:
    """Cores by clock; the kernel gives kHz."""
    groups = [
        CoreGroup(cores=core_list(files.get("affected_cpus", "")), governor=files.get("scaling_governor", ""),
                  frequency_hz=1e3 * _number(files.get("scaling_cur_freq")),
                  lowest_hz=1e3 * _number(files.get("scaling_min_freq")),
                  highest_hz=1e3 * _number(files.get("scaling_max_freq")),
                  hardware_hz=1e3 * _number(files.get("cpuinfo_max_freq")))
        for files in _numbered(found, rf"({re.escape(_CPU)}/cpufreq/policy\d+)/(\w+)").values()]
    return tuple(sorted(groups, key=lambda group: group.cores))


def _temperatures(found: Texts) -> dict[str, float]:
    """By zone; the kernel gives thousandths of a degree. Zones of one type are numbered."""
    zones: dict[str, float] = {}
    for files in _numbered(found, rf"({re.escape(_THERMAL)}/thermal_zone\d+)/(\w+)").values():
        name, value = files.get("type", "zone"), files.get("temp", "")
        if re.fullmatch(r"-?\d+", value):
            zones[f"{name}-{len(zones)}" if name in zones else name] = int(value) / 1e3
    return zones


def _throttle(found: Texts) -> dict[str, int]:
    """Counters and flags by name."""
    flags: dict[str, int] = {}
    for folder, files in _numbered(found, rf"({re.escape(_CPU)}/cpu\d+)/thermal_throttle/(\w+)").items():
        flags[f"core_throttle_count of {folder.rpartition('/')[2]}"] = int(_number(files.get("core_throttle_count")))
    for folder, files in _numbered(found, rf"({re.escape(_THERMAL)}/cooling_device\d+)/(\w+)").items():
        kind = files.get("type", "")
        if _PROCESSOR_COOLERS.search(kind):
            flags[f"cooling state of {kind} ({folder.rpartition('/')[2]})"] = int(_number(files.get("cur_state")))
    match = re.search(r"throttled=(0x[0-9a-fA-F]+)", found.get(_PI_THROTTLED, ""))
    return {**flags, "get_throttled": int(match[1], 16)} if match else flags


def _number(text: str | None) -> float:
    """The number, 0 where there is none: a file of /sys may be there and hold `<unknown>`."""
    return float(text) if text and re.fullmatch(r"-?\d+", text) else 0.0


def _throttling(before: DeviceState, after: DeviceState) -> Iterable[str]:
    """What two states say of it, in words."""
    for name, value in after.throttle.items():
        earlier = before.throttle.get(name, 0)
        if name == "get_throttled":
            yield from _pi_words(earlier, value)
        elif name.startswith("cooling") and max(value, earlier) > 0:
            yield f"{name} is {max(value, earlier)}"
        elif name.startswith("core_throttle_count") and value > earlier:
            yield f"{name} rose by {value - earlier}"
    for group in after.groups:
        if 0 < group.highest_hz < group.hardware_hz:
            yield (f"core {group.cores[0] if group.cores else '?'} and those that share its clock are held at "
                   f"{group.highest_hz / _MHZ:.0f} MHz of {group.hardware_hz / _MHZ:.0f} MHz")


def _pi_words(before: int, after: int) -> Iterable[str]:
    """What the bits of a Raspberry Pi's firmware say of the time between: on then, or newly marked as having been."""
    for bit, word in _PI_BITS.items():
        since = 1 << (bit + _PI_SINCE_START)
        if (before | after) >> bit & 1 or (after & since and not before & since):
            yield word
