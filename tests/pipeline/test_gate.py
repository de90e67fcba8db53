"""The gate that every kind shares, with a kind that weighs files: which pairs it is asked for, and what then fails."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from device_profiles.errors import StoreError, UsageError
from device_profiles.records import Record
from pipeline.gate import SAME_BYTES, Gate, Gauge, Words
from stages.comparing.records import KeptFile, Pair, Pairs

SMALL, LARGE = b"x", b"x" * 10


class Claim(NamedTuple):
    """What was found."""

    claim: str
    why: str


class Weighed(Pair):
    """A pair whose sizes are known, or not."""

    sizes: tuple[int, int] | None = None

    @property
    def found(self) -> Claim | None:
        return None if self.sizes is None else Claim(
            "heavier" if self.sizes[1] > self.sizes[0] else "lighter", f"{self.sizes[0]} to {self.sizes[1]}")


class Weights(Record):
    """A baseline of sizes."""

    models: dict[str, KeptFile]


class Scales(Gauge[Weights, Weighed, Pairs[Weighed]]):
    """Weighs, and tells what it was asked for."""

    def __init__(self, told, watch):
        self.told, self.watch = told, watch

    def pair(self, name, label, content, candidate):
        self.told.append((name, label))
        if candidate.read_bytes() == b"broken":
            return self.unmeasured(name, label, candidate, "it is broken")
        self.watch(name, "weighing", 0, 1, "")
        return Weighed(name=name, reference=label, candidate=str(candidate),
                       sizes=(len(content), candidate.stat().st_size))

    def against(self, name, kept, candidate):
        content = kept.content()
        if content is None:
            return self.unmeasured(name, kept.label, candidate, "it was not kept")
        return self.pair(name, kept.label, content, candidate)

    def unmeasured(self, name, label, candidate, reason):
        return Weighed(name=name, reference=label, candidate=str(candidate), reason=reason)

    def result(self, pairs, match, baseline):
        return Pairs[Weighed](pairs=tuple(pairs), only_reference=match.only_reference,
                              only_candidate=match.only_candidate, notes=("with a baseline",) if baseline else ())

    def keep(self, sources):
        if any(each.path.read_bytes() == b"broken" for each in sources.values()):
            raise UsageError("a model is broken", "a whole one")
        return Weights(models={name: KeptFile(sha256=each.sha256, tflite_bytes=each.path.stat().st_size, file=each.file)
                               for name, each in sources.items()})


@dataclass(frozen=True)
class WeightGate(Gate[Weights, Weighed, Pairs[Weighed]]):
    """Scales, and how often they were set up for how many pairs."""

    told: list = field(default_factory=list)
    opened_for: list = field(default_factory=list)

    words = Words(worse="heavier", worse_told="grown heavier", worse_next="a diet", missing="unweighed",
                  missing_told="not weighed")
    one_is_measured = True

    def baseline(self, path):
        return Weights.model_validate_json(path.read_text())

    @contextmanager
    def opened(self, claims, baseline, watch):
        self.opened_for.append(claims)
        yield Scales(self.told, watch)


class GateWithoutSingles(WeightGate):
    """A kind that has nothing to say of equal bytes, ever."""

    one_is_measured = False


@pytest.fixture
def runs(tmp_path):
    """Two run folders, of which one has a larger model, an equal one, and one that the other lacks."""
    for run, models in (("a", {"grown": SMALL, "equal": SMALL, "old": SMALL}),
                        ("b", {"grown": LARGE, "equal": SMALL, "new": SMALL})):
        (tmp_path / run / "models").mkdir(parents=True)
        for name, content in models.items():
            (tmp_path / run / "models" / f"{name}.tflite").write_bytes(content)
    return tmp_path


def test_pairs_of_equal_bytes_are_not_measured_and_what_one_side_alone_has_is_named(runs):
    gate, seen = WeightGate(), []
    found = gate.compare(runs / "a", runs / "b", lambda *step: seen.append(step))
    assert [(pair.name, pair.sizes, pair.reason) for pair in found.pairs] == [("equal", None, SAME_BYTES),
                                                                              ("grown", (1, 10), "")]
    assert (found.only_reference, found.only_candidate, found.notes) == (("old",), ("new",), ())
    assert gate.told == [("grown", str(runs / "a" / "models" / "grown.tflite"))]
    assert gate.opened_for == [1]
    assert seen == [("grown", "weighing", 0, 1, "")]


def test_a_single_pair_of_equal_bytes_is_measured_where_the_kind_has_something_to_say_of_it(runs):
    one, same = runs / "a" / "models" / "old.tflite", runs / "b" / "models" / "equal.tflite"
    assert WeightGate().compare(one, same).pairs[0].sizes == (1, 1)
    assert GateWithoutSingles().compare(one, same).pairs[0].reason == SAME_BYTES


def test_a_baseline_says_what_it_kept_and_its_models_lie_beside_it(runs):
    path = runs / "ci" / "weights.json"
    written = WeightGate(variants=("grown", "equal")).make_baseline(runs / "a", path)
    digest = hashlib.sha256(SMALL).hexdigest()
    assert written.models["grown"] == KeptFile(sha256=digest, tflite_bytes=1,
                                               file=f"weights.tflites/grown-{digest[:8]}.tflite")
    assert (path.parent / written.models["grown"].file).read_bytes() == SMALL
    assert list(WeightGate().baseline(path).models) == ["equal", "grown"]
    bare = WeightGate().make_baseline(runs / "a", runs / "bare.json", keep=False)
    assert {model.file for model in bare.models.values()} == {None}
    assert not (runs / "bare.tflites").exists()


def test_a_model_that_cannot_be_measured_leaves_no_baseline(runs):
    (runs / "a" / "models" / "old.tflite").write_bytes(b"broken")
    with pytest.raises(UsageError, match="a model is broken"):
        WeightGate().make_baseline(runs / "a", runs / "weights.json")
    assert sorted(path.name for path in runs.iterdir()) == ["a", "b"]


def test_a_run_is_held_against_what_a_baseline_kept_of_it(runs):
    path, gate = runs / "weights.json", WeightGate()
    gate.make_baseline(runs / "a", path)
    found = gate.compare_with_baseline(runs / "b", path)
    assert {pair.name: pair.sizes or pair.reason for pair in found.pairs} == {"equal": SAME_BYTES, "grown": (1, 10)}
    assert (found.only_reference, found.only_candidate, found.notes) == (("old",), ("new",), ("with a baseline",))
    assert found.pairs[1].reference == f"{path}: grown"
    only = WeightGate(variants=("equal",)).compare_with_baseline(runs / "b", path)
    assert [(pair.name, pair.reason) for pair in only.pairs] == [("equal", SAME_BYTES)]
    assert only.only_reference == only.only_candidate == ()


def test_a_kept_model_that_was_changed_is_refused_and_one_that_was_not_kept_is_no_measurement(runs):
    path, gate = runs / "weights.json", WeightGate(variants=("grown",))
    kept = gate.make_baseline(runs / "a", path).models["grown"].file
    (runs / kept).write_bytes(b"another")
    with pytest.raises(StoreError, match=r"is not the 'grown' that weights\.json was measured with"):
        gate.compare_with_baseline(runs / "b", path)
    (runs / kept).unlink()
    judged = gate.judged(gate.compare_with_baseline(runs / "b", path))
    assert (judged.worse, judged.missing) == ({}, {"grown": "it was not kept"})


def test_what_is_worse_fails_a_gate_alone_and_what_is_missing_always(runs):
    gate = WeightGate()
    worse = gate.judged(gate.compare(runs / "a", runs / "b"))
    assert (worse.exit_code(gate=False), worse.exit_code(gate=True)) == (0, 1)
    assert worse.data() == {"heavier": ["grown"], "unweighed": {}}
    assert (worse.failure.found, worse.failure.next_step) == ("grown heavier: grown 1 to 10", "a diet")
    better = gate.judged(gate.compare(runs / "b", runs / "a"))
    assert (better.exit_code(gate=True), better.worse, better.missing) == (0, {}, {})
    (runs / "b" / "models" / "equal.tflite").write_bytes(b"broken")
    both = gate.judged(gate.compare(runs / "a", runs / "b"))
    assert both.exit_code(gate=False) == 1
    assert both.data() == {"heavier": ["grown"], "unweighed": {"equal": "it is broken"}}
    assert both.failure.found == "grown heavier: grown 1 to 10"
    missing = gate.judged(WeightGate(variants=("equal",)).compare(runs / "a", runs / "b"))
    assert missing.failure.found == "not weighed: equal: it is broken"
    assert missing.failure.next_step == "another --engine, or litesmith inspect"
