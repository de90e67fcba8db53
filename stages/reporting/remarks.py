"""Sentences computed from the figures: what a reader would otherwise have to notice, or believe.

An 8-bit model is not faster because it is 8-bit, and zeros shrink nothing by themselves. Where a run shows that, the
report says it, with the figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from device_profiles.records import Figure
from device_profiles.schema import MICRO_ENGINE
from stages.reporting.places import HOST, place_of
from stages.reporting.record import Remark, VariantReport
from stages.reporting.sources import Sources
from stages.reporting.text import listing, plural, quantity, significant
from stages.variants import FORMATS, parse_variant

REFERENCE = "float32"
SLOWER_SHARE = 0.05
"""A format is called slower from this share on, and where the intervals lie apart."""
SAME_SHARE = 0.02
"""Two sizes within this share of each other are called equal in a remark about pruning and clustering."""


def all_remarks(variants: Sequence[VariantReport], sources: Sources) -> tuple[Remark, ...]:
    """Every remark, most surprising first."""
    return (*speed_remarks(variants, _cpu(sources)), *growth_remarks(variants), *saving_remarks(variants),
            *agreement_remarks(variants), *missing_remarks(variants), *_warnings(sources))


def _median(variant: VariantReport, engine: str) -> Figure | None:
    """The measured median of one variant in one engine."""
    return variant.latency[engine].median if engine in variant.latency else None


def _surely_longer(one: Figure, other: Figure) -> bool:
    """Whether `one` lies wholly above `other`: by their intervals, or by their values where one has none."""
    low = one.interval[0] if one.interval else one.value
    high = other.interval[1] if other.interval else other.value
    return low > high


def _cpu(sources: Sources) -> str:
    """What the benchmark ran on."""
    place = place_of(sources.benchmark.target, sources.benchmark.conditions)
    return place.words if place.target != HOST else "this CPU"


def speed_remarks(variants: Sequence[VariantReport], cpu: str = "this CPU") -> Iterator[Remark]:
    """By engine: the number formats that are measurably slower than float32 on the CPU of the benchmark.

    TFLM is left out: on this CPU it runs reference kernels, whose times say nothing about a microcontroller's.
    """
    named = {variant.name: variant for variant in variants}
    base_variant = named.get(REFERENCE)
    for engine in base_variant.latency if base_variant else ():
        base = _median(named[REFERENCE], engine)
        if base is None or engine == MICRO_ENGINE:
            continue
        slower = [(name, median) for name, variant in named.items() if name in FORMATS
                  and (median := _median(variant, engine)) is not None and _surely_longer(median, base)
                  and median.value >= base.value * (1 + SLOWER_SHARE)]
        if slower:
            yield _speed_remark(cpu, engine, base, sorted(slower, key=lambda pair: pair[1].value))


def _speed_remark(cpu: str, engine: str, base: Figure, slower: Sequence[tuple[str, Figure]]) -> Remark:
    """`int8 is slower than float32 on this CPU in litert (0.44 ms against 0.36 ms, 1.2 times as long)`."""
    told = listing(f"{name} ({quantity(median.value, median.unit)}, {median.value / base.value:.2f} times as long)"
                   for name, median in slower)
    return Remark(kind="speed", variants=tuple(name for name, _ in slower), text=(
        f"Slower than {REFERENCE} on {cpu} in {engine}: {told}; {REFERENCE} takes {quantity(base.value, base.unit)} "
        f"({base.provenance}, medians). Fewer bits gain time only where CPU and engine have fast kernels for them."))


def growth_remarks(variants: Sequence[VariantReport]) -> Iterator[Remark]:
    """Number formats whose file is no smaller than float32's: what quantization adds can weigh more than it saves."""
    named = {variant.name: variant for variant in variants}
    base = named.get(REFERENCE)
    if base is None:
        return
    larger = [variant for name, variant in named.items()
              if name in FORMATS and name != REFERENCE and variant.tflite_bytes >= base.tflite_bytes]
    if larger:
        told = listing(f"{variant.name} ({variant.tflite_bytes:,} bytes)" for variant in larger)
        yield Remark(kind="size", variants=tuple(variant.name for variant in larger), text=(
            f"No smaller than {REFERENCE} ({base.tflite_bytes:,} bytes): {told}. What the format adds to "
            "the file (scales, zero points, operators) weighs at least as much as the weights lose."))


