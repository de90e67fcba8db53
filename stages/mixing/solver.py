"""The choice of one format for each node: a 0-1 program, solved exactly by branch and bound (HiGHS, through scipy).

With x[n, f] = 1 where node n has the format f, and y[t, a, b] = 1 where tensor t is turned from type a into type b:

    sum over f of x[n, f] = 1                                     each node has one format
    y[t, a, b] >= x[maker of t makes a] + x[reader of t reads b] - 1        one conversion serves all readers of b
    cost  = sum of cost[n, f] x[n, f] + sum of cost[t, a, b] y[t, a, b]
    loss  = sum of loss[n, f] x[n, f]                             losses of single layers are taken to add up

and either the cost is least while the loss keeps a bound, or the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StageError

Goal = Literal["cost", "loss"]
TIME_LIMIT_S = 60.0


@dataclass(frozen=True)
class Choice:
    """A format that a node can have: its type of activations, what it costs and what it loses."""

    format: str
    activation: str
    cost: float
    loss: float


@dataclass(frozen=True)
class Link:
    """A tensor between two nodes.

    Attributes:
        tensor: links of one tensor share its conversions.
        costs: of turning it, by (type made, type read) where they differ; a pair that is missing cannot be.
    """

    tensor: int
    maker: int
    reader: int
    costs: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True)
class Solution:
    """A choice.

    Attributes:
        formats: by node number.
        cost, loss: by the additive model, conversions included in the cost.
        gap: bound on how far the goal may be from its best, as a share; 0: proven best.
    """

    formats: tuple[str, ...]
    cost: float
    loss: float
    gap: float


def solve(nodes: list[list[Choice]], links: list[Link], goal: Goal, bound: float) -> Solution | None:
    """The choice with the least cost or loss.

    Args:
        nodes: the choices of each.
        links: between them.
        goal: what is to be least; the other one keeps the bound.
        bound: see `goal`; infinity for none.

    Returns:
        The choice, or None where none keeps the bound.

    Raises:
        StageError: the solver gave up without any choice.
    """
    from scipy import optimize, sparse

    program = _Program(nodes, links)
    least, kept = (program.costs, program.losses) if goal == "cost" else (program.losses, program.costs)
    scale = max(float(np.abs(kept).max(initial=0.0)), 1e-300)  # a bound far below HiGHS's tolerance of 1e-6 is no bound
    rows, low, high = program.rows()
    if np.isfinite(bound):
        rows, low, high = [*rows, dict(enumerate(kept / scale))], [*low, -np.inf], [*high, bound / scale + 1e-12]
    matrix = sparse.lil_matrix((len(rows), program.size))
    for number, row in enumerate(rows):
        for column, value in row.items():
            matrix[number, column] = value
    unit = max(float(np.abs(least).max(initial=0.0)), 1e-300)
    found = optimize.milp(least / unit, integrality=program.integral, bounds=optimize.Bounds(0, 1),
                          constraints=optimize.LinearConstraint(matrix.tocsr(), low, high),
                          options={"mip_rel_gap": 0.0, "time_limit": TIME_LIMIT_S})
    if found.x is None:
        if found.status == 1:
            raise StageError(f"no assignment of formats was found in {TIME_LIMIT_S:.0f} s", "",
                             "leave formats out of quantize.mixed.formats")
        return None
    return program.solution(found.x, float(found.mip_gap or 0.0))


class _Program:
    """Columns and rows of the 0-1 program."""

    def __init__(self, nodes: list[list[Choice]], links: list[Link]) -> None:
        self.nodes, self.links = nodes, links
        self.column = {(number, choice.format): place for place, (number, choice) in enumerate(
            (number, choice) for number, choices in enumerate(nodes) for choice in choices)}
        self.turned: dict[tuple[int, str, str], int] = {}
        costs = [choice.cost for choices in nodes for choice in choices]
        for link in links:
            for pair, cost in link.costs.items():
                if (link.tensor, *pair) not in self.turned:
                    self.turned[link.tensor, *pair] = len(costs)
                    costs.append(cost)
        self.size = len(costs)
        self.costs: NDArray[np.float64] = np.array(costs, np.float64)
        self.losses: NDArray[np.float64] = np.zeros(self.size)
        self.losses[:len(self.column)] = [choice.loss for choices in nodes for choice in choices]
        self.integral: NDArray[np.int64] = (np.arange(self.size) < len(self.column)).astype(np.int64)

    def rows(self) -> tuple[list[dict[int, float]], list[float], list[float]]:
        """Rows by column, with their lower and upper bounds."""
        rows: list[dict[int, float]] = [{self.column[number, choice.format]: 1.0 for choice in choices}
                                        for number, choices in enumerate(self.nodes)]
        low, high = [1.0] * len(rows), [1.0] * len(rows)
        for link in self.links:
            for made in self._types(link.maker):
                for read in self._types(link.reader) - {made}:
                    row = self._columns(link.maker, made) | self._columns(link.reader, read)
                    if (made, read) in link.costs:
                        row[self.turned[link.tensor, made, read]] = -1.0
                    rows.append(row)
                    low.append(-np.inf)
                    high.append(1.0)
        return rows, low, high

    def solution(self, x: NDArray[Any], gap: float) -> Solution:
        """What the columns say, its cost and loss counted anew."""
        formats = tuple(max((float(x[self.column[number, choice.format]]), choice.format) for choice in choices)[1]
                        for number, choices in enumerate(self.nodes))
        return Solution(formats, *worth(self.nodes, self.links, formats), gap)

    def _types(self, number: int) -> set[str]:
        return {choice.activation for choice in self.nodes[number]}

    def _columns(self, number: int, activation: str) -> dict[int, float]:
        return {self.column[number, choice.format]: 1.0 for choice in self.nodes[number]
                if choice.activation == activation}


def worth(nodes: list[list[Choice]], links: list[Link], formats: tuple[str, ...]) -> tuple[float, float]:
    """(cost, loss) of a choice; the cost is infinite where a tensor cannot be turned as it would have to be."""
    chosen = [next(choice for choice in choices if choice.format == name)
              for choices, name in zip(nodes, formats, strict=True)]
    turned: dict[tuple[int, str, str], float] = {}
    for link in links:
        pair = chosen[link.maker].activation, chosen[link.reader].activation
        if pair[0] != pair[1]:
            turned[link.tensor, *pair] = link.costs.get(pair, np.inf)
    return sum(each.cost for each in chosen) + sum(turned.values()), sum(each.loss for each in chosen)
