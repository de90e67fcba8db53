"""Folders of recordings: what is read in which order, what is skipped, what stops the run and with which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from device_profiles.errors import DataError
from stages.datasets import audio_folder
from stages.datasets.audio.clips import cut, resample
from stages.datasets.audio.features import features
from stages.datasets.audio.front_end import FrontEnd
from stages.datasets.audio.vectors import FILES
from stages.datasets.audio.wav import read_wav
from stages.datasets.records import Chunk, Reader
from tests.stages.datasets.wavs import wav, write_tone

QUARTER = FrontEnd(sample_rate=8000, clip_s=0.25)


def settings_of(folder: Path, **given: Any) -> audio_folder.Settings:
    return audio_folder.Settings(**{"path": folder, "front_end": QUARTER, **given})


def read(folder: Path, labels: Any = "classes", **given: Any) -> tuple[Reader, list[Chunk]]:
    reader = audio_folder.open_reader(settings_of(folder, **given), labels)
    return reader, list(reader.chunks())


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """Two classes, two tones each; one recording is shorter than a clip, one longer."""
    write_tone(tmp_path / "yes" / "b.wav", 500, 0.3, seed=1)
    write_tone(tmp_path / "yes" / "a.wav", 600, 0.25, seed=2)
    write_tone(tmp_path / "no" / "c.wav", 700, 0.2, seed=3)
    write_tone(tmp_path / "no" / "deep" / "d.WAV", 800, 0.5, seed=4)
    return tmp_path


def test_recordings_come_in_the_order_of_their_paths_with_the_folder_as_class(words: Path) -> None:
    reader, [chunk] = read(words)
    assert reader.class_names == ("no", "yes")
    assert reader.total == 4
    assert list(chunk.names) == ["no/c.wav", "no/deep/d.WAV", "yes/a.wav", "yes/b.wav"]
    assert chunk.y is not None
    assert chunk.y.tolist() == [0, 0, 1, 1]
    assert chunk.y.dtype == np.int64
    assert chunk.x.shape == (4, 12, 10, 1)
    assert chunk.x.dtype == np.float32
    assert (tuple(chunk.groups), tuple(chunk.splits)) == ((), ())


def test_a_sample_is_the_front_end_s_feature_of_the_aligned_clip(words: Path) -> None:
    _, [chunk] = read(words, front_end=QUARTER.model_copy(update={"align": "start"}))
    _, waveform = read_wav(words / "yes" / "b.wav")
    assert np.array_equal(chunk.x[3], features(waveform[:2000], QUARTER))
    _, short = read_wav(words / "no" / "c.wav")
    assert np.array_equal(chunk.x[0], features(np.pad(short, (0, 400)), QUARTER))


def test_split_folders_are_given_splits(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label in ("a", "b"):
            write_tone(tmp_path / split / label / "x.wav")
    _, [chunk] = read(tmp_path)
    assert list(chunk.splits) == ["train", "train", "test", "test"]


def test_a_pattern_gives_class_and_group(tmp_path: Path) -> None:
    for name in ("7_george_0", "7_theo_0", "1_theo_12"):
        write_tone(tmp_path / "recordings" / f"{name}.wav")
    reader, [chunk] = read(tmp_path, labels_from=r"(?P<label>\d)_", group=r"_(?P<group>[a-z]+)_")
    assert reader.class_names == ("1", "7")
    assert list(chunk.groups) == ["theo", "george", "theo"]
    assert chunk.y is not None
    assert chunk.y.tolist() == [0, 1, 1]


def test_a_pattern_gives_values_for_a_regression(tmp_path: Path) -> None:
    for name in ("speed-1.5", "speed-20"):
        write_tone(tmp_path / f"{name}.wav")
    reader, [chunk] = read(tmp_path, "values", labels_from=r"speed-(?P<label>[\d.]+)\.wav")
    assert reader.class_names == ()
    assert chunk.y is not None
    assert (chunk.y.tolist(), chunk.y.dtype) == ([1.5, 20.0], np.float32)


def test_a_long_recording_gives_a_clip_every_hop_all_of_one_name(words: Path) -> None:
    _, [chunk] = read(words, clip_hop_s=0.125)
    # c is 0.2 s: 1 clip; d 0.5 s: at 0, 0.125 and 0.25; a 0.25 s: 1; b 0.3 s: 1
    assert list(chunk.names) == ["no/c.wav", *["no/deep/d.WAV"] * 3, "yes/a.wav", "yes/b.wav"]
    _, waveform = read_wav(words / "no" / "deep" / "d.WAV")
    assert np.array_equal(chunk.x[2], features(waveform[1000:3000], QUARTER))


def test_many_clips_of_one_recording_come_in_parts_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_folder, "_FRAME_BYTES", 64 * 12 * 256 * 8)  # of 64 clips
    write_tone(tmp_path / "a" / "long.wav", 500, 3.0)
    write_tone(tmp_path / "b" / "short.wav", 900, 0.25)
    _, chunks = read(tmp_path, clip_hop_s=0.01)
    x = np.concatenate([chunk.x for chunk in chunks])
    assert len(x) == 276 + 1  # (24000 - 2000) // 80 + 1
    _, waveform = read_wav(tmp_path / "a" / "long.wav")
    for place in (0, 63, 64, 65, 200, 275):
        assert np.array_equal(x[place], features(waveform[80 * place:80 * place + 2000], QUARTER))


def test_stacked_frames_are_samples_of_their_own(words: Path) -> None:
    _, [chunk] = read(words, front_end=QUARTER.model_copy(update={"stack_frames": 5}))
    assert chunk.x.shape == (4 * 8, 50)
    assert list(chunk.names)[7:9] == ["no/c.wav", "no/deep/d.WAV"]


def test_chunks_hold_some_megabytes_and_nothing_twice(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_folder, "CHUNK_BYTES", 12 * 10 * 4 * 2)
    _, chunks = read(words)
    assert [list(chunk.names) for chunk in chunks] == [["no/c.wav", "no/deep/d.WAV"], ["yes/a.wav", "yes/b.wav"]]


def test_recordings_keep_their_order_however_the_threads_finish(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    for number in range(40):
        write_tone(tmp_path / "ab"[number % 2] / f"{number:02}.wav", 300 + 10 * number)
    first = read(tmp_path)[1][0]
    plain = audio_folder.read_wav

    def slow(path: Path) -> Any:
        time.sleep(0.005 * (int(path.stem) % 3 == 0))
        return plain(path)

    monkeypatch.setattr(audio_folder, "read_wav", slow)
    again = read(tmp_path)[1][0]
    assert list(again.names) == sorted(again.names)
    assert np.array_equal(again.x, first.x)


def test_large_files_are_not_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_folder, "_AHEAD_BYTES", 5000)
    for number in range(6):
        write_tone(tmp_path / "ab"[number % 2] / f"{number}.wav", seconds=0.25)  # 4,044 bytes
    opened: list[str] = []
    plain = audio_folder.read_wav
    monkeypatch.setattr(audio_folder, "read_wav", lambda path: (opened.append(path.name), plain(path))[1])
    reader = audio_folder.open_reader(settings_of(tmp_path), "classes")
    next(reader._reads())  # type: ignore[attr-defined]
    assert opened == ["0.wav"]


def test_another_rate_stops_with_the_file_both_rates_and_what_to_do(words: Path) -> None:
    write_tone(words / "no" / "e.wav", rate=44100)
    with pytest.raises(DataError) as caught:
        read(words)
    assert "no/e.wav" in caught.value.found
    assert "44,100 Hz" in caught.value.found
    assert "8,000 Hz" in caught.value.allowed
    assert "resample" in caught.value.next_step


def test_another_rate_is_converted_where_that_is_asked(words: Path) -> None:
    write_tone(words / "no" / "e.wav", 500, 0.25, rate=16000)
    _, [chunk] = read(words, resample=True)
    rate, waveform = read_wav(words / "no" / "e.wav")
    [clip] = cut(resample(waveform, rate, 8000), 2000, "center")
    assert np.array_equal(chunk.x[list(chunk.names).index("no/e.wav")], features(clip, QUARTER))


def test_what_cannot_be_read_is_skipped_by_name_and_the_rest_is_kept(words: Path) -> None:
    (words / "no" / "empty.wav").write_bytes(b"")
    (words / "no" / "silent.wav").write_bytes(wav(b""))
    (words / "yes" / "cut.wav").write_bytes((words / "yes" / "a.wav").read_bytes()[:-100])
    (words / "yes" / "song.mp3").write_bytes(b"ID3")
    reader, [chunk] = read(words)
    assert len(chunk.x) == 4
    assert {sample.name: sample.reason for sample in reader.skipped} == {
        "yes/song.mp3": "is no WAV file", "no/empty.wav": "is empty", "no/silent.wav": "has no samples",
        "yes/cut.wav": "is truncated: 4,000 bytes of samples are announced, 3,900 are there"}


def test_a_folder_in_which_nothing_can_be_read_gives_no_samples_and_every_reason(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "x.wav").write_bytes(b"nothing")
    reader, chunks = read(tmp_path)
    assert chunks == []
    assert [sample.name for sample in reader.skipped] == ["a/x.wav", "b/x.wav"]


def test_an_empty_class_folder_is_named(words: Path) -> None:
    (words / "maybe").mkdir()
    with pytest.raises(DataError, match=r"maybe holds no \.wav"):
        read(words)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere cannot be read"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize(("labels", "message"), [
    ("multilabel", "gives one class a recording"), ("values", "are no numbers to predict")])
def test_labels_that_folders_cannot_give_are_refused(words: Path, labels: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(words, labels)


def test_a_value_that_is_no_number_is_refused_with_its_file(words: Path) -> None:
    with pytest.raises(DataError, match=r"labels_from finds 'no' in no/c\.wav"):
        read(words, "values", labels_from="(?P<label>[a-z]+)/")


@pytest.mark.parametrize(("given", "message"), [
    ({"labels_from": "(?P<word>x)"}, "has no part called 'label'"), ({"group": "(("}, "not a regular expression"),
    ({"front_end": {"fft": 100}}, "must be a power of two"), ({"clip_hop_s": -1}, "greater than or equal to 0")])
def test_settings_that_cannot_work_are_refused_unread(tmp_path: Path, given: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        audio_folder.Settings(path=tmp_path, **given)


def test_the_digest_changes_with_a_byte_and_not_with_time(words: Path) -> None:
    import os

    before = audio_folder.source_digest(settings_of(words))
    assert before.startswith("audio_folder:sha256:")
    os.utime(words / "yes" / "a.wav", (1, 1))
    assert audio_folder.source_digest(settings_of(words)) == before
    content = bytearray((words / "yes" / "a.wav").read_bytes())
    content[-1] ^= 1
    (words / "yes" / "a.wav").write_bytes(content)
    assert audio_folder.source_digest(settings_of(words)) != before


def test_the_front_end_travels_with_the_data(words: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("artifact")
    reader, [chunk] = read(words)
    reader.write_extras(out)
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    vectors = np.load(out / "front_end_vectors.npz")
    assert np.abs(vectors["recording0_feature"] - chunk.x[0]).max() < 1e-6  # 16-bit files: the clip is the same
