"""`mixed`: a format for each layer, chosen from how sensitive the layers are and proven on validation samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from device_profiles.errors import StageError, StoreError
from device_profiles.records import Figure
from device_profiles.tflite import read_tflite
from stages import calibration
from stages.bench import Array
from stages.context import StageContext
from stages.converting.quantizing import FAULTS, PostTraining
from stages.converting.ranges import RangeMethod, Ranges
from stages.converting.source import read_float
from stages.converting.weights import Editor
from stages.datasets.prepared import read_preprocessing, read_split
from stages.datasets.records import TRAIN
from stages.engines import host
from stages.mixing.cost import Costs, weight_bytes
from stages.mixing.layout import (
    ACTIVATIONS,
    Layout,
    Node,
    candidates_of,
    read_layout,
    recipe_parts,
    weight_recipe,
)
from stages.mixing.search import Built, Formats, Search
from stages.mixing.solver import Choice
from stages.mixing.trials import Runner, make_bench
from stages.models.quiet import native_errors_to
from stages.packing.shrinking import shrink
from stages.quantizing.options import CALIBRATION_FILE, Options, calibration_rows, write_recipe
from stages.quantizing.post_training import calibration_text, calibration_warnings, weights_fields
from stages.recipes import Rules, WeightRecipe, mixed_rules, rules_for
from stages.records import QuantizeResult
from stages.records.sensitivity import LayerFormat, Mixing, SensitivityResult

SENSITIVITY_FILE = "sensitivity.json"
_TIMEOUT_S = 120.0
_RESAMPLES = 1000


def choose_formats(data: Path, tflite: Path, sensitivity: Path, options: Options,
                   context: StageContext) -> QuantizeResult:
    """Write `recipe.json` and `calibration.npy` of a mixed model.

    Args:
        data: a prepare artifact.
        tflite: the float32 convert artifact.
        sensitivity: a sensitivity artifact of the same model.
        options: see `Options`.
        context: where to write.

    Raises:
        StageError: a layer that is not there, a format that the profile does not know, a drop or a budget that cannot
            be kept, or that float32 keeps.
        EngineError: the engine cannot run an assembled model.
        StoreError: an artifact without its files.
    """
    content, measured = read_float(tflite), read_sensitivity(sensitivity)
    candidates = candidates_of(options.mixed.formats, options.device)
    layout = read_layout(content, candidates)
    nodes = _choices(layout, measured, candidates, options, content)
    train = read_split(data, TRAIN, in_memory_bytes=0)
    rows = calibration_rows(train, options)
    samples = np.asarray(train.x[rows])
    np.save(context.out / CALIBRATION_FILE, samples)
    report = calibration.describe(train.x, train.y, rows, len(read_preprocessing(data).class_names),
                                  strategy=options.calibration, seed=options.seed)
    try:
        with native_errors_to(context.log):
            assembly = _Assembly(content, layout, samples, options)
            mixing, chosen = _search(assembly, nodes, measured, candidates, data, options, context)
    except FAULTS as error:
        raise StageError(f"a mixed model cannot be quantized: {error}", "", f"see {context.log}") from error
    if not _typed(chosen):
        raise _all_float(mixing, options)
    rules, weights = assembly.recipe(chosen)
    write_recipe(rules, options, context.out, weights, assembly.method(chosen))
    return QuantizeResult(
        summary=f"mixed: {_counts(mixing)}; {mixing.drop.value:+.2f} points on validation; {calibration_text(report)}",
        format=options.format, method=options.method, calibration_samples=report.samples,
        calibration_class_counts=report.class_counts, calibration=report, mixing=mixing,
        not_quantized={label: "chosen" for label, each in mixing.formats.items() if each == "float32"},
        warnings=(*calibration_warnings(report), *_warnings(mixing, options)), **weights_fields(options))


def read_sensitivity(folder: Path) -> SensitivityResult:
    """The result in a sensitivity artifact.

    Raises:
        StoreError: it is missing or damaged.
    """
    try:
        return SensitivityResult.model_validate_json((folder / SENSITIVITY_FILE).read_text("utf-8"))
    except (OSError, ValidationError) as error:
        raise StoreError(f"{folder} holds no sensitivity of layers: {error}", "", "litesmith sensitivity") from error


@dataclass
class _Assembly:
    """Makes models of chosen formats."""

    content: bytes
    layout: Layout
    samples: Array
    options: Options
    _ranges: dict[RangeMethod, Ranges] = field(default_factory=dict)

    def method(self, formats: Formats) -> RangeMethod:
        """How ranges are found: those of a tensor in 16 bits are not to be cut for 8."""
        return "extremes" if "int16x8" in formats else self.options.range_method

    def recipe(self, formats: Formats) -> tuple[Rules, WeightRecipe | None]:
        """Rules and weights' recipe of a choice."""
        domains, bits = recipe_parts(self.layout, _typed(formats))
        whole = {name: number for name, number in bits.items() if name not in self._dynamic(formats)}
        return mixed_rules(domains), weight_recipe(whole, self.options.weights)

    def model(self, formats: Formats) -> bytes:
        """The tflite model, before its inputs and outputs are what the device feeds."""
        if not _typed(formats):
            return self.content
        method = self.method(formats)
        if method not in self._ranges:
            self._ranges[method] = PostTraining(self.content, rules_for("int8"), None, method).calibrate(self.samples)
        work = PostTraining(self.content, *self.recipe(formats))
        found = self._ranges[method]
        ranges = {name: dict(each) for name, each in found.items()} if work.needs_calibration else None
        return work.quantize(ranges, work.fit(self.samples))

    def _dynamic(self, formats: Formats) -> set[str]:
        """Layers whose 8-bit weights meet float activations: litert-quantizer's own integers."""
        return {layer.name for node, each in zip(self.layout.nodes, formats, strict=True) if each == "dynamic"
                for layer in node.layers}


