"""What `litesmith explain` does: makes what is missing, holds a variant against its float model, and tries changes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_profiles.decoding import DECODE
from device_profiles.errors import LitesmithError, UsageError, with_near_miss
from device_profiles.predictor import predict_latency
from device_profiles.workload import read_workload
from pipeline.calls import Plan
from pipeline.config import RunConfig, VariantEntry
from pipeline.plan import build
from pipeline.runner import Runner, Watcher
from pipeline.session import Session
from pipeline.store import Store
from pipeline.trying import Quieted, changed_entry, lines_of
from stages.records import Cause, Change, ExplainResult, PruneResult, QuantizeResult, SlimResult, Step, Trial
from stages.variants import parse_variant

if TYPE_CHECKING:
    from stages.bench import Bench as ScoringBench
    from stages.explaining.runs import Source
    from stages.explaining.slowness import Facts

ENGINE = "litert"
OTHERS = ("litert", "tflite-runtime")
SAMPLES, SCORE_SAMPLES, RESAMPLES = 256, 2000, 1000
MOST_TRIALS = 6


@dataclass(frozen=True)
class Asked:
    """What the user asks for.

    Attributes:
        samples: that the noise is measured on.
        trying: whether to make and measure the changes.
        costly: whether changes that train a model are made too.
        most: how many changes are made.
    """

    samples: int = SAMPLES
    trying: bool = False
    costly: bool = False
    most: int = MOST_TRIALS


def explain_variant(session: Session, name: str, asked: Asked, watcher: Watcher | None = None) -> ExplainResult:
    """Explain a variant of a run.

    Args:
        session: config, store and run folder.
        name: of the variant.
        asked: see `Asked`.
        watcher: told what is made.

    Raises:
        VariantError: the grammar does not know the name.
        UsageError: nothing in the run file is called that.
        LitesmithError: what is missing cannot be made.
    """
    with tempfile.TemporaryDirectory(prefix="litesmith-") as folder:
        return _Explainer(session, asked, watcher or Watcher(), Path(folder)).explain(_entry(session.config, name))


def _entry(config: RunConfig, name: str) -> VariantEntry:
    """The variant that is named."""
    known = {entry.name: entry for entry in config.variants}
    wanted = parse_variant(name).name
    if wanted not in known:
        raise UsageError(with_near_miss(f"the run has no variant '{wanted}'", wanted, known), ", ".join(known),
                         f"add it to variants in the run file, or litesmith explain {wanted} --variant {wanted}")
    return known[wanted]


@dataclass
class _Made:
    """What a plan gave."""

    plan: Plan
    runner: Runner

    def folder(self, label: str) -> Path:
        """The artifact of a call."""
        artifact = self.runner.outcomes[label].artifact
        if artifact is None:
            raise UsageError(f"{label} was not made")
        return artifact.folder

    def result(self, label: str, kind: Any) -> Any:
        """The record of a call."""
        from stages.artifacts import read_result

        return read_result(self.folder(label), kind)


@dataclass
class _Explainer:
    """One variant's explanation."""

    session: Session
    asked: Asked
    watcher: Watcher
    scratch: Path
    _scored: dict[str, Any] = field(default_factory=dict)

    def explain(self, entry: VariantEntry) -> ExplainResult:
        """The whole of it."""
        from stages.explain import Case, completed, explain
        from stages.explaining.training_rules import training_causes
        from stages.mixing.trials import Runner as Scorer

        names = self._companions(entry)
        made = self._make(self.session.config.model_copy(update={"variants": names}), [each.name for each in names])
        label = _unpacked(made.plan, entry.name)
        variant, run_float = self._source(made, label, entry.name), self._source(made, made.plan.variants["float32"],
                                                                                "float32")
        reference = self._reference(made, entry, variant)
        bench, noise_bench = self._bench(made)
        with Scorer(bench) as scorer:
            outputs = {role: _outputs(scorer, source) for role, source in
                       (("run", run_float), ("reference", reference), ("variant", variant))}
            quantized = _quantized(made, label)
            case = Case(name=entry.name, number_format=entry.variant().format, calibration=quantized.calibration,
                        algorithm=quantized.algorithm, bias_correction=quantized.bias_correction,
                        trainings=_trainings(made, label), steps=self._steps(bench, entry, outputs),
                        score_name=bench.task.score_name, drop=self._drop(bench, outputs["run"], outputs["variant"]))
            result = explain(variant, reference, noise_bench, case)
            result = completed(result, causes=training_causes(case.trainings, case.steps),
                               facts=self._facts(made, entry, variant, run_float, noise_bench))
            result = result.model_copy(update={"output_snr_db": _snr(outputs["reference"], outputs["variant"])})
            if self.asked.trying:
                tried = tuple(self._try(entry, result.causes, scorer, outputs))
                result = result.model_copy(update={"trials": tried})
        return result.model_copy(update={"tflite_bytes": _size(made, entry.name)})

    # -- what is compared ----------------------------------------------------------------------------------------------

    def _companions(self, entry: VariantEntry) -> tuple[VariantEntry, ...]:
        """The variant, what it is before its number format, and the float model."""
        every = {each.name: each for each in (VariantEntry(name="float32"), self._before(entry), entry)}
        return tuple(every.values())

    def _before(self, entry: VariantEntry) -> VariantEntry:
        """The variant in float32: what its number format is made from."""
        variant = entry.variant()
        words = [word for word in variant.name.split("-") if word not in (variant.format, "packed")]
        student = entry.settings("distil", self.session.config.distil).student
        if variant.distilled and not variant.is_compressed and (variant.is_qat and student is None):
            words.remove("distilled")
        return entry.model_copy(update={"name": "-".join([*words, "float32"])})

    def _make(self, config: RunConfig, variants: Iterable[str], watcher: Watcher | None = None) -> _Made:
        """Make the tflite models of variants.

        Raises:
            LitesmithError: one cannot be made.
        """
        plan = build(config, self.session.around())
        wanted = [*plan.of_stage("prepare"), *(plan.variants[name] for name in variants if name in plan.variants)]
        self.session.folder.log.parent.mkdir(parents=True, exist_ok=True)
        runner = Runner(Store(self.session.store_path), self.session.folder.log, watcher or self.watcher)
        part = plan.only(wanted)
        runner.run(part, lambda _: part)
        for outcome in runner.outcomes.values():
            if outcome.error is not None:
                raise outcome.error
        return _Made(plan, runner)

    def _source(self, made: _Made, label: str, name: str) -> Source:
        """A convert artifact's tflite model, whose layers have names."""
        from stages.converting.source import read_named
        from stages.engines.inputs import normalization_of
        from stages.explaining.runs import Source

        folder = made.folder(label)
        return Source(read_named(folder), normalization_of(folder, self._data(made)), name)

    def _reference(self, made: _Made, entry: VariantEntry, variant: Source) -> Source:
        """The float model that a variant's own format is held against, without folded preprocessing."""
        from stages.converting.source import read_float
        from stages.datasets.prepared import read_preprocessing
        from stages.explain import in_float
        from stages.explaining.runs import Source

        before = self._before(entry).name
        folder = made.folder(made.plan.variants[before])
        inputs = read_preprocessing(self._data(made)).inputs
        reference = Source(read_float(folder), {name: spec.normalization for name, spec in inputs.items()}, before)
        return in_float(variant, reference) if entry.variant().is_qat else reference

    def _bench(self, made: _Made) -> tuple[ScoringBench, Any]:
        """Validation samples to score on, and the same for the noise."""
        from stages.engines import host
        from stages.explaining.runs import Bench
        from stages.mixing.trials import make_bench

        config, log = self.session.config, self.session.folder.log
        bench = make_bench(self._data(made), config.task, samples=max(SCORE_SAMPLES, self.asked.samples),
                           seed=config.seed, engine=ENGINE, workers=len(host.cores()), timeout_s=120, log=log,
                           folder=self.scratch)
        return bench, Bench(bench.samples, min(self.asked.samples, bench.count), log, ENGINE)

    def _data(self, made: _Made) -> Path:
        return made.folder("prepare")

    # -- what it costs -------------------------------------------------------------------------------------------------

    def _drop(self, bench: ScoringBench, reference: Any, outputs: Any) -> Any:
        return bench.drop(reference, outputs, self.session.config.seed, RESAMPLES)

    def _steps(self, bench: ScoringBench, entry: VariantEntry, outputs: dict[str, Any]) -> tuple[Step, ...]:
        """The points that were lost before the number format, and by it."""
        variant = entry.variant()
        before = "-".join(word for word in variant.name.split("-") if word not in (variant.format, "packed"))
        trained = bool(before) or variant.is_qat
        name = before or "training with quantization"
        first = [Step(name=name, part="training", drop=self._drop(bench, outputs["run"], outputs["reference"]))]
        return (*(first if trained else []), Step(name=variant.format, part="quantization", drop=self._drop(
            bench, outputs["reference"], outputs["variant"])))

    def _facts(self, made: _Made, entry: VariantEntry, variant: Source, plain: Source, bench: Any) -> Facts:
        """What is known of its speed: in the engines that the run's profiles have, and by their predictions."""
        from stages.artifacts import TFLITE_FILE

        shipped = (made.folder(made.plan.variants[entry.name]) / TFLITE_FILE).read_bytes()
        profiles = self.session.config.loaded_profiles()
        engines = {each.engine.name for each in profiles}
        facts = gather(variant, plain, bench, shipped, sorted(engines - {"tflm"}) or [ENGINE])
        return replace(facts, microcontroller="tflm" in engines,
                       predictions={each.name: predict_latency(facts.workload, each) for each in profiles})

    # -- changes -------------------------------------------------------------------------------------------------------

    def _try(self, entry: VariantEntry, causes: Iterable[Cause], scorer: Any,
             outputs: dict[str, Any]) -> Iterator[Trial]:
        """Make each change once and measure it; one that gives the same calls as another is no other."""
        tried = {self._key(entry)}
        for cause in causes:
            for change in cause.changes:
                if not change.can_be_made or (change.costly and not self.asked.costly) or len(tried) > self.asked.most:
                    continue
                changed = changed_entry(entry, change, self.session.config)
                key = self._key(changed)
                if key in tried:
                    continue
                tried.add(key)
                yield self._measured(changed, cause, change, scorer, outputs)

    def _key(self, entry: VariantEntry) -> str:
        """Of the call that makes a variant's tflite model."""
        plan = build(self.session.config.model_copy(update={"variants": (entry,)}), self.session.around())
        return plan.calls[plan.variants[entry.name]].key

    def _measured(self, entry: VariantEntry, cause: Cause, change: Change, scorer: Any,
                  outputs: dict[str, Any]) -> Trial:
        """One change, made through the pipeline."""
        trial = Trial(change=change.text, kind=cause.kind, layer=cause.layer, lines=tuple(lines_of(entry)),
                      status="failed")
        try:
            made = self._make(self.session.config.model_copy(update={"variants": (entry,)}), [entry.name],
                              Quieted(self.watcher))
            source = self._source(made, _unpacked(made.plan, entry.name), entry.name)
            found = _outputs(scorer, source)
        except LitesmithError as error:
            return trial.model_copy(update={"message": error.found})
        drops = {"drop": self._drop(scorer.bench, outputs["run"], found),
                 "gain": self._drop(scorer.bench, found, outputs["variant"])}
        return trial.model_copy(update={
            **drops, "status": "measured", "tflite_bytes": _size(made, entry.name),
            "output_snr_db": None if change.costly else _snr(outputs["reference"], found)})


