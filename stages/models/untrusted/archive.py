"""Findings in a `.keras` file, which is a zip archive: members, sizes, and what stands in them.

Keras reads the archive with the same Python module, so what is seen here is what it would see.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from stages.models.untrusted.arrays import scan_npy, scan_npz
from stages.models.untrusted.config import scan_config
from stages.models.untrusted.hdf5 import scan_hdf5
from stages.models.untrusted.records import MIB, Finding, ScanLimits

_EXPECTED = re.compile(r"metadata\.json|config\.json|model\.weights\.(?:h5|npz|json)|model\.weights_\d+\.h5"
                       r"|model_\d+\.weights\.h5|assets/.*|assets")
_PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".dill")
_RATIO_FROM_BYTES = 16 * MIB
_BLOCK_BYTES = MIB
_LINK = "it may lead out of the folder that it is unpacked into"


def scan_archive(path: Path, allowed: Sequence[str], limits: ScanLimits) -> list[Finding]:
    """Findings in a `.keras` file.

    Args:
        path: the file.
        allowed: the user's list, for the description of the layers.
        limits: on members and bytes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            found = [*_sizes(members, path.stat().st_size, limits), *_members(members)]
            if found:  # an archive that is off is not unpacked any further
                return found
            return [finding for member in members if not member.is_dir()
                    for finding in _contents(archive, member, allowed, limits)]
    except (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, RuntimeError, NotImplementedError,
            ValueError) as error:
        return [Finding(what="a zip archive that is damaged", where=path.name,
                        why=f"it cannot be looked into: {error}")]


def _sizes(members: list[zipfile.ZipInfo], file_bytes: int, limits: ScanLimits) -> Iterator[Finding]:
    """An archive bomb: too many members, too many bytes, too high a ratio, members that share their bytes."""
    if len(members) > limits.members:
        yield Finding(what=f"{len(members):,} members", where="the archive", why=f"the limit is {limits.members:,}")
    total = sum(member.file_size for member in members)
    if total > limits.unpacked_bytes:
        yield Finding(what=f"{total:,} bytes once it is unpacked", where="the archive",
                      why=f"the limit is {limits.unpacked_bytes:,} bytes")
    if sum(member.compress_size for member in members) > file_bytes:
        yield Finding(what="members that overlap", where="the archive", why="this is how an archive bomb is built")
    for member in members:
        if member.file_size > max(_RATIO_FROM_BYTES, limits.ratio * member.compress_size):
            yield Finding(what=f"{member.file_size:,} bytes packed into {member.compress_size:,}",
                          where=_name(member), why=f"more than {limits.ratio} times is how an archive bomb is built")


def _members(members: Iterable[zipfile.ZipInfo]) -> Iterator[Finding]:
    """Members that point outside, stand there twice, or do not belong into a `.keras` file."""
    members = list(members)
    for name, count in Counter(member.filename for member in members).items():
        if count > 1:
            yield Finding(what=f"{count} members of one name", where=repr(name),
                          why="what is looked at may not be what is loaded")
    for member in members:
        name = _name(member)
        if _leads_out(member.filename):
            yield Finding(what="a member that points outside", where=name, why="unpacking it writes there")
        elif stat.S_ISLNK(member.external_attr >> 16):
            yield Finding(what="a symbolic link", where=name, why=_LINK)
        elif member.flag_bits & 1:
            yield Finding(what="an encrypted member", where=name, why="it cannot be looked into")
        elif name.strip("'").lower().endswith(_PICKLES):
            yield Finding(what="a Python pickle", where=name, why="it runs code when it is read")
        elif not _EXPECTED.fullmatch(member.filename):
            yield Finding(what="a member that Keras does not write", where=name, why="what reads it is not known")


def _leads_out(name: str) -> bool:
    """Whether a member's name is absolute or climbs; backslashes count, since some unpackers take them for slashes."""
    plain = name.replace("\\", "/")
    return plain.startswith("/") or ".." in PurePosixPath(plain).parts or bool(re.match(r"[A-Za-z]:", plain))


def _name(member: zipfile.ZipInfo) -> str:
    """A member's name for a message, control characters escaped."""
    return repr(member.filename)


def _contents(archive: zipfile.ZipFile, member: zipfile.ZipInfo, allowed: Sequence[str],
              limits: ScanLimits) -> list[Finding]:
    """Findings inside one member, by the kind of its name; reading it whole also checks its checksum."""
    name = member.filename
    is_text = name == "config.json"
    if is_text and member.file_size > limits.config_bytes:
        return [Finding(what=f"a description of the layers of {member.file_size:,} bytes", where=name,
                        why=f"the limit is {limits.config_bytes:,} bytes")]
    with archive.open(member) as file:
        if is_text:
            return scan_config(file.read(), name, allowed, limits)
        if name.endswith(".h5"):
            return scan_hdf5(file.read(), name, allowed, limits)
        if name.endswith(".npz"):
            return scan_npz(file.read(), name, limits)
        if name.endswith(".npy"):
            return scan_npy(file, name)
        while file.read(_BLOCK_BYTES):
            continue
    return []
