"""How the zeros of a whole model are shared out among its kernels.

`layer` gives every kernel the same share. `global` ranks all weights of all kernels by the layer-adaptive score of Lee
et al. 2021 (arXiv:2010.07611) and takes the smallest: of the weights w_1, w_2, ... of a kernel by falling magnitude

    score_i = w_i² / (w_1² + ... + w_i²)

which is the part of the kernel's norm that goes with the weight once all smaller ones have gone. Magnitudes alone
would compare layers of different scale, and empty those whose weights are small because their inputs are large. The
largest weight of a kernel has the score 1, so no kernel is emptied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StageError

Scope = Literal["global", "layer"]


def share_out(kernels: Mapping[str, NDArray[np.float32]], sparsity: float, scope: Scope,
              most: Mapping[str, float] | None = None) -> dict[str, float]:
    """The share of zeros of each kernel.

    Args:
        kernels: by layer.
        sparsity: the share of zeros over all of them, 0 to 1.
        scope: see the module.
        most: by layer, the largest share that it may get; others take more for it.

    Raises:
        StageError: the kernels may not get so many zeros.
    """
    most = most or {}
    room = {name: min(kernel.size - 1, int(most.get(name, 1.0) * kernel.size)) for name, kernel in kernels.items()}
    wanted = round(sparsity * sum(kernel.size for kernel in kernels.values()))
    _check_room(kernels, room, wanted, most)
    if scope == "layer":
        return _evenly(kernels, room, wanted)
    scores = {name: np.sort(layer_adaptive_scores(kernel))[:room[name]] for name, kernel in kernels.items()}
    names = np.repeat(np.arange(len(scores)), [len(each) for each in scores.values()])
    chosen = names[np.argsort(np.concatenate([*scores.values()]), kind="stable")[:wanted]]
    counts = np.bincount(chosen, minlength=len(scores))
    return {name: int(count) / kernels[name].size for name, count in zip(scores, counts, strict=True)}


def layer_adaptive_scores(kernel: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scores of a kernel's weights, flat, in the kernel's order; see the module.  # (weights,), 0 to 1."""
    squares = np.square(kernel.reshape(-1), dtype=np.float64)
    falling = np.argsort(-squares, kind="stable")
    norms = np.cumsum(squares[falling])
    scores = np.empty_like(squares)
    scores[falling] = squares[falling] / np.maximum(norms, np.finfo(np.float64).tiny)
    return np.asarray(scores)


def _evenly(kernels: Mapping[str, NDArray[np.float32]], room: Mapping[str, int], wanted: int) -> dict[str, float]:
    """The same share for all, but for those that have no room for it; the others take what they leave."""
    shares: dict[str, float] = {}
    while len(shares) < len(kernels):
        free = [name for name in kernels if name not in shares]
        left = wanted - sum(shares[name] * kernels[name].size for name in shares)
        even = left / sum(kernels[name].size for name in free)
        full = [name for name in free if even * kernels[name].size > room[name]]
        shares |= {name: room[name] / kernels[name].size for name in full}
        if not full:
            shares |= dict.fromkeys(free, even)
    return {name: shares[name] for name in kernels}


def _check_room(kernels: Mapping[str, NDArray[np.float32]], room: Mapping[str, int], wanted: int,
                most: Mapping[str, float]) -> None:
    """Refuse more zeros than the kernels may have."""
    size, given = sum(kernel.size for kernel in kernels.values()), sum(room.values())
    if wanted <= given:
        return
    kept = max(kernels, key=lambda name: kernels[name].size - room[name])
    limit = f", of which {100 * most[kept]:.0f} % may be zero" if kept in most else ""
    raise StageError(f"{100 * wanted / size:.1f} % of the {size:,} weights cannot become zero; most of the rest is in "
                     f"'{kept}' with {kernels[kept].size:,} weights{limit}", f"at most {100 * given / size:.1f} %",
                     f"ask for at most pruned{100 * given // size}, or raise prune.sensitive_points")
