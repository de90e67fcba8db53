"""The front end's parameters: what stands between a recording and the model, resolved to samples and bins.

They travel with the model (`front_end.json`): a device that computes another feature has another model. `features.py`
has the formulas; `describe` says them in words for one setting. Defaults are those of MLPerf Tiny's keyword spotting
reference (github.com/mlcommons/tiny, `benchmark/training/keyword_spotting/get_dataset.py`): 49 frames of 10
coefficients.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from device_profiles.records import Record

VERSION = 1
"""Grows when the same parameters would give other features."""

RMS_TARGET = 0.1
"""Root mean square of a clip after `normalize_clip: rms`: -20 dB of full scale."""


class FrontEnd(Record):
    """What a user may set. Times are rounded to whole samples."""

    sample_rate: int = Field(default=16000, ge=100, le=768_000, description="of what the device records, in Hz")
    clip_s: float = Field(default=1.0, gt=0, le=600, description="length of what the model hears at once, in seconds")
    align: Literal["center", "start", "loudest"] = Field(
        default="center", description="which part of a longer recording is kept, and where a shorter one lies")
    normalize_clip: Literal["none", "peak", "rms"] = Field(
        default="none", description="scale each clip: largest magnitude to 1, or root mean square to 0.1")
    pre_emphasis: float = Field(default=0.0, ge=0, lt=1, description="a in y[n] = x[n] - a x[n-1]; 0: off")
    feature: Literal["mfcc", "log_mel", "waveform"] = Field(default="mfcc", description="what the model is given")
    window_ms: float = Field(default=30.0, gt=0, description="length of one frame")
    hop_ms: float = Field(default=20.0, gt=0, description="from the start of one frame to that of the next")
    fft: int | None = Field(
        default=None, ge=2, description="length of the Fourier transform, a power of two; by default the next one")
    window: Literal["hann", "hamming", "rectangular"] = Field(default="hann", description="periodic, not symmetric")
    edge: Literal["none", "zero", "reflect"] = Field(
        default="none", description="what is added to both ends of a clip, half a transform long")
    power: Literal[1, 2] = Field(default=1, description="of the magnitude that is summed into mel bins")
    mel_bins: int = Field(default=40, ge=1, le=1024)
    low_hz: float = Field(default=20.0, ge=0, description="where the lowest mel bin begins")
    high_hz: float | None = Field(
        default=None, gt=0, description="where the highest mel bin ends; by default 4000 or half the rate, if lower")
    mel_scale: Literal["htk", "slaney"] = "htk"
    mel_slopes: Literal["mel", "hz"] = Field(
        default="mel", description="triangles straight over mel (HTK, TensorFlow) or over Hz (librosa)")
    mel_norm: Literal["none", "slaney"] = Field(
        default="none", description="triangles of height 1, or of area 1 over Hz")
    log: Literal["natural", "decibel"] = "natural"
    log_floor: float = Field(default=0.0, ge=0, description="mel energies below it are raised to it")
    log_offset: float = Field(default=1e-6, ge=0, description="added to each mel energy before the logarithm")
    coefficients: int = Field(default=10, ge=1, description="how many MFCCs are kept, from number 0 on")
    dct: Literal["htk", "ortho"] = Field(
        default="htk", description="all scaled by sqrt(2 / mel_bins), or number 0 by sqrt(1 / mel_bins)")
    keep_frames: tuple[int, int] | None = Field(
        default=None, description="first frame that is kept, and first that no longer is; by default all")
    stack_frames: int = Field(
        default=0, ge=0, description="so many frames one after another make one flat sample; 0: the clip is the sample")

    @model_validator(mode="after")
    def _fit_together(self) -> FrontEnd:
        faults = [(self.clip_samples < 1, "clip_s is shorter than one sample")]
        if self.feature == "waveform":
            faults.append((self.stack_frames > 0, "stack_frames needs frames; a waveform has none"))
        else:
            faults += [*self._framing_faults(), *self._bin_faults()]
        fault = next((text for wrong, text in faults if wrong), "")
        if fault:
            raise ValueError(fault)
        return self

    def _framing_faults(self) -> list[tuple[bool, str]]:
        """What does not fit together in time, each with a sentence."""
        begin, end = self.kept
        return [
            (self.window_samples < 1 or self.hop_samples < 1, "window_ms or hop_ms is shorter than one sample"),
            (self.fft_size & (self.fft_size - 1) != 0, f"fft is {self.fft_size}; it must be a power of two"),
            (self.fft_size < self.window_samples,
             f"fft is {self.fft_size}, a window has {self.window_samples} samples; fft must be at least as long"),
            (self.padded_samples < self.window_samples,
             f"a clip has {self.clip_samples} samples, less than one window of {self.window_samples}"),
            (self.edge == "reflect" and self.clip_samples <= self.fft_size // 2,
             f"a clip has {self.clip_samples} samples; to reflect them takes more than {self.fft_size // 2}"),
            (not 0 <= begin < end <= self.all_frames,
             f"keep_frames is {begin} to {end}; a clip has {self.all_frames} frames"),
            (self.stack_frames > end - begin,
             f"stack_frames is {self.stack_frames}; a clip has {end - begin} frames"),
        ]

    def _bin_faults(self) -> list[tuple[bool, str]]:
        """What does not fit together in frequency, each with a sentence."""
        nyquist = self.sample_rate / 2
        return [
            (self.top_hz > nyquist, f"high_hz is {self.top_hz:g}; half of the sample rate is {nyquist:g}"),
            (self.low_hz >= self.top_hz, f"low_hz is {self.low_hz:g}, high_hz {self.top_hz:g}; low_hz must be below"),
            (self.log_floor + self.log_offset <= 0, "log_floor and log_offset are both 0: silence has no logarithm"),
            (self.feature == "mfcc" and self.coefficients > self.mel_bins,
             f"coefficients is {self.coefficients}; there are {self.mel_bins} mel_bins"),
        ]

    @property
    def clip_samples(self) -> int:
        """Length of a clip, halves to even."""
        return round(self.clip_s * self.sample_rate)

    @property
    def window_samples(self) -> int:
        """Length of a frame."""
        return round(self.window_ms * self.sample_rate / 1000)

    @property
    def hop_samples(self) -> int:
        """From frame to frame."""
        return round(self.hop_ms * self.sample_rate / 1000)

    @property
    def fft_size(self) -> int:
        """Length of the transform; a frame is filled with zeros at its end up to it."""
        return self.fft or 1 << (max(self.window_samples, 2) - 1).bit_length()

    @property
    def padded_samples(self) -> int:
        """Length of a clip with what `edge` adds to it."""
        return self.clip_samples + (0 if self.edge == "none" else 2 * (self.fft_size // 2))

    @property
    def top_hz(self) -> float:
        """Where the highest mel bin ends."""
        return min(4000.0, self.sample_rate / 2) if self.high_hz is None else self.high_hz

    @property
    def all_frames(self) -> int:
        """Frames that fit into a clip whole."""
        return 1 + (self.padded_samples - self.window_samples) // max(self.hop_samples, 1)

    @property
    def kept(self) -> tuple[int, int]:
        """First frame that is kept, and first that no longer is."""
        return self.keep_frames or (0, self.all_frames)

    @property
    def frames(self) -> int:
        """Frames that are kept of a clip."""
        begin, end = self.kept
        return end - begin

    @property
    def bins(self) -> int:
        """Values of one frame."""
        return self.coefficients if self.feature == "mfcc" else self.mel_bins

    @property
    def clip_shape(self) -> tuple[int, ...]:
        """What a clip becomes: (frames, bins, 1), or (samples, 1) for a waveform."""
        return (self.clip_samples, 1) if self.feature == "waveform" else (self.frames, self.bins, 1)

    @property
    def samples_per_clip(self) -> int:
        """How many samples for the model a clip gives: 1 unless frames are stacked."""
        return self.frames - self.stack_frames + 1 if self.stack_frames else 1

    @property
    def output_shape(self) -> tuple[int, ...]:
        """One sample for the model: `clip_shape`, or (stack_frames * bins,)."""
        return (self.stack_frames * self.bins,) if self.stack_frames else self.clip_shape


def describe(settings: FrontEnd) -> tuple[str, ...]:
    """What the device has to compute, one sentence a step, with every number in it."""
    steps = _describe_clip(settings)
    if settings.feature == "waveform":
        return (*steps, "The clip is the feature.")
    return (*steps, *_describe_frames(settings), *_describe_bins(settings))


def _describe_clip(settings: FrontEnd) -> list[str]:
    """From samples to a clip."""
    steps = [f"x[n]: {settings.clip_samples} samples at {settings.sample_rate} Hz, one channel, int16 divided by "
             "32768."]
    if settings.normalize_clip == "peak":
        steps.append("Divide the clip by its largest magnitude; leave a clip of zeros as it is.")
    if settings.normalize_clip == "rms":
        steps.append(f"Multiply the clip by {RMS_TARGET} / sqrt(mean(x[n]^2)); leave a clip of zeros as it is.")
    if settings.pre_emphasis:
        steps.append(f"Replace x[n] by x[n] - {settings.pre_emphasis:g} * x[n-1], x[0] stays.")
    return steps


def _describe_frames(settings: FrontEnd) -> list[str]:
    """From a clip to magnitudes."""
    size, fft, half = settings.window_samples, settings.fft_size, settings.fft_size // 2
    steps = []
    if settings.edge != "none":
        what = "zeros" if settings.edge == "zero" else "the clip mirrored at its first and last sample"
        steps.append(f"Add {half} samples at both ends: {what}.")
    window = {"hann": f"w[n] = 0.5 - 0.5 * cos(2 * pi * n / {size})",
              "hamming": f"w[n] = 0.54 - 0.46 * cos(2 * pi * n / {size})", "rectangular": "w[n] = 1"}
    begin, end = settings.kept
    steps += [f"Frame t has the {size} samples from {settings.hop_samples} * t on; t = {begin} to {end - 1}.",
              f"Multiply it by {window[settings.window]}, n = 0 to {size - 1}.",
              f"X[k] = sum over n of w[n] * x[n] * exp(-2 * pi * i * k * n / {fft}), k = 0 to {half}.",
              "S[k] = |X[k]|." if settings.power == 1 else "S[k] = |X[k]|^2."]
    return steps


def _describe_bins(settings: FrontEnd) -> list[str]:
    """From magnitudes to the feature."""
    bins, log = settings.mel_bins, "ln" if settings.log == "natural" else f"{20 // settings.power} * log10"
    steps = [f"E[m] = sum over k of S[k] * mel_matrix[k][m], m = 0 to {bins - 1} ({settings.mel_scale} mel from "
             f"{settings.low_hz:g} to {settings.top_hz:g} Hz; mel_matrix.npy).",
             f"L[m] = {log}(max(E[m], {settings.log_floor:g}) + {settings.log_offset:g})."]
    if settings.feature == "mfcc":
        scale = f"sqrt(2 / {bins})" + (f", c[0] by sqrt(1 / {bins})" if settings.dct == "ortho" else "")
        steps.append(f"c[j] = sum over m of L[m] * cos(pi * j * (m + 0.5) / {bins}), j = 0 to "
                     f"{settings.coefficients - 1}, scaled by {scale}.")
    if settings.stack_frames:
        steps.append(f"A sample is {settings.stack_frames} frames in a row, oldest first, flat: "
                     f"{settings.output_shape[0]} values; {settings.samples_per_clip} samples a clip.")
    else:
        steps.append(f"The sample has the shape {settings.output_shape}: frames, bins, 1.")
    return steps
