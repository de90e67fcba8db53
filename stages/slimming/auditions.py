"""What a goal is best met by: which branches go whole, and how much the channels that additions join count.

Neither can be read off the weights as a channel's worth can: the layers after it adapt, and what its time buys
elsewhere counts too. So every choice has an audition: without the branches, with as many channels gone as the goal
still demands, statistics taken anew, one short epoch. The validation loss after it decides. It begins with no branch
gone, then takes the best single one, then the best second one beside it, until none makes it better.

A model that has just lost a branch weighs its channels otherwise than one that was trained without it at length. So
once the branches are chosen and it was, what joined channels count is heard again. At last layers trade channels: see
`trades`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pydantic import TypeAdapter

from device_profiles.errors import StageError
from stages.records import SlimAudition
from stages.slimming.branches import Branch, find_branches, without
from stages.slimming.cutting import TooMuch


class Heard(NamedTuple):
    """What an audition gives: validation loss, and the channels that were left at the goal, by layer and by space."""

    loss: float
    channels: dict[str, int]
    kept: tuple[int, ...]


class Choice(NamedTuple):
    """What goes.

    Attributes:
        gone: branches, in the order in which they are taken out.
        joined_worth: what a joined channel counts.
        kept: by space of channels, the classes that stayed when this was heard, or that are to stay; empty where
            importance is to say.
        loss: the validation loss when this was heard; infinite where it was not, or does not meet the goal.
    """

    gone: tuple[Branch, ...] = ()
    joined_worth: float = 1.0
    kept: tuple[int, ...] = ()
    loss: float = math.inf


class Hearings(Protocol):
    """How auditions are held."""

    def adapted(self, model: Any, gone: Sequence[Branch]) -> Any:
        """A model that has lost some branches, trained for a moment: channels are weighed in one that works.

        Raises:
            TooMuch: the goal cannot be met without these branches, whichever channels go.
        """

    def audition(self, model: Any, choice: Choice) -> Heard:
        """Bring such a model to the goal, and hear it; the model itself stays as it is.

        Raises:
            TooMuch: the goal cannot be met.
        """

    def trades(self, model: Any, choice: Choice) -> Iterable[tuple[int, ...]]:
        """Counts at the goal beside those that a choice has kept, the most promising ones first."""


_FILE = "auditions.json"
_RECORDS = TypeAdapter(tuple[SlimAudition, ...])


class Auditions:
    """The search for the best choice; finished auditions are kept, so that a killed run goes on.

    Args:
        model: a flat functional `tf_keras.Model`.
        protect: names of layers, or shell patterns: a branch with such a layer stays.
        worths: what a joined channel may count; each is tried with each choice of branches.
        most: auditions, at most.
        scratch: folder of the stage, where they are kept.
        hearings: see `Hearings`.
        branches: whether branches may go.
    """

    def __init__(self, model: Any, protect: Iterable[str], worths: Sequence[float], most: int, scratch: Path,
                 hearings: Hearings, branches: bool = True) -> None:
        self._model, self._protect, self._worths, self._most = model, tuple(protect), tuple(worths), most
        self._file, self._hearings, self._branches = scratch / _FILE, hearings, branches
        self._kept = {_key(record): record for record in self._read()}
        self._records: list[SlimAudition] = []

    @property
    def records(self) -> tuple[SlimAudition, ...]:
        """Every audition so far."""
        return tuple(self._records)

    def run(self) -> Choice:
        """The best choice.

        Raises:
            StageError: no choice can meet the goal; the reason is that of the whole model.
        """
        choice = self._best((), self._model)
        while True:
            left = leave_out(self._model, choice.gone)
            heard = [self._best((*choice.gone, branch), without(left, branch)) for branch in self._candidates(left)]
            better = _best_of(choice, *heard)
            if better is choice:
                break
            choice = better
        if math.isinf(choice.loss):
            raise StageError(self._records[0].refused, "a goal that channels and branches can meet",
                             "ask for less, lower slim.least_share, or protect fewer layers")
        return choice

    def again(self, choice: Choice, model: Any) -> Choice:
        """The best worth in the model that was trained at length without the chosen branches.

        Args:
            choice: what `run` has found.
            model: that model.

        Returns:
            The better choice; the given one where none meets the goal now.
        """
        best = _best_of(*(self._heard(Choice(choice.gone, worth), lambda: model, again=True)
                          for worth in self._worths))
        return choice if math.isinf(best.loss) else best

    def trade(self, choice: Choice, model: Any, most: int) -> Choice:
        """Exchange channels between layers as long as that makes the model better.

        Args:
            choice: with the counts that the search begins at.
            model: the one that these were heard in.
            most: auditions, at most; those of an earlier run count.

        Returns:
            The choice with the best counts.
        """
        def heard(kept: tuple[int, ...]) -> Choice:
            """The same choice with other counts."""
            tried.add(kept)
            return self._heard(choice._replace(kept=kept), lambda: model, again=bool(choice.gone))

        tried = {choice.kept}
        best = _best_of(choice, *(heard(record.kept) for record in list(self._kept.values()) if record.traded))
        while better := next((one for one in self._untried(best, model, tried, most, heard) if one.loss < best.loss),
                             None):
            best = better
        return best

    def _untried(self, beside: Choice, model: Any, tried: set[tuple[int, ...]], most: int,
                 heard: Callable[[tuple[int, ...]], Choice]) -> Iterator[Choice]:
        """Each trade beside a choice that was not yet heard, while there are auditions left."""
        if len(tried) > most:
            return
        for kept in self._hearings.trades(model, beside):
            if kept not in tried:
                yield heard(kept)
            if len(tried) > most:
                return

    def _candidates(self, left: Any) -> Iterable[Branch]:
        """Branches that may go next, the heaviest first, while there are auditions left."""
        found = find_branches(left, self._protect) if self._branches else []
        for branch in sorted(found, key=lambda branch: -_weight(left, branch)):
            if len(self._records) >= self._most:
                return
            yield branch

    def _best(self, gone: tuple[Branch, ...], model: Any) -> Choice:
        """The best worth with these branches gone."""
        adapted = cache(lambda: self._hearings.adapted(model, gone))
        return _best_of(*(self._heard(Choice(gone, worth), adapted)
                          for worth in self._worths[:max(1, self._most - len(self._records))]))

    def _heard(self, choice: Choice, adapted: Callable[[], Any], again: bool = False) -> Choice:
        """The choice with its loss, and with what was kept; infinite where it cannot meet the goal."""
        asked = SlimAudition(without=tuple(branch.record for branch in choice.gone), joined_worth=choice.joined_worth,
                             again=again, traded=bool(choice.kept), kept=choice.kept, validation_loss=None)
        key = _key(asked)
        if key not in self._kept:
            self._kept[key] = asked.model_copy(update=self._held(choice, adapted))
            self._write()
        record = self._kept[key]
        self._records.append(record)
        loss = math.inf if record.validation_loss is None else record.validation_loss
        return choice._replace(kept=record.kept, loss=loss)

    def _held(self, choice: Choice, adapted: Callable[[], Any]) -> dict[str, Any]:
        """What came of an audition, as fields of its record."""
        try:
            heard = self._hearings.audition(adapted(), choice)
        except TooMuch as error:
            return {"refused": error.found}
        return {"validation_loss": heard.loss, "channels": heard.channels, "kept": heard.kept}

    def _read(self) -> tuple[SlimAudition, ...]:
        try:
            return _RECORDS.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return ()

    def _write(self) -> None:
        aside = self._file.with_suffix(".part")
        aside.write_bytes(_RECORDS.dump_json(tuple(self._kept.values())))
        aside.replace(self._file)


def _key(record: SlimAudition) -> tuple[Any, ...]:
    """What an audition is known by: what was asked for."""
    return record.without, record.joined_worth, record.again, record.kept if record.traded else ()


def _best_of(*choices: Choice) -> Choice:
    """The one with the least loss; of equal ones the first."""
    return min(choices, key=lambda choice: choice.loss)


def leave_out(model: Any, branches: Iterable[Branch]) -> Any:
    """The model without several branches, each found in what the ones before it left."""
    for branch in branches:
        model = without(model, branch)
    return model


def _weight(model: Any, branch: Branch) -> int:
    """Elements of a branch's weights times the places of its outputs: what is likely to save most comes first."""
    return sum(math.prod(layer.output_shape[1:-1]) * layer.count_params()
               for layer in model.layers if layer.name in branch.layers and isinstance(layer.output_shape, tuple))
