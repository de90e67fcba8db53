"""A new profile from a few facts: what to ask, how to read each answer, what stands where nothing is said.

    draft = Draft(given={"name": "my-board", "core": "Cortex-M7", "clock": "480 MHz", ...}, sources={"": "ST DS12110"})
    for question in QUESTIONS: draft.settle(question)          # in this order: later defaults rest on earlier answers
    data = draft.profile()

`litesmith profiles new` takes the answers from its options or asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from device_profiles import quantities
from device_profiles.errors import UsageError, near_miss
from device_profiles.loader import names
from device_profiles.prediction.cores import Core, core_names, find_core
from device_profiles.prediction.fit_file import load_fit
from device_profiles.schema import MICRO_ENGINE, Calibrated, EngineName, Profile
from device_profiles.strictyaml_tree import read_tree

SHORTEST_SOURCE = 8
_MOST = {"cores": 1024, "threads": 256}
_ENGINE_OF = {"mcu": MICRO_ENGINE, "cpu": "litert"}
_CLASS_OF = {"mcu": "iot", "cpu": "cpu"}
_CLASSES = ("cpu", "mobile", "iot")
Answer = tuple[Any, str]
"""(value, source); an empty source where the key has none."""


class Missing(Exception):
    """Nothing was said, and nothing can stand for it."""


@dataclass(frozen=True)
class Question:
    """One thing that a profile says.

    Attributes:
        key: its name; as an option `--key`.
        what: the question, with units.
        read: an answer's text to its value.
        default: what stands where nothing is said; None where an answer is needed.
        fact: whether it needs a source.
    """

    key: str
    what: str
    read: Callable[[Draft, str], Any]
    default: Callable[[Draft], Answer | None]
    fact: bool = True


@dataclass
class Draft:
    """Answers so far.

    Attributes:
        given: the user's answers, as text, by key.
        sources: where they are from, by key; "" for all others.
        like: a profile whose facts stand where nothing is said.
        settled: value and source, by key.
        defaulted: keys that nobody answered, in order.
    """

    given: dict[str, str]
    sources: dict[str, str] = field(default_factory=dict)
    like: Profile | None = None
    settled: dict[str, Answer] = field(default_factory=dict)
    defaulted: list[str] = field(default_factory=list)

    def settle(self, question: Question) -> None:
        """Take the user's answer, else the other profile's, else the default.

        Raises:
            Missing: there is none, or none of its source.
            UsageError: the answer cannot be read.
        """
        key = question.key
        if key in self.given:
            value = question.read(self, self.given[key])
            source = self.source(key) if question.fact and value not in (None, "") else ""
            self.settled[key] = value, source
            return
        found = self.proposal(question)
        if found is None:
            raise Missing
        self.settled[key] = found
        self.defaulted.append(key)

    def proposal(self, question: Question) -> Answer | None:
        """What stands where nothing is said: the other profile's, else the default."""
        stale = any(key in self.given for key in _RESTS_ON.get(question.key, ()))
        if self.like is not None and question.key in _COPIED and not stale:
            copied = _COPIED[question.key](self.like)
            if copied is not None:
                return copied
        return question.default(self)

    def source(self, key: str) -> str:
        """Where an answer is from.

        Raises:
            Missing: it was not said.
        """
        text = self.sources.get(key) or self.sources.get("") or ""
        if not text:
            raise Missing
        if len(text) < SHORTEST_SOURCE:
            raise UsageError(f"the source '{text}' is too short", "a datasheet, a publication, a measurement: at least "
                             f"{SHORTEST_SOURCE} characters")
        return text

    def value(self, key: str) -> Any:
        """An answer that was settled."""
        return self.settled[key][0]

    def core(self) -> Core | None:
        """The core's facts, where the predictor has any."""
        try:
            return find_core(str(self.value("core")))
        except UsageError:
            return None

    def published_alike(self) -> list[str]:
        """Published devices with the same core."""
        core = self.core()
        return sorted({setup.device for setup in load_fit().setups.values() if core and setup.known_core() == core})

    def profile(self) -> dict[str, Any]:
        """The profile's data, before it is checked."""
        engine = _engine_section(self.value("engine"), self.like)
        hardware = {yaml: {"value": self.value(key), "source": self.settled[key][1]}
                    for key, yaml in _HARDWARE.items() if self.value(key) not in (None, "")}
        latency = {"kind": "calibrated"} | ({"device": self.value("published")} if self.value("published") else {})
        data: dict[str, Any] = {
            "name": self.value("name"), "device": self.value("device"), "class": self.value("class"),
            "hardware": hardware, **engine, "threads": self.value("threads"), "latency": latency}
        if self.value("power") is not None:
            data["active_power_w"] = {"value": self.value("power"), "source": self.settled["power"][1]}
        if self.like is not None:
            limits = self.like.limits.model_dump(exclude_none=True)
            data |= {"limits": limits} if limits else {}
        return data


