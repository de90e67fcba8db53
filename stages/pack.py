"""Store a tflite model's weights in codes that the microcontroller decodes, and drop what its runtime does not need.

The packed model runs in TFLM alone, whose DECODE operator unpacks the weights of a layer into the arena right before
the layer runs. What it computes is proven to be the same, to the last bit.
"""

from __future__ import annotations

import hashlib
import shutil
from importlib.metadata import version
from pathlib import Path

from pydantic import Field, field_validator

from device_profiles.errors import EngineRefusal, StageError
from device_profiles.records import Record
from device_profiles.workload import read_workload
from stages.artifacts import TFLITE_FILE, read_result
from stages.context import StageContext
from stages.converting.interface import surface_of
from stages.converting.source import read_named
from stages.datasets.prepared import PREPROCESSING_FILE
from stages.datasets.records import TEST
from stages.engines import host, registry
from stages.engines.client import EngineWorker
from stages.engines.inputs import normalization_of
from stages.packing.accounting import account
from stages.packing.assembling import Packed, Packer
from stages.packing.codes import Coding
from stages.packing.proving import ENGINE, Costs, Inputs, Run, first_difference, make_inputs, measure
from stages.records import ConvertResult, PackedTensor, Packing, PackResult

NAME = "pack"
VERSION = 1
LIBRARIES = ("tflite-micro", "ai-edge-litert", "numpy")

FEWEST_PROOF_SAMPLES = 1000
_INTEGER = ("int8", "int16x8")


