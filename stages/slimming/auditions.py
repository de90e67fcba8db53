"""What a goal is best met by: which branches go whole, and how much the channels that additions join count.

Neither can be read off the weights as a channel's worth can: the layers after it adapt, and what its time buys
elsewhere counts too. So every choice has an audition: without the branches, with as many channels gone as the goal
still demands, statistics taken anew, one short epoch. The validation loss after it decides. It begins with no branch
gone, then takes the best single one, then the best second one beside it, until none makes it better.

A model that has just lost a branch weighs its channels otherwise than one that was trained without it at length. So
once the branches are chosen and it was, what joined channels count is heard again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
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
        kept: by space of channels, the classes that stayed when this was heard; empty where it was not heard.
    """

    gone: tuple[Branch, ...] = ()
    joined_worth: float = 1.0
    kept: tuple[int, ...] = ()


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
        self._kept = {(record.without, record.joined_worth, record.again): record for record in self._read()}
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
        best, choice = self._best((), self._model)
        while True:
            left = leave_out(self._model, choice.gone)
            heard = [self._best((*choice.gone, branch), without(left, branch)) for branch in self._candidates(left)]
            better = min(heard, key=lambda pair: pair[0], default=(math.inf, choice))
            if better[0] >= best:
                break
            best, choice = better
        if math.isinf(best):
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
        heard = [self._heard(Choice(choice.gone, worth), lambda: model, again=True) for worth in self._worths]
        loss, best = min(heard, key=lambda pair: pair[0])
        return choice if math.isinf(loss) else best

    def _candidates(self, left: Any) -> Iterable[Branch]:
        """Branches that may go next, the heaviest first, while there are auditions left."""
        found = find_branches(left, self._protect) if self._branches else []
        for branch in sorted(found, key=lambda branch: -_weight(left, branch)):
            if len(self._records) >= self._most:
                return
            yield branch

    def _best(self, gone: tuple[Branch, ...], model: Any) -> tuple[float, Choice]:
        """The loss of the best worth with these branches gone, infinite where none meets the goal."""
        adapted = cache(lambda: self._hearings.adapted(model, gone))
        heard = [self._heard(Choice(gone, worth), adapted)
                 for worth in self._worths[:max(1, self._most - len(self._records))]]
        return min(heard, key=lambda pair: pair[0])

    def _heard(self, choice: Choice, adapted: Callable[[], Any], again: bool = False) -> tuple[float, Choice]:
        """The loss of one choice, infinite where it cannot meet the goal; and the choice with what was kept."""
        names = tuple(branch.record for branch in choice.gone)
        key = (names, choice.joined_worth, again)
        if key not in self._kept:
            asked = SlimAudition(without=names, joined_worth=choice.joined_worth, again=again, validation_loss=None)
            self._kept[key] = asked.model_copy(update=self._held(choice, adapted))
            self._write()
        record = self._kept[key]
        self._records.append(record)
        loss = math.inf if record.validation_loss is None else record.validation_loss
        return loss, choice._replace(kept=record.kept)

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


def leave_out(model: Any, branches: Iterable[Branch]) -> Any:
    """The model without several branches, each found in what the ones before it left."""
    for branch in branches:
        model = without(model, branch)
    return model


def _weight(model: Any, branch: Branch) -> int:
    """Elements of a branch's weights times the places of its outputs: what is likely to save most comes first."""
    return sum(math.prod(layer.output_shape[1:-1]) * layer.count_params()
               for layer in model.layers if layer.name in branch.layers and isinstance(layer.output_shape, tuple))
