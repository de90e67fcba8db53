"""Solve, build, measure, and solve again: the additive model proposes formats, the built model decides.

For an allowed drop d: the layers' divergences may add up to b, at first `d / points_per_divergence`. A model whose
measured drop is above d lowers b; one that keeps d raises it, until two bounds that lie between give the same formats
or the rounds are used up. Of the models that keep d the cheapest is taken.

For a budget: the divergence is least while the predicted cost keeps the budget. By how much the built file is larger or
smaller than predicted, the next round's bound is lower or higher.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from device_profiles.errors import StageError
from stages.mixing.solver import Choice, Link, Solution, solve
from stages.records.sensitivity import MixedRound

Formats = tuple[str, ...]


@dataclass(frozen=True)
class Built:
    """An assembled model, as far as the search needs to know it."""

    drop_points: float
    tflite_bytes: int


@dataclass
class Search:
    """The rounds of one search.

    Attributes:
        nodes, links: see `stages.mixing.solver`.
        layers: numbers of the nodes that have weights; their formats are counted.
        build: makes and measures the model of a choice.
        base: what the cost of a whole model has beside that of its nodes: bytes of the file around the weights.
        rounds: that may be built.
        done: what was built.
        formats: of the same.
    """

    nodes: list[list[Choice]]
    links: list[Link]
    layers: list[int]
    build: Callable[[Formats], Built]
    base: float
    rounds: int
    done: list[MixedRound] = field(default_factory=list)
    formats: list[Formats] = field(default_factory=list)

    def for_drop(self, allowed: float, slope: float) -> int:
        """Number of the round with the least cost at a drop of at most `allowed` points.

        Args:
            allowed: points.
            slope: points for a unit of divergence; 0: not known.

        Raises:
            StageError: no choice keeps the drop; says the least that was found.
        """
        safe, unsafe, most = None, None, self._cheapest_loss()
        bound = allowed / slope if slope > 0 else most
        while len(self.done) < self.rounds:
            found = solve(self.nodes, self.links, "cost", bound)
            if found is None or found.formats in self.formats:
                break
            built = self._add(found, bound, lambda each: each.drop_points <= allowed)
            safe, unsafe = (found.loss, unsafe) if built.accepted else (safe, found.loss)
            if built.accepted and found.loss >= most:
                break
            bound = _next_bound(safe, unsafe, bound, allowed / built.drop_points if built.drop_points > 0 else 1.0)
        if safe is None:
            self._try_safest(allowed)
        return self._cheapest(f"a drop of at most {allowed:g} points", allowed)

    def for_budget(self, budget: float, *, of_file: bool) -> int:
        """Number of the round with the least divergence at a cost of at most `budget`.

        Args:
            budget: bytes of the file, or milliseconds.
            of_file: whether it is bytes, which are then counted in the built file.

        Raises:
            StageError: no choice keeps the budget; says the least cost.
        """
        above = 0.0  # by how much the file is larger than predicted
        while len(self.done) < self.rounds:
            found = solve(self.nodes, self.links, "loss", budget - above - self.base)
            found = self._cheapest_solution() if found is None and of_file else found
            if found is None or found.formats in self.formats:
                break
            done = self._add(found, None, lambda each: not of_file or each.tflite_bytes <= budget)
            above = done.tflite_bytes - done.predicted_cost if of_file else above
        kept = [number for number, each in enumerate(self.done) if each.accepted]
        if kept:
            return min(kept, key=lambda number: self.done[number].predicted_divergence)
        raise self._unaffordable(budget, of_file)

    def _unaffordable(self, budget: float, of_file: bool) -> StageError:
        """That a budget cannot be kept, with the least that can."""
        least = min(each.tflite_bytes for each in self.done) if self.done and of_file else self._least_cost()
        unit = "bytes" if of_file else "ms"
        return StageError(f"mixed: a budget of {budget:,.10g} {unit} cannot be kept: the least here is {least:,.10g}",
                          f"quantize.mixed.budget of {least:,.10g} or more",
                          "raise the budget, or allow smaller formats in quantize.mixed.formats")

    def _add(self, found: Solution, bound: float | None, keeps: Callable[[Built], bool]) -> MixedRound:
        """Build a solution and note what came of it."""
        built = self.build(found.formats)
        self.formats.append(found.formats)
        self.done.append(MixedRound(
            divergence_allowed=bound if bound is None or math.isfinite(bound) else None,
            predicted_divergence=found.loss, predicted_cost=found.cost + self.base, gap=found.gap,
            drop_points=built.drop_points, tflite_bytes=built.tflite_bytes, accepted=keeps(built),
            formats=dict(sorted(Counter(found.formats[number] for number in self.layers).items()))))
        return self.done[-1]

    def _try_safest(self, allowed: float) -> None:
        """The choice with the least divergence, as the last resort."""
        found = solve(self.nodes, self.links, "loss", math.inf)
        if found is not None and found.formats not in self.formats:
            self._add(found, None, lambda each: each.drop_points <= allowed)

    def _cheapest(self, asked: str, allowed: float) -> int:
        """The accepted round with the least predicted cost; of equal ones the one with the least drop."""
        kept = [number for number, each in enumerate(self.done) if each.accepted]
        if not kept:
            least = min((each.drop_points for each in self.done), default=math.nan)
            raise StageError(f"mixed: {asked} cannot be kept: the least that was found is {least:.3g}",
                             f"quantize.mixed.drop_points of {max(allowed, least):.3g} or more",
                             "allow int8, int16x8 or float32 in quantize.mixed.formats, or more calibration samples")
        return min(kept, key=lambda number: (self.done[number].predicted_cost, self.done[number].drop_points))

    def _cheapest_solution(self) -> Solution | None:
        """The cheapest choice there is: allowing more divergence changes nothing."""
        return solve(self.nodes, self.links, "cost", math.inf)

    def _cheapest_loss(self) -> float:
        """Its divergence."""
        found = self._cheapest_solution()
        return math.inf if found is None else found.loss

    def _least_cost(self) -> float:
        """Its cost."""
        found = self._cheapest_solution()
        return math.inf if found is None else found.cost + self.base


def _next_bound(safe: float | None, unsafe: float | None, bound: float, share: float) -> float:
    """The next bound of the divergence.

    Args:
        safe: the largest divergence whose drop was kept, or None.
        unsafe: the last one whose drop was not, or None.
        bound: the last one.
        share: allowed drop over measured drop.
    """
    if unsafe is None:
        return 2 * max(safe or 0.0, bound)
    if safe is None:
        return unsafe * min(0.7, max(0.2, share))
    return math.sqrt(max(safe, 1e-12) * unsafe)