def explain_files(path: Path, plain: Path, samples: Path, count: int = SAMPLES) -> ExplainResult:
    """Explain a tflite model beside a float32 one, on samples as both take them.

    Args:
        path: the tflite model that fell.
        plain: the float32 tflite model that it was made from.
        samples: an `.npy` file, (samples, ...); of several inputs structured, with a field for each.
        count: how many samples to take.

    Raises:
        UsageError: a file is not there, or `samples` is no array.
        StageError: the two are not one network, or the samples do not fit them.
    """
    import numpy as np

    from stages.explain import Case, completed, explain
    from stages.explaining.runs import Bench, Source

    contents = [_read(path, "a .tflite file"), _read(plain, "the float32 .tflite file that it was made from")]
    _read(samples, "an .npy file of samples")
    try:
        array = np.load(samples, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UsageError(f"--samples {samples}: no array can be read: {error}", "an .npy file of samples") from error
    if not array.ndim or not len(array):
        raise UsageError(f"--samples {samples} holds no samples", "an array of shape (samples, ...)")
    with tempfile.TemporaryDirectory(prefix="litesmith-") as folder:
        bench = Bench(samples, min(count, len(array)), Path(folder) / "log.txt", ENGINE)
        variant, reference = Source(contents[0], {}, path.name), Source(contents[1], {}, plain.name)
        result = explain(variant, reference, bench, Case(name=path.name))
        return completed(result, facts=gather(variant, reference, bench, contents[0], OTHERS))


def _read(path: Path, allowed: str) -> bytes:
    """A file that a user names."""
    if not path.is_file():
        raise UsageError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}", allowed)
    return path.read_bytes()


