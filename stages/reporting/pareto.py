"""Pareto fronts of the score against bytes and against latency; measured and predicted costs never meet in one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from device_profiles.records import Figure, Provenance
from stages.reporting.record import Cost, EngineMetrics, Front, Point, ProfileReport, VariantReport
from stages.reporting.text import figure_name


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other point beats, by rising cost.

    Args:
        points: (cost, gain) pairs; less cost and more gain are better. A point is beaten by one that is at least as
            good in both and better in one, so equal points stay together.
    """
    order = sorted(range(len(points)), key=lambda index: (points[index][0], -points[index][1]))
    front: list[int] = []
    for index in order:
        if not front or points[index][1] > points[front[-1]][1] or points[index] == points[front[-1]]:
            front.append(index)
    return front


def all_fronts(variants: Sequence[VariantReport], profiles: Mapping[str, ProfileReport]) -> tuple[Front, ...]:
    """Every front that the figures allow: bytes by engine, measured latency by engine, then latency by profile."""
    engines = dict.fromkeys(name for variant in variants for name in variant.metrics)
    return (*_bytes_fronts(variants, engines), *_host_fronts(variants, engines), *_profile_fronts(variants, profiles))


def _bytes_fronts(variants: Sequence[VariantReport], engines: Mapping[str, None]) -> Iterator[Front]:
    """Score in each engine against the size of the tflite model."""
    for engine in engines:
        costs: dict[str, Figure | None] = {variant.name: Figure(
            value=variant.tflite_bytes, unit="bytes", provenance="measured", method="size of the file")
            for variant in variants}
        yield from _fronts_of(variants, costs, "tflite_bytes", engine, None)


def _host_fronts(variants: Sequence[VariantReport], engines: Mapping[str, None]) -> Iterator[Front]:
    """Score in each engine against the median latency measured in that engine on the host."""
    for engine in engines:
        costs = {variant.name: _median(variant, engine) for variant in variants}
        yield from _fronts_of(variants, costs, "latency", engine, None)


def _profile_fronts(variants: Sequence[VariantReport], profiles: Mapping[str, ProfileReport]) -> Iterator[Front]:
    """Score in the profile's engine against the latency on the profile, unless that is the host's own."""
    for profile in profiles.values():
        costs = {variant.name: profile.latency.get(variant.name) for variant in variants}
        if any(cost is not None and cost != _median(variant, profile.engine)
               for variant, cost in zip(variants, costs.values(), strict=True)):
            yield from _fronts_of(variants, costs, "latency", profile.engine, profile.name)


def _median(variant: VariantReport, engine: str) -> Figure | None:
    """The measured median of a variant in an engine."""
    return variant.latency[engine].median if engine in variant.latency else None


def _fronts_of(variants: Sequence[VariantReport], costs: Mapping[str, Figure | None], cost: Cost, engine: str,
               profile: str | None) -> Iterator[Front]:
    """One front for each provenance that the costs have."""
    kinds: dict[Provenance, None] = dict.fromkeys(found.provenance for found in costs.values() if found is not None)
    for kind in kinds:
        points, missing = [], {}
        for variant in variants:
            found, score = costs[variant.name], _score(variant, engine)
            if score is None:
                missing[variant.name] = _why(variant, engine)
            elif found is None or found.provenance != kind:
                missing[variant.name] = f"no {kind} {cost}"
            else:
                points.append(Point(variant=variant.name, score=score, cost=found))
        if points:
            yield _front(points, missing, Front(cost=cost, engine=engine, profile=profile, provenance=kind, points=(),
                                                front=(), missing={}))


def _front(points: list[Point], missing: dict[str, str], empty: Front) -> Front:
    """The front through the points."""
    ordered = sorted(points, key=lambda point: (point.cost.value, point.variant))
    chosen = pareto_front([(point.cost.value, point.score.value) for point in ordered])
    return empty.model_copy(update={"points": tuple(ordered), "missing": missing,
                                    "front": tuple(ordered[index].variant for index in chosen)})


def _score(variant: VariantReport, engine: str) -> Figure | None:
    """Score of a variant in an engine."""
    return variant.metrics.get(engine, EngineMetrics()).headline


def _why(variant: VariantReport, engine: str) -> str:
    """Why a variant has no score in an engine."""
    metrics = variant.metrics.get(engine)
    return f"not evaluated in {engine}" if metrics is None else (
        metrics.message or f"no {figure_name(metrics.score)} in {engine}: {metrics.status}")