class Settings(Record):
    """What a user may set for packing."""

    codings: tuple[Coding, ...] = Field(
        default=("prune", "lut", "huffman"), min_length=1,
        description="codes to choose from: prune (bit mask and values), lut (look-up table), huffman (the slowest)")
    least_gain_bytes: int = Field(default=32, ge=1, le=1 << 20,
                                  description="weights are coded only where the file shrinks by so much")
    largest_decoded_bytes: int = Field(default=0, ge=0, description="weights that take more bytes than this stay as "
                                       "they are, for the decoded ones lie in the arena; 0: any are coded")
    proof_samples: int = Field(default=FEWEST_PROOF_SAMPLES, ge=FEWEST_PROOF_SAMPLES, le=10_000_000,
                               description="inputs on which the outputs must stay the same, bit for bit")
    rounds: int = Field(default=20, ge=5, le=10_000, description="rounds in turn that the decode time is taken from")
    round_s: float = Field(default=0.05, gt=0, le=60, description="seconds of each model in a round")
    workers: int = Field(default=0, ge=0, le=256, description="processes, one thread each; 0: one per core")
    timeout_s: float = Field(default=120.0, gt=0, description="seconds that TFLM may take to load, or to answer")

    @field_validator("codings")
    @classmethod
    def _each_once(cls, codings: tuple[Coding, ...]) -> tuple[Coding, ...]:
        if len(set(codings)) < len(codings):
            raise ValueError(f"a coding is named twice: {', '.join(codings)}")
        return codings


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        seed: of the random inputs where the test split is small.
    """

    seed: int = 0


def run(*, tflite: Path, data: Path, options: Options, context: StageContext) -> PackResult:
    """Write `model.tflite`, packed; `preprocessing.json` goes along.

    Where no code makes the file smaller, it is written shrunk alone, with a warning.

    Args:
        tflite: a convert artifact with integer weights.
        data: a prepare artifact, whose test samples are the proof's inputs.
        options: see `Options`.
        context: where to write.

    Raises:
        StageError: float weights, a model that is packed already or that TFLM does not run, no TFLM here, or an output
            that changed.
        TfliteError: the file is no whole tflite model.
        StoreError: an artifact without its files.
        EngineError: TFLM crashed or did not answer.
    """
    content = read_named(tflite)
    converted = read_result(tflite, ConvertResult)
    _check_weights(content)
    packer = Packer(content)
    _check_runtime(content, options, context)
    context.progress(0, 3, "choosing codes")
    packed = packer.pack(options.codings, options.least_gain_bytes, options.largest_decoded_bytes)
    inputs = make_inputs(data / f"x_{TEST}.npy", options.proof_samples, context.scratch,
                         normalization_of(tflite, data), options.seed)
    how = Run(options.workers or len(host.cores()), options.timeout_s, context.log)
    _prove(content, packer, packed, inputs, how, context)
    context.progress(2, 3, "measuring what decoding costs")
    costs = measure(content, packed.content, inputs, how, options.rounds, options.round_s)
    (context.out / TFLITE_FILE).write_bytes(packed.content)
    if (tflite / PREPROCESSING_FILE).exists():
        shutil.copyfile(tflite / PREPROCESSING_FILE, context.out / PREPROCESSING_FILE)
    context.progress(3, 3, "done")
    return _result(converted, _packing(content, packed, inputs, costs), packed.content)


# -- what cannot be packed -----------------------------------------------------------------------------------------


def _check_weights(content: bytes) -> None:
    """Refuse a model without integer arithmetic: TFLM decodes integer weights, and runs no dynamic range."""
    work = read_workload(content)
    kinds = {op.arithmetic for op in work.operators if op.weights}
    if kinds and not kinds & set(_INTEGER):
        raise StageError(f"the weights cannot be packed: the model computes in {work.number_format}",
                         "models in int8, int8qat or int16x8", "give an integer format before -packed")


def _check_runtime(content: bytes, options: Options, context: StageContext) -> None:
    """Refuse a model that TFLM does not run, and a machine without TFLM."""
    info = registry.engine_info(ENGINE)
    if not info.available:
        raise StageError(f"packing needs TFLM, to prove that nothing has changed: {info.reason}",
                         "the tflite-micro wheel", "pip install tflite-micro, on Linux x86-64")
    with EngineWorker(ENGINE, log=context.log, model="the unpacked model", timeout_s=options.timeout_s) as worker:
        try:
            worker.load(content)
        except EngineRefusal as error:
            raise StageError(f"packed models run in tflm, and it does not take this one: {error.found}",
                             "a model that TFLM runs", "litesmith inspect shows what each engine says") from error


# -- the proof -----------------------------------------------------------------------------------------------------


def _prove(content: bytes, packer: Packer, packed: Packed, inputs: Inputs, how: Run, context: StageContext) -> None:
    """Hold the packed model's outputs against the unpacked one's.

    Raises:
        StageError: they differ; the message names the constants that alone make a difference.
    """

    def progress(done: int, total: int) -> None:
        """Tell how far the inferences are."""
        context.progress(1, 3, f"proving: {done:,} of {total:,} inferences")

    row = first_difference(content, packed.content, inputs, how, progress)
    if row is None:
        return
    guilty = [packed.constants[position].label for position, choice in packed.choices.items()
              if first_difference(content, packer.assemble({position: choice}), inputs, how, progress) is not None]
    what = ", ".join(guilty) or "the FlatBuffer around the weights"
    raise StageError(f"the packed model's outputs differ from the unpacked one's, from input {row} on, by {what}",
                     f"the same outputs, bit for bit, on {inputs.text}",
                     "leave out the coding of these weights in pack.codings, and report it")


# -- the result ----------------------------------------------------------------------------------------------------


def _packing(content: bytes, packed: Packed, inputs: Inputs, costs: Costs) -> Packing:
    """What packing made of the model."""
    return Packing(unpacked_bytes=len(content), shrunk_bytes=len(packed.shrunk), bytes_before=account(content),
                   bytes_after=account(packed.content), tensors=_tensors(packed), left_alone=packed.left,
                   proven_samples=inputs.count, proven_on=inputs.text, arena=costs.arena,
                   unpacked_arena=costs.unpacked_arena, decode=costs.decode, latency_ratio=costs.latency_ratio)


def _tensors(packed: Packed) -> tuple[PackedTensor, ...]:
    """One record a constant."""
    ancillaries = [code.ancillary for code in packed.encoded.values()]
    found = []
    for position, constant in enumerate(packed.constants):
        code = packed.encoded.get(position)
        shared = code is not None and ancillaries.count(code.ancillary) > 1
        after = constant.stored_bytes if code is None else len(code.stream) + (0 if shared else len(code.ancillary))
        found.append(PackedTensor(
            label=constant.label, coding=code.coding if code else "", elements=constant.values.size,
            distinct_values=len(constant.counts), zeros=constant.zeros / constant.values.size,
            entropy_bits=constant.entropy_bits, bytes_before=constant.stored_bytes, bytes_after=after,
            shares_tables=shared))
    return tuple(found)


def _result(converted: ConvertResult, packing: Packing, content: bytes) -> PackResult:
    """The source's record with what has changed."""
    coded = [each for each in packing.tensors if each.coding]
    growth = packing.arena_growth_bytes
    summary = (f"{len(content):,} bytes, {len(content) / packing.unpacked_bytes:.1%} of {packing.unpacked_bytes:,}; "
               f"{len(coded)} of {len(packing.tensors)} constants coded, arena {growth:+,} bytes, "
               f"latency times {packing.latency_ratio.value:.3f} in TFLM on this host")
    saved = packing.unpacked_bytes - packing.shrunk_bytes
    warnings = () if coded else (f"no code makes the weights smaller: all that is gained is {saved:,} bytes of "
                                 "FlatBuffer; prune or cluster the model before it is quantized",)
    return PackResult.model_validate({
        **converted.model_dump(), **surface_of(content), "packing": packing, "summary": summary,
        "warnings": (*converted.warnings, *warnings), "tflite_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "converter": f"{converted.converter}, packed for tflite-micro {version('tflite-micro')}"})
