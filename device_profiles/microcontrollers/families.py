"""Kernel families: whose inner loops a microcontroller's firmware runs, and what scratch memory they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from device_profiles.microcontrollers import cmsis_nn, esp_nn
from device_profiles.microcontrollers.reference import Sizes, reference_scratch
from device_profiles.schema import Profile
from device_profiles.tflite import Graph, Operator

Family = Literal["reference", "cmsis-nn", "cmsis-nn-dsp", "cmsis-nn-mve", "esp-nn", "esp-nn-s3", "esp-nn-p4"]

_CMSIS: Mapping[str, cmsis_nn.Extension] = MappingProxyType({
    "cmsis-nn": "c", "cmsis-nn-dsp": "dsp", "cmsis-nn-mve": "mve"})
_ESP: Mapping[str, esp_nn.Chip] = MappingProxyType({"esp-nn": "generic", "esp-nn-s3": "s3", "esp-nn-p4": "p4"})
_CORES: tuple[tuple[str, Family], ...] = (
    ("cortex-m85", "cmsis-nn-mve"), ("cortex-m55", "cmsis-nn-mve"), ("cortex-m52", "cmsis-nn-mve"),
    ("cortex-m33", "cmsis-nn-dsp"), ("cortex-m35p", "cmsis-nn-dsp"), ("cortex-m7", "cmsis-nn-dsp"),
    ("cortex-m4", "cmsis-nn-dsp"), ("cortex-m", "cmsis-nn"),
    ("esp32-s3", "esp-nn-s3"), ("lx7", "esp-nn-s3"), ("esp32-p4", "esp-nn-p4"), ("esp32", "esp-nn"),
    ("lx6", "esp-nn"))
"""By a part of the core's or device's name, the first that matches."""
_OPTIONAL_DSP = ("cortex-m33", "cortex-m35p")  # cores whose DSP extension a chip may leave out

NAMES: Mapping[Family, str] = MappingProxyType({
    "reference": "TFLM's own kernels", "cmsis-nn": "CMSIS-NN in plain C", "cmsis-nn-dsp": "CMSIS-NN with DSP",
    "cmsis-nn-mve": "CMSIS-NN with MVE", "esp-nn": "ESP-NN in plain C", "esp-nn-s3": "ESP-NN for the ESP32-S3",
    "esp-nn-p4": "ESP-NN for the ESP32-P4"})


def family_of(profile: Profile) -> Family:
    """The family that a profile's core is built with: Arm's library on a Cortex-M, Espressif's on an ESP32.

    A firmware may be built without its vendor's library; then TFLM's own kernels run, which is a build flag and stands
    in no datasheet.
    """
    if profile.hardware is None:
        return "reference"
    named = f"{profile.hardware.core.value} {profile.device}".lower()
    features = {feature.lower() for feature in profile.hardware.instruction_set.value}
    found = next(((part, family) for part, family in _CORES if part in named), None)
    if found is None:
        return "reference"
    part, family = found
    return "cmsis-nn" if part in _OPTIONAL_DSP and not features & {"dsp", "mve", "helium"} else family


def scratch(graph: Graph, operator: Operator, family: Family) -> Sizes:
    """Bytes of each scratch buffer of an operator; where the library has no kernel for it, TFLM's own."""
    sizes: Sizes | None = None
    if family in _CMSIS:
        sizes = cmsis_nn.scratch(graph, operator, _CMSIS[family])
    elif family in _ESP:
        sizes = esp_nn.scratch(graph, operator, _ESP[family])
    return reference_scratch(graph, operator) if sizes is None else sizes


def kept(graph: Graph, operator: Operator, family: Family) -> int:
    """Bytes that an operator keeps for good besides what TFLM's own kernel keeps."""
    return cmsis_nn.kept(graph, operator, _CMSIS[family]) if family in _CMSIS else 0


def sources(family: Family) -> str:
    """Where the family's formulas are from."""
    if family in _CMSIS:
        return "; ".join(dict.fromkeys(cmsis_nn.SOURCES.values()))
    return esp_nn.SOURCES[_ESP[family]] if family in _ESP else "Prepare of each kernel in tensorflow/lite/micro/kernels"
