"""Which kernels a device runs."""

from __future__ import annotations

import pytest

from device_profiles.microcontrollers import families
from device_profiles.schema import Profile
from tests.device_profiles.microcontrollers.graphs import convolution
from tests.stages.sample_profiles import fact, measured_profile, micro_profile


def _profile(core: str, features: list[str], device: str = "a board") -> Profile:
    document = micro_profile().model_dump(by_alias=True, exclude_none=True)
    document["hardware"] |= {"core": fact(core), "instruction_set": fact(features)}
    return Profile.model_validate(document | {"device": device})


@pytest.mark.parametrize(("core", "features", "family"), [
    ("Cortex-M0+", [], "cmsis-nn"), ("Cortex-M3", [], "cmsis-nn"), ("Cortex-M4F", ["dsp"], "cmsis-nn-dsp"),
    ("Cortex-M7", ["fpv5"], "cmsis-nn-dsp"), ("Cortex-M33", ["dsp"], "cmsis-nn-dsp"), ("Cortex-M33", [], "cmsis-nn"),
    ("Cortex-M55", ["mve"], "cmsis-nn-mve"), ("Cortex-M85", [], "cmsis-nn-mve"), ("Xtensa LX7", [], "esp-nn-s3"),
    ("Xtensa LX6", [], "esp-nn"), ("Andes D25F", [], "reference")])
def test_a_core_runs_its_vendors_kernels(core: str, features: list[str], family: families.Family) -> None:
    assert families.family_of(_profile(core, features)) == family


def test_the_device_says_what_the_core_does_not() -> None:
    assert families.family_of(_profile("HP RISC-V", [], "ESP32-P4-Function-EV-Board")) == "esp-nn-p4"


def test_this_host_runs_tflms_own() -> None:
    assert families.family_of(measured_profile()) == "reference"


def test_a_library_without_a_kernel_leaves_tflms_own_scratch() -> None:
    graph = convolution(8, 8, 3, 4, number_format="float32")

    assert families.scratch(graph, graph.operators[0], "cmsis-nn-dsp") == ()
    assert families.scratch(convolution(8, 8, 3, 4), convolution(8, 8, 3, 4).operators[0], "cmsis-nn-dsp") == (112,)


@pytest.mark.parametrize("family", list(families.NAMES))
def test_every_family_names_its_sources(family: families.Family) -> None:
    assert len(families.sources(family)) > 20
