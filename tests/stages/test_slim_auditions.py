"""What auditions decide in a slimming: branches, what joined channels count, and which layers trade."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stages.models.files import copy_companions, load_model, save_model
from stages.records import History
from stages.slimming import cutting, rounds, trades
from tests.stages.conftest import SEED
from tests.stages.slim_runs import options, slimmed


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
