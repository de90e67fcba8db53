"""Lay the objects of a tflite model out in a file: in few bytes, the same ones on every run.

An offset of a FlatBuffer points forward, so a table lies before what it points to; vectors of scalars point to nothing,
so they lie last, in whatever order leaves the smallest gaps: a buffer's first byte lies at a multiple of 16, and what
is small goes into the gaps between the buffers. The layout of a table: its fields, the widest first, after an offset to
its vtable, which lists where each field is (https://flatbuffers.dev/internals).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from device_profiles.tflite import IDENTIFIER
from stages.packing.objects import Data, Fields, Links, Object, Objects

_OFFSET = 4
_HEADER = 8  # offset of the root, identifier


@dataclass(frozen=True)
class Shape:
    """A table's fields in place: its vtable, its bytes, and where a field of it lies, by slot."""

    vtable: bytes
    size: int
    alignment: int
    places: dict[int, int] = field(hash=False)


def lay_out(objects: Objects) -> bytes:
    """The file of a model."""
    return _Writer(objects).content()


def table_shape(table: Fields) -> Shape:
    """Where a table's fields lie: widest first after the 4 bytes of the vtable's offset."""
    widths = {slot: len(value) for slot, value in table.scalars} | {slot: _OFFSET for slot, _ in table.links}
    place, places = _OFFSET, {}
    ordered = sorted(widths, key=lambda slot: (-widths[slot], slot))
    alignment = max([_OFFSET, *widths.values()])
    if alignment == 8:  # 4 bytes wide ones close the gap between the offset and the first of 8
        narrow = next((slot for slot in ordered if widths[slot] == _OFFSET), None)
        ordered = [narrow, *(slot for slot in ordered if slot != narrow)] if narrow is not None else ordered
    for slot in ordered:
        place = _up(place, widths[slot])
        places[slot] = place
        place += widths[slot]
    slots = max(places, default=-1) + 1
    vtable = struct.pack(f"<{slots + 2}H", 4 + 2 * slots, place, *(places.get(slot, 0) for slot in range(slots)))
    return Shape(vtable, place, alignment, places)


class _Writer:
    """Gives every object a place, then writes them."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._places: dict[int, int] = {}
        self._vtables: dict[bytes, int] = {}
        self._shapes: dict[int, Shape] = {}
        self._end = _HEADER
        self._holes: list[tuple[int, int]] = []

    def content(self) -> bytes:
        """The file."""
        order = _parents_first(self._objects)
        inner = [handle for handle in order if not isinstance(self._objects[handle], Data)]
        for handle in inner:
            self._place_inner(handle, self._objects[handle])
        self._place_leaves([handle for handle in order if isinstance(self._objects[handle], Data)])
        file = bytearray(self._end)
        struct.pack_into("<I", file, 0, self._places[self._objects.root])
        file[4:8] = IDENTIFIER
        for vtable, place in self._vtables.items():
            file[place:place + len(vtable)] = vtable
        for handle, place in self._places.items():
            self._write(file, place, handle, self._objects[handle])
        return bytes(file)

    # -- places ----------------------------------------------------------------------------------------------------

    def _place_inner(self, handle: int, found: Object) -> None:
        """A table or a vector of offsets, at the end of what is placed."""
        if isinstance(found, Fields):
            shape = self._shapes[handle] = table_shape(found)
            self._vtables.setdefault(shape.vtable, 0)
            self._places[handle] = self._take(shape.size, shape.alignment, 0)
        elif isinstance(found, Links):
            self._places[handle] = self._take(_OFFSET * (1 + len(found.targets)), _OFFSET, 0)

    def _place_leaves(self, handles: list[int]) -> None:
        """Vectors of scalars, strings and vtables: the largest first, each where it leaves the smallest gap.

        What fits into a gap that an alignment has left goes there.
        """
        left: list[tuple[int, int, int, int | bytes]] = [(len(vtable), 2, 0, vtable) for vtable in self._vtables]
        for handle in handles:
            data = self._objects[handle]
            if isinstance(data, Data):
                left.append((_OFFSET + len(data.content), max(_OFFSET, data.alignment), _OFFSET, handle))
        left.sort(key=lambda each: (-each[1], -each[0]))
        aligned = [each for each in left if each[1] > 8]
        while aligned:
            item = min(aligned, key=lambda each: _start(self._end, each[1], each[2]) - self._end)
            aligned.remove(item)
            self._put(item)
        for item in left:
            if item[1] <= 8:
                self._put(item)

    def _put(self, item: tuple[int, int, int, int | bytes]) -> None:
        """Place a leaf: in the smallest hole that takes it, else at the end."""
        size, alignment, ahead, what = item
        place = self._from_hole(size, alignment, ahead)
        if place is None:
            place = self._take(size, alignment, ahead)
        if isinstance(what, bytes):
            self._vtables[what] = place
        else:
            self._places[what] = place

    def _from_hole(self, size: int, alignment: int, ahead: int) -> int | None:
        """A place in the smallest hole that is large enough; what is left of the hole stays one."""
        fitting = [(stop - start, start, stop) for start, stop in self._holes
                   if _start(start, alignment, ahead) + size <= stop]
        if not fitting:
            return None
        _, start, stop = min(fitting)
        place = _start(start, alignment, ahead)
        self._holes.remove((start, stop))
        self._holes += [hole for hole in ((start, place), (place + size, stop)) if hole[1] > hole[0]]
        return place

    def _take(self, size: int, alignment: int, ahead: int) -> int:
        """A place at the end: `ahead` bytes after it the address is a multiple of `alignment`."""
        place = _start(self._end, alignment, ahead)
        if place > self._end:
            self._holes.append((self._end, place))
        self._end = place + size
        return place

    # -- bytes -----------------------------------------------------------------------------------------------------

    def _write(self, file: bytearray, place: int, handle: int, found: Object) -> None:
        """One object at its place."""
        if isinstance(found, Data):
            struct.pack_into("<I", file, place, found.count)
            file[place + _OFFSET:place + _OFFSET + len(found.content)] = found.content
        elif isinstance(found, Links):
            struct.pack_into("<I", file, place, len(found.targets))
            for position, target in enumerate(found.targets, start=1):
                self._point(file, place + _OFFSET * position, target)
        else:
            shape = self._shapes[handle]
            struct.pack_into("<i", file, place, place - self._vtables[shape.vtable])
            for slot, value in found.scalars:
                file[place + shape.places[slot]:place + shape.places[slot] + len(value)] = value
            for slot, target in found.links:
                self._point(file, place + shape.places[slot], target)

    def _point(self, file: bytearray, place: int, target: int) -> None:
        struct.pack_into("<I", file, place, self._places[target] - place)


def _parents_first(objects: Objects) -> list[int]:
    """Handles of what the root leads to, each after all that point to it (a postorder, reversed)."""
    done: set[int] = set()
    order: list[int] = []
    stack = [(objects.root, False)]
    while stack:
        handle, left = stack.pop()
        if left:
            order.append(handle)
        elif handle not in done:
            done.add(handle)
            stack.append((handle, True))
            stack += [(target, False) for target in targets(objects[handle])]
    return order[::-1]


def targets(found: Object) -> tuple[int, ...]:
    """Handles of what an object points to."""
    if isinstance(found, Links):
        return found.targets
    return tuple(target for _, target in found.links) if isinstance(found, Fields) else ()


def _start(position: int, alignment: int, ahead: int) -> int:
    """The first place from `position` on that has a multiple of `alignment` `ahead` bytes after it."""
    return _up(position + ahead, alignment) - ahead


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
