"""Labels that a cross-validated model contradicts: confident learning for classes, outlying residuals for values.

Confident learning (Northcutt, Jiang and Chuang, 2021, https://doi.org/10.1613/jair.1.12125): with p(j|x) from folds
that did not see x, a class's threshold is the mean of p(j|x) over the samples labelled j. A sample labelled i is
suspected where the likeliest class j among those at or above their thresholds is another one; suspicions are ranked by
the margin p(j|x) - p(i|x).

The model is cheap, so it is said how good it is, and a weak one's suspicions are counted for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.records import Figure
from stages.datasets.prepared import Preprocessing
from stages.examining.gathering import Examined, user_values
from stages.examining.looks import edges, principal, standardized
from stages.records import LabelErrors, SuspectedLabel

FOLDS = 5
MOST_LISTED = 24
LEAST_R2 = 0.3
"""From this R2 on residuals of the cheap regression mean something."""
OUTLIER = 6.0
"""Robust standard deviations from which on a residual is suspected: a normal distribution has 2 in 10^9 there."""
_COLOR_COMPONENTS, _EDGE_COMPONENTS, _VECTOR_COMPONENTS = 40, 64, 64
_MOST_CLASSES = 100
_LEAST_SAMPLES = 50

Array = NDArray[Any]


def label_errors(examined: Examined, preprocessing: Preprocessing, least_score: float, seed: int) -> LabelErrors:
    """Look for them as the task asks for.

    Args:
        examined: the samples.
        preprocessing: of the prepare artifact.
        least_score: cross-validated accuracy below which no class label is suspected.
        seed: of the folds.
    """
    reason = _why_not(examined, preprocessing)
    if reason:
        return LabelErrors(left_out=reason)
    if preprocessing.task == "regression":
        return _value_errors(examined, preprocessing, seed)
    return _class_errors(examined, preprocessing.class_names, least_score, seed)


def _why_not(examined: Examined, preprocessing: Preprocessing) -> str:
    """Why labels of this kind are not checked; empty where they are."""
    if examined.y.dtype.names is not None:
        return "the labels of several outputs are not checked"
    if preprocessing.task == "multilabel":
        return "a sample may have any set of labels, so no single one can be contradicted"
    if preprocessing.task == "anomaly":
        return "normal samples alone are trained on, so there are no classes to tell apart"
    if len(examined.y) < _LEAST_SAMPLES:
        return f"{len(examined.y)} samples are too few; at least {_LEAST_SAMPLES}"
    if len(preprocessing.class_names) > _MOST_CLASSES:
        return f"{len(preprocessing.class_names)} classes are too many for the cheap model; at most {_MOST_CLASSES}"
    return ""


def features(examined: Examined) -> Array:
    """What the cheap models see: whitened components of colours and edges, or of the values.  # (samples, features)."""
    planes = examined.looks.planes
    if planes is None:
        return principal(standardized(examined.looks.vectors), _VECTOR_COMPONENTS)
    colors = principal(examined.looks.vectors, _COLOR_COMPONENTS)
    return np.concatenate([colors, principal(edges(planes), _EDGE_COMPONENTS)], axis=1)


# -- classes ---------------------------------------------------------------------------------------------------------


def _class_errors(examined: Examined, class_names: tuple[str, ...], least_score: float, seed: int) -> LabelErrors:
    """Confident learning on the samples of classes that every fold can have."""
    counts = np.bincount(examined.y)
    rows = np.flatnonzero(counts[examined.y] >= FOLDS)
    if len(np.unique(examined.y[rows])) < 2:
        return LabelErrors(left_out=f"fewer than two classes have {FOLDS} samples")
    classes, y = np.unique(examined.y[rows], return_inverse=True)
    given = probabilities(features(examined)[rows], y, examined.together[rows], seed)
    right = int((given.argmax(axis=1) == y).sum())
    score = Figure(value=round(right / len(y), 6), unit="fraction", provenance="measured", samples=len(y),
                   method="accuracy on samples left out of the fit")
    method = f"logistic regression on principal components of colours and edges, {FOLDS} folds" if (
        examined.looks.planes is not None) else f"logistic regression on principal components, {FOLDS} folds"
    if score.value < least_score:
        return LabelErrors(method=method, score=score, left_out=(
            f"a model that is right on {100 * score.value:.0f} % of the samples contradicts too many right labels; "
            f"at least {100 * least_score:.0f} %"))
    suspected, suggested, margin = contradicted(given, y)
    order = suspected[np.argsort(-margin[suspected], kind="stable")]
    listed = tuple(SuspectedLabel(sample=examined.sample(int(rows[row])), margin=round(float(margin[row]), 3),
                                  suggested=class_names[classes[suggested[row]]]) for row in order[:MOST_LISTED])
    return LabelErrors(method=method, score=score, suspected=len(order), listed=listed)


