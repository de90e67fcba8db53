"""Slimming: a narrower model that keeps its budget, its names and its proof, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from device_profiles.errors import ModelError, StageError, UsageError
from stages import convert, slim
from stages.models.files import load_model
from stages.records import SlimResult
from stages.slimming import rounds
from tests.stages.conftest import SEED, make_context
from tests.stages.slim_runs import options, slimmed


@pytest.fixture(scope="session")
def slim_model(make: Callable[..., Path], prepared: Path, trained: Path) -> Path:
    """`trained` in two rounds with half of its MACs."""
    return make(slim, model=trained, data=prepared, options=options(rounds=2, round_epochs=1))


def test_half_of_the_macs_go_and_the_record_says_what_became_of_them(slim_model: Path) -> None:
    result = SlimResult.model_validate_json((slim_model / "result.json").read_bytes())
    model = load_model(slim_model)
    assert result.asked_share == 0.5
    assert abs(result.removed_share - 0.5) <= 0.01
    assert 1 - result.macs.after / result.macs.before == pytest.approx(result.removed_share)
    assert result.parameters.after == model.count_params() < result.parameters.before
    assert {name: pair.after for name, pair in result.channels.items()} == {
        layer.name: layer.output_shape[-1] for layer in model.layers if layer.name in result.channels}
    assert list(result.channels) == ["conv1", "conv2", "conv3", "scores"]
    assert result.protected == {"scores": "an output of the model"}
    assert result.proof == max(each.proof for each in result.rounds) <= 1e-5
    assert [len(each.history.loss) for each in result.rounds] == [1, 2]
    assert result.rounds[0].removed_share == pytest.approx(1 - 0.5 ** 0.5, abs=0.011)
    assert result.history == result.rounds[1].history
    assert result.summary.startswith(f"{100 * result.removed_share:.1f} % fewer MACs, ")
    assert result.warnings == ()


def test_layers_keep_their_names_and_companions_go_along(slim_model: Path, trained: Path) -> None:
    names = [[layer.name for layer in load_model(folder).layers] for folder in (slim_model, trained)]
    assert names[0] == names[1]
    assert (slim_model / "preprocessing.json").read_bytes() == (trained / "preprocessing.json").read_bytes()


def test_the_same_call_gives_the_same_bytes(make: Callable[..., Path], prepared: Path, trained: Path,
                                            slim_model: Path) -> None:
    again = make(slim, model=trained, data=prepared, options=options(rounds=2, round_epochs=1))
    assert (again / "model.keras").read_bytes() == (slim_model / "model.keras").read_bytes()


@pytest.mark.parametrize("dies_in", [1, 2])
def test_a_run_that_was_killed_in_a_round_ends_with_the_same_bytes(
        tmp_path: Path, prepared: Path, trained: Path, slim_model: Path, dies_in: int,
        monkeypatch: pytest.MonkeyPatch) -> None:
    fit, called = rounds.fit, []

    def dying(*given: Any) -> Any:
        called.append(given)
        if len(called) == dies_in:
            raise KeyboardInterrupt
        return fit(*given)

    monkeypatch.setattr(rounds, "fit", dying)
    with pytest.raises(KeyboardInterrupt):
        slimmed(tmp_path, trained, prepared, rounds=2, round_epochs=1)
    _, out = slimmed(tmp_path, trained, prepared, rounds=2, round_epochs=1)
    assert len(called) == 3  # what was finished is not trained again
    assert (out / "model.keras").read_bytes() == (slim_model / "model.keras").read_bytes()


def test_what_was_slimmed_becomes_a_tflite_model_with_as_many_macs(make: Callable[..., Path], slim_model: Path) -> None:
    from device_profiles.workload import read_workload

    result = SlimResult.model_validate_json((slim_model / "result.json").read_bytes())
    folder = make(convert, source=slim_model, options=convert.Options(format="float32"))
    assert read_workload((folder / "model.tflite").read_bytes()).macs == result.macs.after


@pytest.mark.slow
def test_what_was_slimmed_is_pruned_clustered_and_trained_with_quantization(
        make: Callable[..., Path], prepared: Path, slim_model: Path) -> None:
    from stages import prune, quantize

    few = {"epochs": 1, "batch_size": 32, "seed": SEED}
    pruned = make(prune, model=slim_model, data=prepared, options=prune.Options(sparsity=0.5, **few))
    make(prune, model=slim_model, data=prepared, options=prune.Options(clusters=8, **few))
    qat = make(quantize, model=pruned, data=prepared,
               options=quantize.Options(format="int8qat", sparsity=0.5, **few))
    assert (make(convert, source=qat, options=convert.Options(format="int8qat")) / "model.tflite").stat().st_size > 0


@pytest.mark.slow
def test_a_latency_budget_is_met_on_a_predicting_profile(tmp_path: Path, prepared: Path, trained: Path) -> None:
    result, _ = slimmed(tmp_path, trained, prepared, budget="latency", profile="iot", share=0.4, epochs=1,
                        importance="bn", multiple=1)
    assert result.latency is not None
    assert (result.latency.profile, result.latency.provenance) == ("iot", "predicted")
    assert 1 - result.latency.after_ms / result.latency.before_ms == pytest.approx(result.removed_share)
    assert abs(result.removed_share - 0.4) <= 0.02
    assert "ms on iot" in result.summary


def test_what_is_protected_keeps_its_channels_and_the_rest_gives_more(tmp_path: Path, prepared: Path,
                                                                      trained: Path) -> None:
    result, _ = slimmed(tmp_path, trained, prepared, protect=("conv1", "norm2"), epochs=1, share=0.3,
                        importance="magnitude")
    assert {name: pair.before - pair.after for name, pair in result.channels.items() if name in ("conv1", "conv2")} == {
        "conv1": 0, "conv2": 0}
    assert result.channels["conv3"].after < result.channels["conv3"].before
    assert result.protected["conv1"] == result.protected["conv2"] == "protected by name"


def test_a_budget_that_whole_channels_miss_is_a_warning() -> None:
    pair = {"before": 100, "after": 70}
    history = {"loss": (1.0,), "score": (1.0,), "validation_loss": (1.0,), "validation_score": (1.0,),
               "best_epoch": 0, "stopped_early": False}
    result = SlimResult.model_validate({
        "summary": "", "history": history, "rounds": (), "channels": {}, "macs": pair, "parameters": pair,
        "budget": "macs", "asked_share": 0.35, "removed_share": 0.3, "importance": "bn", "proof": 0,
        "proof_samples": 1})
    assert slim._missed(result) == ("slim removed 30.0 % of the macs where 35 % were asked for: no choice of whole "
                                    "channels comes closer",)
    assert slim._missed(result.model_copy(update={"removed_share": 0.345})) == ()


@pytest.mark.parametrize(("given", "error", "words"), [
    ({"protect": ("conf1",)}, ModelError, "did you mean 'conv1'"),
    ({"share": 0.97, "least_share": 0.5}, StageError, "97 % of the MACs cannot go"),
    ({"protect": ("*",)}, StageError, "no channel of the model can be removed"),
    ({"budget": "latency", "profile": "iott"}, UsageError, "did you mean 'iot'"),
], ids=["protect", "budget", "graph", "profile"])
def test_what_cannot_be_done_is_refused_before_any_training(
        tmp_path: Path, prepared: Path, trained: Path, given: dict[str, Any], error: type[Exception], words: str,
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "fit", None)
    with pytest.raises(error, match=words):
        slimmed(tmp_path, trained, prepared, **given)


@pytest.mark.parametrize("given", [{"share": 0.0}, {"share": 1.0}, {"budget": "latency"}, {"multiple": 3},
                                   {"least_share": 0.0}, {"importance": "luck"}],
                         ids=lambda given: "-".join(f"{key}-{value}" for key, value in given.items()))
def test_options_that_mean_nothing_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options(**given)


def test_a_teacher_helps_in_the_fine_tuning(tmp_path: Path, prepared: Path, trained: Path) -> None:
    context = make_context(tmp_path)
    alone, _ = slimmed(tmp_path / "alone", trained, prepared, epochs=1, importance="bn")
    taught = slim.run(model=trained, data=prepared, teacher=trained, context=context,
                      options=options(epochs=1, importance="bn"))
    assert taught.channels == alone.channels
    assert taught.history.loss != alone.history.loss
