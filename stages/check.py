"""Hold every variant against every profile, limit by limit, and pick for each profile the best variant that passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from device_profiles.errors import StageError, UsageError, with_near_miss
from device_profiles.loader import with_limits
from device_profiles.records import Figure, Record
from device_profiles.schema import MEASURED_LIMITS, MICRO_ENGINE, Profile
from device_profiles.workload import read_workload
from stages.artifacts import TFLITE_FILE, read_result
from stages.checking.device import why_another_device
from stages.checking.fit import Fitting, Subject, fit
from stages.checking.micro import footprints
from stages.checking.npu import shipped_bytes
from stages.checking.pick import Candidate, Choice, pick, picks, reason
from stages.context import StageContext
from stages.npu import compiled_name
from stages.outputs import overall_score, score_name
from stages.records import BenchmarkResult, CheckResult, EvaluateResult, ProfileCheck
from stages.records.npu import CompileResult
from stages.reporting.junit import junit_xml
from stages.reporting.places import HOST, place_of
from stages.reporting.record import json_text
from stages.reporting.text import plural

NAME = "check"
VERSION = 5
LIBRARIES: tuple[str, ...] = ()


class Settings(Record):
    """What a user may write under `check:`."""

    choice: Choice = Field("smallest", description="which of the variants that pass wins: smallest, fastest or "
                                                   "most-accurate")
    require: Literal["all"] | tuple[str, ...] = Field(
        "all", description="profiles that must have a variant that fits, else the exit code is 3: all, or a list")
    limits: dict[str, dict[str, float | None]] = Field(
        default_factory=dict, description="by profile: limits that replace the profile's own; null takes one away")


class Options(Settings):
    """The same, with the profiles that the plan has read."""

    profiles: tuple[Profile, ...]


def asked_limits(settings: Settings, profiles: Iterable[Profile]) -> tuple[str, ...]:
    """The limits of any profile that take more measuring than outputs on the test split.

    Raises:
        UsageError: `limits` names a limit that does not exist, or gives it a value that cannot be.
    """
    limits = [with_limits(profile, settings.limits.get(profile.name, {})).limits for profile in profiles]
    return tuple(name for name in MEASURED_LIMITS if any(getattr(each, name) is not None for each in limits))


def run(*, tflites: Mapping[str, Path], evaluations: Mapping[str, Path], benchmark: Path, options: Options,
        context: StageContext, devices: Mapping[str, Path] | None = None,
        compilations: Mapping[str, Path] | None = None) -> CheckResult:
    """Check all variants; write `verdicts.json` and `junit.xml`.

    Args:
        tflites: by variant, the artifact with `model.tflite`.
        evaluations: by variant, the artifact of `evaluate`.
        benchmark: the artifact of `benchmark`.
        options: with the profiles.
        context: where to write.
        devices: by profile that was measured on a target of its own, the artifact of that `benchmark`.
        compilations: by `variant@profile`, the artifact of `compile`, for the profiles with an NPU.

    Raises:
        UsageError: `require` or `limits` names a profile that is not checked, or a limit that does not exist.
        StageError: a variant has no evaluation.
        StoreError: an artifact without a readable result.
        TfliteError: a `model.tflite` that is no whole tflite model.
    """
    profiles = _profiles(options)
    measured = read_result(benchmark, BenchmarkResult)
    there = {name: read_result(folder, BenchmarkResult) for name, folder in (devices or {}).items()}
    subjects = []
    for done, (name, folder) in enumerate(tflites.items()):
        context.progress(done, len(tflites), f"checking {name}")
        subject = _subject(name, folder, evaluations, measured, profiles)
        subjects.append(subject.model_copy(update={"compiled": _compiled(name, profiles, compilations or {})}))
    required = set(profiles) if options.require == "all" else set(options.require)
    checks = {name: _check_profile(_seen_from(there.get(name), subjects), profile, options.choice,
                                   required=name in required) for name, profile in profiles.items()}
    fits = all(check.winner is not None for check in checks.values() if check.required)
    result = CheckResult(summary=_summary(checks), profiles=checks, fits=fits,
                         warnings=_warnings(profiles, measured, there))
    (context.out / "verdicts.json").write_text(json_text(_flat(checks), pretty=True), encoding="utf-8")
    (context.out / "junit.xml").write_bytes(junit_xml(checks))
    context.progress(len(tflites), len(tflites), "checked")
    return result


def _profiles(options: Options) -> dict[str, Profile]:
    """The profiles by name, with the run file's limits; every name that the options use must be one of them."""
    known = {profile.name: profile for profile in options.profiles}
    required = () if options.require == "all" else options.require
    for key, names in (("require", required), ("limits", tuple(options.limits))):
        for name in names:
            if name not in known:
                found = f"check.{key} names the profile '{name}', which is not checked"
                raise UsageError(with_near_miss(found, name, known), ", ".join(known) or "no profile is checked",
                                 "litesmith profiles list")
    return {name: with_limits(profile, options.limits.get(name, {})) for name, profile in known.items()}


