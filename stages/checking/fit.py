"""One variant on one profile, limit by limit: first whether the device can run it at all, then each limit that is set.

What the device cannot run is a `fail` that says so. Its latency and energy are then not looked at: a figure
for something that cannot run would only mislead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from pydantic import Field

from device_profiles import support
from device_profiles.predictor import predict_energy, predict_latency
from device_profiles.records import Figure, Record
from device_profiles.schema import MICRO_ENGINE, SAFETY_LIMITS, Profile
from device_profiles.workload import Workload
from stages.checking import npu
from stages.checking.judge import accept, in_rounds, judge, refuse, unknown, worst
from stages.checking.micro import MicroFootprint
from stages.checking.safety import judge_drop, judge_safety
from stages.npu.latency import whole_latency
from stages.records import EngineBenchmark, EngineEvaluation, EngineStatus, LimitVerdict, VariantCheck
from stages.records.npu import CompileResult
from stages.reporting.places import HOST, place_of

MOST_LISTED = 12
"""Up to so many operators a text names; above, it counts them."""
ABILITIES = ("formats", "operators", "engine", "npu", "npu_sram_bytes", "ram_bytes", "flash_bytes")
"""Limits that a device sets by what it is; those of `device_profiles.schema.Limits` are the user's."""
_RULE_ABILITY = {"formats": "formats", "memory": "ram_bytes", "flash": "flash_bytes"}
_NOT_RUN = "not looked at: the device cannot run this variant"


class Subject(Record):
    """A variant with all that is known about it.

    Attributes:
        evaluated: by engine.
        measured: by engine, on the target.
        target: where; a profile's own target makes it that profile's latency.
        micro: by profile of a microcontroller, the arena and flash predicted for its core.
        compiled: by profile with an NPU, what Vela made of it.
        evaluated_on: the target of the evaluation.
    """

    name: str
    tflite_bytes: int
    workload: Workload
    evaluated: dict[str, EngineEvaluation]
    measured: dict[str, EngineBenchmark]
    target: str = "host"
    micro: dict[str, MicroFootprint] = Field(default_factory=dict)
    compiled: dict[str, CompileResult] = Field(default_factory=dict)
    evaluated_on: str = "host"


class Fitting(Record):
    """The verdicts, and the median latency that they were found with (None where none can be had)."""

    check: VariantCheck
    latency: Figure | None


class _Latency(Record):
    """Median and p90 on the profile, or why there are none; `rounds` that a measurement came in."""

    median: Figure | None = None
    p90: Figure | None = None
    missing: str = ""
    rounds: int = 0


class _Case(Record):
    """One variant on one profile, with the latency that its limits are held against."""

    subject: Subject
    profile: Profile
    latency: _Latency


def fit(subject: Subject, profile: Profile) -> Fitting:
    """Hold one variant against one profile."""
    subject = _shipped(subject, profile)
    abilities = list(_abilities(subject, profile))
    runs = all(limit.verdict != "fail" for limit in abilities)
    latency = _latency(subject, profile) if runs else _Latency(missing=_NOT_RUN)
    limits = (*abilities, *_limits(_Case(subject=subject, profile=profile, latency=latency)))
    check = VariantCheck(variant=subject.name, verdict=worst(limit.verdict for limit in limits), limits=limits)
    return Fitting(check=check, latency=latency.median)


def _on_npu(subject: Subject, profile: Profile) -> CompileResult | None:
    """What Vela made of the variant, where the profile's NPU runs any of it."""
    compiled = subject.compiled.get(profile.name) if profile.npu is not None else None
    return compiled if npu.runs_on_npu(compiled) else None


def _shipped(subject: Subject, profile: Profile) -> Subject:
    """The variant as the device gets it: compiled, with the operators that stay on the CPU, where there is an NPU."""
    compiled = _on_npu(subject, profile)
    if compiled is None:
        return subject
    return subject.model_copy(update={"tflite_bytes": npu.shipped_bytes(compiled, subject.tflite_bytes),
                                      "workload": npu.left_to_cpu(subject.workload, compiled),
                                      "micro": {}})


# -- can it run at all -------------------------------------------------------------------------------------------------


