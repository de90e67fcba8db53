"""Areas under the ROC curve of anomaly scores: whole, partial, with intervals, and on bootstrap resamples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stages.statistics import Array, Interval, Z, resampled_counts

_CELLS = 40_000_000
_FEWEST_RESAMPLES = 200
_HALVINGS = 60


def auc(scores: Array, anomalous: Array) -> float:
    """Share of pairs (anomalous, normal) in which the anomalous one scores higher; a tie counts half.

    Args:
        scores: (samples,) float, higher is more anomalous.
        anomalous: (samples,) bool, both kinds present.
    """
    return float(_placements(scores[anomalous], scores[~anomalous]).mean())


def auc_interval(scores: Array, anomalous: Array) -> tuple[Interval | None, str]:
    """Interval of `auc`, and the name of the method.

    DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837-845: the variance of the placements of either kind, each
    over its count. Where the kinds are wholly apart that variance is 0; Newcombe's method 5 (2006, Statistics in
    Medicine 25:559-573) still gives an interval there.

    Args:
        scores: (samples,) float.
        anomalous: (samples,) bool.
    """
    above, below = scores[anomalous], scores[~anomalous]
    if min(len(above), len(below)) < 2:
        return None, "too few samples for an interval"
    area = auc(scores, anomalous)
    variance = (_placements(above, below).var(ddof=1) / len(above)
                + _placements(-below, -above).var(ddof=1) / len(below))
    if variance == 0.0:
        return newcombe(area, len(above), len(below)), "Newcombe's interval"
    half = Z * float(np.sqrt(variance))
    return (max(0.0, area - half), min(1.0, area + half)), "DeLong's interval"


def newcombe(area: float, positives: int, negatives: int) -> Interval:
    """Newcombe's method 5: all t with |t - area| <= z sqrt(V(t)), where N = (m + n) / 2 and V(t) is as follows.

    V(t) = t (1 - t) / (m n) · (1 + (N - 1) (1 - t) / (2 - t) + (N - 1) t / (1 + t))
    """
    mean = (positives + negatives) / 2 - 1

    def outside(t: float) -> bool:
        """Whether t is too far from the area."""
        variance = t * (1 - t) / (positives * negatives) * (1 + mean * (1 - t) / (2 - t) + mean * t / (1 + t))
        return abs(t - area) > Z * float(np.sqrt(variance))

    def edge(far: float) -> float:
        """The last t on the way to `far` that is not."""
        near = area
        for _ in range(_HALVINGS):
            middle = (near + far) / 2
            near, far = (near, middle) if outside(middle) else (middle, far)
        return near

    return (edge(0.0) if area > 0 else 0.0), (edge(1.0) if area < 1 else 1.0)


def partial_auc(scores: Array, anomalous: Array, max_fpr: float) -> float:
    """Area up to a false positive rate, standardized as McClish does (1989, Medical Decision Making 9:190-195).

    (1 + (area - least) / (most - least)) / 2, with least = max_fpr² / 2 (chance) and most = max_fpr; so 0.5 is chance
    and 1 is best. This is scikit-learn's `roc_auc_score(max_fpr=...)`, which MLPerf Tiny's anomaly detection uses.

    Args:
        scores: (samples,) float.
        anomalous: (samples,) bool, both kinds present.
        max_fpr: 0 to 1.
    """
    return float(_Curve(scores, anomalous).areas(np.ones((1, len(scores))), max_fpr)[0])


def resampled_areas(scores: list[Array], anomalous: Array, max_fpr: float, resamples: int, seed: int) -> list[Array]:
    """`partial_auc` of one or several models' scores, each on the same stratified resamples.

    Args:
        scores: each (samples,) float.
        anomalous: (samples,) bool.
        max_fpr: 1 for the whole area.
        resamples: how many; see `affordable`.
        seed: of the draws.

    Returns:
        For each of the scores (resamples,) areas.
    """
    curves = [_Curve(each, anomalous) for each in scores]
    parts: list[list[Array]] = [[] for _ in curves]
    for weights in _stratified(anomalous, resamples, seed):
        for curve, found in zip(curves, parts, strict=True):
            found.append(curve.areas(weights, max_fpr))
    return [np.concatenate(found) for found in parts]


def affordable(samples: int, resamples: int) -> int:
    """Fewer resamples for very many samples: an interval from 200 is still good to some 5 % of its width."""
    return min(resamples, max(_FEWEST_RESAMPLES, _CELLS // samples))


def _stratified(anomalous: Array, resamples: int, seed: int) -> Iterator[Array]:
    """Counts of draws with replacement, of either kind as many as there are.  # (some resamples, samples)."""
    places = [np.flatnonzero(anomalous), np.flatnonzero(~anomalous)]
    step = max(1, 2_000_000 // len(anomalous))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        weights = np.empty((size, len(anomalous)))
        for kind, place in enumerate(places):
            part_seed = int(np.random.default_rng((seed, start, kind)).integers(2**31))
            weights[:, place] = np.concatenate([*resampled_counts(len(place), size, part_seed)])
        yield weights


def _placements(above: Array, below: Array) -> Array:
    """For each of `above` the share of `below` that it exceeds, ties half.  # (len(above),)."""
    ordered = np.sort(below)
    places = np.searchsorted(ordered, above, "left") + np.searchsorted(ordered, above, "right")
    return np.asarray(places / (2 * len(below)))


class _Curve:
    """The ROC curve of one set of scores, sorted once; samples of equal score make one step."""

    def __init__(self, scores: Array, anomalous: Array) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ordered = scores[self._order]
        self._positive = anomalous[self._order]
        self._ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # last sample of each step

    def areas(self, weights: Array, max_fpr: float) -> Array:
        """Standardized partial area for each row of (resamples, samples) weights, by the trapezoidal rule."""
        ordered = weights[:, self._order]
        true = self._rates(ordered * self._positive)
        false = self._rates(ordered * ~self._positive)
        cut = np.minimum(false, max_fpr)
        width, rise = np.diff(cut, axis=1), np.diff(true, axis=1)
        run = np.diff(false, axis=1)
        # the last step may be cut in its middle: its height is read off the line at the middle of what is left of it
        along = ((cut[:, 1:] + cut[:, :-1]) / 2 - false[:, :-1]) / np.where(run > 0, run, 1)
        area = (width * (true[:, :-1] + rise * along)).sum(axis=1)
        least = max_fpr**2 / 2
        return np.asarray((1 + (area - least) / (max_fpr - least)) / 2)

    def _rates(self, weights: Array) -> Array:
        """Share reached after each step, starting at 0.  # (resamples, steps + 1)."""
        sums = np.cumsum(weights, axis=1)[:, self._ends]
        return np.concatenate([np.zeros((len(weights), 1)), sums / sums[:, -1:]], axis=1)