def _subject(name: str, folder: Path, evaluations: Mapping[str, Path], measured: BenchmarkResult,
             profiles: Mapping[str, Profile]) -> Subject:
    """All that is known about one variant."""
    if name not in evaluations:
        raise StageError(f"variant '{name}' has no evaluation", f"an evaluation of each of {', '.join(evaluations)}",
                         "litesmith evaluate")
    content, evaluated = (folder / TFLITE_FILE).read_bytes(), read_result(evaluations[name], EvaluateResult)
    runs = measured.variants.get(name, {})
    return Subject(name=name, tflite_bytes=len(content), workload=read_workload(content),
                   evaluated=evaluated.engines, evaluated_on=evaluated.target,
                   measured=runs, target=measured.target,
                   micro=footprints(content, profiles.values(), runs.get(MICRO_ENGINE)))


def _seen_from(device: BenchmarkResult | None, subjects: list[Subject]) -> list[Subject]:
    """The variants with what was measured on a profile's own device, where there is such a benchmark."""
    return subjects if device is None else [subject.model_copy(update={
        "measured": subject.measured | device.variants.get(subject.name, {}), "target": device.target})
        for subject in subjects]


def _compiled(variant: str, profiles: Iterable[str], compilations: Mapping[str, Path]) -> dict[str, CompileResult]:
    """By profile with an NPU, what Vela made of a variant."""
    folders = {profile: compilations.get(compiled_name(variant, profile)) for profile in profiles}
    return {profile: read_result(folder, CompileResult) for profile, folder in folders.items() if folder is not None}


def _check_profile(subjects: list[Subject], profile: Profile, choice: Choice, *, required: bool) -> ProfileCheck:
    """One profile with its winner."""
    fittings = {subject.name: fit(subject, profile) for subject in subjects}
    candidates = [_candidate(subject, profile, fittings[subject.name]) for subject in subjects]
    winner = pick(candidates, choice)
    return ProfileCheck(
        profile=profile.name, device=profile.device, device_class=profile.device_class, engine=profile.engine.name,
        required=required, choice=choice, winner=winner.variant if winner else None,
        reason=reason(candidates, choice), picks=picks(candidates),
        latency={name: fitting.latency for name, fitting in fittings.items()},
        variants={name: fitting.check for name, fitting in fittings.items()})


def _candidate(subject: Subject, profile: Profile, fitting: Fitting) -> Candidate:
    """What the pick looks at."""
    score, name = _score(subject, profile)
    compiled = subject.compiled.get(profile.name) if profile.npu is not None else None
    return Candidate(variant=subject.name, tflite_bytes=shipped_bytes(compiled, subject.tflite_bytes),
                     latency=fitting.latency, score=score, score_name=name, check=fitting.check)


def _score(subject: Subject, profile: Profile) -> tuple[Figure | None, str]:
    """The task's score in the engine that the profile runs, and what it is called."""
    found = subject.evaluated.get(profile.engine.name)
    known = [one for one in (found, *subject.evaluated.values()) if one is not None and one.metrics is not None]
    name = score_name(known[0].metrics, known[0].outputs) if known and known[0].metrics else "score"
    return overall_score(found.metrics, found.outputs) if found and found.metrics else None, name


def _summary(checks: Mapping[str, ProfileCheck]) -> str:
    """One line: `2 of 3 profiles have a variant that fits: cpu int8, mobile int8; iot none`."""
    won = [check for check in checks.values() if check.winner is not None]
    told = ", ".join(f"{check.profile} {check.winner or 'none'}" for check in checks.values())
    verb = "has" if len(checks) == 1 else "have"
    return f"{len(won)} of {plural(len(checks), 'profile')} {verb} a variant that fits: {told}"


def _warnings(profiles: Mapping[str, Profile], measured: BenchmarkResult,
              there: Mapping[str, BenchmarkResult]) -> tuple[str, ...]:
    """Profiles whose device was not measured though it could be, or with another version of its engine."""
    found = {name: there.get(name, measured) for name in profiles}
    elsewhere = [
        f"profile {name} names the target {profile.target}, where nothing was measured (only on "
        f"{place_of(found[name].target).words}); litesmith benchmark measures there unless benchmark.devices is false"
        for name, profile in profiles.items() if profile.target not in (None, found[name].target)]
    others = [f"profile {name} is {profile.device}, but {why}: its figures are another device's"
              for name, profile in profiles.items()
              if found[name].target == profile.target and (why := why_another_device(profile, found[name]))]
    return (*elsewhere, *others, *(
        f"profile {name} names {profile.engine.name} {profile.engine.version}; measured with {version}"
        for name, profile in profiles.items() if found[name].target == (profile.target or HOST)
        if (profile.target or profile.latency.kind == "measured") and profile.engine.version != "any"
        for version in _versions(found[name], profile.engine.name) if version != profile.engine.version))


def _versions(measured: BenchmarkResult, engine: str) -> list[str]:
    """The versions of an engine that measured."""
    return sorted({run.engine_version for runs in measured.variants.values() for run in runs.values()
                   if run.status == "ok" and run.engine == engine})


def _flat(checks: Mapping[str, ProfileCheck]) -> list[dict[str, object]]:
    """A row for each profile, variant and limit: easy to filter."""
    return [{"profile": name, "variant": variant, **limit.model_dump(mode="python")}
            for name, check in checks.items() for variant, one in check.variants.items() for limit in one.limits]
