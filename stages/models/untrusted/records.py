"""What a look into a model file gives: findings, under limits. Imports no sibling."""

from __future__ import annotations

from pydantic import Field

from device_profiles.records import Record

MIB = 1 << 20
GIB = 1 << 30


class Finding(Record):
    """Something in a model file that could do more than compute, or that could not be looked into.

    Attributes:
        what: what was found: "a Lambda layer with Python code".
        where: in which member, layer, node or link: "config.json: layer 'scale'".
        why: what it could do: "its code runs when the model is loaded".
    """

    what: str
    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.what} in {self.where} ({self.why})"


class ScanLimits(Record):
    """How large and how deep a model file may be before it is not looked into at all."""

    file_bytes: int = Field(4 * GIB, gt=0, description="bytes of the file, or of all files of a folder")
    unpacked_bytes: int = Field(8 * GIB, gt=0, description="bytes of all members of an archive, or all HDF5 data sets")
    ratio: int = Field(200, gt=1, description="times that a compressed member above 16 MiB may grow")
    members: int = Field(10_000, gt=0, description="members of an archive, files of a folder")
    config_bytes: int = Field(16 * MIB, gt=0, description="bytes of the description of the layers")
    nodes: int = Field(20_000, gt=0, description="layers, HDF5 objects or operators of a tflite model")
    graph_nodes: int = Field(2_000_000, gt=0, description="operators of a SavedModel, its functions included")
