"""What packing saves and costs: four reference networks in int8 with weights of four kinds, coded in each way.

    python benchmarks/packing.py [--networks resnet8 ds_cnn ...] [--rounds 20] [--json FILE]

The networks are untrained; zeros and shared values are put into their int8 kernels, so the figures are of bytes and
time and say nothing of accuracy. Each packed model must give the same bits as the unpacked one in TFLM. Latency is that
of TFLM's reference kernels on this host, both models in turns; the decoder of a microcontroller takes its own time.
First a line with the bytes that no code touches, then a row a network and kind, then one JSON line each.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from stages.engines.client import EngineWorker
from stages.packing.accounting import account
from stages.packing.assembling import Packer
from stages.packing.codes import Coding
from stages.packing.objects import read_model
from stages.packing.proving import Inputs, Run, measure
from stages.packing.shrinking import shrink, write

NETWORKS: dict[str, tuple[tuple[int, ...], int]] = {
    "resnet8": ((32, 32, 3), 10), "ds_cnn": ((49, 10, 1), 12), "mobilenet_v1_025": ((96, 96, 3), 2),
    "autoencoder": ((640,), 640)}
KINDS: dict[str, tuple[float, int]] = {
    "as converted": (0.0, 0), "75 % zeros": (0.75, 0), "16 values": (0.0, 16), "75 % zeros, 16 values": (0.75, 16)}
"""Share of zeros, and number of values; 0: all."""
EVERY: tuple[Coding, ...] = ("prune", "lut", "huffman")
INT8 = 9
COMPARED = 16


def converted(name: str) -> bytes:
    """A network as an int8 tflite model."""
    import tensorflow as tf

    from stages.models import build_model

    shape, classes = NETWORKS[name]
    tf.keras.utils.set_random_seed(1)
    model = build_model(name, shape, classes, "linear" if name == "autoencoder" else "softmax")
    samples = np.random.default_rng(1).uniform(-1, 1, (8, 1, *shape)).astype(np.float32)
    for layer in model.layers:
        if hasattr(layer, "momentum"):  # statistics of a batch: with the initial ones, ranges shrink to nothing
            layer.momentum = 0.0
    model(samples[:, 0], training=True)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def with_weights(content: bytes, zeros: float, values: int) -> bytes:
    """The model with the smallest kernel weights of each tensor set to zero, and few different ones."""
    model = read_model(content)
    for tensor in model.subgraphs[0].tensors:
        buffer = model.buffers[tensor.buffer]
        if tensor.type == INT8 and buffer.data is not None:
            weights = np.asarray(buffer.data, np.uint8).view(np.int8).astype(np.int64)
            if values:
                table = np.linspace(-127, 127, values).round().astype(np.int64)
                weights = table[np.abs(weights[:, None] - table).argmin(axis=1)]
            weights[np.argsort(np.abs(weights), kind="stable")[:round(zeros * len(weights))]] = 0
            buffer.data = weights.astype(np.int8).view(np.uint8)
    return write(model)


def same(one: bytes, other: bytes, samples: np.ndarray, log: Path) -> bool:
    """Whether TFLM gives the same outputs, bit for bit."""
    found = []
    for content in (one, other):
        with EngineWorker("tflm", log=log) as worker:
            worker.load(content)
            found.append(worker.predict(samples)[0])
    return bool(np.array_equal(*found))


def row(name: str, kind: str, plain: bytes, samples: np.ndarray, rounds: int, folder: Path) -> dict[str, Any]:
    """One network with one kind of weights."""
    content = with_weights(plain, *KINDS[kind])
    packer = Packer(content)
    packed = packer.pack(EVERY, 32)
    each = {coding: len(packer.pack((coding,), 32).content) for coding in EVERY}
    np.save(folder / "x.npy", samples)
    inputs = Inputs(folder / "x.npy", {}, len(samples), "random samples")
    costs = measure(content, packed.content, inputs, Run(1, 120, folder / "log.txt"), rounds, 0.05)
    codings = sorted({choice.coding for choice in packed.choices.values()})
    return {"network": name, "weights": kind, "int8_bytes": len(plain), "shrunk_bytes": len(packer.shrunk),
            **{f"{coding}_bytes": size for coding, size in each.items()}, "packed_bytes": len(packed.content),
            "codings": codings, "same_bits": same(content, packed.content, samples[:COMPARED], folder / "log.txt"),
            "arena_bytes": int(costs.unpacked_arena.value), "packed_arena_bytes": int(costs.arena.value),
            "decode_ms": costs.decode.value, "latency_ratio": costs.latency_ratio.value,
            "latency_ratio_interval": costs.latency_ratio.interval, "bytes": account(packed.content)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.networks:
            plain = converted(name)
            print(f"\n{name}: {len(plain):,} bytes; {len(shrink(plain)):,} with what all runtimes need, "
                  f"{len(shrink(plain, 'tflm')):,} with what TFLM needs")
            before, after = account(plain), account(shrink(plain, "tflm"))
            print(", ".join(f"{what} {size:,} > {after.get(what, 0):,}" for what, size in before.items()))
            samples = np.random.default_rng(3).uniform(-1, 1, (COMPARED, *NETWORKS[name][0])).astype(np.float32)
            for kind in KINDS:
                found = row(name, kind, plain, samples, arguments.rounds, Path(folder))
                rows.append(found)
                low, high = found["latency_ratio_interval"]
                print(f"| {kind} | {found['prune_bytes']:,} | {found['lut_bytes']:,} | {found['huffman_bytes']:,} | "
                      f"{found['packed_bytes']:,} | {found['arena_bytes']:,} | {found['packed_arena_bytes']:,} | "
                      f"{found['latency_ratio']:.3f} ({low:.3f} to {high:.3f}) | {found['same_bits']} |", flush=True)
    lines = "".join(json.dumps(each) + "\n" for each in rows)
    print("\n" + lines)
    if arguments.json:
        arguments.json.write_text(lines)


if __name__ == "__main__":
    main()
