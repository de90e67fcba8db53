"""Google's `benchmark_model` on a phone: latency where no Python is.

The program makes its own random inputs, times each inference around `Invoke`, and prints sums of them, not the samples.
So it is started once a round, and a round's mean is one sample: the median is of round means, and there are no
percentiles. Options and output: tensorflow/lite/tools/benchmark/README.md in tensorflow/tensorflow.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from device_profiles.errors import EngineCrash, EngineRefusal, TargetError
from stages.engines.targets.adb import PROGRAM_ENGINE, AdbTarget
from stages.engines.targets.remote import QUICK_S
from stages.timing import LatencyFigures

_MEAN = re.compile(r"Inference timings in us:.*?Init: ([\d.e+]+).*?First inference: ([\d.e+]+).*?"
                   r"Inference \(avg\): ([\d.e+]+)")
_COUNT = re.compile(r"\bcount=(\d+)")
_FOOTPRINT = re.compile(r"Memory footprint delta from the start of the tool \(MB\): init=[\d.e+-]+ overall=([\d.e+-]+)")
_REFUSED = re.compile(r"(Failed to (?:load|construct|allocate|apply)[^\n]*|Encountered unresolved custom op[^\n]*|"
                      r"Didn't find op[^\n]*)", re.IGNORECASE)
_MIB = 1 << 20


@dataclass(frozen=True)
class Round:
    """What one start of the program printed.

    Attributes:
        load_ms, first_ms, mean_ms: until the model can be invoked; the first inference; the mean of the others.
        inferences: behind the mean; 0 where it is not said.
        memory_bytes: that the process had grown by; 0 where it is not said.
    """

    load_ms: float
    first_ms: float
    mean_ms: float
    inferences: int
    memory_bytes: int


def read_round(text: str) -> Round | None:
    """What the program printed; None where there are no timings in it."""
    timings = _MEAN.search(text)
    if timings is None:
        return None
    counts, footprint = _COUNT.findall(text), _FOOTPRINT.search(text)
    load, first, mean = (float(value) / 1e3 for value in timings.groups())
    return Round(load, first, mean, int(counts[-1]) if counts else 0,
                 int(float(footprint[1]) * _MIB) if footprint else 0)


def run_round(target: AdbTarget, tflite: bytes, *, model: str, threads: int = 1, cpus: tuple[int, ...] = (),
              seconds: float = 1.0, inferences: int = 50) -> Round:
    """One start of the program on the device.

    Args:
        target: opened, with a program named.
        tflite: the tflite model.
        model: what to call it in messages.
        threads: of the program.
        cpus: cores to pin it to; empty for none.
        seconds: for how long it is to measure, at least.
        inferences: how many, at least.

    Raises:
        EngineRefusal: it does not take the model.
        EngineCrash: it ended without a result.
        TargetError: the program is not there, or the device was lost.
    """
    program = _sent_program(target)
    words = [program, f"--graph={target.send_bytes(tflite, '.tflite')}", f"--num_threads={threads}",
             f"--num_runs={inferences}", f"--min_secs={seconds:g}", "--warmup_min_secs=0.2", "--use_gpu=false"]
    mask = f"taskset {sum(1 << core for core in cpus):x} " if cpus else ""
    done = target.run(f"chmod 700 {shlex.quote(program)} && {mask}{shlex.join(words)}",
                      timeout_s=QUICK_S + 20 * seconds)
    text = done.out + done.err
    found = read_round(text)
    if found is not None and not done.status:
        return found
    refused = _REFUSED.search(text)
    if refused:
        raise EngineRefusal(PROGRAM_ENGINE, model, refused[1].strip(), next_step="another number format may be taken")
    target.assure()  # where the line broke, adb's status is that of no program
    said = done.words or "without a word"
    raise EngineCrash(PROGRAM_ENGINE, model, f"benchmark_model ended with status {done.status}: {said}")


def of_means(figures: LatencyFigures) -> LatencyFigures:
    """Figures whose samples are means of many inferences: the percentiles of means are not those of inferences."""
    median, minimum = (figure.model_copy(update={"method": f"of means of many inferences: {figure.method}"})
                       for figure in (figures.median, figures.minimum))
    return replace(figures, median=median, minimum=minimum, p90=None, p99=None)


def _sent_program(target: AdbTarget) -> str:
    """The program's path there.

    Raises:
        TargetError: none was named, or there is no such file here.
    """
    program = target.benchmark_model
    if program is None or not Path(program).is_file():
        raise TargetError(target.name, f"there is no file {program} here" if program else "no program was named",
                          "the benchmark_model for Android that TensorFlow publishes",
                          "adb:SERIAL,benchmark_model=PATH")
    return target.send(program)
