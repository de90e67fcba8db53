"""Why a variant is not faster: what the engine does with it, what the host can do, and what the graph makes it do.

Each reason rests on something that was looked up: the engine's own list of operators, the host's features, the file, or
a profile's prediction, and says which.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from device_profiles.errors import EngineError
from device_profiles.operators import VIEWS
from device_profiles.predictor import Prediction
from device_profiles.workload import OperatorWork, Workload
from stages.engines.client import Delegation, EngineWorker
from stages.engines.inputs import first_samples
from stages.explaining.causes import channel_list
from stages.explaining.runs import Bench, Source
from stages.records.explaining import Slowness

ZEROS = 0.3
_LITTLE = 0.01  # share of MACs and of bytes below which an operator outside a delegate is not worth a word
_NO_FASTER = 0.95  # times float32's latency: what is less is faster beyond the noise of a short measurement
_UNKNOWN = 0.5  # share of a reason whose part of the time is not known
_HEAVY = 0.05  # share of the MACs from which on an operator's layout matters
_MULTIPLE = 4  # lanes of 32 bits in the narrowest vector that the profiles' cores have (NEON, SSE): 128 bits
_MOST = 0.3  # share of the predicted time
_INTEGERS = ("int8", "int16x8", "int4", "uint8")
_DOT_PRODUCTS = {"x86_64": ("avx512_vnni", "avx_vnni", "amx_int8"), "aarch64": ("asimddp", "i8mm")}
_ROUNDS, _ROUND_SAMPLES, _ROUND_S, _FED = 10, 50, 0.03, 8
_CPUINFO = Path("/proc/cpuinfo")
_CMSIS = ("ADD", "BATCH_MATMUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MAXIMUM", "MINIMUM", "MUL", "PAD",
          "PADV2", "AVERAGE_POOL_2D", "MAX_POOL_2D", "SOFTMAX", "SVDF", "TRANSPOSE", "TRANSPOSE_CONV",
          "UNIDIRECTIONAL_SEQUENCE_LSTM")
_CMSIS_SOURCE = ("the files of tensorflow/lite/micro/kernels/cmsis_nn in tensorflow/tflite-micro; all other operators "
                 "have the reference kernels beside them")
_INSTEAD = {
    "MEAN": "a global average pooling with keepdims, or AVERAGE_POOL_2D, may be taken over",
    "SOFTMAX": "leave the softmax out and take the largest logit: it is the same class",
    "AVERAGE_POOL_2D": "a mean in float, or a convolution with stride in its place, may be taken over",
}


@dataclass(frozen=True)
class Facts:
    """What is known of how a variant runs.

    Attributes:
        workload, float_workload: of the variant and of the float32 tflite model.
        delegations: by engine.
        latencies_ms: by engine, medians of the variant and of the float32 tflite model, measured in turns.
        unpacked: workload of what the engines were given, where that is not the shipped model: a packed variant before
            it was packed. Its operators have other numbers.
        microcontroller: whether the model is meant for TFLM.
        predictions: by profile, for the variant.
        architecture: of this machine.
        features: of its CPU, as the system names them.
        decodes: tensors that are unpacked in each inference.
    """

    workload: Workload
    float_workload: Workload
    delegations: dict[str, Delegation] = field(default_factory=dict)
    latencies_ms: dict[str, tuple[float, float]] = field(default_factory=dict)
    predictions: dict[str, Prediction] = field(default_factory=dict)
    architecture: str = ""
    features: frozenset[str] = frozenset()
    decodes: int = 0
    unpacked: Workload | None = None
    microcontroller: bool = True

    @property
    def given(self) -> Workload:
        """What the engines were given."""
        return self.unpacked or self.workload


def delegation(content: bytes, engine: str, name: str, log: Path) -> Delegation | None:
    """What an engine's delegates take over; None where it cannot run the model."""
    try:
        with EngineWorker(engine, log=log, model=name) as worker:
            worker.load(content)
            return worker.delegation()
    except EngineError:
        return None


