"""What an emulated core says of itself: a file system per core, in which `/proc/cpuinfo` is that core's.

QEMU's user mode emulates a core's instructions and leaves `/proc/cpuinfo` to the host, whose processor is another one.
The runtimes ask that file which core they are on and choose kernels by it: XNNPACK takes other float32 kernels on a
Cortex-A72 than on one that it does not know. So each core has a view of the emulated file system: links to all that is
in it, and these files besides. QEMU looks there first and asks the host for what is missing.

The numbers are those of the cores' main identification register (MIDR_EL1, in each core's technical reference manual)
and the features those that Linux names (Documentation/arch/arm64/elf_hwcaps.rst).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_CORES = 4
_V8 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
_V82 = f"{_V8} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"


@dataclass(frozen=True)
class CoreFacts:
    """What Linux prints of a core.

    Attributes:
        part: of the identification register, as are implementer and variant.
        features: instruction sets.
    """

    part: int
    features: str
    implementer: int = 0x41
    variant: int = 0

    def text(self) -> str:
        """`/proc/cpuinfo` of a processor with four of them."""
        return "".join(
            f"processor\t: {number}\nBogoMIPS\t: 100.00\nFeatures\t: {self.features}\n"
            f"CPU implementer\t: 0x{self.implementer:02x}\nCPU architecture: 8\nCPU variant\t: 0x{self.variant:x}\n"
            f"CPU part\t: 0x{self.part:03x}\nCPU revision\t: 3\n\n" for number in range(_CORES))


CORES: dict[str, CoreFacts] = {
    "cortex-a35": CoreFacts(0xD04, _V8), "cortex-a53": CoreFacts(0xD03, _V8),
    "cortex-a57": CoreFacts(0xD07, _V8, variant=1), "cortex-a72": CoreFacts(0xD08, _V8),
    "cortex-a76": CoreFacts(0xD0B, _V82, variant=4),
    "neoverse-n1": CoreFacts(0xD0C, _V82, variant=4), "max": CoreFacts(0x051, f"{_V82} sve i8mm bf16", implementer=0),
}
"""By QEMU's name, cores that can be emulated. `max` is no core that exists: all that QEMU can do."""


def view_of(folder: Path, cpu: str) -> Path:
    """Where a core's view is in an installation."""
    return folder / "cores" / cpu


def write_views(folder: Path) -> None:
    """Make the view of every core.

    Args:
        folder: an installation whose `root` is whole.
    """
    for cpu, facts in CORES.items():
        view = view_of(folder, cpu)
        view.mkdir(parents=True)
        for entry in sorted((folder / "root").iterdir()):
            (view / entry.name).symlink_to(Path("..", "..", "root", entry.name))
        system = view / "sys" / "devices" / "system" / "cpu"
        system.mkdir(parents=True)
        for name, text in (("possible", f"0-{_CORES - 1}"), ("present", f"0-{_CORES - 1}"), ("kernel_max", "255")):
            (system / name).write_text(f"{text}\n", encoding="ascii")
        (view / "proc").mkdir()
        (view / "proc" / "cpuinfo").write_text(facts.text(), encoding="ascii")
