"""Rules on what was done before the number format: channels removed, weights pruned, values shared.

They rest on the results of those stages. Their shares are of the points that these steps cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from stages.records import PruneResult, SlimResult, StageResult
from stages.records.explaining import Cause, Change, Step


def training_causes(results: Iterable[StageResult], steps: Sequence[Step]) -> list[Cause]:
    """The causes that lie before the number format, where it is sure that points were lost there.

    Args:
        results: of the slim and prune calls of the variant.
        steps: with the points that each part cost.
    """
    taken = [step.drop for step in steps if step.part == "training"]
    lost = sum(drop.value for drop in taken)
    if lost <= 0 or not any(drop.interval is None or drop.interval[0] > 0 for drop in taken):
        return []
    found: list[Cause] = []
    known = list(results)
    for result in known:
        if isinstance(result, SlimResult):
            found += _slimmed(result, lost, 1 / len(known))
        elif isinstance(result, PruneResult):
            found += _pruned(result, lost, 1 / len(known))
    return found


def _slimmed(result: SlimResult, lost: float, share: float) -> Iterator[Cause]:
    """The layer that lost the largest part of its channels."""
    parts = {name: 1 - each.after / each.before for name, each in result.channels.items() if each.before}
    if not parts or max(parts.values()) <= 0:
        return
    layer = max(parts, key=lambda name: parts[name])
    each = result.channels[layer]
    yield Cause(
        kind="channels_removed", layer=layer, part="training", share=share,
        short=f"{layer} keeps {each.after} of {each.before} channels",
        found=f"removing channels (with what was trained beside it) costs {lost:.1f} points; {layer} keeps "
              f"{each.after} of {each.before} channels, the fewest of {len(parts)} layers",
        changes=(Change(text=f"protect {layer}", settings={"slim": {"protect": [layer]}}, costly=True),
                 Change(text="remove in more rounds, with training between them", settings={"slim": {"rounds": 4}},
                        costly=True),
                 Change(text="let the float model teach: distilled-...")))


def _pruned(result: PruneResult, lost: float, share: float) -> Iterator[Cause]:
    """The kernel that suffered most from zeros, or from few values."""
    measured = {name: cost for name, cost in result.sensitivity.items() if math.isfinite(cost)}
    clustered = bool(result.shared_values) and not result.layer_sparsity
    names = measured or result.layer_sparsity or {name: -float(count) for name, count in result.shared_values.items()}
    if not names:
        return
    layer = max(names, key=lambda name: names[name])
    what = (f"shares {result.shared_values.get(layer, 0)} values" if clustered else
            f"has {100 * result.layer_sparsity.get(layer, 0.0):.0f} % zeros")
    alone = f"; alone, before any training, that costs {measured[layer]:.1f} points" if measured else ""
    yield Cause(
        kind="few_values" if clustered else "pruned_far", layer=layer, part="training", share=share,
        short=f"{layer} {what}",
        found=f"{'sharing values' if clustered else 'zeros'} (with what was trained beside it) cost {lost:.1f} points; "
              f"{layer} {what}{alone}",
        changes=(Change(text=f"leave {layer} alone", settings={"prune": {"skip_layers": [layer]}}, costly=True),
                 Change(text="measure how sensitive each kernel is and spare those that are",
                        settings={"prune": {"sensitive_points": 1.0}}, costly=True),
                 Change(text="let the float model teach: distilled-...")))
