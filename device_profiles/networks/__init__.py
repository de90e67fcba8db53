"""Published networks rebuilt as workloads: what a name in a table of latencies asks of a device.

    from device_profiles.networks import network_workload
    network_workload("mobilenet_v1 size=128 width=0.25", "int8")          # the same record that `read_workload` gives

Nothing is converted and no framework is loaded: `builder` writes the graph that the converter would write, with
constants that have a size and no values, and `device_profiles.workload` reads it like any other.

`device_profiles/data/published_latency.csv` has one row a measurement that can be used; its columns:

    device      key of the device: "raspberry-pi-4-1800"; one with two clocks is two
    core        key of the core that does the work: "cortex-a72"
    clock_hz    of that core
    clock       "stated" by the source, or "assumed": the part's usual maximum
    threads     empty where the source does not say; all cores of a big.LITTLE count
    runtime     key of runtime and version: "tflite-2.7.1", "xnnpack-2022", "tflm-cmsis-nn", "x-cube-ai-8.1"
    kernels     whose inner loops ran: "ruy", "xnnpack", "tflm", "tflm-reference", "x-cube-ai", "vendor"
    network     key that `network_workload` takes
    format      "float32", "int8" (uint8 too) or "int16x8": the second argument of `network_workload`
    dtype       as published: "uint8", "int8", "float32", ...
    latency_ms  of one inference, as published
    energy_uj   of one inference; whole board at the wall for MLPerf Inference, the chip's rail for MLPerf Tiny
    energy_of   "wall" or "rail"; empty where there is no energy
    ram_kib, flash_kib   as published; what they count differs by source (docs/workload.md)
    source      where it was published
    family      network family, for leaving one out: "mobilenet_v1"

`published_rows()` gives those of whole networks, `published_layers()` those of kernels alone.
`benchmarks/published_rows.py` makes the file and counts what it left out and why.
"""

from __future__ import annotations

from device_profiles.networks.builder import BuildFormat, NetworkBuilder
from device_profiles.networks.catalog import NETWORKS, network_key, network_workload, parse_key
from device_profiles.networks.published import PublishedRow, published_layers, published_rows

__all__ = ["NETWORKS", "BuildFormat", "NetworkBuilder", "PublishedRow", "network_key", "network_workload", "parse_key",
           "published_layers", "published_rows"]
