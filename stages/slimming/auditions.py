"""Which branches of a graph go whole: each choice is made, brought to the goal by channels, and trained for a moment.

What a branch is worth cannot be read off its weights as a channel's worth can: the layers after it adapt to its
absence, and what its time buys elsewhere counts too. So every choice has an audition: without the branch, with as many
channels gone as the goal still demands, statistics taken anew, one short epoch. The validation loss after it decides.
It begins with no branch gone, then takes the best single one, then the best second one beside it, until none makes it
better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from device_profiles.errors import StageError
from stages.records import SlimAudition, SlimBranch
from stages.slimming.branches import Branch, find_branches, without
from stages.slimming.cutting import TooMuch


class Heard(NamedTuple):
    """What an audition gives: validation loss, and by layer the channels that were left at the goal."""

    loss: float
    channels: dict[str, int]


Audition = Callable[[Any, str], Heard]
"""Of a model that has lost some branches, brought to the goal; the text says which, for the log's reader."""
_FILE = "branches.json"
_RECORDS = TypeAdapter(tuple[SlimAudition, ...])


class Auditions:
    """The search for the branches that go; finished auditions are kept, so that a killed run goes on.

    Args:
        model: a flat functional `tf_keras.Model`.
        protect: names of layers, or shell patterns: a branch with such a layer stays.
        most: auditions, at most.
        scratch: folder of the stage, where they are kept.
        audition: see `Audition`; raises StageError where the goal cannot be met.
    """

    def __init__(self, model: Any, protect: Iterable[str], most: int, scratch: Path, audition: Audition) -> None:
        self._model, self._protect, self._most = model, tuple(protect), most
        self._file, self._audition = scratch / _FILE, audition
        self._kept = {record.without: record for record in self._read()}
        self._records: list[SlimAudition] = []

    def run(self) -> tuple[tuple[Branch, ...], tuple[SlimAudition, ...]]:
        """The branches that go, in the order in which they are taken out, and every audition.

        Raises:
            StageError: no choice can meet the goal; the reason is that of the whole model.
        """
        gone: tuple[Branch, ...] = ()
        best = self._heard(gone, self._model)
        while True:
            left = leave_out(self._model, gone)
            found = sorted(find_branches(left, self._protect), key=lambda branch: -_weight(left, branch))
            heard = []
            for branch in found[:self._most - len(self._records)]:
                choice = (*gone, branch)
                heard.append((self._heard(choice, without(left, branch)), choice))
            if not heard or min(loss for loss, _ in heard) >= best:
                break
            best, gone = min(heard, key=lambda pair: pair[0])
        if math.isinf(best):
            raise StageError(self._records[0].refused, "a goal that channels and branches can meet",
                             "ask for less, lower slim.least_share, or protect fewer layers")
        return gone, tuple(self._records)

    def _heard(self, gone: tuple[Branch, ...], model: Any) -> float:
        """The loss of one choice, infinite where it cannot meet the goal."""
        names = tuple(branch.record for branch in gone)
        record = self._kept.get(names)
        if record is None:
            record = self._held(names, model)
            self._kept[names] = record
            self._write()
        self._records.append(record)
        return math.inf if record.validation_loss is None else record.validation_loss

    def _held(self, names: tuple[SlimBranch, ...], model: Any) -> SlimAudition:
        words = " and ".join(branch.name for branch in names) or "nothing"
        try:
            heard = self._audition(model, words)
            return SlimAudition(without=names, validation_loss=heard.loss, channels=heard.channels)
        except TooMuch as error:
            return SlimAudition(without=names, validation_loss=None, refused=error.found)

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
