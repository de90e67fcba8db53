"""Explain a tflite model beside its float model: where noise is made, by what, and what would mend it.

This is no part of a run: `litesmith explain` calls it, and nothing rests on its result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from device_profiles.errors import EngineUnavailable
from device_profiles.records import Figure
from device_profiles.tflite import read_tflite
from device_profiles.workload import read_workload
from stages.context import Progress, no_progress
from stages.engines import registry
from stages.explaining import graph_rules, range_rules, weight_rules
from stages.explaining.causes import Evidence, find, question
from stages.explaining.noise import Noise, measure
from stages.explaining.pairs import Pairing, pair_up
from stages.explaining.runs import Bench, Source
from stages.explaining.slowness import Facts, reasons
from stages.explaining.structure import unfolded
from stages.explaining.tally import Tally, decibel
from stages.explaining.weights import WeightFacts, weight_facts, with_weights
from stages.records import CalibrationReport, StageResult
from stages.records.explaining import Cause, ExplainResult, LayerNoise, Step

NAME = "explain"
VERSION = 1
LIBRARIES = ("ai-edge-litert", "numpy")

RULES = (range_rules.scaled_samples, range_rules.saturated_ranges, range_rules.unused_ranges,
         range_rules.outlier_activations, range_rules.pooled_ranges, range_rules.unequal_branches,
         range_rules.tied_outputs, weight_rules.outlier_weights, weight_rules.shared_scales,
         weight_rules.coarse_weights, weight_rules.shifted_outputs, weight_rules.coarse_biases,
         graph_rules.unfolded_norms, graph_rules.lost_channels, graph_rules.dead_channels)
TRAINING_QUESTION = "What removing channels, pruning and sharing values cost, and in which layer"


@dataclass(frozen=True)
class Case:
    """What is known of a variant beside its tflite model.

    Attributes:
        name: of the variant.
        number_format: "int8", ...
        calibration: of its quantize stage.
        algorithm: that made the weights' integers; "" where it is not known.
        bias_correction: whether biases took up the shift that this made.
        trainings: results of the slim and prune stages behind it.
        steps: what each step cost; empty without labels.
        drop: of the variant against the run's float model.
        score_name: what dropped.
    """

    name: str
    number_format: str = ""
    calibration: CalibrationReport | None = None
    algorithm: str = ""
    bias_correction: bool = False
    trainings: Sequence[StageResult] = ()
    steps: tuple[Step, ...] = ()
    drop: Figure | None = None
    score_name: str = ""


def in_float(variant: Source, reference: Source) -> Source:
    """The float model of a variant that was trained with quantization: the float structure with its weights.

    Args:
        variant: the integer tflite model.
        reference: the float32 tflite model of the same structure, from before that training.
    """
    pairing = pair_up(read_tflite(variant.content).graphs[0], read_tflite(reference.content).graphs[0])
    return Source(with_weights(reference.content, pairing), reference.normalization, f"{variant.name} in float")


def explain(variant: Source, reference: Source, bench: Bench, case: Case,
            progress: Progress = no_progress) -> ExplainResult:
    """Hold a tflite model against its float model.

    Args:
        variant: the tflite model that fell.
        reference: the float32 tflite model that it was made from.
        bench: samples and engine.
        case: what else is known.
        progress: told of samples.

    Raises:
        EngineUnavailable: the engine is not installed.
        StageError: the two are not one network, or the samples do not fit.
        TfliteError: one of them is no whole tflite model.
    """
    info = registry.engine_info(bench.engine)
    if not info.available:
        raise EngineUnavailable(bench.engine, "", info.reason)
    pairing = pair_up(read_tflite(variant.content).graphs[0], read_tflite(reference.content).graphs[0])
    noise = measure(variant, reference, pairing, bench, progress)
    weights = {pair.made.index: facts for pair in pairing.pairs
               if (facts := weight_facts(pairing, pair)) is not None}
    number_format = case.number_format or read_workload(variant.content).number_format
    evidence = Evidence(pairing, noise, weights, unfolded(pairing.reference), case.calibration, number_format,
                        case.algorithm, case.bias_correction)
    causes = find(RULES, evidence)
    result = ExplainResult(
        summary="", variant=case.name, reference=reference.name, engine=f"{bench.engine} {info.version or ''}".strip(),
        samples=bench.count, tflite_bytes=len(variant.content), causes=tuple(causes),
        layers=tuple(_layer(tally, noise, evidence.facts(tally)) for tally in noise.tallies),
        looked_at=(*map(question, RULES), *([TRAINING_QUESTION] if case.trainings else [])),
        unmatched=pairing.unmatched(), steps=case.steps, drop=case.drop, score_name=case.score_name,
        score_samples=case.drop.samples if case.drop else 0, changed=_changed(noise, pairing),
        output_snr_db=decibel(noise.reach.total), shares_at_outputs=noise.reach.is_known)
    return result.model_copy(update={"summary": verdict(result)})


def _layer(tally: Tally, noise: Noise, facts: WeightFacts | None) -> LayerNoise:
    """A tally as a record."""
    return LayerNoise(
        label=tally.label, original=tally.original, matching=tally.matching, snr_db=decibel(tally.seen),
        local_db=decibel(tally.local), share=noise.share(tally), clipped=tally.clipped, rounded=tally.rounded,
        weight_snr_db=facts.snr_db if facts else None, clipped_values=tally.beyond / tally.elements,
        range_used=tally.range_used, dead_channels=graph_rules.dead_of(tally),
        lost_channels=graph_rules.lost_of(tally), channels=len(tally.lows))


def _changed(noise: Noise, pairing: Pairing) -> float | None:
    """Share of the samples that both decide differently; None where no output has several values."""
    outputs = set(pairing.variant.outputs)
    outputs |= {each.inputs[0] for each in pairing.variant.operators
                if each.name == "DEQUANTIZE" and outputs & set(each.outputs)}
    decided = [each for each in noise.tallies if each.tensor.index in outputs and each.rows and len(each.lows) > 1]
    return decided[-1].changed / decided[-1].rows if decided else None


def verdict(result: ExplainResult) -> str:
    """One line: what is lost, where it is made, why."""
    lost = _lost(result)
    quantized = [cause for cause in result.causes if cause.part == "quantization" and cause.share > 0]
    trained = [cause for cause in result.causes if cause.part == "training"]
    in_part = _points_by_part(result)
    if trained and in_part["training"] > in_part["quantization"]:
        return f"{lost}; {in_part['training']:.1f} of them before the number format: {trained[0].short}"
    loudest = max(result.layers, key=lambda each: each.share, default=None)
    if loudest is None or loudest.share == 0:
        return f"{lost}; it makes no noise: every layer gives what the float model gives"
    if quantized:
        return f"{lost}; {_made(result, quantized[0])}: {quantized[0].short}"
    if result.causes:
        return f"{lost}; {result.causes[0].layer}: {result.causes[0].short}"
    return (f"{lost}; nothing is wrong in any one place: {len(result.layers)} tensors share the noise, most of it "
            f"({100 * loudest.share:.0f} %, at {loudest.local_db:.0f} dB) made in {loudest.label}")


def _made(result: ExplainResult, cause: Cause) -> str:
    """Where noise is made: a cause of several layers has more of it than its worst layer."""
    own = max((each.share for each in result.layers if each.label == cause.layer), default=0.0)
    where = "has one cause, the most in" if cause.share > own else "is made in"
    return f"{100 * cause.share:.0f} % of the noise {where} {cause.layer}"


def _points_by_part(result: ExplainResult) -> dict[str, float]:
    """Points lost in the trainings and in the number format; what was won counts as none."""
    return {part: max(0.0, sum(step.drop.value for step in result.steps if step.part == part))
            for part in ("training", "quantization")}


def _lost(result: ExplainResult) -> str:
    """As in "int8 loses 0.5 points"."""
    if result.drop is None:
        shown = "" if result.changed is None else f" decides {100 * result.changed:.1f} % of the samples differently"
        return f"{result.variant}{shown or ': there are no labels to say what it loses'}"
    low, high = result.drop.interval or (result.drop.value, result.drop.value)
    value = result.drop.value
    sure = "" if low > 0 or high < 0 else f" (within chance: {low:+.1f} to {high:+.1f})"
    return f"{result.variant} {'loses' if value >= 0 else 'wins'} {abs(value):.1f} points{sure}"


def completed(result: ExplainResult, *, causes: Iterable[Cause] = (), facts: Facts | None = None) -> ExplainResult:
    """The result with further causes in their place, reasons why it is slow, and its verdict anew."""
    lost = _points_by_part(result)
    total = sum(lost.values())
    weight = {part: points / total if total else float(part == "quantization") for part, points in lost.items()}
    ranked = sorted([*result.causes, *causes], key=lambda each: -each.share * weight[each.part])
    found = result.model_copy(update={"causes": tuple(ranked), "slow": tuple(reasons(facts)) if facts else (),
                                      "latencies_ms": facts.latencies_ms if facts else {}})
    return found.model_copy(update={"summary": verdict(found)})

