"""The run file: what a user may write, and how it is read. The config is a frozen record, YAML only its spelling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from device_profiles import strictyaml
from device_profiles.errors import ConfigError, ModelError, UsageError, VariantError, with_near_miss
from device_profiles.loader import load_profile, names
from device_profiles.records import Record
from device_profiles.schema import Profile
from stages.baseline import Settings as BaselineSettings
from stages.benchmark import Settings as BenchmarkSettings
from stages.calibrate import Settings as CalibrateSettings
from stages.check import Settings as CheckSettings
from stages.compile import Settings as CompileSettings
from stages.convert import Settings as ConvertSettings
from stages.datasets import AnySettings
from stages.distil import Settings as DistilSettings
from stages.evaluate import Settings as EvaluateSettings
from stages.examine import Settings as ExamineSettings
from stages.model import Settings as ModelSettings
from stages.pack import Settings as PackSettings
from stages.prepare import Settings as PrepareSettings
from stages.prune import Settings as PruneSettings
from stages.quantize import Settings as QuantizeSettings
from stages.report import Settings as ReportSettings
from stages.safety import early
from stages.sensitivity import Settings as SensitivitySettings
from stages.slim import Settings as SlimSettings
from stages.tasks.settings import TaskSettings
from stages.train import Settings as TrainSettings
from stages.variants import Variant, parse_variant

FILE_NAME = "litesmith.yaml"
DEFAULT_VARIANTS = ("float32", "float16", "dynamic", "int8", "int8qat", "int16x8", "pruned75-int8",
                    "pruned75-int8qat", "clustered16-int8")


R = TypeVar("R", bound=Record)


class VariantEntry(Record):
    """A variant, with options of its own where the run's are not to hold.

    In the run file either a name, or a mapping with `name` and any of the sections below: what is given there stands
    over the run's own settings for this variant alone.
    """

    name: str = Field(description="the variant's name, by the grammar that 'litesmith variants' prints")
    distil: DistilSettings | None = None
    slim: SlimSettings | None = None
    prune: PruneSettings | None = None
    quantize: QuantizeSettings | None = None
    convert: ConvertSettings | None = None
    pack: PackSettings | None = None

    @field_validator("name")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            return parse_variant(value).name
        except VariantError as error:
            raise strictyaml.refusal(error.found, error.allowed, error.next_step) from error

    def variant(self) -> Variant:
        """The name, read."""
        return parse_variant(self.name)

    def settings(self, stage: str, run: R) -> R:
        """The run's settings of a stage with this variant's own over them."""
        own: R | None = getattr(self, stage)
        if own is None:
            return run
        return run.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})


def _entry(value: object) -> object:
    """A bare name is an entry with nothing but a name."""
    return {"name": value} if isinstance(value, str) else strictyaml.with_tuples(value)


def _model(value: object) -> object:
    """A bare name or path is a model with nothing but a source."""
    return {"source": value} if isinstance(value, str) else strictyaml.with_tuples(value)


def _sources(info: ValidationInfo) -> list[AnySettings]:
    """The data's source, where `data` itself is right."""
    return [info.data["data"].source] if "data" in info.data else []


@contextmanager
def _refused_at(*keys: str) -> Iterator[None]:
    """A usage error inside becomes a fault of the key below the validated section."""
    try:
        yield
    except UsageError as error:
        raise strictyaml.refusal(error.found, error.allowed, error.next_step, keys) from error


