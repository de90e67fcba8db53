"""Rules on the graph: batch normalization that was not folded, and channels that carry nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from stages.converting.weights import PLACES
from stages.explaining.causes import LEAST_SHARE, Evidence, all_fixed, channel_list, finer
from stages.explaining.structure import Unfolded
from stages.explaining.tally import Tally, constant_channels
from stages.records.explaining import Cause, Change

_MANY_DEAD = 0.1


def unfolded_norms(evidence: Evidence) -> Iterator[Cause]:
    """Batch normalization left unfolded, and an activation inside a convolution before it."""
    for norm in evidence.unfolded:
        tallies = [tally for tally in map(evidence.tally, norm.operators) if tally is not None]
        own, forced = sum(evidence.noise.share(each) for each in tallies), _forced(evidence, norm)
        kind = "activation_before_norm" if norm.kind == "activation_before_norm" else "unfolded_norm"
        yield Cause(kind=kind, layer=norm.before, share=min(1.0, own + sum(forced.values())),
                    found=_norm_text(norm, own) + _forced_text(forced), short=_norm_short(norm),
                    changes=(*_multiplied(norm, forced), _norm_change(norm), *_in_float(evidence, tallies)))


def _forced(evidence: Evidence, norm: Unfolded) -> dict[str, float]:
    """Share of the noise, by label, that its uneven factors force on the kernels that read what it normalized.

    A factor g of a channel could as well stand in the weights that read it. With the largest weight p of an output and
    an input channel, and energy e of an input channel, rounding weights makes noise of `max(p)^2 sum(e)` as they are,
    and of `max(p g)^2 sum(e / g^2)` with the factors in them, each summed over output channels.
    """
    last = evidence.tally(norm.operators[-1])
    factors = np.abs(norm.factors)
    if last is None or len(last.energy) != len(factors) or not (factors > 0).all():
        return {}
    found = {}
    for reader, peaks in norm.readers.items():
        tally = evidence.tally(reader)
        if tally is None or peaks.shape[1] != len(factors):
            continue
        folded = float(((peaks * factors).max(axis=1)**2).sum() * (last.energy / factors**2).sum())
        now = float((peaks.max(axis=1)**2).sum() * last.energy.sum())
        won = evidence.noise.share(tally) * tally.rest * (1 - folded / now) if now else 0.0
        if won >= LEAST_SHARE:
            found[tally.label] = won
    return found


def _forced_text(forced: dict[str, float]) -> str:
    if not forced:
        return ""
    return (f"; and {' and '.join(forced)} must take the factors back by weights that are as uneven, which makes "
            f"{100 * sum(forced.values()):.0f} % more")


def _multiplied(norm: Unfolded, forced: dict[str, float]) -> tuple[Change, ...]:
    """What needs no training, where kernels alone read it."""
    if not forced or not norm.readers_are_all or (norm.factors <= 0).any():
        return ()
    shift = "; its shift goes into their biases, which is exact but for padded borders" if norm.shift else ""
    return (Change(text="multiply its factors into the kernels that read it: the model computes the same, without "
                        f"MUL{shift}"),)


def _in_float(evidence: Evidence, tallies: Sequence[Tally]) -> tuple[Change, ...]:
    """What settings can do: the factors' operators in float, or all activations in 16 bits."""
    if not tallies or evidence.number_format == "int16x8":
        return ()
    labels = [tally.original for tally in tallies]
    names = [label.split(" ")[0] for label in labels]
    return (all_fixed(evidence, " and ".join(labels), names, "float32"),
            Change(text="give all activations 16 bits", format="int16x8"))


def _norm_text(norm: Unfolded, share: float) -> str:
    """What stands in the float model."""
    left = f"{' and '.join(('MUL', 'ADD')[:len(norm.operators)])} (operators {channel_list(norm.operators)}) are left"
    why = {"activation_before_norm": f"{norm.activation} stands between it and its batch normalization",
           "read_twice": "its output is read by something else besides its batch normalization",
           "no_convolution": "a batch normalization follows, and it is no convolution"}[norm.kind]
    return (f"{norm.before}: {why}, which therefore is not folded: {left}, with {norm.channels} factors that share one "
            f"range; they make {100 * share:.0f} % of the noise")


def _norm_short(norm: Unfolded) -> str:
    if norm.kind == "activation_before_norm":
        return f"{norm.activation} stands before its batch normalization"
    return "its batch normalization is not folded"


def _norm_change(norm: Unfolded) -> Change:
    """A change of the model's source: no setting does it."""
    if norm.kind == "activation_before_norm":
        return Change(text="build the layers as convolution, batch normalization, activation, and train again: the "
                           "normalization then becomes part of the convolution")
    if norm.kind == "read_twice":
        return Change(text="let every reader take the normalized output, and train again")
    return Change(text="put the batch normalization after the convolution that follows, and train again")


def lost_channels(evidence: Evidence) -> Iterator[Cause]:
    """Channels that change in the float model and not in the variant."""
    for tally, share in evidence.loud():
        lost = lost_of(tally)
        energy = float(tally.distance[list(lost)].sum()) / tally.local_error if lost and tally.local_error else 0.0
        if not lost or share * energy < 0.01:
            continue
        yield Cause(kind="lost_channels", layer=tally.label, share=share * energy,
                    short=f"{len(lost)} of {len(tally.lows)} channels are lost in one step",
                    found=f"{tally.label}: channel {channel_list(lost)} changes by less than a step, {tally.scale:.3g}",
                    changes=finer(evidence, tally))


def dead_channels(evidence: Evidence) -> Iterator[Cause]:
    """Channels of the float model whose output never changes on the data."""
    for tally in evidence.noise.tallies:
        dead = dead_of(tally)
        if len(dead) < max(1, _MANY_DEAD * len(tally.lows)):
            continue
        yield Cause(
            kind="dead_channels", layer=tally.label, share=0.0,
            short=f"{len(dead)} of {len(tally.lows)} channels never change",
            found=f"{tally.label}: channel {channel_list(dead)} of the float model gives one value on all samples: no "
                  "accuracy is lost by it, but bytes and time are spent",
            changes=(Change(text="let slimNN take whole channels out of the model: these cost nothing"),))


def dead_of(tally: Tally) -> tuple[int, ...]:
    """Channels of a weighted operator that are constant in the float model."""
    if tally.operator not in PLACES or not len(tally.lows):
        return ()
    return constant_channels(tally.lows, tally.highs)


def lost_of(tally: Tally) -> tuple[int, ...]:
    """Channels of a weighted operator that are constant in the variant alone."""
    if tally.operator not in PLACES or not len(tally.lows) or tally.local == 0:
        return ()
    made = set(constant_channels(tally.made_lows, tally.made_highs))
    return tuple(sorted(made - set(dead_of(tally))))