def _abilities(subject: Subject, profile: Profile) -> Iterator[LimitVerdict]:
    """The limits that the device sets by what it is, in the order of `ABILITIES`."""
    broken: dict[str, list[str]] = {}
    for reason in support.reasons(subject.workload, profile):
        broken.setdefault(_RULE_ABILITY.get(reason.rule, "operators"), []).append(reason.text)
    yield _rule("formats", broken, subject.workload.number_format, ", ".join(profile.formats.value))
    operators = sorted({op.label for op in subject.workload.operators})
    yield _rule("operators", broken, ", ".join(operators) or "none on the CPU", _operators_allowed(profile))
    yield _engine(subject, profile)
    if profile.npu is not None:
        yield npu.judge_npu(subject.compiled.get(profile.name))
    compiled = _on_npu(subject, profile)
    if compiled is not None and compiled.memory is not None:
        yield from npu.judge_memory(compiled.memory, profile)
    elif profile.hardware is not None:
        yield _ram(subject, profile, broken)
    if profile.hardware is not None and profile.hardware.flash_bytes is not None:
        yield judge("flash_bytes", _flash(subject, profile), profile.hardware.flash_bytes.value, "bytes")


def _operators_allowed(profile: Profile) -> str:
    """The operators that the device takes, counted where they are many."""
    known, engine = profile.operators.value, f"{profile.engine.name} {profile.engine.version}"
    if known == "all":
        return f"all of {engine}"
    return ", ".join(known) if len(known) <= MOST_LISTED else f"the {len(known)} operators of {engine}"


def _rule(ability: str, broken: dict[str, list[str]], found: str, allowed: str) -> LimitVerdict:
    """Pass, or the reasons that stand against it."""
    if ability in broken:
        return refuse(ability, found, allowed, "; ".join(broken[ability]))
    return accept(ability, found, allowed)


def _engine(subject: Subject, profile: Profile) -> LimitVerdict:
    """What the profile's engine itself did with the model, here: it ran, refused, crashed, or is not installed."""
    engine = profile.engine.name
    allowed = f"{engine} runs it"
    found = ((subject.evaluated.get(engine), subject.evaluated_on), (subject.measured.get(engine), subject.target))
    outcomes = [(run.status, run.message, run.engine_version, where) for run, where in found if run is not None]
    if not outcomes:
        return unknown("engine", allowed, f"{engine} was neither evaluated nor benchmarked")
    status, message, version, where = next((one for one in outcomes if one[0] != "ok"), outcomes[0])
    if status == "ok":
        return accept("engine", f"{engine} {version} runs it", allowed, place_of(where).provenance)
    said = f"{engine} {_words(status, where)}"
    why = f"{said}: {message}" if message else said
    return refuse("engine", said, allowed, why) if status == "refused" else unknown("engine", allowed, why)


def _words(status: EngineStatus, where: str) -> str:
    """A status as a predicate; where the engine was asked."""
    there = "here" if where == HOST else f"on {place_of(where).words}"
    return {"ok": "runs it", "refused": "refuses it", "unavailable": f"is not available {there}",
            "crashed": "crashed on it", "timeout": "did not answer in time"}[status]


def _ram(subject: Subject, profile: Profile, broken: dict[str, list[str]]) -> LimitVerdict:
    """The arena against the RAM that is free; where no arena is known, at least the activations that live at once."""
    if profile.hardware is None:
        return unknown("ram_bytes", "no hardware is stated", "the profile states no RAM")
    free = profile.hardware.arena_bytes.value
    arena = arena_figure(subject, profile)
    if arena is not None:
        found = judge("ram_bytes", arena, free, "bytes")
        ram = f"{profile.device} has {profile.hardware.ram_bytes.value:,} bytes of RAM, of which {free:,} are free"
        return found if found.verdict == "pass" else found.model_copy(update={"why": f"{found.why}; {ram}"})
    needed = Figure(value=subject.workload.activation_peak_bytes, unit="bytes", provenance="predicted",
                    method="activations that live at the same time, from the graph: no arena can be smaller")
    if "ram_bytes" in broken:
        refusal = refuse("ram_bytes", f"at least {needed.value:,.0f} bytes", f"at most {free:,} bytes",
                         "; ".join(broken["ram_bytes"]))
        return refusal.model_copy(update={"found": needed, "allowed": float(free), "provenance": "predicted"})
    if profile.engine.name == MICRO_ENGINE:
        return unknown("ram_bytes", f"at most {free:,} bytes", _why_no_arena(subject))
    return accept("ram_bytes", f"at least {needed.value:,.0f} bytes", f"at most {free:,} bytes", "predicted")