def saving_remarks(variants: Sequence[VariantReport]) -> Iterator[Remark]:
    """Pruned and clustered variants whose shipped bytes are those of the same format without it."""
    named = {variant.name: variant for variant in variants}
    for technique in ("Pruning", "Clustering"):
        told, about = [], []
        for variant in variants:
            parsed = parse_variant(variant.name)
            done = parsed.pruned if technique == "Pruning" else parsed.clustered
            plain = named.get(parsed.without("pruned" if technique == "Pruning" else "clustered"))
            if done is not None and plain is not None and variant.tflite_bytes >= plain.tflite_bytes * (1 - SAME_SHARE):
                told.append(f"{variant.name} {variant.tflite_bytes:,} bytes, {plain.name} {plain.tflite_bytes:,}"
                            f"{_speed_beside(variant, plain)}")
                about += [variant.name, plain.name]
        if told:
            yield Remark(kind="size", variants=tuple(dict.fromkeys(about)), text=(
                f"{technique} alone saves no shipped bytes here: {'; '.join(told)}. The file stores a zero or a "
                "repeated value like any other."))


def _speed_beside(variant: VariantReport, plain: VariantReport) -> str:
    """How the latencies of the two compare in the first engine that has both; empty where none has."""
    for engine in variant.latency:
        one, other = _median(variant, engine), _median(plain, engine)
        if one is not None and other is not None:
            word = "faster" if _surely_longer(other, one) else "slower" if _surely_longer(one, other) else (
                "no proven difference in latency")
            return (f" (in {engine} {quantity(one.value, one.unit)} against {quantity(other.value, other.unit)}, "
                    f"{one.provenance}: {word})")
    return ""


def agreement_remarks(variants: Sequence[VariantReport]) -> Iterator[Remark]:
    """Pairs of engines that label the same test samples differently."""
    found: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for variant in variants:
        for agreement in variant.agreements:
            if agreement.equal_labels is not None and agreement.equal_labels < 1:
                found.setdefault(agreement.engines, []).append((variant.name, 1 - agreement.equal_labels))
    for (one, other), shares in found.items():
        most = max(shares, key=lambda pair: pair[1])
        yield Remark(kind="agreement", variants=tuple(name for name, _ in shares), text=(
            f"{one} and {other} give different labels to some test samples in {plural(len(shares), 'variant')}, most "
            f"in {most[0]} ({significant(100 * most[1], 2)} %). A score in one engine is not the score in another."))


def missing_remarks(variants: Sequence[VariantReport]) -> Iterator[Remark]:
    """By engine, status and message: variants that an engine could not run, in evaluation or in the benchmark."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for variant in variants:
        outcomes = {engine: (run.status, run.message) for engine, run in variant.latency.items()}
        outcomes |= {engine: (run.status, run.message) for engine, run in variant.metrics.items() if run.status != "ok"}
        for engine, (status, message) in outcomes.items():
            if status != "ok":
                found.setdefault((engine, status, message), []).append(variant.name)
    words: dict[str, str] = {"unavailable": "is not available for", "refused": "refuses", "crashed": "crashed on",
             "timeout": "did not answer in time on"}
    for (engine, state, reason), names in found.items():
        told = listing(names) if len(names) < len(variants) or len(names) == 1 else plural(len(names), "variant")
        yield Remark(kind="missing", variants=tuple(names), text=f"{engine} {words[state]} {told}" + (
            f": {reason}" if reason else "."))


def _warnings(sources: Sources) -> Iterator[Remark]:
    """What the stages themselves warn of, each once."""
    results: Iterable[tuple[str, tuple[str, ...]]] = [
        *(("", stage.warnings) for stage in (sources.model, sources.data, sources.examination, sources.calibration)
          if stage is not None),
        *((label, found.warnings) for label, found in sources.trainings.items()),
        *((name, found.warnings) for name, found in sources.converted.items()),
        *((name, found.warnings) for name, found in sources.evaluated.items()),
        ("", sources.benchmark.warnings), *((name, found.warnings) for name, found in sources.devices.items()),
        ("", sources.check.warnings)]
    told: dict[str, list[str]] = {}
    for label, warnings in results:
        for warning in warnings:
            told.setdefault(warning, []).append(label)
    for warning, labels in told.items():
        shown = [label for label in labels if label]
        yield Remark(kind="warning", text=f"{', '.join(shown)}: {warning}" if shown else warning)
