"""WAV files byte by byte, so that tests can break each of them in the place they mean."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

PCM, FLOAT = 1, 3


def format_chunk(rate: int, channels: int, bits: int, encoding: int = PCM, order: str = "<", valid: int = 0) -> bytes:
    """A format chunk; with `valid` bits the extensible one."""
    frame = channels * bits // 8
    tag = 0xFFFE if valid else encoding
    body = struct.pack(f"{order}HHIIHH", tag, channels, rate, rate * frame % 2**32, frame, bits)
    if valid:
        body += struct.pack(f"{order}HHI", 22, valid, 0) + struct.pack(f"{order}IHH", encoding, 0, 16)
        body += bytes.fromhex("800000aa00389b71")
    return b"fmt " + struct.pack(f"{order}I", len(body)) + body


def wav(data: bytes, rate: int = 8000, channels: int = 1, bits: int = 16, encoding: int = PCM, order: str = "<",
        valid: int = 0, before: bytes = b"") -> bytes:
    """A whole file around sample bytes."""
    chunks = format_chunk(rate, channels, bits, encoding, order, valid) + before
    chunks += b"data" + struct.pack(f"{order}I", len(data)) + data
    return (b"RIFX" if order == ">" else b"RIFF") + struct.pack(f"{order}I", 4 + len(chunks)) + b"WAVE" + chunks


def write_tone(path: Path, hz: float = 440.0, seconds: float = 0.1, rate: int = 8000, seed: int = 0) -> Path:
    """A tone at half of full scale with a little seeded noise, as 16-bit mono."""
    rng = np.random.default_rng(seed)
    samples = 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    quantized = np.round(32767 * (samples + rng.normal(0, 0.001, len(samples)))).astype("<i2")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav(quantized.tobytes(), rate))
    return path