def gather(variant: Source, plain: Source, bench: Any, shipped: bytes, engines: Iterable[str]) -> Facts:
    """What is measured and looked up on this machine, for `reasons`.

    Args:
        variant: before packing.
        plain: the float32 tflite model.
        bench: samples and engine.
        shipped: the tflite model as it is shipped; where it is the float32 one, no latencies are measured.
        engines: that are asked what their delegates take; a packed model runs in TFLM alone, which has none.
    """
    from stages.engines import host, registry
    from stages.explaining.slowness import Facts, delegation, features, latencies

    workload = read_workload(shipped)
    decodes = sum(len(op.outputs) for op in workload.operators if op.custom_code == DECODE)
    asked = [name for name in engines if not decodes and registry.engine_info(name).available]
    found = {name: delegation(variant.content, name, variant.name, bench.log) for name in asked}
    same = variant.content == plain.content
    times = None if decodes or same else latencies((variant, plain), bench)
    return Facts(workload=workload, float_workload=read_workload(plain.content),
                 unpacked=read_workload(variant.content),
                 delegations={name: each for name, each in found.items() if each is not None},
                 latencies_ms={bench.engine: times} if times else {}, features=features(), decodes=decodes,
                 architecture=host.host().architecture)


def _outputs(scorer: Any, source: Source) -> Any:
    """Outputs of a tflite model on the bench's samples, given as the model takes them."""
    kept = scorer.bench
    scorer.bench = replace(kept, normalization=source.normalization)
    try:
        return scorer.outputs(source.content, source.name)
    finally:
        scorer.bench = kept


