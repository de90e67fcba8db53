"""What a tflite model takes on a microcontroller: its arena with the kernels of its core, its flash, its registrations.

    from device_profiles.microcontrollers import device_arena
    device_arena(read_tflite(content), "cmsis-nn-dsp").least_bytes

    planner.py      TFLM's memory planner
    lifetimes.py    which buffers a graph needs, and when
    reference.py    scratch of TFLM's own kernels
    cmsis_nn.py     scratch of CMSIS-NN: plain C, DSP, MVE
    esp_nn.py       scratch of ESP-NN: ESP32-S3, ESP32-P4, generic
    windows.py      shapes of convolutions and pools
    families.py     which kernels a profile's core runs
    persistent.py   what stays in the arena: TFLM's structures on a 64-bit host and a 32-bit core
    arena.py        the arena put together
    flash.py        tflite model and runtime code
    operators.py    TFLM's registrations: `AddConv2D` and its like
    sources.py      C++ with the op resolver, the arena's size and the model's bytes

Nothing here loads a runtime.
"""

from __future__ import annotations

from device_profiles.microcontrollers.arena import ArenaSplit, DeviceArena, device_arena, host_arena, why_not
from device_profiles.microcontrollers.families import Family, family_of

__all__ = ["ArenaSplit", "DeviceArena", "Family", "device_arena", "family_of", "host_arena", "why_not"]
