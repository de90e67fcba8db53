"""WAV files as float32 waveforms, without trust in what their headers say.

`scipy.io.wavfile` reads the same formats, but allocates what the header claims, takes a file that was cut off for a
whole one, and fails with whatever error comes first on a damaged one. A data set needs to know which files are whole.
Here nothing is read that is not in the file, and each fault has one sentence.

Sources: "Multimedia Programming Interface and Data Specifications 1.0" (IBM and Microsoft, 1991) for RIFF and RIFX,
`WAVEFORMATEXTENSIBLE` in Microsoft's `mmreg.h`, EBU Tech 3306 for RF64.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
_KNOWN = {(PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64)}
_OTHERS = {2: "Microsoft ADPCM", 6: "A-law", 7: "mu-law", 17: "IMA ADPCM", 49: "GSM 6.10", 85: "MP3"}
_OPEN_ENDS = frozenset(range(0x7FFFF000, 0x80000000)) | {0xFFFFFFFF}
"""Data sizes that programs write where they do not know the length (sox and ffmpeg into a pipe)."""
_CHUNKS = 4096
"""More chunks before the samples than this, and the file is taken for damaged."""
_HIGHEST_RATE = 1_000_000


class WavError(Exception):
    """A file that cannot be read as WAV; the text is the reason, without the file's name."""


@dataclass(frozen=True)
class WavHeader:
    """What a file's header says, checked against the file's length.

    Attributes:
        sample_rate: in Hz.
        channels: samples in a frame.
        encoding: `PCM` or `FLOAT`.
        bits: of one sample as it is stored, padding included: 20-bit samples in 3 bytes are 24.
        big_endian: whether the file is RIFX.
        start: byte at which the first frame begins.
        frames: whole frames in the file.
    """

    sample_rate: int
    channels: int
    encoding: int
    bits: int
    big_endian: bool
    start: int
    frames: int


def read_wav(path: Path) -> tuple[int, NDArray[np.float32]]:
    """Sample rate in Hz and the waveform, one channel, nominally -1 to 1.

    Integers are divided by half of their range: 16-bit `x = q / 32768`, 24-bit `q / 2^23`, 32-bit `q / 2^31`, 8-bit
    (stored unsigned) `(q - 128) / 128`. Floats are taken as they are. Several channels become their mean.

    Returns:
        The rate, and (samples,) float32.

    Raises:
        WavError: no WAV file, a damaged or truncated one, an encoding other than PCM and float, no samples.
    """
    try:
        with path.open("rb") as file:
            header = read_header(file)
            file.seek(header.start)
            raw = file.read(header.frames * header.channels * header.bits // 8)
    except OSError as error:
        raise WavError(f"cannot be read: {error.strerror or error}") from error
    samples = _decode(raw, header).reshape(header.frames, header.channels)
    waveform = samples[:, 0] if header.channels == 1 else samples.mean(axis=1, dtype=np.float64)
    if not np.isfinite(waveform).all():
        raise WavError("holds NaN or an infinity")
    return header.sample_rate, np.ascontiguousarray(waveform, np.float32)


def read_header(file: BinaryIO) -> WavHeader:
    """Walk the chunks up to the samples.

    Args:
        file: open for reading, at its start, seekable.

    Raises:
        WavError: see `read_wav`.
    """
    length = os.fstat(file.fileno()).st_size
    signature, _, form = struct.unpack("<4sI4s", _exactly(file, 12))
    if signature not in (b"RIFF", b"RIFX", b"RF64") or form != b"WAVE":
        raise WavError("is not a WAV file (it does not begin with RIFF, RIFX or RF64, and WAVE)")
    order = ">" if signature == b"RIFX" else "<"
    found: tuple[int, int, int, int] | None = None
    wide_size = 0
    for _ in range(_CHUNKS):
        name, size = struct.unpack(f"{order}4sI", _exactly(file, 8))
        start = file.tell()
        if name == b"ds64":
            wide_size = struct.unpack("<QQ", _exactly(file, 16))[1]
        elif name == b"fmt ":
            found = _read_format(_exactly(file, min(size, 40)), order)
        elif name == b"data":
            if found is None:
                raise WavError("has samples before it says how they are stored")
            whole = wide_size if signature == b"RF64" and size == 0xFFFFFFFF else size
            return _finish(found, order, start, whole, length)
        file.seek(start + size + size % 2)  # chunks begin at even bytes
    raise WavError(f"has more than {_CHUNKS:,} chunks and no samples")


def _exactly(file: BinaryIO, count: int) -> bytes:
    """So many bytes, or an error."""
    data = file.read(count)
    if len(data) < count:
        raise WavError("ends inside its header" if file.tell() else "is empty")
    return data


def _read_format(chunk: bytes, order: str) -> tuple[int, int, int, int]:
    """Encoding, channels, sample rate, and bytes of a frame, from the format chunk."""
    if len(chunk) < 16:
        raise WavError(f"has a format chunk of {len(chunk)} bytes; 16 are the least")
    encoding, channels, rate, _, frame_bytes, bits = struct.unpack(f"{order}HHIIHH", chunk[:16])
    if encoding == EXTENSIBLE:
        if len(chunk) < 40:
            raise WavError(f"has an extensible format chunk of {len(chunk)} bytes; 40 are the least")
        encoding = struct.unpack(f"{order}I", chunk[24:28])[0]
    if not channels or not 0 < rate <= _HIGHEST_RATE:
        raise WavError(f"says that it has {channels} channels at {rate:,} Hz")
    stored = 8 * frame_bytes // channels
    if (encoding, stored) not in _KNOWN or frame_bytes % channels or bits > stored:
        name = _OTHERS.get(encoding, {PCM: "PCM", FLOAT: "float"}.get(encoding, f"format {encoding}"))
        raise WavError(f"is stored as {name} with {bits} bits; PCM of 8, 16, 24 or 32 bits and float of 32 or 64 "
                       "are read")
    return encoding, channels, rate, frame_bytes


def _finish(found: tuple[int, int, int, int], order: str, start: int, size: int, length: int) -> WavHeader:
    """The header, once the size of the samples is held against what the file has."""
    encoding, channels, rate, frame_bytes = found
    there = length - start
    if size > there and size not in _OPEN_ENDS:
        raise WavError(f"is truncated: {size:,} bytes of samples are announced, {there:,} are there")
    frames = min(size, there) // frame_bytes
    if not frames:
        raise WavError("has no samples")
    return WavHeader(rate, channels, encoding, 8 * frame_bytes // channels, order == ">", start, frames)


def _decode(raw: bytes, header: WavHeader) -> NDArray[np.float64] | NDArray[np.float32]:
    """Stored samples as numbers of nominally -1 to 1.  # (frames * channels,)."""
    order, bits = (">" if header.big_endian else "<"), header.bits
    if header.encoding == FLOAT:
        values: NDArray[np.float32] = np.frombuffer(raw, f"{order}f{bits // 8}")
        return values
    if bits == 8:
        return (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / np.float32(128)
    if bits == 24:
        wide = np.zeros((len(raw) // 3, 4), np.uint8)  # the three bytes become the upper ones of four
        wide[:, slice(0, 3) if header.big_endian else slice(1, 4)] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        return wide.view(f"{order}i4")[:, 0] / np.float64(2 ** 31)
    if bits == 16:
        return np.frombuffer(raw, f"{order}i2").astype(np.float32) / np.float32(32768)
    return np.frombuffer(raw, f"{order}i4") / np.float64(2 ** 31)