# -- how answers are read ----------------------------------------------------------------------------------------------


def _name(_: Draft, text: str) -> str:
    if text in names():
        raise UsageError(f"'{text}' is the name of a shipped profile", "another name", f"try 'my-{text}'")
    if not text or not all(c.isdigit() or "a" <= c <= "z" or c == "-" for c in text) or text.startswith("-"):
        raise UsageError(f"'{text}' is no name of a profile", "a-z, 0-9 and '-', not at the beginning",
                         f"try '{'-'.join(text.lower().replace('_', ' ').split())}'" if text.strip() else "")
    return text


def _any(_: Draft, text: str) -> str:
    if not text.strip():
        raise UsageError("nothing was written", "a text")
    return text.strip()


def _core(_: Draft, text: str) -> str:
    """A core that the predictor knows; a '!' at the end takes any other."""
    text = text.strip()
    if text.endswith("!"):
        return text[:-1].strip()
    try:
        find_core(text)
    except UsageError as error:
        raise UsageError(error.found, error.allowed, f"'{text}!' takes it as it is; its latency is then unknown until "
                         "the device itself is measured") from error
    return text


def _chosen(known: tuple[str, ...], what: str) -> Callable[[Draft, str], str]:
    def read(_: Draft, text: str) -> str:
        """One of the known words."""
        if text not in known:
            raise UsageError(f"'{text}' is no {what}", ", ".join(known), near_miss(text, known))
        return text
    return read


def _published(_: Draft, text: str) -> str:
    known = tuple(sorted({setup.device for setup in load_fit().setups.values()}))
    return "" if text in ("", "none") else _chosen(known, "device of the published measurements")(_, text)


def _features(_: Draft, text: str) -> list[str]:
    return [word for word in text.replace(",", " ").split() if word != "none"]


def _optional_bytes(_: Draft, text: str) -> int | None:
    return None if text in ("", "none") else quantities.memory_bytes(text)


def _optional_power(_: Draft, text: str) -> float | None:
    return None if text in ("", "none") else quantities.power_w(text)


# -- what stands where nothing is said -----------------------------------------------------------------------------


def _nothing(_: Draft) -> Answer | None:
    return None


def _device(draft: Draft) -> Answer | None:
    return str(draft.value("name")), ""


def _class(draft: Draft) -> Answer | None:
    core = draft.core()
    return (_CLASS_OF[core.core_class], "") if core else None


def _cores(draft: Draft) -> Answer | None:
    core = draft.core()
    one = core is not None and core.core_class == "mcu"
    return (1, "a default: TensorFlow Lite Micro runs on one core") if one else None


def _arena(draft: Draft) -> Answer | None:
    core, ram = draft.core(), int(draft.value("ram"))
    if core is not None and core.core_class == "mcu":
        return ram * 3 // 4, "a default: three quarters of the RAM; the rest is for stack, buffers and the application"
    return ram // 4, "a default: a quarter of the RAM, what one application may take for one model"


def _flash(draft: Draft) -> Answer | None:
    core = draft.core()
    return None if core is not None and core.core_class == "mcu" else (None, "")


def _instruction_set(draft: Draft) -> Answer | None:
    core = draft.core()
    known = ["dotprod"] if core is not None and core.dotprod else []
    return known, "a default: what the predictor's table of cores says of 8-bit dot products"


def _engine(draft: Draft) -> Answer | None:
    core = draft.core()
    return (_ENGINE_OF[core.core_class], "") if core else None


