"""WAV files: every encoding gives the same waveform, and every damage its own sentence."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.datasets.audio.wav import WavError, read_wav
from tests.stages.datasets.wavs import FLOAT, format_chunk, wav

LEVELS = [-1.0, -0.5, 0.0, 0.25, 0.5]


def read(folder: Path, content: bytes) -> tuple[int, np.ndarray]:
    path = folder / "a.wav"
    path.write_bytes(content)
    return read_wav(path)


def packed(values: list[int], size: int, order: str = "little") -> bytes:
    return b"".join(value.to_bytes(size, order, signed=True) for value in values)  # type: ignore[arg-type]


ENCODINGS = [
    pytest.param(wav(bytes([0, 64, 128, 160, 192]), bits=8), id="8-bit, unsigned"),
    pytest.param(wav(packed([-32768, -16384, 0, 8192, 16384], 2)), id="16-bit"),
    pytest.param(wav(packed([-2**23, -2**22, 0, 2**21, 2**22], 3), bits=24), id="24-bit"),
    pytest.param(wav(packed([-2**31, -2**30, 0, 2**29, 2**30], 4), bits=32), id="32-bit"),
    pytest.param(wav(np.array(LEVELS, "<f4").tobytes(), bits=32, encoding=FLOAT), id="float32"),
    pytest.param(wav(np.array(LEVELS, "<f8").tobytes(), bits=64, encoding=FLOAT), id="float64"),
    pytest.param(wav(packed([-32768, -16384, 0, 8192, 16384], 2, "big"), order=">"), id="RIFX, 16-bit"),
    pytest.param(wav(packed([-2**23, -2**22, 0, 2**21, 2**22], 3, "big"), bits=24, order=">"), id="RIFX, 24-bit"),
    pytest.param(wav(packed([-2**23, -2**22, 0, 2**21, 2**22], 3), bits=24, valid=20), id="extensible, 20 in 24 bits"),
    pytest.param(wav(np.array(LEVELS, "<f4").tobytes(), bits=32, encoding=FLOAT, valid=32), id="extensible float"),
]


@pytest.mark.parametrize("content", ENCODINGS)
def test_every_encoding_gives_the_same_waveform(tmp_path: Path, content: bytes) -> None:
    rate, waveform = read(tmp_path, content)
    assert rate == 8000
    assert waveform.dtype == np.float32
    assert waveform.tolist() == LEVELS


@pytest.mark.parametrize("content", ENCODINGS)
def test_scipy_reads_the_same_samples(tmp_path: Path, content: bytes) -> None:
    from scipy.io import wavfile

    _, waveform = read(tmp_path, content)
    _, theirs = wavfile.read(tmp_path / "a.wav")
    full = {"u": 128, "i": 2.0 ** (8 * theirs.itemsize - 1), "f": 1}[theirs.dtype.kind]
    assert np.array_equal(waveform, (theirs - (128.0 if theirs.dtype == np.uint8 else 0)) / full)


def test_several_channels_become_their_mean(tmp_path: Path) -> None:
    _, waveform = read(tmp_path, wav(packed([16384, 0, -32768, 32767], 2), channels=2))
    assert waveform.tolist() == [0.25, -1 / 65536]


def test_chunks_of_odd_length_before_the_samples_are_stepped_over(tmp_path: Path) -> None:
    note = b"LIST" + struct.pack("<I", 3) + b"abc" + b"\0"
    assert read(tmp_path, wav(packed([16384], 2), before=note))[1].tolist() == [0.5]


def test_a_file_of_more_than_four_gigabytes_says_so_in_its_own_chunk(tmp_path: Path) -> None:
    data = packed([16384, -16384], 2)
    sizes = b"ds64" + struct.pack("<IQQQI", 28, 0, len(data), 2, 0)
    content = b"RF64\xff\xff\xff\xffWAVE" + sizes + format_chunk(8000, 1, 16) + b"data\xff\xff\xff\xff" + data
    assert read(tmp_path, content)[1].tolist() == [0.5, -0.5]


def test_a_file_written_into_a_pipe_ends_where_its_bytes_end(tmp_path: Path) -> None:
    content = wav(packed([16384, -16384], 2)).replace(b"data\x04\0\0\0", b"data\xff\xff\xff\xff")
    assert read(tmp_path, content)[1].tolist() == [0.5, -0.5]


WHOLE = wav(packed([1, 2, 3, 4], 2))
DAMAGE: list[Any] = [
    (b"", "is empty"),
    (b"RI", "ends inside its header"),
    (b"ID3\x04" + bytes(40), "is not a WAV file"),
    (WHOLE[:40], "ends inside its header"),
    (WHOLE[:-2], "is truncated: 8 bytes of samples are announced, 6 are there"),
    (wav(b""), "has no samples"),
    (wav(b"\0"), "has no samples"),
    (wav(bytes(8), bits=16, encoding=7), "is stored as mu-law with 16 bits"),
    (wav(bytes(8), bits=8, encoding=6), "is stored as A-law with 8 bits"),
    (wav(bytes(8), bits=16, encoding=99), "is stored as format 99"),
    (wav(bytes(8), bits=64), "is stored as PCM with 64 bits"),
    (wav(bytes(8), rate=0), "1 channels at 0 Hz"),
    (wav(bytes(8), channels=0), "0 channels"),
    (wav(bytes(8), rate=2_000_000_000), "2,000,000,000 Hz"),
    (WHOLE.replace(b"fmt ", b"junk"), "has samples before it says how they are stored"),
    (WHOLE.replace(b"fmt \x10", b"fmt \x08"), "has a format chunk of 8 bytes"),
    (wav(bytes(8), valid=16).replace(b"fmt \x28", b"fmt \x12"), "has an extensible format chunk of 18 bytes"),
    (b"RIFF\0\0\0\0WAVE" + b"JUNK\0\0\0\0" * 5000, "has more than 4,096 chunks"),
    (wav(np.array([0, np.nan], "<f4").tobytes(), bits=32, encoding=FLOAT), "holds NaN or an infinity"),
]


@pytest.mark.parametrize(("content", "message"), DAMAGE, ids=[message for _, message in DAMAGE])
def test_each_damage_has_its_own_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(WavError) as caught:
        read(tmp_path, content)
    assert message in str(caught.value)


def test_a_size_beyond_the_file_s_end_reserves_no_memory(tmp_path: Path) -> None:
    import tracemalloc

    content = WHOLE.replace(b"data\x08\0\0\0", b"data\xff\xef\xff\x7f")  # 2 GiB announced, 8 bytes there
    tracemalloc.start()
    with pytest.raises(WavError, match="is truncated: 2,147,479,551 bytes"):
        read(tmp_path, content)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_file_that_may_not_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(WavError, match="cannot be read: Is a directory"):
        read_wav(tmp_path)


@pytest.mark.parametrize("cut_off", range(len(WHOLE)))
def test_a_file_cut_off_anywhere_is_never_taken_for_whole(tmp_path: Path, cut_off: int) -> None:
    with pytest.raises(WavError):
        read(tmp_path, WHOLE[:cut_off])


@pytest.mark.parametrize("seed", range(20))
def test_random_damage_gives_samples_or_a_reason_and_nothing_else(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(50):
        content = bytearray(WHOLE)
        for place in rng.integers(0, 44, 3):
            content[place] = rng.integers(256)
        with suppress(WavError):  # anything else fails the test
            _, waveform = read(tmp_path, bytes(content))
            assert waveform.ndim == 1
            assert 0 < len(waveform) <= 8
            assert np.isfinite(waveform).all()
