"""What the schema's classes would write is kept: each different object once, with its values."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import TfliteError
from stages.packing.objects import BUFFER_ALIGNMENT, Data, Fields, Links, Recorder, read_model, record
from tests.device_profiles.handmade import conv_model
from tests.stages.packing.samples import network


def test_equal_objects_get_the_same_handle_and_others_do_not() -> None:
    recorder = Recorder()
    one, other = recorder.CreateString("conv"), recorder.CreateString(b"conv")
    assert one == other != recorder.CreateString("dense")
    apart = Recorder(share=False)
    assert apart.CreateString("conv") != apart.CreateString("conv")


def test_a_vectors_entries_come_last_one_first() -> None:
    recorder = Recorder()
    recorder.StartVector(4, 2, 4)
    recorder.PrependInt32(258)
    recorder.PrependInt32(-1)
    handle = recorder.EndVector()
    assert recorder.objects(_table(recorder))[handle] == Data(2, b"\xff\xff\xff\xff\x02\x01\x00\x00", 4)


def test_a_vector_of_eight_byte_entries_is_aligned_to_them() -> None:
    recorder = Recorder()
    found = recorder.CreateNumpyVector(np.array([1], np.int64))
    assert recorder.objects(_table(recorder))[found] == Data(1, b"\x01" + bytes(7), 8)


def test_a_field_with_its_default_is_not_written_but_known() -> None:
    recorder = Recorder()
    target = recorder.CreateString("x")
    recorder.StartObject(4)
    recorder.PrependInt32Slot(0, 5, 0)
    recorder.PrependInt8Slot(1, 3, 3)
    recorder.PrependFloat32Slot(2, 1.0, 0.0)
    recorder.PrependUOffsetTRelativeSlot(3, target, 0)
    table = recorder.objects(recorder.EndObject()).items[-1]
    assert table == Fields(((0, b"\x05\0\0\0"), (2, b"\0\0\x80\x3f")), ((3, target),))
    assert isinstance(table, Fields)
    assert table.defaults == ((1, 1),)


def test_an_unknown_call_of_the_builder_is_an_error() -> None:
    with pytest.raises(AttributeError):
        _ = Recorder().PrependComplexSlot


def test_the_contents_of_buffers_are_aligned_as_the_schema_has_it() -> None:
    objects = record(read_model(network()))
    root = objects[objects.root]
    assert isinstance(root, Fields)
    buffers = objects[dict(root.links)[4]]
    assert isinstance(buffers, Links)
    contents = [objects[handle] for buffer in buffers.targets for _, handle in objects[buffer].links]
    assert len(contents) == 4
    assert {content.alignment for content in contents} == {BUFFER_ALIGNMENT}


def test_a_file_that_is_no_model_is_refused() -> None:
    with pytest.raises(TfliteError):
        read_model(b"PK\x03\x04 a zip")


def test_weights_behind_the_flatbuffer_are_refused() -> None:
    model = read_model(conv_model())
    model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, 8, 4
    from stages.packing.layout import lay_out

    with pytest.raises(TfliteError):
        read_model(lay_out(record(model)))


def _table(recorder: Recorder) -> int:
    recorder.StartObject(0)
    return recorder.EndObject()