def _same_device(draft: Draft) -> Answer | None:
    """The published device of that very name."""
    known = {setup.device for setup in load_fit().setups.values()}
    return (draft.value("name") if draft.value("name") in known else ""), ""


QUESTIONS: tuple[Question, ...] = (
    Question("name", "a short name for the profile: a-z, 0-9 and '-'", _name, _nothing, fact=False),
    Question("device", "the device, for people", _any, _device, fact=False),
    Question("core", "the core that runs the model, such as Cortex-M7 or Cortex-A72", _core, _nothing),
    Question("class", "the class: cpu, mobile or iot", _chosen(_CLASSES, "class"), _class, fact=False),
    Question("cores", "how many of these cores", lambda _, t: quantities.whole(t, _MOST["cores"]), _cores),
    Question("clock", "its clock, such as 480 MHz", lambda _, t: quantities.clock_hz(t), _nothing),
    Question("ram", "RAM of the device, such as 512 KiB or 4 GiB", lambda _, t: quantities.memory_bytes(t), _nothing),
    Question("arena", "how much of it is free for the model", lambda _, t: quantities.memory_bytes(t), _arena),
    Question("flash", "flash that holds the model, or none where there is a file system", _optional_bytes, _flash),
    Question("instruction-set", "features that kernels use, such as neon, dotprod, dsp", _features, _instruction_set),
    Question("engine", "what runs the model: litert, tflite-runtime or tflm",
             _chosen(get_args(EngineName), "engine"), _engine, fact=False),
    Question("threads", "threads that the engine uses", lambda _, t: quantities.whole(t, _MOST["threads"]),
             lambda _: (1, ""), fact=False),
    Question("power", "power while an inference runs, such as 41 mW, or none", _optional_power, lambda _: (None, "")),
    Question("published", "the same device among the published measurements, or none", _published, _same_device,
             fact=False),
)
_HARDWARE = {"core": "core", "cores": "cores", "clock": "clock_hz", "instruction-set": "instruction_set",
             "ram": "ram_bytes", "arena": "arena_bytes", "flash": "flash_bytes"}


def _copy(key: str) -> Callable[[Profile], Answer | None]:
    def copied(like: Profile) -> Answer | None:
        """The fact with its own source."""
        fact = getattr(like.hardware, key) if like.hardware is not None else None
        if fact is None:
            return None
        return (list(fact.value) if isinstance(fact.value, tuple) else fact.value), fact.source
    return copied


_COPIED: Mapping[str, Callable[[Profile], Answer | None]] = {
    **{key: _copy(yaml) for key, yaml in _HARDWARE.items()},
    "class": lambda like: (like.device_class, ""),
    "engine": lambda like: (like.engine.name, ""), "threads": lambda like: (like.threads, ""),
    "power": lambda like: (like.active_power_w.value, like.active_power_w.source) if like.active_power_w else None,
    "published": lambda like: (like.latency.device, "") if isinstance(like.latency, Calibrated) else None,
}
_RESTS_ON = {"arena": ("ram",), "published": ("core", "clock"), "power": ("core", "clock"), "cores": ("core",),
             "instruction-set": ("core",), "class": ("core",), "engine": ("core",), "threads": ("engine", "core")}
"""What another profile says of a key holds no more where one of these was given."""


def _engine_section(name: str, like: Profile | None) -> dict[str, Any]:
    """The engine by name; its formats and operators need not be written, unless the other profile has its own."""
    if like is not None and like.engine.name == name:
        return like.model_dump(mode="json", by_alias=True, include={"engine", "formats", "operators"})
    return {"engine": {"name": name}}


def changed(data: dict[str, Any], changes: Mapping[str, str]) -> dict[str, Any]:
    """The data with values set by dotted keys: `limits.latency_median_ms` -> `20`; the values are YAML.

    Raises:
        UsageError: a key leads through a value, or a value is no YAML.
    """
    for key, text in changes.items():
        *outer, last = key.split(".")
        place = data
        for name in outer:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise UsageError(f"--set {key}: '{name}' is a value, not a mapping", "a key of the profile, with dots")
        place[last] = read_tree(f"value: {text}", f"--set {key}").data["value"]
    return data


__all__ = ["QUESTIONS", "Answer", "Draft", "Missing", "Question", "changed", "core_names"]
