"""Slimming: a narrower model that keeps its budget, its names and its proof, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from device_profiles.errors import ModelError, StageError, UsageError
from stages import convert, slim
from stages.models.files import copy_companions, load_model, save_model
from stages.records import History, SlimResult
from stages.slimming import cutting, rounds, trades
from tests.stages.conftest import SEED, make_context


def options(**given: Any) -> slim.Options:
    return slim.Options(**({"share": 0.5, "epochs": 2, "batch_size": 16, "seed": SEED} | given))


def slimmed(folder: Path, model: Path, data: Path, **given: Any) -> tuple[SlimResult, Path]:
    context = make_context(folder)
    return slim.run(model=model, data=data, options=options(**given), context=context), context.out


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


@pytest.fixture(scope="session")
def residual(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """A model of one residual block for the data of `trained`; its branch has 90 % of the MACs."""
    import tf_keras as keras

    layers = keras.layers
    shape = load_model(trained).input_shape[1:]
    keras.utils.set_random_seed(SEED)
    inputs = layers.Input(shape)
    stem = layers.Conv2D(8, 1, activation="relu", name="stem")(inputs)
    x = layers.Conv2D(8, 3, padding="same", name="b")(layers.Conv2D(8, 3, padding="same", name="a")(stem))
    x = layers.GlobalAveragePooling2D()(layers.Add(name="sum")([x, stem]))
    folder = tmp_path_factory.mktemp("residual")
    save_model(keras.Model(inputs, layers.Dense(load_model(trained).output_shape[-1], activation="softmax")(x)), folder)
    copy_companions(trained, folder)
    return folder


def untrained(*, better_without: bool) -> Callable[..., History]:
    """Instead of `fit`: a validation loss that is better without, or with, the layer `a`."""
    def fit(model: Any, *_: Any) -> History:
        whole = any(layer.name == "a" for layer in model.layers)
        loss = 1.0 if whole is better_without else 0.5
        return History(loss=(loss,), score=(0.5,), validation_loss=(loss,), validation_score=(0.5,), best_epoch=0,
                       stopped_early=False)
    return fit


@pytest.mark.parametrize(("better_without", "gone"), [(True, ("a .. b",)), (False, ())])
def test_a_branch_goes_whole_where_its_audition_is_the_better_one(
        tmp_path: Path, prepared: Path, residual: Path, better_without: bool, gone: tuple[str, ...],
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "fit", untrained(better_without=better_without))
    monkeypatch.setattr(cutting, "_MOST_PAST", 0.3)  # the branch is nearly all of the MACs, 0.75 are asked for
    result, out = slimmed(tmp_path, residual, prepared, share=0.75, branches=True, epochs=1)
    assert tuple(branch.name for branch in result.branches) == gone
    heard = [(tuple(branch.name for branch in one.without), one.again, one.validation_loss) for one in result.auditions]
    assert heard == ([((), False, 1.0), (("a .. b",), False, 0.5), (("a .. b",), True, 0.5)] if better_without
                     else [((), False, 0.5), (("a .. b",), False, 1.0)])
    names = {layer.name for layer in load_model(out).layers}
    assert ({"a", "b", "sum"} & names == set()) is better_without
    assert result.summary.startswith("without a .. b, ") is better_without
    assert (result.channels["a"].after == 0) is better_without
    assert result.macs.before > result.macs.after


def test_a_branch_that_is_more_than_was_asked_for_stays(tmp_path: Path, prepared: Path, residual: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "fit", untrained(better_without=True))
    result, _ = slimmed(tmp_path, residual, prepared, share=0.5, branches=True, epochs=1)
    assert result.branches == ()
    refused = result.auditions[1].refused
    assert refused.endswith("of the MACs would go, more than 50 %")


def test_joined_channels_that_count_more_stay_as_long_as_others_can_go(tmp_path: Path, prepared: Path,
                                                                       residual: Path) -> None:
    # MACs: stem 8, a 72 * 8, b 72 * 8 a position; half of `a` is 49.7 % of them, half of the others 50.0 %
    result, out = slimmed(tmp_path, residual, prepared, share=0.497, joined_worth=(1000,), epochs=1, multiple=1)
    assert {name: result.channels[name].after for name in ("stem", "a", "b")} == {"stem": 8, "a": 4, "b": 8}
    assert (result.joined_worth, result.auditions) == (1000, ())
    assert load_model(out).get_layer("a").filters == 4


def test_of_several_worths_the_one_with_the_better_audition_is_taken(tmp_path: Path, prepared: Path, residual: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    def narrow_stem(model: Any, *_: Any) -> History:
        loss = 0.5 if model.get_layer("stem").filters == 8 else 1.0
        return History(loss=(loss,), score=(0.5,), validation_loss=(loss,), validation_score=(0.5,), best_epoch=0,
                       stopped_early=False)

    monkeypatch.setattr(rounds, "fit", narrow_stem)
    result, _ = slimmed(tmp_path, residual, prepared, share=0.497, joined_worth=(0.001, 1000), epochs=1, multiple=1)
    assert [(one.without, one.joined_worth, one.validation_loss) for one in result.auditions] == [
        ((), 0.001, 1.0), ((), 1000, 0.5)]
    assert result.joined_worth == 1000
    assert result.channels["stem"].after == 8


def test_worths_that_leave_the_same_channels_are_trained_once(tmp_path: Path, prepared: Path, residual: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Any] = []
    untaught = untrained(better_without=True)
    monkeypatch.setattr(rounds, "fit", lambda model, *given: trained.append(model) or untaught(model, *given))
    result, _ = slimmed(tmp_path, residual, prepared, share=0.497, joined_worth=(1000, 2000), epochs=1, multiple=1)
    assert len(result.auditions) == 2
    assert len(trained) == 2  # one audition, one fine-tuning


def test_a_model_without_a_branch_is_trained_before_its_channels_are_weighed(
        tmp_path: Path, prepared: Path, residual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    untaught, measure = untrained(better_without=True), rounds.importance.measure

    def fit(model: Any, *given: Any) -> History:
        happened.append("fit")
        return untaught(model, *given)

    def weigh(kind: Any, model: Any, *given: Any) -> Any:
        happened.append("weigh whole" if any(layer.name == "a" for layer in model.layers) else "weigh")
        return measure(kind, model, *given)

    monkeypatch.setattr(rounds, "fit", fit)
    monkeypatch.setattr(rounds.importance, "measure", weigh)
    monkeypatch.setattr(cutting, "_MOST_PAST", 0.3)
    slimmed(tmp_path, residual, prepared, share=0.75, branches=True, epochs=1)
    assert happened == ["weigh whole", "fit",  # the whole model's audition
                        "fit", "weigh", "fit",  # without the branch: adapted, weighed, heard
                        "fit", "weigh", "fit",  # adapted at length, weighed and heard again
                        "weigh", "fit"]  # what won is trained


def test_layers_trade_channels_as_long_as_that_is_better(tmp_path: Path, prepared: Path, trained: Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    settings: list[Any] = []

    def wide_first_layer(model: Any, _: Any, given: Any, *__: Any) -> History:
        settings.append(given)
        loss = 1 / model.get_layer("conv1").filters
        return History(loss=(loss,), score=(0.5,), validation_loss=(loss,), validation_score=(0.5,), best_epoch=0,
                       stopped_early=False)

    monkeypatch.setattr(rounds, "fit", wide_first_layer)
    result, out = slimmed(tmp_path, trained, prepared, trades=3, multiple=1, audition_samples=32)
    found, *traded = result.auditions
    assert (found.traded, len(traded), {one.traded for one in traded}) == (False, 3, {True})
    best = min(traded, key=lambda one: one.validation_loss or 1.0)
    assert best.channels["conv1"] > found.channels["conv1"]
    assert {name: pair.after for name, pair in result.channels.items()} == best.channels
    assert load_model(out).get_layer("conv1").filters == best.channels["conv1"]
    assert abs(result.removed_share - 0.5) <= 0.03
    assert [(one.epochs, one.samples_per_epoch, one.statistics_batches) for one in settings] == [
        (1, 32, 20)] * 4 + [(2, None, None)]  # averages that so few steps leave would decide, not the weights


def test_a_model_that_is_too_large_for_trades_says_so(tmp_path: Path, prepared: Path, trained: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "fit", untrained(better_without=True))
    monkeypatch.setattr(rounds, "WIDEST", 2)
    monkeypatch.setattr(trades, "WIDEST", 2)
    result, _ = slimmed(tmp_path, trained, prepared, trades=3, audition_samples=32)
    assert [one.traded for one in result.auditions] == [False]
    warning, = result.warnings
    assert warning.startswith("no layers traded channels: the model has 3 groups of channels")


def test_only_the_model_that_would_trade_counts_as_too_large(tmp_path: Path, prepared: Path, residual: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    """Two groups of channels as it came, one without its branch."""
    monkeypatch.setattr(rounds, "fit", untrained(better_without=True))
    monkeypatch.setattr(cutting, "_MOST_PAST", 0.3)
    monkeypatch.setattr(rounds, "WIDEST", 1)
    monkeypatch.setattr(trades, "WIDEST", 1)
    result, _ = slimmed(tmp_path, residual, prepared, share=0.75, branches=True, trades=3, audition_samples=32)
    assert [branch.name for branch in result.branches] == ["a .. b"]
    assert not any("traded" in warning for warning in result.warnings)


def test_trades_need_a_single_removal() -> None:
    with pytest.raises(ValidationError, match=r"trades is 4, rounds 2: .* set rounds to 1, or trades to 0"):
        options(trades=4, rounds=2)


def test_a_model_without_joined_channels_has_no_auditions_of_worths(tmp_path: Path, prepared: Path,
                                                                    trained: Path) -> None:
    result, _ = slimmed(tmp_path, trained, prepared, joined_worth=(1, 4), epochs=1)
    assert (result.auditions, result.joined_worth) == ((), 1)


@pytest.mark.parametrize("worth", [[], [0], [-1]])
def test_worths_are_some_and_above_zero(worth: list[float]) -> None:
    with pytest.raises(ValidationError, match="joined_worth"):
        options(joined_worth=worth)


def test_a_run_that_was_killed_after_its_auditions_ends_with_the_same_bytes(
        tmp_path: Path, prepared: Path, residual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit, called = rounds.fit, []

    def better_without_the_branch(model: Any, *given: Any) -> History:
        called.append(model)
        if len(called) == 5 and "dying" in str(given[-1].scratch):
            raise KeyboardInterrupt
        history = fit(model, *given)
        loss = 1.0 if any(layer.name == "a" for layer in model.layers) else 0.5
        return history.model_copy(update={"validation_loss": (loss,) * len(history.loss)})

    monkeypatch.setattr(rounds, "fit", better_without_the_branch)
    monkeypatch.setattr(cutting, "_MOST_PAST", 0.3)
    asked: dict[str, Any] = {"share": 0.75, "branches": True, "epochs": 1, "round_epochs": 1, "audition_samples": 64}
    _, whole = slimmed(tmp_path / "whole", residual, prepared, **asked)
    assert len(called) == 6  # the whole model's audition; adapted, heard; adapted at length, heard; fine-tuned
    called.clear()
    with pytest.raises(KeyboardInterrupt):
        slimmed(tmp_path / "dying", residual, prepared, **asked)
    result, out = slimmed(tmp_path / "dying", residual, prepared, **asked)
    assert (out / "model.keras").read_bytes() == (whole / "model.keras").read_bytes()
    assert [branch.name for branch in result.branches] == ["a .. b"]


@pytest.mark.parametrize(("given", "short"), [({"round_learning_rate": 1e-4}, 1e-4), ({}, 0.02)])
def test_auditions_and_the_training_between_have_a_rate_of_their_own_where_one_is_given(
        tmp_path: Path, prepared: Path, residual: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, float],
        short: float) -> None:
    rates, without_training = [], untrained(better_without=True)

    def noting(model: Any, lesson: Any, settings: Any, *others: Any) -> History:
        rates.append(settings.learning_rate)
        return without_training(model, lesson, settings, *others)

    monkeypatch.setattr(rounds, "fit", noting)
    monkeypatch.setattr(cutting, "_MOST_PAST", 0.3)
    slimmed(tmp_path, residual, prepared, share=0.75, branches=True, epochs=1, learning_rate=0.02, **given)
    assert rates == [short] * 5 + [0.02]  # two adapted, three heard; then fine-tuned


def test_the_counts_that_won_the_audition_are_the_ones_that_are_trained(tmp_path: Path, prepared: Path, residual: Path,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `a` and `b` only the stem's channels are left, whose worth the longer training would see differently."""
    monkeypatch.setattr(rounds, "fit", untrained(better_without=True))
    monkeypatch.setattr(cutting, "_MOST_PAST", 0.3)
    result, _ = slimmed(tmp_path, residual, prepared, share=0.75, branches=True, epochs=1, multiple=1)
    heard = min((one for one in result.auditions if one.validation_loss is not None),
                key=lambda one: one.validation_loss or 0.0)
    assert heard.kept
    assert {name: pair.after for name, pair in result.channels.items() if pair.after} == heard.channels

    def other_counts(*given: Any) -> Any:
        counts = choose(*given)
        asked.append(counts)
        return counts if len(asked) <= len(result.auditions) else counts - 1

    asked: list[Any] = []
    choose = cutting.choose
    monkeypatch.setattr(cutting, "choose", other_counts)
    again, _ = slimmed(tmp_path / "again", residual, prepared, share=0.75, branches=True, epochs=1, multiple=1)
    assert again.channels == result.channels
    assert len(asked) == len(result.auditions)
