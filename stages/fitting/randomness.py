"""Random layers (dropout, noise) start each epoch anew: a killed training goes on with the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np


def seed_random_layers(model: Any, seed: int, epoch: int) -> None:
    """Start the random numbers of every random layer from (seed, epoch, its place in the model)."""
    for place, layer in enumerate(model._flatten_layers()):
        generator = getattr(getattr(layer, "_random_generator", None), "_generator", None)
        if generator is not None:
            generator.reset_from_seed(int(np.random.default_rng((seed, epoch, place)).integers(2**31)))