def features(cpuinfo: Path = _CPUINFO) -> frozenset[str]:
    """What the first core of this machine can do: the `flags` (x86) or `Features` (Arm) of `/proc/cpuinfo`."""
    try:
        text = cpuinfo.read_text(errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def reasons(facts: Facts) -> list[Slowness]:
    """Every reason that the facts give, those that concern most of the work first."""
    rules = (_outside_delegate, _float_arithmetic, _ranges_in_flight, _boundaries, _no_dot_products, _zeros, _decoding,
             _predicted, _layout, _reference_kernels)
    return sorted((found for rule in rules for found in rule(facts)), key=lambda each: -each.share)


def _outside_delegate(facts: Facts) -> Iterator[Slowness]:
    """Operators that no delegate takes over."""
    working = [op for op in facts.given.operators if op.name not in VIEWS and not op.once]
    for engine, found in facts.delegations.items():
        alone = [op for op in working if op.index in found.alone]
        macs = sum(op.macs for op in alone) / max(1, facts.given.macs)
        share = max(macs, _moved(alone) / max(1, _moved(working)))
        if share < _LITTLE:
            continue
        kinds = Counter(op.label for op in alone)
        yield Slowness(
            kind="outside_delegate", layers=tuple(f"{op.index}:{op.label}" for op in alone), provenance="measured",
            found=f"{engine}: {len(alone)} of {found.operators} operators ({100 * macs:.0f} % of the MACs) run outside "
                  f"its delegate{'' if found.delegates else ', which takes nothing'}: "
                  + ", ".join(f"{count} {name}" for name, count in kinds.most_common()),
            change=_instead(engine, found.delegates, alone, facts.given.macs), share=share)


def _moved(operators: Iterable[OperatorWork]) -> int:
    """Bytes of activations that operators read and write."""
    return sum(op.input_bytes + op.output_bytes for op in operators)


def _instead(engine: str, delegates: int, alone: list[OperatorWork], macs: int) -> str:
    """What to do about operators outside a delegate: first of all those that multiply."""
    if not delegates:
        return f"{engine} takes over none of this format's operators: run it in another engine, or in float32"
    heavy = Counter(op.label for op in alone if op.macs >= _HEAVY * max(1, macs))
    known = [f"give {' and '.join(heavy)} another number format: this delegate leaves these in this one alone"] \
        if heavy else []
    known += [_INSTEAD[name] for name in dict.fromkeys(op.label for op in alone) if name in _INSTEAD]
    return "; ".join(known) or "choose operators and types that the delegate takes"


def _boundaries(facts: Facts) -> Iterator[Slowness]:
    """QUANTIZE and DEQUANTIZE between operators."""
    ops = [op for op in facts.workload.operators if op.name in ("QUANTIZE", "DEQUANTIZE") and not op.once]
    if not ops:
        return
    moved, every = _moved(ops), _moved(op for op in facts.workload.operators if not op.once)
    yield Slowness(kind="boundaries", layers=tuple(f"{op.index}:{op.name}" for op in ops), provenance="measured",
                   share=moved / max(1, every),
                   found=f"{len(ops)} QUANTIZE and DEQUANTIZE operators compute nothing and move {moved:,} bytes, "
                         f"{100 * moved / max(1, every):.0f} % of all that is moved",
                   change="give neighbours one format (quantize.mixed), and the device's own input type "
                          "(convert.input_type)")


def _no_dot_products(facts: Facts) -> Iterator[Slowness]:
    """Integers on a CPU without 8-bit dot products."""
    wanted = _DOT_PRODUCTS.get(facts.architecture)
    if facts.workload.number_format not in _INTEGERS or wanted is None or not facts.features:
        return
    if facts.features & set(wanted):
        return
    slower = [f"{engine}: {made:.3g} ms against {plain:.3g} ms in float32"
              for engine, (made, plain) in facts.latencies_ms.items() if made >= plain]
    if slower:
        yield Slowness(kind="no_dot_products", provenance="measured",
                       found=f"this CPU has none of {', '.join(wanted)}, and 8-bit integers are not faster here: "
                             + "; ".join(slower),
                       change="measure on the device that is meant, or ship float32 to CPUs like this one", share=0.9)


def _float_arithmetic(facts: Facts) -> Iterator[Slowness]:
    """Formats that store less and compute the same."""
    if facts.workload.number_format == "float16":
        yield Slowness(kind="float_arithmetic", provenance="measured",
                       found="every operator computes in float32: 16-bit weights are turned back at load",
                       change="int8 or dynamic, or a GPU delegate that computes in 16 bits", share=1.0)


def _ranges_in_flight(facts: Facts) -> Iterator[Slowness]:
    """Activations that stay floats while weights are integers."""
    slower = [f"{engine}: {made:.3g} ms against {plain:.3g} ms in float32"
              for engine, (made, plain) in facts.latencies_ms.items() if made >= _NO_FASTER * plain]
    ops = [op for op in facts.workload.operators if op.arithmetic == "hybrid" and op.macs]
    if not ops or (facts.latencies_ms and not slower):
        return
    yield Slowness(
        kind="dynamic_ranges", layers=tuple(f"{op.index}:{op.label}" for op in ops), provenance="measured",
        share=sum(op.macs for op in ops) / max(1, facts.workload.macs),
        found=f"{len(ops)} operators read floats ({sum(op.input_bytes for op in ops):,} bytes), find their range anew "
              "in every inference and turn them into integers" + "".join(f"; {each}" for each in slower),
        change="int8, whose ranges are fixed beforehand")


def _zeros(facts: Facts) -> Iterator[Slowness]:
    """Zeros that no kernel leaves out."""
    if facts.workload.sparsity >= ZEROS:
        yield Slowness(kind="zeros", provenance="measured",
                       found=f"{100 * facts.workload.sparsity:.0f} % of the weights are zero and stored as such: every "
                             f"one of the {facts.workload.macs:,} MACs is still made",
                       change="slimNN takes whole channels out; -packed stores the zeros in fewer bytes",
                       share=facts.workload.sparsity)


def _decoding(facts: Facts) -> Iterator[Slowness]:
    """Weights that are unpacked in each inference."""
    if facts.decodes:
        yield Slowness(kind="decoding", provenance="measured",
                       found=f"{facts.decodes} tensors are unpacked by DECODE in every inference",
                       change="the variant without -packed, where flash allows it; benchmark times both in tflm",
                       share=_UNKNOWN)


def _layout(facts: Facts) -> Iterator[Slowness]:
    """Channels that leave lanes of a vector empty."""
    odd = [(op, op.outputs[0].shape[-1]) for op in facts.workload.operators
           if op.macs >= _HEAVY * max(1, facts.workload.macs) and op.outputs and op.outputs[0].shape
           and op.kernel in ("conv", "conv_1x1", "depthwise") and op.outputs[0].shape[-1] % _MULTIPLE]
    if odd:
        empty = sum(op.macs * (1 - count / (_MULTIPLE * -(-count // _MULTIPLE))) for op, count in odd)
        yield Slowness(kind="layout", layers=tuple(f"{op.index}:{op.label}" for op, _ in odd), provenance="measured",
                       share=empty / max(1, facts.workload.macs),
                       found=f"{len(odd)} convolutions give {channel_list([count for _, count in odd])} channels, no "
                             f"multiple of {_MULTIPLE}: part of each vector is empty",
                       change=f"round channel counts to a multiple of {_MULTIPLE}; slim.multiple does it")


def _predicted(facts: Facts) -> Iterator[Slowness]:
    """Time that memory or the calls of operators take, by a profile."""
    for profile, found in facts.predictions.items():
        total = sum(op.latency_ms for op in found.operators)
        for bound, what, change in (
                ("memory", "goes to operators that wait for memory", "smaller formats; fuse what only copies"),
                ("overhead", "goes to operators smaller than their call", "fewer, larger operators: fold and fuse")):
            ops = [op for op in found.operators if op.bound == bound]
            part = sum(op.latency_ms for op in ops) / total if total else 0.0
            if part >= _MOST:
                yield Slowness(kind=f"{bound}_bound", layers=tuple(f"{op.index}:{op.operator}" for op in ops),
                               share=part, found=f"on '{profile}' {100 * part:.0f} % of the time {what}", change=change,
                               provenance="predicted", source="the roofline of the profile, see docs/profiles.md")


def _reference_kernels(facts: Facts) -> Iterator[Slowness]:
    """Operators for which a microcontroller has the reference kernels alone."""
    slow: Iterable[OperatorWork] = [op for op in facts.workload.operators
                                    if op.name not in (*_CMSIS, *VIEWS) and not op.once and op.element_ops]
    names = Counter(op.label for op in slow)
    share = _moved(slow) / max(1, _moved(facts.workload.operators))
    if names and facts.microcontroller and facts.workload.number_format in _INTEGERS:
        yield Slowness(kind="reference_kernels", layers=tuple(f"{op.index}:{op.label}" for op in slow),
                       found="TFLM on Cortex-M runs " + ", ".join(f"{n} {name}" for name, n in names.most_common())
                             + " by reference kernels", provenance="published", source=_CMSIS_SOURCE, share=share,
                       change="prefer operators that CMSIS-NN has: pooling for MEAN, ReLU for others")


def latencies(sources: tuple[Source, Source], bench: Bench) -> tuple[float, float] | None:
    """Median milliseconds of two tflite models in one engine, measured in turns; None where one cannot run.

    Args:
        sources: the variant and the float32 tflite model.
        bench: samples and engine.
    """
    taken: tuple[list[float], list[float]] = ([], [])
    try:
        with ExitStack() as stack:
            workers = [_fed(stack, source, bench) for source in sources]
            for number in range(_ROUNDS + 1):
                for worker, times in zip(workers, taken, strict=True):
                    measured = worker.measure(_ROUND_SAMPLES, _ROUND_S) / 1e6
                    times += measured.tolist() if number else []  # the first round warms up
    except EngineError:
        return None
    return statistics.median(taken[0]), statistics.median(taken[1])


def _fed(stack: ExitStack, source: Source, bench: Bench) -> EngineWorker:
    """A worker with a model and samples, ready to be measured."""
    worker = stack.enter_context(EngineWorker(bench.engine, log=bench.log, model=source.name,
                                              timeout_s=bench.timeout_s))
    worker.load(source.content)
    samples = first_samples(bench.samples, _FED, source.normalization)
    chosen = worker.match({name: values.shape[1:] for name, values in samples.items()})
    worker.feed(*(samples[name] for name in chosen))
    return worker
