"""An emulated Arm core: the Arm build of a runtime, with its Arm kernels, on a processor of another kind.

What it says of a model is `emulated`: whether it loads and runs, what comes out, how many instructions that takes. Its
times say how fast the emulator is, and are never a latency.
"""

from __future__ import annotations

import os
from pathlib import Path

from device_profiles.errors import EngineUnavailable, TargetError
from device_profiles.records import Provenance
from stages.engines import host, registry
from stages.engines.registry import EngineInfo
from stages.engines.targets.emulator import INSTALL, About, Emulator, default_folder
from stages.engines.targets.host import HostTarget
from stages.engines.targets.names import TargetName
from stages.engines.targets.target import WORKER, Target
from stages.records import Host
from stages.records.targets import Device, DeviceState


class EmulatedTarget(Target):
    """A core under QEMU.

    Args:
        text: the target as it was written.
        parts: the same, taken apart.
    """

    provenance: Provenance = "emulated"
    tells_time = False

    def __init__(self, text: str, parts: TargetName) -> None:
        super().__init__(text)
        self.cpu = parts.where
        self.emulator = Emulator(Path(parts.options["folder"]) if "folder" in parts.options else default_folder())
        self._about: About | None = None

    def open(self) -> None:
        """Look what is installed.

        Raises:
            TargetError: nothing is, this machine is an Arm one itself, or there is no such core.
        """
        if os.uname().machine == "aarch64":
            raise TargetError(self.name, "this machine runs Arm code itself", "", "use the target host")
        self._about = self.emulator.about(self.name)
        self.emulator.python(self.cpu, "")

    @property
    def about(self) -> About:
        """What is installed."""
        if self._about is None:
            self.open()
        return self._about or self.emulator.about(self.name)

    def command(self, engine: str) -> list[str]:
        """The worker file in the emulated Python."""
        return self.counted_command(engine, None)

    def counted_command(self, engine: str, counting: Path | None) -> list[str]:
        """The same, counting what it executes.

        Args:
            engine: the engine.
            counting: see `Emulator.python`.

        Raises:
            EngineUnavailable: the engine has no Arm wheel.
            TargetError: the counter could not be compiled when the emulator was installed.
        """
        info = self.engine_info(engine)
        if not info.available:
            raise EngineUnavailable(engine, "", info.reason)
        if counting and not self.about.counts:
            raise TargetError(self.name, "its instruction counter is missing", "",
                              f"apt-get install gcc, then {INSTALL} --force")
        version = ".".join(self.about.python.split(".")[:2])
        return self.emulator.python(self.cpu, version, str(WORKER), engine, counting=counting)

    def engine_info(self, engine: str) -> EngineInfo:
        """Version of the Arm wheel that is installed in the emulator."""
        entry = registry.engine(engine)
        version = self.about.packages.get(entry.distribution)
        if version is None:
            return EngineInfo(name=engine, version=None, available=False,
                              reason=f"{entry.distribution} has no wheel for Linux on Arm that {self.name} could run")
        return EngineInfo(name=engine, version=version, available=True)

    def send(self, file: Path) -> str:
        """The file itself: what the emulated file system lacks is looked for in this host's."""
        return str(file.resolve())

    def device(self) -> Device:
        """The emulated core; memory and cores are this host's."""
        here = host.host()
        return Device(target=self.name, board="QEMU user-mode emulation", core_names=(self.cpu,), host=Host(
            cpu=f"QEMU {self.about.qemu} -cpu {self.cpu}", architecture="aarch64", cores=here.cores,
            memory_bytes=here.memory_bytes, system=here.system, python=self.about.python))

    def state(self) -> DeviceState:
        """This host's."""
        return HostTarget().state()

    def cores(self) -> tuple[int, ...]:
        """This host's."""
        return host.cores()
