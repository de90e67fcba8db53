"""WAV files in folders, a class per directory or by a pattern on the path, as the features of a front end.

`folders` says how a folder may be laid out, `audio.wav` what is read of a file, `audio.clips` how recordings become
clips of one length, `audio.features` what the model is given of a clip.

A file that cannot be read is skipped and named; whether too many are is decided by the prepare stage. A sample rate
that is not the front end's stops the run, unless files are to be converted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from device_profiles.errors import DataError
from stages.datasets.arrays import CHUNK_BYTES
from stages.datasets.audio.clips import as_int16, cut, resample
from stages.datasets.audio.features import model_samples
from stages.datasets.audio.front_end import FrontEnd
from stages.datasets.audio.vectors import write_front_end
from stages.datasets.audio.wav import WavError, read_wav
from stages.datasets.folders import (
    FolderFile,
    FolderSettings,
    Listing,
    Rules,
    check_kind,
    folder_digest,
    list_folder,
    slice_columns,
)
from stages.datasets.records import Chunk, LabelKind, Reader
from stages.records import SkippedSample

LIBRARIES = ("numpy", "scipy")
EXTENSIONS = (".wav", ".wave")
OTHER_SOUNDS = (".aac", ".aif", ".aiff", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wma")
"""Files that hold sound, and are named as skipped: a data set that is half FLAC should not go by unnoticed."""
_FRAME_BYTES = 16 << 20
"""Clips of one long recording whose frames take so much are analyzed together."""
_THREADS = 2
"""One reads while another computes; Fourier transforms and logarithms let go of the interpreter."""
_AHEAD = 16
_AHEAD_BYTES = 32 << 20
"""Recordings that may be ready before they are asked for, and bytes of their files; one may always be."""
_EXAMPLES = 3
"""Recordings that are kept for the test vectors."""

Float32s = NDArray[np.float32]


class Settings(FolderSettings):
    """Which folder, how its files are named, and the front end."""

    kind: Literal["audio_folder"] = "audio_folder"
    front_end: FrontEnd = Field(default=FrontEnd(), description="what the model is given of a clip; see docs/audio.md")
    resample: bool = Field(default=False, description="convert files of another sample rate, instead of stopping")
    clip_hop_s: float = Field(
        default=0.0, ge=0, description="a recording longer than a clip gives one every so many seconds; 0: one in all")

    def rules(self) -> Rules:
        """How the folder is read."""
        return Rules(EXTENSIONS, OTHER_SOUNDS, self.labels_from, self.group, self.slices)


def open_reader(settings: Settings, labels: LabelKind) -> Reader:
    """A reader of the folder's recordings.

    Raises:
        DataError: the folder's layout is off, or folders cannot give labels of this kind.
    """
    check_kind(settings, labels, "an audio folder", "recording")
    listing = list_folder(settings.path, settings.rules())
    values = listing.numbers() if labels == "values" else None
    return AudioReader(class_names=() if values else listing.class_names, total=len(listing.files),
                       settings=settings, listing=listing, values=values)


def source_digest(settings: Settings, cache: Path | None = None) -> str:
    """SHA-256 over names and contents of all recordings.

    Raises:
        DataError: the folder's layout is off, or a file cannot be read.
    """
    return f"{settings.kind}:sha256:{folder_digest(list_folder(settings.path, settings.rules()), cache)}"


@dataclass(frozen=True)
class _Read:
    """What came of one file: clips and the first of their samples, or the reason why there are none."""

    clips: Float32s | None = None
    first: Float32s | None = None
    reason: str = ""


@dataclass
class AudioReader(Reader):
    """Reads recordings with a few threads, in the order of the listing.

    A long recording is in memory whole, its samples only some at a time.

    Attributes:
        settings: which folder and front end.
        listing: what to read.
        values: a number for each file where labels are numbers, else None.
        examples: clips of the first recordings, by name.
    """

    settings: Settings = field(kw_only=True)
    listing: Listing = field(kw_only=True)
    values: Sequence[float] | None = field(default=None, kw_only=True)
    examples: dict[str, NDArray[np.int16]] = field(default_factory=dict, init=False)

    def chunks(self) -> Iterator[Chunk]:
        """See `Reader.chunks`."""
        self.skipped += [SkippedSample(name=name, reason="is no WAV file") for name in self.listing.others]
        y = self.listing.labels(self.values)
        held: list[tuple[int, Float32s]] = []
        size = 0
        for place, samples in self._samples():
            held.append((place, samples))
            size += samples.nbytes
            if size >= CHUNK_BYTES:
                yield self._chunk(held, y)
                held, size = [], 0
        if held:
            yield self._chunk(held, y)

    def write_extras(self, folder: Path) -> None:
        """The front end's parameters, its matrix, and test vectors, some of them made of the first recordings."""
        write_front_end(folder, self.settings.front_end, self.examples)

    def _samples(self) -> Iterator[tuple[int, Float32s]]:
        """(place of the recording in the listing, some of its samples), in order."""
        front_end, at_once = self.settings.front_end, _clips_at_once(self.settings.front_end)
        for place, read in enumerate(self._reads()):
            name = self.listing.files[place].name
            if read.clips is None or read.first is None:
                self.skipped.append(SkippedSample(name=name, reason=read.reason))
                continue
            if len(self.examples) < _EXAMPLES:
                self.examples[name] = as_int16(read.clips[0])
            yield place, read.first
            for start in range(at_once, len(read.clips), at_once):
                yield place, model_samples(read.clips[start:start + at_once], front_end)

    def _reads(self) -> Iterator[_Read]:
        """Each recording in order; while one is looked at, the next ones are in the making."""
        waiting: deque[tuple[int, Future[_Read]]] = deque()
        pool = ThreadPoolExecutor(_THREADS, "litesmith-audio")
        try:
            for file in self.listing.files:
                size = _size(file.path)
                while waiting and (len(waiting) >= _AHEAD or size + sum(held for held, _ in waiting) > _AHEAD_BYTES):
                    yield waiting.popleft()[1].result()
                waiting.append((size, pool.submit(_read, file, self.settings)))
            while waiting:
                yield waiting.popleft()[1].result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _chunk(self, held: list[tuple[int, Float32s]], y: NDArray[np.int64] | Float32s) -> Chunk:
        """Samples of some recordings with what is known of each."""
        places = np.repeat([place for place, _ in held], [len(samples) for _, samples in held])
        files = [self.listing.files[place] for place in places.tolist()]
        return Chunk(x=np.concatenate([samples for _, samples in held]), y=y[places],
                     names=[file.name for file in files],
                     groups=[file.group for file in files] if self.settings.group else (),
                     splits=[file.split for file in files] if files[0].split else (), slices=slice_columns(files))