# -- the user's limits -------------------------------------------------------------------------------------------------


def _limits(case: _Case) -> Iterator[LimitVerdict]:
    """Each limit that the profile sets, in the order of `_HELD`."""
    for name, hold in _HELD.items():
        bound = getattr(case.profile.limits, name)
        if bound is not None:
            yield hold(case, bound)


def _held_tflite_bytes(case: _Case, bound: float) -> LimitVerdict:
    return judge("tflite_bytes", file_size(case.subject), bound, "bytes")


def _held_arena(case: _Case, bound: float) -> LimitVerdict:
    return judge("arena_bytes", arena_figure(case.subject, case.profile), bound, "bytes", _why_no_arena(case.subject))


def _held_peak(case: _Case, bound: float) -> LimitVerdict:
    return judge("peak_memory_bytes", _peak(case.subject, case.profile), bound, "bytes",
                 _why_unmeasured(case.subject, case.profile, "peak memory"))


def _held_drop(case: _Case, bound: float) -> LimitVerdict:
    """How far the task's score falls in the engine that the profile runs: points of accuracy, of R2, ..."""
    return judge_drop(_evaluated(case), bound, _why_not_evaluated(case, "the drop"))


def _held_safety(limit: str, case: _Case, bound: float) -> LimitVerdict:
    """What the mean hides, in the engine that the profile runs."""
    found = _evaluated(case)
    return judge_safety(limit, found.safety if found else None, bound, _why_not_evaluated(case, "it"))


def _evaluated(case: _Case) -> EngineEvaluation | None:
    """The evaluation in the engine that the profile runs."""
    return case.subject.evaluated.get(case.profile.engine.name)


def _why_not_evaluated(case: _Case, what: str) -> str:
    """Why there is no figure."""
    found, engine = _evaluated(case), case.profile.engine.name
    if found is not None and found.status != "ok":
        return f"{engine} {_words(found.status, case.subject.evaluated_on)}: see engine"
    return f"{what} was not evaluated in {engine}"


def _held_median(case: _Case, bound: float) -> LimitVerdict:
    return _judge_latency("latency_median_ms", case.latency.median, bound, case.latency, case.latency.missing)


def _judge_latency(limit: str, found: Figure | None, bound: float, latency: _Latency, missing: str) -> LimitVerdict:
    """A latency against its bound; an open one says how many rounds would decide."""
    needed = partial(in_rounds, found, bound, latency.rounds) if found is not None else None
    return judge(limit, found, bound, "ms", missing, needed)


def _held_energy(case: _Case, bound: float) -> LimitVerdict:
    why = "the profile states no power" if case.profile.active_power_w is None else case.latency.missing
    return judge("energy_uj", predict_energy(case.profile, case.latency.median), bound, "uJ", why)


def file_size(subject: Subject) -> Figure:
    """Bytes of the tflite model: exact."""
    return Figure(value=subject.tflite_bytes, unit="bytes", provenance="measured", method="size of the file")


def arena_figure(subject: Subject, profile: Profile) -> Figure | None:
    """The arena as TFLM reports it, where the profile runs TFLM; other engines plan their memory differently.

    Of a compiled model it is what Vela laid out, where that lies in SRAM as a whole.
    """
    compiled = _on_npu(subject, profile)
    if compiled is not None and compiled.memory is not None:
        return npu.sram_figure(compiled.memory) if not compiled.memory.dram else None
    run = subject.measured.get(MICRO_ENGINE) if profile.engine.name == MICRO_ENGINE else None
    there = subject.micro.get(profile.name)
    if there is not None and there.arena is not None and (run is None or run.status == "ok"):
        return there.arena_figure
    return run.arena if run else None


def _flash(subject: Subject, profile: Profile) -> Figure:
    """What the variant takes in flash: with its runtime's code where that is known, else the file alone."""
    there = subject.micro.get(profile.name)
    return (there.flash_figure if there else None) or file_size(subject)


