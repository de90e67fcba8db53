"""Names of Arm cores by what their identification register says.

`/proc/cpuinfo` gives each core's implementer and part number (MIDR_EL1, bits 31:24 and 15:4). The numbers stand in each
core's Technical Reference Manual, and together in Linux's arch/arm64/include/asm/cputype.h.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

_ARM, _QUALCOMM = 0x41, 0x51
NAMES: dict[tuple[int, int], str] = {
    **{(_ARM, part): f"Cortex-{name}" for part, name in {
        0xC07: "A7", 0xC08: "A8", 0xC09: "A9", 0xC0E: "A17", 0xC0F: "A15",
        0xD01: "A32", 0xD03: "A53", 0xD04: "A35", 0xD05: "A55", 0xD07: "A57", 0xD08: "A72", 0xD09: "A73", 0xD0A: "A75",
        0xD0B: "A76", 0xD0D: "A77", 0xD0E: "A76AE", 0xD41: "A78", 0xD42: "A78AE", 0xD44: "X1", 0xD46: "A510",
        0xD47: "A710", 0xD48: "X2", 0xD4B: "A78C", 0xD4C: "X1C", 0xD4D: "A715", 0xD4E: "X3", 0xD80: "A520",
        0xD81: "A720", 0xD82: "X4", 0xD85: "X925", 0xD87: "A725"}.items()},
    **{(_ARM, part): f"Neoverse-{name}" for part, name in {
        0xD0C: "N1", 0xD40: "V1", 0xD49: "N2", 0xD4F: "V2", 0xD84: "V3", 0xD8E: "N3"}.items()},
    **{(_QUALCOMM, part): f"Kryo {name}" for part, name in {
        0x800: "2xx Gold", 0x801: "2xx Silver", 0x802: "3xx Gold", 0x803: "3xx Silver", 0x804: "4xx Gold",
        0x805: "4xx Silver"}.items()},
}


def core_name(implementer: int, part: int) -> str:
    """`Cortex-A72`, or the two numbers where the core is not known."""
    return NAMES.get((implementer, part), f"core {implementer:#04x}:{part:#05x}")


def counted(names: Iterable[str]) -> tuple[str, ...]:
    """`("4 Cortex-A55", "4 Cortex-A76")` from the name of each core, in the order of first appearance."""
    return tuple(f"{count} {name}" for name, count in Counter(names).items())
