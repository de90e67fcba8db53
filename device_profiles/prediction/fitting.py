"""The fit: prices of terms as corrections to the prior, in log space.

For row i with amounts a_ij and prior prices p_ij (so that x_ij = a_ij * p_ij is in seconds), effects e of its setup:

    t_i = sum_j x_ij * exp(sum_e beta[e, j])
    minimize  sum_i rho((log t_i - log observed_i) / sigma) + 1/2 sum_e beta[e]^T C_e^-1 beta[e]
    rho(z) = (nu + 1) / 2 * log(1 + z^2 / nu)                       (Student's t: a few odd rows do not pull the fit)
    C_e    = common_e^2 * m_e m_e^T + own_e^2 * diag(loose_e^2)     (a setup is faster as a whole, and a little by term)

m_e says which terms have a part in what an effect does to all of them: 1 for each, where nothing else is given.
Every price is positive by construction. Gauss-Newton on the reweighted squares, in the dual: with the shares s_i of the
terms in t_i, a round solves (K + W^-1) a = r - S beta, where K[i, k] = sum over the effects e that i and k share of
s_i^T C_e s_k, and beta[e] = -C_e sum over the rows i of e of a_i s_i. So a round costs rows^3, however many effects.
Levels whose m and loose agree are one block of K.
The covariance of a setup's corrections is that of the Gaussian process at the minimum (Laplace's approximation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]
Effect = tuple[str, str]
Spread = tuple[float, float]
"""(common, own): standard deviations of an effect's correction, of all terms together and of each alone, in logs."""

_LARGEST_STEP, _LARGEST_LOG = 2.0, 25.0
_TRIES = 6


@dataclass(frozen=True)
class Options:
    """How to fit.

    Attributes:
        spreads: by level.
        loose: multiple of an effect's own spread that each term has, (terms,).
        shared: by level, the weight m that each term has in the common correction, (terms,); a level that is not named
            has 1 for each.
        bound: by level, a further multiple of the own spread, (terms,), for what a level has little to do with.
        sigma: scale of the residuals, in logs.
        nu: degrees of freedom of Student's t.
        rounds: at most.
        tolerance: relative gain at which the fit ends.
    """

    spreads: Mapping[str, Spread]
    loose: tuple[float, ...]
    shared: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    bound: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    sigma: float = 0.05
    nu: float = 3.0
    rounds: int = 40
    tolerance: float = 1e-5


@dataclass(frozen=True)
class Rows:
    """Measurements of one number format.

    Attributes:
        seconds: amounts times prior prices, (rows, terms).
        observed: latencies in seconds, (rows,).
        effects: of each row's setup.
        weights: of each row, (rows,).
    """

    seconds: Array
    observed: Array
    effects: Sequence[tuple[Effect, ...]]
    weights: Array

    def take(self, chosen: np.ndarray[Any, np.dtype[np.signedinteger[Any]]]) -> Rows:
        """The rows at these positions."""
        return Rows(self.seconds[chosen], self.observed[chosen], [self.effects[i] for i in chosen],
                    self.weights[chosen])


@dataclass(frozen=True)
class Fitted:
    """What a fit found.

    Attributes:
        index: effect -> its row in `beta`.
        beta: corrections in logs, (effects, terms).
        problem: the rows at the minimum, for covariances.
    """

    index: Mapping[Effect, int]
    beta: Array
    problem: _Problem = field(repr=False)

    def log_prices(self, effects: Sequence[Effect]) -> Array:
        """Summed corrections of a setup, (terms,); an effect that was not seen corrects nothing."""
        import numpy as np

        known = [self.beta[self.index[effect]] for effect in effects if effect in self.index]
        return np.sum(known, axis=0) if known else np.zeros(self.beta.shape[1])

    def predict(self, rows: Rows) -> Array:
        """Seconds, (rows,)."""
        import numpy as np

        return np.array([x @ np.exp(self.log_prices(e)) for x, e in zip(rows.seconds, rows.effects, strict=True)])

    def setup_covariance(self, effects: Sequence[Effect]) -> Array:
        """Of the summed corrections of a setup, (terms, terms); an effect not seen adds its prior's."""
        return self.problem.covariance(self.beta, effects)