def probabilities(seen: Array, y: Array, together: Array, seed: int) -> Array:
    """Class probabilities of each sample from a model that was fitted without it.

    Args:
        seen: (samples, features) float32.
        y: (samples,) labels, 0 to classes - 1, each at least `FOLDS` times.
        together: (samples,) equal where samples must be in one fold.
        seed: of the folds.

    Returns:
        (samples, classes) float64; 0 for a class that no other fold had.
    """
    from sklearn.linear_model import LogisticRegression

    found = np.zeros((len(y), int(y.max()) + 1))
    for fit, left_out in _folds(seen, y, together, seed):
        model = LogisticRegression(C=0.05, max_iter=100, tol=1e-3).fit(seen[fit], y[fit])
        found[np.ix_(left_out, model.classes_)] = model.predict_proba(seen[left_out])
    return found


def _folds(seen: Array, y: Array, together: Array, seed: int) -> Iterator[tuple[Array, Array]]:
    """Stratified folds; by group where samples hang together."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    groups = len(np.unique(together))
    if groups == len(together) or groups < FOLDS:
        yield from StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(seen, y)
    else:
        yield from StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(seen, y, together)


def contradicted(given: Array, y: Array) -> tuple[Array, Array, Array]:
    """Confident learning's suspicions.

    Args:
        given: (samples, classes) probabilities out of sample.
        y: (samples,) labels, every class at least once.

    Returns:
        rows of the suspected samples; for every sample the likeliest class among those at their threshold; and the
        margin of that class over the given label.
    """
    rows = np.arange(len(y))
    thresholds = np.array([given[y == label, label].mean() for label in range(given.shape[1])])
    confident = np.where(given >= thresholds, given, -1.0)
    suggested = confident.argmax(axis=1)
    margin = given[rows, suggested] - given[rows, y]
    suspected = (confident.max(axis=1) >= 0) & (suggested != y) & (margin > 0)
    return np.flatnonzero(suspected), suggested, margin


# -- values ----------------------------------------------------------------------------------------------------------


def _value_errors(examined: Examined, preprocessing: Preprocessing, seed: int) -> LabelErrors:
    """Residuals of a cross-validated regression that are far out, in any of the values."""
    target = user_values(examined.y, preprocessing)  # (samples, values)
    given = predictions(features(examined), target, examined.together, seed)
    unexplained = ((target - given)**2).sum(axis=0) / np.maximum(((target - target.mean(axis=0))**2).sum(axis=0), 1e-30)
    score = Figure(value=round(float((1 - unexplained).mean()), 4), unit="", provenance="measured", samples=len(target),
                   method="R2 on samples left out of the fit")
    method = f"mean of ridge regression and 10 neighbours on principal components, {FOLDS} folds"
    if score.value < LEAST_R2:
        return LabelErrors(method=method, score=score, left_out=(
            f"a model with an R2 of {score.value:.2f} leaves too much unexplained; at least {LEAST_R2}"))
    residuals = target - given
    centre = np.median(residuals, axis=0)
    spread = 1.4826 * np.median(np.abs(residuals - centre), axis=0)  # of a normal distribution: its deviation
    far = (np.abs(residuals - centre) / np.maximum(spread, 1e-30)).max(axis=1)  # (samples,)
    order = np.argsort(-far, kind="stable")[:int((far >= OUTLIER).sum())]
    listed = tuple(SuspectedLabel(sample=examined.sample(int(row)), margin=round(float(far[row]), 2),
                                  suggested=", ".join(f"{value:.4g}" for value in given[row]))
                   for row in order[:MOST_LISTED])
    return LabelErrors(method=method, score=score, suspected=len(order), listed=listed)


def predictions(seen: Array, target: Array, together: Array, seed: int) -> Array:
    """Values of each sample from models fitted without it: the mean of a ridge regression and of 10 neighbours.

    Returns:
        (samples, values) float64.
    """
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GroupKFold, KFold
    from sklearn.neighbors import KNeighborsRegressor

    found = np.zeros(target.shape)
    groups = len(np.unique(together))
    whole = groups == len(together) or groups < FOLDS
    folds = KFold(FOLDS, shuffle=True, random_state=seed).split(seen) if whole else (
        GroupKFold(FOLDS).split(seen, groups=together))
    for fit, left_out in folds:
        for model in (Ridge(alpha=1.0), KNeighborsRegressor(10, weights="distance")):
            found[left_out] += model.fit(seen[fit], target[fit]).predict(seen[left_out]).reshape(len(left_out), -1) / 2
    return found
