"""Choose a code for each constant: the one that makes the file smallest.

What a code costs is what it ships: its stream, its tables, and what the FlatBuffer needs for two more tensors and an
operator. Huffman tables can serve several constants. They are joined step by step: neighbours in entropy share a code
as long as the longer streams cost less than the table that goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from stages.packing.codes import Coding, Encoded, look_up, look_up_bytes, prune, prune_bytes
from stages.packing.constants import Constant
from stages.packing.huffman import Code, code_for, farthest_fits

TENSOR_BYTES = 44
"""Table, shape and list entries of a tensor and its buffer in a shrunk file."""
DECODE_BYTES = 68
"""The DECODE operator with its lists, and the table and shape of the encoded tensor."""

_HUFFMAN_BITS = {1: False, 2: True}  # bytes an element, and whether the tables need wide entries


@dataclass(frozen=True)
class Choice:
    """A code for a constant.

    Attributes:
        coding: which.
        axis: of look-up tables: one a slice; None: one for all.
        group: of Huffman codes: constants with the same number share a code.
        gain_bytes: estimated.
    """

    coding: Coding
    axis: int | None = None
    group: int = -1
    gain_bytes: int = 0


def choose(constants: Sequence[Constant], codings: Sequence[Coding]) -> dict[int, Choice]:
    """The cheapest code of each constant, by position; constants that gain nothing are left out.

    Args:
        constants: of the model.
        codings: those that may be taken.
    """
    alone = [_cheapest_alone(constant, codings) for constant in constants]
    chosen = {position: choice for position, (_, choice) in enumerate(alone) if choice}
    if "huffman" in codings:
        chosen |= _share_codes(constants, [cost for cost, _ in alone])
    return dict(sorted(chosen.items()))


def encode_all(constants: Sequence[Constant], choices: Mapping[int, Choice]) -> dict[int, Encoded]:
    """The encoded constants, by position; a Huffman code is made for those that share it."""
    members: dict[int, list[int]] = {}
    for position, choice in choices.items():
        if choice.coding == "huffman":
            members.setdefault(choice.group, []).append(position)
    codes = {group: _code([constants[position] for position in found]) for group, found in members.items()}
    return {position: _encode(constants[position], choice, codes) for position, choice in choices.items()}


def _encode(constant: Constant, choice: Choice, codes: dict[int, Code]) -> Encoded:
    if choice.coding == "prune":
        return prune(constant.values, constant.zero_points, constant.axis)
    if choice.coding == "lut":
        return look_up(constant.values, choice.axis)
    return codes[choice.group].encode(constant.values)


def _cheapest_alone(constant: Constant, codings: Sequence[Coding]) -> tuple[int, Choice | None]:
    """(bytes, choice) of the cheapest form without Huffman; None: as it is."""
    options: list[tuple[int, Coding, int | None]] = []
    values = constant.values
    if "prune" in codings and (values.dtype.itemsize == 1 or not constant.zero_points.any()):
        sizes = prune_bytes(values, constant.zero_points, constant.axis)
        options.append((sum(sizes), "prune", None))
    if "lut" in codings:
        for axis in (None, constant.axis) if constant.channels > 1 else (None,):
            found = look_up_bytes(values, axis)
            if found:
                options.append((sum(found), "lut", axis))
    best = min(options, default=None, key=lambda each: each[0])
    if best is None or best[0] + TENSOR_BYTES + DECODE_BYTES >= constant.stored_bytes:
        return constant.stored_bytes, None
    cost = best[0] + TENSOR_BYTES + DECODE_BYTES
    return cost, Choice(best[1], best[2], gain_bytes=constant.stored_bytes - cost)


# -- Huffman codes -------------------------------------------------------------------------------------------------


def _share_codes(constants: Sequence[Constant], others: Sequence[int]) -> dict[int, Choice]:
    """The constants that a Huffman code makes smaller than the cheapest other form, with the code that they share.

    Args:
        constants: of the model.
        others: bytes of each in its cheapest other form.
    """
    chosen: dict[int, Choice] = {}
    for item_bytes in _HUFFMAN_BITS:
        members = [position for position, constant in enumerate(constants)
                   if constant.values.dtype.itemsize == item_bytes]
        while members:
            groups = _join(constants, members)
            staying = [position for group in groups for position in _staying(constants, group, others)]
            if len(staying) == len(members):
                chosen |= _as_choices(constants, groups, len(chosen))
                break
            members = sorted(staying)
    return chosen


def _join(constants: Sequence[Constant], members: Sequence[int]) -> list[list[int]]:
    """Groups of constants that share a code."""
    ordered = sorted(members, key=lambda position: (constants[position].entropy_bits, position))
    groups = [[position] for position in ordered]
    costs = [_cost(constants, group) for group in groups]
    joined = [_cost(constants, one + other) for one, other in pairwise(groups)]
    while joined:
        gains = [costs[i] + costs[i + 1] - both for i, both in enumerate(joined)]
        best = max(range(len(gains)), key=lambda i: gains[i])
        if gains[best] <= 0:
            break
        groups[best:best + 2] = [groups[best] + groups[best + 1]]
        costs[best:best + 2] = [joined[best]]
        joined[max(0, best - 1):best + 2] = [_cost(constants, groups[i] + groups[i + 1])
                                             for i in range(max(0, best - 1), min(best + 1, len(groups) - 1))]
    return groups


def _staying(constants: Sequence[Constant], group: Sequence[int], others: Sequence[int]) -> list[int]:
    """The members of a group that are better off in it; none where the group does not pay for its tables."""
    code = _code([constants[position] for position in group])
    table = code.ancillary_bytes + TENSOR_BYTES
    own = {position: _stream_bytes(code, constants[position]) + DECODE_BYTES for position in group}
    staying = [position for position in group if own[position] < others[position]]
    pays = farthest_fits(code) and sum(others[p] - own[p] for p in staying) > table
    return staying if pays else []


def _as_choices(constants: Sequence[Constant], groups: Sequence[Sequence[int]], first: int) -> dict[int, Choice]:
    """The choices of groups, which are numbered from `first` on; the table is counted for the members alike."""
    found = {}
    for number, group in enumerate(groups, start=first):
        code = _code([constants[position] for position in group])
        table = (code.ancillary_bytes + TENSOR_BYTES) // len(group)
        for position in group:
            spent = _stream_bytes(code, constants[position]) + DECODE_BYTES + table
            found[position] = Choice("huffman", group=number, gain_bytes=constants[position].stored_bytes - spent)
    return found


def _cost(constants: Sequence[Constant], group: Sequence[int]) -> int:
    """Bytes of a group: its tables and its streams."""
    code = _code([constants[position] for position in group])
    streams = sum(_stream_bytes(code, constants[position]) for position in group)
    return code.ancillary_bytes + TENSOR_BYTES + streams


def _stream_bytes(code: Code, constant: Constant) -> int:
    """Bytes of a stream, in whole words."""
    return 4 * -(-code.stream_bits(constant.counts) // 32)


def _code(members: Sequence[Constant]) -> Code:
    """The code of some constants together."""
    counts: Counter[int] = Counter()
    for constant in members:
        counts.update(constant.counts)
    return code_for(counts, wide=_HUFFMAN_BITS[members[0].values.dtype.itemsize])
