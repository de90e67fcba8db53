"""Why a variant fell: every rule is a function that looks at the evidence and gives the causes that it finds.

The first line of a rule's docstring says what it looks for; users see it where nothing was found. A rule that speaks of
noise holds for operators whose local noise is above `LOUD_DB` alone: below it, eight good bits would do no better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from stages.explaining.noise import Noise
from stages.explaining.pairs import Pairing
from stages.explaining.structure import Unfolded
from stages.explaining.tally import Tally, decibel
from stages.explaining.weights import WeightFacts
from stages.records import CalibrationReport
from stages.records.explaining import Cause, Change

LOUD_DB = 34.0
"""An operator's local noise is worth a rule where the signal is less than so far above it.

Eight bits over a range that the values fill evenly give `6.02 * 8 + 1.76 = 49.9` dB less the crest of the values
(Bennett 1948, Bell System Technical Journal 27:446); a bell-shaped activation that uses its range has 40 to 45 dB.
"""
SCALED = "calibration_scaled"
_MOST, _ENOUGH = 0.5, 0.2
LEAST_SHARE = 0.02
"""Of the noise: what explains less is no cause."""
STRUCTURAL = ("dead_channels", "activation_before_norm", "unfolded_norm", "calibration_one_sided", "tied_outputs")
"""Causes that are named whatever noise they explain: they are faults of the model or of the data, not of a range."""


@dataclass(frozen=True)
class Evidence:
    """All that rules may look at.

    Attributes:
        pairing: of the variant with its float model.
        noise: measured.
        weights: by index of the variant's operator.
        unfolded: in the float model.
        calibration: of the quantize stage; None where it is not known.
        number_format: of the variant: "int8", "int4", ...
        algorithm: that made the weights' integers: "minmax", "mse", ...; "" where it is not known.
        bias_correction: whether biases took up the shift that this made.
    """

    pairing: Pairing
    noise: Noise
    weights: dict[int, WeightFacts]
    unfolded: Sequence[Unfolded] = ()
    calibration: CalibrationReport | None = None
    number_format: str = "int8"
    algorithm: str = ""
    bias_correction: bool = False

    def loud(self) -> Iterator[tuple[Tally, float]]:
        """Tallies whose local noise is worth a rule, with their share."""
        for tally in self.noise.tallies:
            level = decibel(tally.local)
            if level is not None and level < LOUD_DB and self.noise.share(tally) >= LEAST_SHARE:
                yield tally, self.noise.share(tally)

    def facts(self, tally: Tally) -> WeightFacts | None:
        """Of a tally's weights."""
        return self.weights.get(tally.pair.made.index) if tally.pair else None

    def tally(self, original: int) -> Tally | None:
        """The tally of a float operator."""
        return next((each for each in self.noise.tallies if each.pair and each.pair.original.index == original), None)


Rule = Callable[[Evidence], Iterable[Cause]]


def find(rules: Sequence[Rule], evidence: Evidence) -> list[Cause]:
    """The causes that the rules give, those that explain most first.

    Samples in another scale make noise in every operator; then no other cause can be told from what follows of that.
    """
    found = [cause for rule in rules for cause in rule(evidence)
             if cause.share >= LEAST_SHARE or cause.kind in STRUCTURAL]
    scaled = [cause for cause in found if cause.kind == SCALED]
    return scaled or sorted([*found, *unexplained(evidence, found)], key=lambda each: -each.share)


def unexplained(evidence: Evidence, found: Iterable[Cause]) -> Iterator[Cause]:
    """The operator that makes at least half of the noise, where no rule has explained a fifth of it anywhere."""
    if any(cause.share >= _ENOUGH for cause in found):
        return
    for tally, share in evidence.loud():
        if share < _MOST:
            continue
        yield Cause(
            kind="noisy_operator", layer=tally.label, share=share, changes=finer(evidence, tally),
            short=f"it is {decibel(tally.local):.0f} dB above its own noise, and no single fault was found",
            found=f"{tally.label}: of its noise {100 * tally.clipped:.0f} % comes from values beyond the range, "
                  f"{100 * tally.rounded:.0f} % from rounding the output, {100 * tally.rest:.0f} % from weights and "
                  "bias; none of it follows a known pattern")


def question(rule: Rule) -> str:
    """What a rule looks for, in words."""
    return (rule.__doc__ or "").strip().split("\n")[0].rstrip(".")


def finer(evidence: Evidence, tally: Tally) -> tuple[Change, ...]:
    """Ways to give one operator a finer format: by name, as the float model has it."""
    if evidence.number_format == "int16x8" or tally.pair is None:
        return ()
    name = tally.original.split(" ")[0]
    return (
        fixed(evidence, tally.original, name, "float32"),
        Change(text="give all activations 16 bits", format="int16x8"),
        Change(text="train with quantization, so that the weights follow", format="int8qat", costly=True),
    )


def fixed(evidence: Evidence, original: str, name: str, wanted: str) -> Change:
    """One operator in a format of its own: where the variant is mixed, the others are chosen again as they were."""
    return all_fixed(evidence, original, (name,), wanted)


def all_fixed(evidence: Evidence, original: str, names: Sequence[str], wanted: str) -> Change:
    """Operators in a format of their own; a mixed variant's budget is given up, as it may not hold any more.

    Of the others `mixed` is left no choice: at any drop that it may lose, the smallest format is taken.
    """
    words = "float" if wanted == "float32" else wanted
    fixed_formats: dict[str, JsonValue] = dict.fromkeys(names, wanted)
    if evidence.number_format == "mixed":
        return Change(text=f"fix {original} in {words} and choose the others again, without a budget",
                      settings={"quantize": {"mixed": {"fixed": fixed_formats, "budget": None}}})
    others = evidence.number_format if evidence.number_format in ("int4", "dynamic") else "int8"
    quantize: dict[str, JsonValue] = {"mixed": {"formats": [others, wanted], "fixed": fixed_formats,
                                                "drop_points": 100.0, "rounds": 1}}
    if evidence.algorithm:
        quantize |= {"algorithm": evidence.algorithm, "bias_correction": evidence.bias_correction}
    as_they_are = "as they are" if others == evidence.number_format else f"in {others}"
    return Change(text=f"keep {original} in {words} and the others {as_they_are}", format="mixed",
                  settings={"quantize": quantize})


def channel_list(channels: Sequence[int], most: int = 6) -> str:
    """As in "3, 7 and 12"; the first few of many."""
    shown = [str(each) for each in channels[:most]]
    if len(channels) > most:
        return ", ".join(shown) + f" and {len(channels) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