class RunConfig(Record):
    """Everything that a run is made from."""

    name: str = Field("digits", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="name of the run and its folder")
    seed: int = Field(1, ge=0, lt=2**31, description="of split, initial weights, shuffling and bootstrap")
    task: TaskSettings = TaskSettings()
    model: Annotated[ModelSettings, BeforeValidator(_model)] = ModelSettings()
    data: PrepareSettings = PrepareSettings()
    examine: ExamineSettings = ExamineSettings()
    train: TrainSettings = TrainSettings()
    baseline: BaselineSettings = BaselineSettings()
    distil: DistilSettings = DistilSettings()
    slim: SlimSettings = SlimSettings()
    prune: PruneSettings = PruneSettings()
    sensitivity: SensitivitySettings = SensitivitySettings()
    quantize: QuantizeSettings = QuantizeSettings()
    convert: ConvertSettings = ConvertSettings()
    pack: PackSettings = PackSettings()
    calibrate: CalibrateSettings = CalibrateSettings()
    calibration_study: bool = Field(False, description="measure how many calibration samples are enough")
    evaluate: EvaluateSettings = EvaluateSettings()
    benchmark: BenchmarkSettings = BenchmarkSettings()
    compile: CompileSettings = CompileSettings()
    check: CheckSettings = CheckSettings()
    report: ReportSettings = ReportSettings()
    variants: tuple[Annotated[VariantEntry, BeforeValidator(_entry)], ...] = Field(
        tuple(VariantEntry(name=name) for name in DEFAULT_VARIANTS), min_length=1, description="what to make")
    profiles: tuple[str, ...] = Field(("cpu", "mobile", "iot"), min_length=1,
                                      description="device profiles: shipped names or paths of YAML files")

    @field_validator("model")
    @classmethod
    def _model_known(cls, value: ModelSettings) -> ModelSettings:
        try:
            value.origin()
        except ModelError as error:
            raise strictyaml.refusal(error.found, error.allowed, error.next_step) from error
        return value

    @field_validator("baseline")
    @classmethod
    def _corruptions_fit(cls, value: BaselineSettings, info: ValidationInfo) -> BaselineSettings:
        for source in _sources(info):
            with _refused_at("corruptions", "layout"):
                early.check_layout(value.corruptions.layout, source)
            with _refused_at("corruptions", "kinds"):
                early.check_corruptions(value.corruptions.kinds, value.corruptions.layout, source)
        return value

    @field_validator("evaluate")
    @classmethod
    def _slices_are_there(cls, value: EvaluateSettings, info: ValidationInfo) -> EvaluateSettings:
        for source in _sources(info):
            with _refused_at("slices"):
                early.check_slices(value.slices, source)
        return value

    @field_validator("check")
    @classmethod
    def _limits_can_be_measured(cls, value: CheckSettings, info: ValidationInfo) -> CheckSettings:
        for source in _sources(info):
            for profile, limits in value.limits.items():
                with _refused_at("limits", profile, early.SLICE):
                    early.check_limits([name for name, bound in limits.items() if bound is not None], source)
        return value

    @field_validator("variants")
    @classmethod
    def _no_doubles(cls, value: tuple[VariantEntry, ...]) -> tuple[VariantEntry, ...]:
        seen = [entry.name for entry in value]
        doubled = sorted({name for name in seen if seen.count(name) > 1})
        if doubled:
            raise strictyaml.refusal(f"variant '{doubled[0]}' is there twice", "each variant once")
        return value

    @field_validator("profiles")
    @classmethod
    def _profiles_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise strictyaml.refusal("a profile is there twice", "each profile once")
        for name in value:
            if "/" not in name and not name.endswith((".yaml", ".yml")) and name not in names():
                raise strictyaml.refusal(with_near_miss(f"no profile is called '{name}'", name, names()),
                                         f"{', '.join(names())}, or the path of a .yaml file",
                                         "litesmith profiles list")
        return value

    def loaded_profiles(self) -> tuple[Profile, ...]:
        """The profiles, read and checked."""
        return tuple(load_profile(name) for name in self.profiles)

    def only(self, wanted: Iterable[str]) -> RunConfig:
        """The config with these variants alone; one that it does not list is added with the run's own settings.

        Raises:
            VariantError: a name that the grammar does not know.
        """
        listed = {entry.name: entry for entry in self.variants}
        chosen = tuple(listed.get(name) or VariantEntry(name=parse_variant(name).name)
                       for name in dict.fromkeys(wanted))
        return self.model_copy(update={"variants": chosen}) if chosen else self

    def as_yaml(self) -> str:
        """The whole config, defaults included, as a run file that gives the same run."""
        return _dumped(self.model_dump(mode="json", exclude_none=True))