def _why_no_arena(subject: Subject) -> str:
    """Why there is no arena."""
    run = subject.measured.get(MICRO_ENGINE)
    if run is None or run.status == "ok":
        return f"only {MICRO_ENGINE} reports an arena, on a profile that runs it"
    return f"{MICRO_ENGINE} {_words(run.status, subject.target)}: see engine"


def _peak(subject: Subject, profile: Profile) -> Figure | None:
    """Peak memory of the engine's process: a figure of the machine that it was measured on."""
    run = subject.measured.get(profile.engine.name)
    return run.peak_memory if run and _is_measured_there(subject, profile) else None


def _is_measured_there(subject: Subject, profile: Profile) -> bool:
    """Whether the benchmark ran on the profile's device: on its target, or on this host where the profile is that."""
    return subject.target == (profile.target or (HOST if profile.latency.kind == "measured" else None))


def _why_unmeasured(subject: Subject, profile: Profile, what: str) -> str:
    """Why something that only a measurement gives is not there."""
    run = subject.measured.get(profile.engine.name)
    place = place_of(subject.target)
    if place.provenance == "emulated":
        return f"{place.words} counts instructions; it tells no {what}"
    if not _is_measured_there(subject, profile):
        return f"{what} was measured on {place.words} only; {profile.device} is another machine"
    if run is None:
        return f"{profile.engine.name} was not benchmarked"
    return f"{profile.engine.name} {_words(run.status, subject.target)}: see engine" if run.status != "ok" else (
        f"{profile.engine.name} gave no {what}")


def _latency(subject: Subject, profile: Profile) -> _Latency:
    """Measured where the benchmark ran on the profile's device, else predicted."""
    compiled = _on_npu(subject, profile)
    if compiled is not None:
        figure, missing = whole_latency(subject.workload, profile, compiled)
        return _Latency(median=figure, missing=missing)
    if profile.npu is not None and npu.is_open(subject.compiled.get(profile.name)):
        return _Latency(missing=npu.judge_npu(subject.compiled.get(profile.name)).why)
    run = subject.measured.get(profile.engine.name)
    told = run is not None and run.median is not None and run.threads == profile.threads
    if profile.latency.kind != "measured" and not (told and _is_measured_there(subject, profile)):
        prediction = predict_latency(subject.workload, profile)
        return _Latency(median=prediction.figure, missing=prediction.reason)
    if run is None or run.median is None or not _is_measured_there(subject, profile):
        return _Latency(missing=_why_unmeasured(subject, profile, "latency"))
    if run.threads != profile.threads:
        return _Latency(missing=f"it was measured with {run.threads} threads; the profile runs {profile.threads}")
    return _Latency(median=run.median, p90=run.p90, rounds=run.rounds)


def _held_p90(case: _Case, bound: float) -> LimitVerdict:
    """The 90th percentile, measured; from a prediction of the median only a fail can follow, since p90 >= median."""
    latency, median = case.latency, case.latency.median
    if latency.p90 is None and median is not None and median.provenance == "predicted":
        low = median.interval[0] if median.interval else 0.0
        if low > bound:
            found = judge("latency_p90_ms", median, bound, "ms")
            return found.model_copy(update={"why": f"the median alone is {found.why}, and a p90 is never below it"})
        return judge("latency_p90_ms", None, bound, "ms", "the prediction is of the median; only a measurement on the "
                                                          "device tells its p90")
    missing = latency.missing or "too few samples for a 90th percentile: let the benchmark take more rounds"
    return _judge_latency("latency_p90_ms", latency.p90, bound, latency, missing)


_Hold = Callable[[_Case, float], LimitVerdict]
_HELD: dict[str, _Hold] = {
    "tflite_bytes": _held_tflite_bytes, "arena_bytes": _held_arena, "peak_memory_bytes": _held_peak,
    "accuracy_drop_points": _held_drop, **{limit: partial(_held_safety, limit) for limit in SAFETY_LIMITS},
    "latency_median_ms": _held_median, "latency_p90_ms": _held_p90,
    "energy_uj": _held_energy}
"""By limit of `device_profiles.schema.Limits`, how a variant is held against it."""