def _typed(formats: Formats) -> dict[int, LayerFormat]:
    """Formats by node number, without those that stay in float."""
    return {number: each for number, each in enumerate(formats) if each != "float32"}  # type: ignore[misc]


def _choices(layout: Layout, measured: SensitivityResult, candidates: tuple[LayerFormat, ...], options: Options,
             content: bytes) -> list[list[Choice]]:
    """What each node can have, with cost and divergence.

    Raises:
        StageError: a fixed layer that is not there, or that cannot have its format; a model that was not measured.
    """
    engine = options.device.engine.name if options.device else measured.engine
    costs = Costs(content, layout, options.device if options.mixed.cost == "latency" else None, engine)
    fixed = {layout.find(name): each for name, each in options.mixed.fixed.items()}
    tried: dict[str, dict[str, float]] = {
        layer.label: {trial.format: trial.divergence for trial in layer.trials} for layer in measured.layers}
    found = []
    for number, node in enumerate(layout.nodes):
        losses: dict[str, float] = {**tried.get(node.label, {}), "float32": 0.0}
        formats = _allowed(node.label, _offered(node, candidates, losses), fixed.get(number))
        found.append(costs.choices(number, formats, losses))
    if layout.layers() and not any(node.label in tried for node in layout.nodes):
        raise StageError("the sensitivity is of another model: it has none of its layers", "the same tflite model",
                         "litesmith sensitivity")
    return found


def _offered(node: Node, candidates: tuple[LayerFormat, ...], losses: Mapping[str, float]) -> tuple[LayerFormat, ...]:
    """Formats to choose from: of a layer those that were tried, of the rest those with the same types; else float."""
    kinds = {ACTIVATIONS[each] for each in candidates}
    found = [each for each in node.formats if (each in candidates and each in losses) or
             (not node.layers and ACTIVATIONS[each] in kinds)]
    return tuple(found) or ("float32",)


def _allowed(label: str, formats: tuple[LayerFormat, ...], fixed: LayerFormat | None) -> tuple[LayerFormat, ...]:
    """The formats of a node, or the one that the user gave it."""
    if fixed is None:
        return formats
    if fixed not in formats:
        raise StageError(f"quantize.mixed.fixed: the layer '{label}' cannot be {fixed}", ", ".join(formats),
                         "take one of these, or add the format to quantize.mixed.formats")
    return (fixed,)


