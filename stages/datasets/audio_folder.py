r"""A folder of WAV files: a class per directory, or whatever a pattern on the file's name says.

By directory, the layouts are `<class>/*.wav` and `<split>/<class>/*.wav` with the splits `train`, `validation` and
`test`. By pattern, a regular expression has to match the whole path below the folder, with named parts: `label` (the
class), `group` (a speaker, a machine) and `split`, where there are any:

    pattern: '.*/(?P<label>\d)_(?P<group>[a-z]+)_\d+\.wav'

Files are read in the order of their paths, so the samples are the same on every machine. A file that cannot be read, or
that the pattern does not match, is skipped and named; a sample rate that the front end does not have stops the run.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from device_profiles.errors import DataError
from device_profiles.records import Record
from stages.datasets.audio.clips import as_int16, cut, resample
from stages.datasets.audio.features import model_samples
from stages.datasets.audio.front_end import FrontEnd
from stages.datasets.audio.listing import Recording, folder_digest, list_recordings
from stages.datasets.audio.vectors import write_front_end
from stages.datasets.audio.wav import WavError, read_wav
from stages.datasets.records import Chunk, LabelKind, Reader
from stages.records import SkippedSample

LIBRARIES = ("numpy", "scipy")
_CHUNK_BYTES = 8 << 20
_CLIPS_AT_ONCE = 64
"""Clips of one long recording that are analyzed together: some tens of megabytes on the way."""
_THREADS = 2
"""Reading, Fourier transforms and logarithms let go of the interpreter; more threads than two wait for the rest."""
_AHEAD = 16
_AHEAD_BYTES = 32 << 20
"""Recordings that may be ready before they are asked for, and bytes of their files; one may always be."""
_EXAMPLES = 3
"""Recordings that are kept for the test vectors."""

Float32s = NDArray[np.float32]


class Settings(Record):
    """Which folder, how its files are named, and the front end."""

    kind: Literal["audio_folder"] = "audio_folder"
    path: Path = Field(description="the folder")
    pattern: str | None = Field(
        default=None, description="regular expression for a file's whole path below the folder, with the named parts "
                                  "label, group, split; by default the directory is the class")
    front_end: FrontEnd = Field(default=FrontEnd(), description="what the model is given of a clip; see docs/audio.md")
    resample: bool = Field(default=False, description="convert files of another sample rate, instead of stopping")
    clip_hop_s: float = Field(
        default=0.0, ge=0, description="a recording longer than a clip gives one every so many seconds; 0: one in all")

    @field_validator("pattern")
    @classmethod
    def _is_expression(cls, value: str | None) -> str | None:
        try:
            unknown = set(re.compile(value or "").groupindex) - {"label", "group", "split"}
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        if unknown:
            raise ValueError(f"has a part called '{min(unknown)}'; there are label, group and split")
        return value


def open_reader(settings: Settings, labels: LabelKind) -> Reader:
    """One pass over the folder.

    Raises:
        DataError: no such folder, no WAV file, an empty class folder, labels that paths cannot give.
    """
    if labels == "multilabel":
        raise DataError("an audio folder gives one label for each recording; the task is multilabel",
                        "classification, anomaly, or regression with numbers as labels", "change task in the run file")
    recordings, unmatched = list_recordings(settings.path, settings.pattern)
    class_names, targets = _targets(recordings, labels)
    return AudioReader(class_names=class_names, skipped=unmatched, total=len(recordings) + len(unmatched),
                       settings=settings, recordings=recordings, targets=targets)


def source_digest(settings: Settings, cache: Path | None = None) -> str:
    """Changes when a WAV file of the folder does.

    Raises:
        DataError: the folder cannot be read.
    """
    return f"{settings.kind}:{folder_digest(settings.path, cache)}"


def _targets(recordings: list[Recording], labels: LabelKind) -> tuple[tuple[str, ...], list[int] | list[float] | None]:
    """Class names, and a class number or a value for each recording; none where paths say nothing of labels."""
    found = [recording.label for recording in recordings if recording.label is not None]
    if not found:
        return (), None
    if labels == "values":
        return (), [_number(label, recording.name) for label, recording in zip(found, recordings, strict=True)]
    names = tuple(sorted(set(found)))
    return names, [names.index(label) for label in found]


def _number(label: str, name: str) -> float:
    """A label as a number."""
    try:
        return float(label)
    except ValueError as error:
        raise DataError(f"the label '{label}' of {name} is no number; the task is regression",
                        "a number in the directory's name or in the pattern's part called label") from error


@dataclass(frozen=True)
class _Read:
    """What came of one file: clips and the first of their samples, or the reason why there are none."""

    clips: Float32s | None = None
    first: Float32s | None = None
    reason: str = ""


@dataclass
class AudioReader(Reader):
    """Reads recordings with a few threads, in their order.

    A long recording is in memory whole, its samples only some at a time.
    """

    settings: Settings = field(kw_only=True)
    recordings: list[Recording] = field(kw_only=True)
    targets: list[int] | list[float] | None = field(kw_only=True)
    examples: dict[str, NDArray[np.int16]] = field(default_factory=dict, init=False)

    def chunks(self) -> Iterator[Chunk]:
        """All samples in the order of the files' paths."""
        held: list[tuple[int, Float32s]] = []
        size = found = 0
        for number, samples in self._samples():
            held.append((number, samples))
            size += samples.nbytes
            found += 1
            if size >= _CHUNK_BYTES:
                yield self._chunk(held)
                held, size = [], 0
        if held:
            yield self._chunk(held)
        if not found:
            first = self.skipped[0]
            raise DataError(f"none of the {len(self.skipped):,} WAV files of {self.settings.path} can be read; "
                            f"{first.name} {first.reason}", "WAV files of PCM or float")

    def write_extras(self, folder: Path) -> None:
        """The front end's parameters, its matrix, and test vectors made of the first recordings, among others."""
        write_front_end(folder, self.settings.front_end, self.examples)

    def _samples(self) -> Iterator[tuple[int, Float32s]]:
        """(number of the recording, some of its samples), in order."""
        front_end = self.settings.front_end
        for number, read in enumerate(self._reads()):
            if read.clips is None or read.first is None:
                self.skipped.append(SkippedSample(name=self.recordings[number].name, reason=read.reason))
                continue
            if len(self.examples) < _EXAMPLES:
                self.examples[self.recordings[number].name] = as_int16(read.clips[0])
            yield number, read.first
            for start in range(_CLIPS_AT_ONCE, len(read.clips), _CLIPS_AT_ONCE):
                yield number, model_samples(read.clips[start:start + _CLIPS_AT_ONCE], front_end)

    def _reads(self) -> Iterator[_Read]:
        """Each recording in order; while one is looked at, the next ones are in the making."""
        waiting: deque[tuple[int, Future[_Read]]] = deque()
        pool = ThreadPoolExecutor(_THREADS, "litesmith-audio")
        try:
            for recording in self.recordings:
                while waiting and (len(waiting) >= _AHEAD
                                   or sum(size for size, _ in waiting) + recording.size > _AHEAD_BYTES):
                    yield waiting.popleft()[1].result()
                waiting.append((recording.size, pool.submit(_read, recording, self.settings)))
            while waiting:
                yield waiting.popleft()[1].result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _chunk(self, held: list[tuple[int, Float32s]]) -> Chunk:
        """Samples of some recordings with what is known of each."""
        numbers = np.repeat([number for number, _ in held], [len(samples) for _, samples in held])
        each = [self.recordings[number] for number in numbers.tolist()]
        return Chunk(x=np.concatenate([samples for _, samples in held]), y=self._labels(numbers),
                     names=[one.name for one in each], groups=_any_of([one.group for one in each]),
                     splits=_any_of([one.split for one in each]))

    def _labels(self, numbers: NDArray[np.int64]) -> NDArray[np.int64] | NDArray[np.float32] | None:
        """The labels of some recordings.  # (samples,)."""
        if self.targets is None:
            return None
        values = np.array(self.targets)[numbers]
        return values.astype(np.int64) if self.class_names else values.astype(np.float32)


def _any_of(words: list[str]) -> list[str]:
    """Nothing where every word is empty."""
    return words if any(words) else []


def _read(recording: Recording, settings: Settings) -> _Read:
    """One file: its clips, and the samples of the first ones.

    Raises:
        DataError: its sample rate is not the front end's, and files are not to be converted.
    """
    front_end = settings.front_end
    try:
        rate, waveform = read_wav(recording.path)
    except WavError as error:
        return _Read(reason=str(error))
    if rate != front_end.sample_rate and not settings.resample:
        raise DataError(f"{recording.name} of {settings.path} has a sample rate of {rate:,} Hz",
                        f"{front_end.sample_rate:,} Hz (data.source.front_end.sample_rate)",
                        "set data.source.resample to true, or the front end's sample_rate to what the device records")
    hop = round(settings.clip_hop_s * front_end.sample_rate)
    clips = cut(resample(waveform, rate, front_end.sample_rate), front_end.clip_samples, front_end.align, hop)
    return _Read(clips=clips, first=model_samples(clips[:_CLIPS_AT_ONCE], front_end))
