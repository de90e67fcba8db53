"""What was lost before the number format is laid at the layer that suffered most."""

from __future__ import annotations

from typing import Any

from device_profiles.records import Figure
from stages.explaining.training_rules import training_causes
from stages.records import BeforeAfter, History, PruneResult, SlimResult, Step

HISTORY = History(loss=(), score=(), validation_loss=(), validation_score=(), best_epoch=0, stopped_early=False)


def step(points: float, low: float, part: Any = "training") -> Step:
    figure = Figure(value=points, unit="points", provenance="measured", interval=(low, points + 1))
    return Step(name="pruned75", part=part, drop=figure)


def pruned(**given: Any) -> PruneResult:
    usual = {"summary": "", "history": HISTORY, "sparsity": 0.75, "shared_values": {}, "skipped_layers": {},
             "layer_sparsity": {"a": 0.6, "b": 0.9}}
    return PruneResult(**(usual | given))


def slimmed() -> SlimResult:
    return SlimResult(summary="", history=HISTORY, rounds=(), macs=BeforeAfter(before=2, after=1), budget="macs",
                      parameters=BeforeAfter(before=2, after=1), asked_share=0.5, removed_share=0.5, proof=0.0,
                      importance="taylor", proof_samples=1,
                      channels={"wide": BeforeAfter(before=16, after=12), "narrow": BeforeAfter(before=16, after=2)})


def test_the_layer_with_the_most_zeros_is_named_where_nothing_was_measured() -> None:
    (cause,) = training_causes([pruned()], [step(2.0, 1.0)])
    assert (cause.kind, cause.layer, cause.part) == ("pruned_far", "b", "training")
    assert "b has 90 % zeros" in cause.found
    assert cause.changes[0].settings == {"prune": {"skip_layers": ["b"]}}


def test_measured_sensitivity_stands_over_the_share_of_zeros() -> None:
    (cause,) = training_causes([pruned(sensitivity={"a": 3.0, "b": 0.5})], [step(2.0, 1.0)])
    assert cause.layer == "a"
    assert "costs 3.0 points" in cause.found


def test_a_layer_with_few_shared_values_is_named() -> None:
    (cause,) = training_causes([pruned(layer_sparsity={}, shared_values={"a": 16, "b": 4})], [step(2.0, 1.0)])
    assert (cause.kind, cause.layer) == ("few_values", "b")


def test_the_layer_that_keeps_the_smallest_part_of_its_channels_is_named() -> None:
    (cause,) = training_causes([slimmed()], [step(2.0, 1.0)])
    assert cause.short == "narrow keeps 2 of 16 channels"
    assert all(change.costly or not change.settings for change in cause.changes)


def test_two_steps_share_the_points() -> None:
    assert [cause.share for cause in training_causes([slimmed(), pruned()], [step(2.0, 1.0)])] == [0.5, 0.5]


def test_a_drop_that_may_be_chance_or_is_the_format_s_gives_no_cause() -> None:
    assert training_causes([pruned()], [step(0.4, -0.2)]) == []
    assert training_causes([pruned()], [step(2.0, 1.0, "quantization")]) == []