def fit(rows: Rows, options: Options, start: Fitted | None = None) -> Fitted:
    """Fit the corrections.

    Args:
        rows: measurements of one number format.
        options: spreads, scale, rounds.
        start: a fit to begin at; makes leaving rows out cheap.
    """
    problem = _Problem(rows, options)
    beta = problem.solve(problem.start(start))
    return Fitted(problem.index, beta, problem)


@dataclass(frozen=True)
class _Block:
    """Levels whose terms share alike.

    Attributes:
        weights: m of each term, (terms,).
        loose: squared multiples of the own spreads, (terms,).
        common, own: variances that two rows share through their effects, (rows, rows).
    """

    weights: Array
    loose: Array
    common: Array
    own: Array


class _Problem:
    """The sum to minimize, for one set of rows."""

    def __init__(self, rows: Rows, options: Options) -> None:
        import numpy as np

        self.rows, self.options = rows, options
        self.index: dict[Effect, int] = {}
        for effects in rows.effects:
            for effect in effects:
                self.index.setdefault(effect, len(self.index))
        self.members = np.zeros((len(rows.observed), len(self.index)))  # (rows, effects)
        for number, effects in enumerate(rows.effects):
            self.members[number, [self.index[effect] for effect in effects]] = 1
        self.logs = np.log(rows.observed)
        levels = [level for level, _ in self.index]
        spreads = np.array([options.spreads[level] for level in levels]) ** 2  # (effects, 2)
        self.common = spreads[:, 0]
        self.weights = np.array([options.shared.get(level, (1.0,) * len(options.loose)) for level in levels])
        self.own = spreads[:, 1:] * self._loose(levels)  # (effects, terms)
        self.blocks = self._blocks(levels)
        self._factor: tuple[Array, bool] | None = None

    def _loose(self, levels: Sequence[str]) -> Array:
        """Squared multiples of the own spreads of some levels, (levels, terms)."""
        import numpy as np

        none = (1.0,) * len(self.options.loose)
        bound = np.array([self.options.bound.get(level, none) for level in levels])
        squares: Array = (bound * np.array(self.options.loose)) ** 2
        return squares

    def _blocks(self, levels: Sequence[str]) -> list[_Block]:
        """What rows have in common, by the levels whose terms share alike."""
        import numpy as np

        alike: dict[tuple[tuple[float, ...], ...], list[str]] = {}
        for level in dict.fromkeys(levels):
            alike.setdefault((self.options.shared.get(level, ()), self.options.bound.get(level, ())), []).append(level)
        found = []
        for names in alike.values():
            together = {level: self._together(level) for level in names}
            common, own = (np.sum([self.options.spreads[level][kind] ** 2 * together[level] for level in names], axis=0)
                           for kind in (0, 1))
            number = levels.index(names[0])
            found.append(_Block(self.weights[number], self._loose(names[:1])[0], common, own))
        return found

    def _together(self, level: str) -> Array:
        """1 where two rows have the level's effect in common, (rows, rows)."""
        import numpy as np

        own = [next((self.index[effect] for effect in effects if effect[0] == level), -1 - number)
               for number, effects in enumerate(self.rows.effects)]
        same: Array = np.equal.outer(own, own).astype(float)
        for number, effect in enumerate(own):  # a row without an effect has nothing in common, not even with itself
            same[number, number] = effect >= 0
        return same

    def start(self, fitted: Fitted | None) -> Array:
        """Corrections to begin with, (effects, terms)."""
        import numpy as np

        beta = np.zeros((len(self.index), self.rows.seconds.shape[1]))
        if fitted is not None:
            for effect, number in self.index.items():
                if effect in fitted.index:
                    beta[number] = fitted.beta[fitted.index[effect]]
        return beta

    def residuals(self, beta: Array) -> tuple[Array, Array]:
        """(shares of the terms in the prediction (rows, terms), log predicted - log observed (rows,))."""
        import numpy as np

        logs = np.clip(self.members @ beta, -_LARGEST_LOG, _LARGEST_LOG)
        parts = self.rows.seconds * np.exp(logs)  # (rows, terms), seconds
        total = parts.sum(axis=1)
        return parts / total[:, None], np.log(total) - self.logs

    def loss(self, beta: Array, residual: Array) -> float:
        """What is minimized; C_e^-1 by Sherman and Morrison."""
        import numpy as np

        nu, sigma = self.options.nu, self.options.sigma
        misfit = (nu + 1) / 2 * np.sum(self.rows.weights * np.log1p((residual / sigma) ** 2 / nu))
        shift = self.common / (1 + self.common * (self.weights ** 2 / self.own).sum(axis=1))
        squares = (beta ** 2 / self.own).sum(axis=1) - shift * (self.weights * beta / self.own).sum(axis=1) ** 2
        return float(misfit + squares.sum() / 2)

    def noise(self, residual: Array) -> Array:
        """Variance that each row has after reweighting, W^-1, (rows,)."""
        nu, sigma = self.options.nu, self.options.sigma
        variance: Array = (nu + (residual / sigma) ** 2) * sigma ** 2 / (nu + 1) / self.rows.weights
        return variance

    def kernel(self, shares: Array, residual: Array) -> Array:
        """K + W^-1, (rows, rows)."""
        import numpy as np

        total: Array = np.diag(self.noise(residual))
        for block in self.blocks:
            moved = shares @ block.weights  # (rows,), how much a common correction of 1 moves each row
            total += block.common * np.outer(moved, moved) + block.own * ((shares * block.loose) @ shares.T)
        return total

    def target(self, beta: Array, shares: Array, residual: Array) -> Array:
        """Where the squares at `beta` have their minimum, (effects, terms)."""
        from scipy.linalg import cho_factor, cho_solve

        linear = residual - (shares * (self.members @ beta)).sum(axis=1)
        factor = cho_factor(self.kernel(shares, residual), overwrite_a=True, check_finite=False)
        dual = cho_solve(factor, linear, check_finite=False)  # (rows,)
        weighted = self.members.T @ (shares * dual[:, None])  # (effects, terms)
        common = self.common * (self.weights * weighted).sum(axis=1)
        target: Array = -(self.own * weighted + common[:, None] * self.weights)
        return target

    def solve(self, beta: Array) -> Array:
        """Gauss-Newton from `beta`, each step as long as it lowers the loss."""
        shares, residual = self.residuals(beta)
        loss = self.loss(beta, residual)
        for _ in range(self.options.rounds):
            better = self._step(beta, self.target(beta, shares, residual) - beta, loss)
            if better is None:
                break
            beta, shares, residual, reached = better
            gain, loss = loss - reached, reached
            if gain < self.options.tolerance * max(1.0, abs(loss)):
                break
        return beta

    def _step(self, beta: Array, step: Array, loss: float) -> tuple[Array, Array, Array, float] | None:
        """The longest halving of a step that lowers the loss; None where none does."""
        import numpy as np

        moved = self.members @ step  # (rows, terms), how far each row's log prices go
        step = step * min(1.0, _LARGEST_STEP / float(np.abs(moved).max() or 1.0))
        for _ in range(_TRIES):
            shares, residual = self.residuals(beta + step)
            reached = self.loss(beta + step, residual)
            if reached < loss:
                return beta + step, shares, residual, reached
            step = step / 3
        return None

    def covariance(self, beta: Array, effects: Sequence[Effect]) -> Array:
        """Of the summed corrections of these effects given the rows, (terms, terms)."""
        import numpy as np
        from scipy.linalg import cho_factor, cho_solve

        shares, residual = self.residuals(beta)
        if self._factor is None:
            self._factor = cho_factor(self.kernel(shares, residual), overwrite_a=True, check_finite=False)
        total: Array = np.zeros((beta.shape[1], beta.shape[1]))
        cross = np.zeros((beta.shape[1], len(shares)))  # (terms, rows)
        for effect in effects:
            level, number = effect[0], self.index.get(effect)
            common, own = np.array(self.options.spreads[level]) ** 2
            loose = self._loose([level])[0]
            weights = np.array(self.options.shared.get(level, (1.0,) * len(loose)))
            total += common * np.outer(weights, weights) + np.diag(own * loose)
            if number is not None:
                cross += self.members[:, number] * (common * np.outer(weights, shares @ weights)
                                                    + own * loose[:, None] * shares.T)
        total -= cross @ cho_solve(self._factor, cross.T, check_finite=False)
        return total
