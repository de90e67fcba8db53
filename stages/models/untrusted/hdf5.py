"""Findings in an HDF5 file: what makes the library reach outside of it, or claim more memory than it has bytes.

Every link is looked at by its class and none but a hard one is followed. Data sets are described, never read.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from device_profiles.records import Record
from stages.models.untrusted.config import scan_config
from stages.models.untrusted.records import Finding, ScanLimits

_LAST_OWN_FILTER = 6  # H5Zpublic.h: 1 to 6 are HDF5's own; others are plugins, native code that it loads
_LZF = 32000          # the one that h5py brings along
_OUTSIDE = "reading it follows a path to whatever file stands there"
Source = Path | bytes


class Head(Record):
    """What stands at the top of a Keras HDF5 file.

    Attributes:
        has_model: it describes the layers; otherwise it holds weights alone.
        version: of the Keras that wrote it; empty where it does not say.
    """

    has_model: bool
    version: str


def scan_hdf5_head(path: Path) -> Head:
    """Whether an HDF5 file holds a model, and of which Keras."""
    import h5py

    with h5py.File(path, "r") as file:
        return Head(has_model="model_config" in file.attrs, version=_text(file.attrs.get("keras_version", "")))


def scan_hdf5(source: Source, member: str, allowed: Sequence[str], limits: ScanLimits) -> list[Finding]:
    """Findings in an HDF5 file.

    Args:
        source: the file, or its bytes.
        member: what to call it in messages.
        allowed: the user's list, for the description of the layers.
        limits: on objects and bytes.
    """
    import h5py

    try:
        with h5py.File(io.BytesIO(source) if isinstance(source, bytes) else source, "r") as file:
            return _scan(file, member, allowed, limits)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        return [Finding(what="HDF5 that is damaged", where=member, why=f"it cannot be looked into: {error}")]


def _scan(file: Any, member: str, allowed: Sequence[str], limits: ScanLimits) -> list[Finding]:
    """Findings in an open file."""
    found, objects, total_bytes = [], 0, 0
    for where, item in _walk(file.id):
        if isinstance(item, Finding):
            found.append(item.model_copy(update={"where": f"{member}: {where}"}))
            continue
        objects += 1
        if objects > limits.nodes:
            return [*found, Finding(what=f"more than {limits.nodes:,} objects", where=member,
                                    why="walking them would take hours")]
        if isinstance(item, int):
            total_bytes += item
    if total_bytes > limits.unpacked_bytes:
        found.append(Finding(what=f"data sets of {total_bytes:,} bytes in all", where=member,
                             why=f"the limit is {limits.unpacked_bytes:,} bytes"))
    return found + _attributes(file, member, allowed, limits)


def _walk(root: Any) -> Iterator[tuple[str, Finding | int]]:
    """(path, finding or bytes) of everything below a group; each object once, whatever links lead to it."""
    import h5py

    seen: set[int] = set()
    stack = [("/", root)]
    while stack:
        path, group = stack.pop()
        for raw in group:
            name = f"{path}{raw.decode('utf-8', 'backslashreplace')}"
            link = group.links.get_info(raw).type
            if link != h5py.h5l.TYPE_HARD:
                yield name, _link(group, raw, link)
                continue
            item = h5py.h5o.open(group, raw)
            address = hash(item)  # of (file number, address): h5py compares objects so
            if address in seen:
                continue
            seen.add(address)
            if isinstance(item, h5py.h5g.GroupID):
                yield name, 0
                stack.append((f"{name}/", item))
            elif isinstance(item, h5py.h5d.DatasetID):
                yield from ((name, each) for each in _dataset(item))
            else:
                yield name, 0


def _link(group: Any, name: bytes, kind: int) -> Finding:
    """What is said of a link that is none to an object of the file itself."""
    import h5py

    if kind == h5py.h5l.TYPE_EXTERNAL:
        file, target = group.links.get_val(name)
        return Finding(what=f"an external link to {_text(target)!r} in the file {_text(file)!r}", where="",
                       why=_OUTSIDE)
    if kind == h5py.h5l.TYPE_SOFT:
        return Finding(what=f"a soft link to {_text(group.links.get_val(name))!r}", where="",
                       why="Keras writes none; it may lead round what was looked at")
    return Finding(what="a link of a kind of its own", where="", why="HDF5 would load native code to follow it")


def _dataset(dataset: Any) -> Iterator[Finding | int]:
    """Findings in a data set's description, and its bytes in memory."""
    import h5py

    plan = dataset.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL:
        yield Finding(what="a virtual data set", where="", why=_OUTSIDE)
    for number in range(plan.get_external_count()):
        yield Finding(what=f"a data set kept in the file {_text(plan.get_external(number)[0])!r}", where="",
                      why=_OUTSIDE)
    for number in range(plan.get_nfilters()):
        code = plan.get_filter(number)[0]
        if code > _LAST_OWN_FILTER and code != _LZF:
            yield Finding(what=f"a data set packed with filter {code}", where="",
                          why="HDF5 would load a plugin, native code, to unpack it")
    size = dataset.get_type().get_size()
    for extent in dataset.get_space().get_simple_extent_dims() or ():
        size *= extent
    yield size


def _attributes(file: Any, member: str, allowed: Sequence[str], limits: ScanLimits) -> list[Finding]:
    """Findings in the description of the layers; that of the training is never used."""
    if "model_config" not in file.attrs:
        return []
    size = file.attrs.get_id("model_config").get_storage_size()
    text = _text(file.attrs["model_config"]) if size <= limits.config_bytes else ""
    if size > limits.config_bytes or len(text) > limits.config_bytes:
        return [Finding(what=f"a description of the layers of {max(size, len(text)):,} bytes", where=member,
                        why=f"the limit is {limits.config_bytes:,} bytes")]
    return scan_config(text, f"{member}: model_config", allowed, limits)


def _text(value: Any) -> str:
    """Text of an attribute or a link, which may be bytes."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