def _snr(reference: Any, outputs: Any) -> float | None:
    """Signal to noise of outputs in dB; None where nothing differs."""
    from stages.explaining.tally import decibel
    from stages.mixing.trials import noise_share

    return decibel(noise_share(reference, outputs))


def _unpacked(plan: Plan, name: str) -> str:
    """The call that makes a variant's tflite model before it is packed: its outputs are the same."""
    call = plan.calls[plan.variants[name]]
    source = call.inputs.get("tflite")
    return source if call.stage == "pack" and isinstance(source, str) else call.label


def _quantized(made: _Made, label: str) -> QuantizeResult:
    """What is known of how a tflite model was quantized; an empty record where it was not, afterwards."""
    recipe = made.plan.calls[label].inputs.get("recipe")
    if not isinstance(recipe, str):
        return QuantizeResult(summary="", format="", method="none")
    found: QuantizeResult = made.result(recipe, QuantizeResult)
    return found


def _trainings(made: _Made, label: str) -> tuple[Any, ...]:
    """Results of the slim and prune calls behind a tflite model."""
    kinds = {"slim": SlimResult, "prune": PruneResult}
    behind = made.plan.upstream([label])
    return tuple(made.result(each, kinds[call.stage]) for each, call in made.plan.calls.items()
                 if each in behind and call.stage in kinds)


def _size(made: _Made, name: str) -> int:
    """Bytes of a variant's tflite model as it is shipped."""
    from stages.artifacts import TFLITE_FILE

    return (made.folder(made.plan.variants[name]) / TFLITE_FILE).stat().st_size
