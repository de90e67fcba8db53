"""An emulated Arm core: its rules without one, and the real one where it is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import EngineUnavailable, TargetError
from stages.engines import host
from stages.engines.client import WORKER, EngineWorker
from stages.engines.targets.counting import count_inference
from stages.engines.targets.differing import first_difference
from stages.engines.targets.emulated import EmulatedTarget
from stages.engines.targets.emulator import Emulator, default_folder
from stages.engines.targets.host import HostTarget
from stages.engines.targets.opening import open_target
from tests.device_profiles.handmade import conv_model
from tests.stages.targets.test_emulator import ABOUT


def missing() -> str:
    """Why there is no emulator here; "" where there is one."""
    try:
        Emulator(default_folder()).about("emulated")
    except TargetError as error:
        return f"{error.found}: {error.next_step}"
    return ""


real = pytest.mark.skipif(bool(missing()), reason=missing())


def made(folder: Path, **changes: object) -> EmulatedTarget:
    """A target with a list of what is installed and nothing else."""
    (folder / "about.json").write_text(ABOUT.model_copy(update=changes).model_dump_json())
    found = open_target(f"emulated:max,folder={folder}")
    assert isinstance(found, EmulatedTarget)
    return found


def test_an_emulated_core_is_not_the_host_and_tells_no_time(tmp_path: Path) -> None:
    with made(tmp_path) as target:
        assert (target.provenance, target.tells_time, target.is_remote) == ("emulated", False, False)
        device = target.device()
        assert device.core_names == ("max",)
        assert (device.host.cpu, device.host.architecture) == ("QEMU 7.2.0 -cpu max", "aarch64")
        assert (device.host.python, device.host.cores) == ("3.11.2", len(host.cores()))


def test_engines_are_those_with_an_arm_wheel(tmp_path: Path) -> None:
    with made(tmp_path) as target:
        assert target.engine_info("litert").version == "2.0.2"
        assert "no wheel for Linux on Arm" in target.engine_info("tflm").reason
        assert target.command("litert")[-2:] == [str(WORKER), "litert"]
        with pytest.raises(EngineUnavailable, match="tflite-micro has no wheel"):
            target.command("tflm")


def test_a_counter_that_could_not_be_compiled_is_named(tmp_path: Path) -> None:
    with made(tmp_path, counts=False) as target, pytest.raises(TargetError, match="counter is missing") as caught:
        target.counted_command("litert", tmp_path / "counts")
    assert "apt-get install gcc" in caught.value.next_step


def test_an_emulator_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="no emulator is installed"), open_target(f"emulated,folder={tmp_path}"):
        pass


@pytest.mark.slow
@real
def test_a_model_gives_on_the_emulated_core_what_it_gives_here(tmp_path: Path) -> None:
    samples = np.random.default_rng(2).normal(size=(5, 4, 4, 2)).astype(np.float32)
    outputs = []
    with open_target("emulated") as arm:
        for place in (HostTarget(), arm):
            with EngineWorker("tflite-runtime", log=tmp_path / "log.txt", timeout_s=300, target=place) as worker:
                worker.load(conv_model())
                outputs.append(worker.predict(samples)[0])
                machine = worker.hello.machine
        assert machine == "aarch64"
        found = first_difference((HostTarget(), arm), "tflite-runtime", conv_model(), {"input": samples},
                                 log=tmp_path / "log.txt", timeout_s=300)
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-6)
    assert found.operators_equal == (2 if found.index is None else found.index)
    assert found.versions == ("2.14.0", "2.14.0")


def test_a_core_that_there_is_not_is_refused_when_the_target_is_opened(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(TargetError, match="there is no core 'cortex-a99'"), \
            open_target(f"emulated:cortex-a99,folder={tmp_path}"):
        pass


@pytest.mark.slow
@real
@pytest.mark.parametrize(("cpu", "part"), [("cortex-a53", "0xd03"), ("cortex-a76", "0xd0b")])
def test_an_emulated_core_says_which_it_is_and_not_what_this_host_is(cpu: str, part: str) -> None:
    code = "print(open('/proc/cpuinfo').read().count('CPU part\\t: {}'), open('/proc/self/status').read()[:5])"
    with open_target(f"emulated:{cpu}") as arm:
        assert isinstance(arm, EmulatedTarget)
        version = ".".join(arm.about.python.split(".")[:2])
        command = arm.emulator.python(cpu, version, "-c", code.format(part))
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "4 Name:\n"


@pytest.mark.slow
@real
def test_instructions_of_an_inference_are_counted_and_the_same_again(tmp_path: Path) -> None:
    samples = {"input": np.ones((2, 4, 4, 2), np.float32)}
    with open_target("emulated") as arm:
        assert isinstance(arm, EmulatedTarget)
        one, two = (count_inference(arm, "tflite-runtime", conv_model(), samples, log=tmp_path / "log.txt",
                                    inferences=30) for _ in range(2))
    assert one.instructions.provenance == "emulated"
    assert one.instructions.value > one.accesses.value > 54 * 4  # a multiplication for each weight and place at least
    assert two.instructions.value == pytest.approx(one.instructions.value, rel=0.02)
