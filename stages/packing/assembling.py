"""From a tflite model to its packed form: shrink it, find the constants, choose their codes, put the codes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from device_profiles.decoding import DECODE, decode, is_decode
from device_profiles.errors import StageError
from device_profiles.tflite import read_tflite
from stages.engines.signature import Names, read_names
from stages.packing.choosing import Choice, choose, encode_all
from stages.packing.codes import Coding, Encoded
from stages.packing.constants import Constant, Found, find_constants
from stages.packing.inserting import insert
from stages.packing.objects import read_model
from stages.packing.shrinking import shrink_model, tidy, write

_UNSURE_BYTES = 256
"""A gain below this is tried out: how much the FlatBuffer grows with two more tensors is an estimate."""


@dataclass(frozen=True)
class Packed:
    """A packed tflite model.

    Attributes:
        content: its bytes.
        shrunk: the model without codes, in the fewest bytes.
        constants: what could be coded.
        choices: the code of each that is, by position in `constants`.
        encoded: the same constants in their codes.
        left: constants that could not be coded, with the reason.
    """

    content: bytes
    shrunk: bytes
    constants: tuple[Constant, ...]
    choices: dict[int, Choice]
    encoded: dict[int, Encoded]
    left: dict[str, str]


class Packer:
    """Packs one tflite model.

    Args:
        content: a whole tflite model.

    Raises:
        TfliteError: the bytes are no whole tflite model.
        StageError: the model is packed already, or has a memory plan that more tensors would break.
    """

    def __init__(self, content: bytes) -> None:
        found = read_tflite(content)
        _refuse_packed(any(is_decode(op) for graph in found.graphs for op in graph.operators))
        if "OfflineMemoryAllocation" in found.metadata:
            raise StageError("the tflite model has an offline memory plan, which says where each of its tensors lies",
                             "a model without one", "pack before the plan is made")
        self._surface: Names = read_names(content)
        self._tensor_names = {tensor.index: tensor.name for tensor in found.graphs[0].tensors}
        model = read_model(content)
        shrink_model(model, self._surface, "tflm")
        self.shrunk = write(model)
        self.found: Found = find_constants(model, self._tensor_names)

    def pack(self, codings: Sequence[Coding], least_gain_bytes: int, largest_bytes: int = 0) -> Packed:
        """The packed model: the smallest of what all codings together give, and each alone.

        What an operator and two tensors take is estimated when a code is chosen; the files decide.

        Args:
            codings: those that may be taken.
            least_gain_bytes: a constant is coded only where the file shrinks by so much.
            largest_bytes: a constant that takes more in the arena stays as it is; 0: any may be coded.
        """
        sets = dict.fromkeys((tuple(codings), *((coding,) for coding in codings)))
        tried = [self._pack(some, least_gain_bytes, largest_bytes) for some in sets]
        return min(tried, key=lambda packed: len(packed.content))

    def _pack(self, codings: Sequence[Coding], least_gain_bytes: int, largest_bytes: int) -> Packed:
        """The model packed with these codings."""
        sizes = [constant.values.nbytes for constant in self.found.constants]
        choices = {position: choice for position, choice in choose(self.found.constants, codings).items()
                   if choice.gain_bytes >= least_gain_bytes and (not largest_bytes or sizes[position] <= largest_bytes)}
        content = self.assemble(choices)
        for position in sorted(choices, key=lambda each: choices[each].gain_bytes):
            if choices[position].gain_bytes < least_gain_bytes + _UNSURE_BYTES:
                fewer = {each: choice for each, choice in choices.items() if each != position}
                without = self.assemble(fewer)
                if len(without) - len(content) < least_gain_bytes:
                    choices, content = fewer, without
        return Packed(content, self.shrunk, self.found.constants, choices,
                      encode_all(self.found.constants, choices), self.found.left)

    def assemble(self, choices: Mapping[int, Choice]) -> bytes:
        """The model with some constants in their codes."""
        if not choices:
            return self.shrunk
        encoded = encode_all(self.found.constants, choices)
        check_decoded(self.found.constants, encoded)
        model = read_model(self.shrunk)
        insert(model, self.found.constants, encoded)
        tidy(model)
        return write(model)


def check_decoded(constants: Sequence[Constant], encoded: Mapping[int, Encoded]) -> None:
    """Decode every constant again, as TFLM would.

    Raises:
        StageError: one comes out other than it went in.
    """
    for position, code in encoded.items():
        constant = constants[position]
        values = constant.values
        found = decode(code.stream, code.ancillary, values.shape, values.dtype, constant.zero_points, constant.axis)
        if not np.array_equal(found, values):
            raise StageError(f"{constant.label} is not the same after {code.coding} coding",
                             "the same values, to the bit", "leave this coding out of pack.codings, and report it")


def _refuse_packed(is_packed: bool) -> None:
    """Refuse a model whose weights are in a code already."""
    if is_packed:
        raise StageError(f"the tflite model is packed already: it has {DECODE} operators", "a model as converted",
                         "give the variant without -packed")