def _size(path: Path) -> int:
    """Bytes of a file; 0 where it is gone: reading it says so."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read(file: FolderFile, settings: Settings) -> _Read:
    """One file: its clips, and the samples of the first ones.

    Raises:
        DataError: its sample rate is not the front end's, and files are not to be converted.
    """
    front_end = settings.front_end
    try:
        rate, waveform = read_wav(file.path)
    except WavError as error:
        return _Read(reason=str(error))
    if rate != front_end.sample_rate and not settings.resample:
        raise DataError(f"{file.name} of {settings.path} has a sample rate of {rate:,} Hz",
                        f"{front_end.sample_rate:,} Hz, which is data.source.front_end.sample_rate",
                        "set data.source.resample to true, or the front end's sample_rate to what the device records")
    hop = max(1, round(settings.clip_hop_s * front_end.sample_rate)) if settings.clip_hop_s else 0
    clips = cut(resample(waveform, rate, front_end.sample_rate), front_end.clip_samples, front_end.align, hop)
    return _Read(clips=clips, first=model_samples(clips[:_clips_at_once(front_end)], front_end))


def _clips_at_once(front_end: FrontEnd) -> int:
    """How many clips are analyzed together."""
    values = front_end.clip_samples if front_end.feature == "waveform" else front_end.all_frames * front_end.fft_size
    return max(1, _FRAME_BYTES // (values * np.dtype(np.float64).itemsize))