def _dumped(values: dict[str, Any]) -> str:
    """A mapping as YAML."""
    from io import StringIO

    from ruamel.yaml import YAML

    text, yaml = StringIO(), YAML(typ="safe", pure=True)
    yaml.representer.ignore_aliases = lambda _: True  # one value in two places is written out twice, without an anchor
    yaml.dump(values, text)
    return text.getvalue()


def default_text() -> str:
    """The commented run file that `litesmith init` writes: the default run, spelled out."""
    return resources.files("pipeline").joinpath("templates", FILE_NAME).read_text(encoding="utf-8")


def load(path: Path | None = None, changes: Iterable[str] = ()) -> tuple[RunConfig, str]:
    """Read the run file.

    Args:
        path: the file; None takes `litesmith.yaml` in the working folder, or the shipped run file where there is none.
        changes: `key.key=value` words that stand over the file.

    Returns:
        The config, and where it comes from, for people.

    Raises:
        ConfigError: the file breaks the schema.
        UsageError: a change does.
    """
    if path is None and Path(FILE_NAME).is_file():
        path = Path(FILE_NAME)
    if path is None:
        config = strictyaml.loads(default_text(), RunConfig, f"<built-in {FILE_NAME}>")
        return changed(config, changes), "the built-in run file (litesmith init writes it out)"
    return changed(strictyaml.load(path, RunConfig), changes), str(path)


def from_mapping(values: Mapping[str, Any]) -> RunConfig:
    """The config that a mapping spells, with a run file's keys.

    Raises:
        ConfigError: it breaks the schema.
    """
    return strictyaml.loads(_dumped(dict(values)), RunConfig, "<config>")


def changed(config: RunConfig, changes: Iterable[str]) -> RunConfig:
    """The config with `key.key=value` words over it; a value is read as YAML.

    Raises:
        UsageError: a word without '=', an unknown key (with the near miss), or a value that the schema refuses.
    """
    for word in changes:
        key, mark, value = word.partition("=")
        if not mark or not key:
            raise UsageError(f"--set {word}: no '='", "key=value, with dots between keys", "--set train.epochs=10")
        config = _with_value(config, key, _yaml_value(word, value))
    return config


def with_model(config: RunConfig, model: str | None, trust: bool) -> RunConfig:
    """The config with the model of the command line over it; what the file says of its own model does not hold for it.

    Raises:
        UsageError: it names nothing that can be taken.
    """
    settings = config.model if model is None else ModelSettings(source=model)
    try:
        settings.origin()
    except ModelError as error:
        raise UsageError(f"--model {settings.source}: {error.found}", error.allowed, error.next_step) from error
    return config.model_copy(update={"model": settings.model_copy(update={"trust": trust or settings.trust})})


def _below(key: str, place: Any, part: str) -> dict[str, Any]:
    """The mapping at a place of the config, which must have a key."""
    known = list(place) if isinstance(place, dict) else []
    if part not in known:
        raise UsageError(with_near_miss(f"--set {key}: unknown key '{part}'", part, known),
                         ", ".join(known) or "no keys below this one")
    found: dict[str, Any] = place
    return found


def _yaml_value(word: str, text: str) -> object:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        loaded: object = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise UsageError(f"--set {word}: the value is not YAML", "a number, a word, [a, b] or {a: 1}") from error
    return loaded


def _with_value(config: RunConfig, key: str, value: object) -> RunConfig:
    """The config with one dotted key set, checked as if it had stood in the file."""
    raw = config.model_dump(mode="json")
    *parents, last = key.split(".")
    place: Any = raw
    for part in parents:
        place = _below(key, place, part)[part]
    _below(key, place, last)[last] = value
    try:
        return strictyaml.loads(_dumped(raw), RunConfig, "--set")
    except ConfigError as error:
        raise UsageError(f"--set {key}: {error.found}", error.allowed, error.next_step) from error