def _search(assembly: _Assembly, nodes: list[list[Choice]], measured: SensitivityResult,
            candidates: tuple[LayerFormat, ...], data: Path, options: Options,
            context: StageContext) -> tuple[Mixing, Formats]:
    """The rounds, and the formats that came of them."""
    mixed, layout = options.mixed, assembly.layout
    engine = options.device if mixed.cost == "latency" else None
    links = Costs(assembly.content, layout, engine,
                  options.device.engine.name if options.device else measured.engine).links()
    base = 0.0 if mixed.cost == "latency" else float(_shipped_bytes(assembly.content) - sum(
        weight_bytes(layout.nodes[number], "float32") for number in layout.layers()))
    bench = make_bench(data, options.task, samples=mixed.samples, seed=options.seed, engine=measured.engine,
                       workers=len(host.cores()), timeout_s=_TIMEOUT_S, log=context.log, folder=context.scratch)
    drops: dict[Formats, Figure] = {}
    with Runner(bench) as runner:
        reference = runner.outputs(assembly.content, "float32")

        def build(formats: Formats) -> Built:
            """Make and measure the model of a choice."""
            context.progress(len(drops), mixed.rounds, "measuring an assembled model")
            model = assembly.model(formats)
            outputs = runner.outputs(model, "mixed")
            drops[formats] = bench.drop(reference, outputs, options.seed, _RESAMPLES)
            return Built(drops[formats].value, _shipped_bytes(model))

        search = Search(nodes, links, layout.layers(), build, base, mixed.rounds)
        number = search.for_drop(mixed.drop_points, measured.points_per_divergence) if mixed.budget is None else \
            search.for_budget(mixed.budget, of_file=mixed.cost == "bytes")
        chosen = search.formats[number]
        boundaries = _conversions(assembly.model(chosen))
    found = _typed(chosen)
    formats = {layout.nodes[place].label: found.get(place, "float32") for place in layout.layers()}
    return Mixing(
        formats=formats, candidates=candidates, cost=mixed.cost, profile=options.device.name if options.device else "",
        asked=_asked(options), rounds=tuple(search.done), chosen=number, drop=drops[chosen],
        predicted_cost=search.done[number].predicted_cost, boundaries=boundaries), chosen


def _shipped_bytes(content: bytes) -> int:
    """Bytes of the file as `convert` writes it, without what no runtime needs."""
    return len(shrink(Editor(content).content()))


def _asked(options: Options) -> str:
    """What is to be kept, for people."""
    if options.mixed.budget is None:
        return f"least {options.mixed.cost} at a drop of at most {options.mixed.drop_points:g} points"
    return f"least drop at {options.mixed.budget:,.10g} {'bytes' if options.mixed.cost == 'bytes' else 'ms'} or less"


def _all_float(mixing: Mixing, options: Options) -> StageError:
    """What to say where no layer is quantized."""
    key = "drop_points" if options.mixed.budget is None else "budget"
    return StageError(f"mixed would leave every layer in float32: {_asked(options)} needs no other format",
                      f"a {options.mixed.cost} below the float model's {mixing.predicted_cost:,.10g}",
                      f"change quantize.mixed.{key}, or choose the variant float32")


def _conversions(content: bytes) -> int:
    """QUANTIZE and DEQUANTIZE operators."""
    return sum(each.name in ("QUANTIZE", "DEQUANTIZE") for each in read_tflite(content).graphs[0].operators)


def _counts(mixing: Mixing) -> str:
    """How many layers have each format: "7 in int4, 3 in int8"."""
    return ", ".join(f"{count} in {name}" for name, count in mixing.rounds[mixing.chosen].formats.items())


def _warnings(mixing: Mixing, options: Options) -> tuple[str, ...]:
    """What is odd about a choice."""
    found = []
    gap, interval, allowed = mixing.rounds[mixing.chosen].gap, mixing.drop.interval, options.mixed.drop_points
    if gap > 0:
        found.append(f"the choice of formats may be {100 * gap:.1f} % from the best: the solver ran out of time")
    if options.mixed.budget is None and interval is not None and interval[1] > allowed:
        found.append(f"on the validation samples the drop is {mixing.drop.value:.2f} points and may be up to "
                     f"{interval[1]:.2f}: they are too few to tell it from {allowed:g}")
    return tuple(found)
