from __future__ import annotations

import dataclasses

import pytest

from stages.context import StageContext, no_progress


def test_a_context_needs_no_progress_callback(tmp_path):
    context = StageContext(out=tmp_path, scratch=tmp_path, log=tmp_path / "log")
    assert context.progress is no_progress
    context.progress(1, 2, "half")


def test_a_context_cannot_be_changed_by_a_stage(tmp_path):
    context = StageContext(out=tmp_path, scratch=tmp_path, log=tmp_path / "log")
    with pytest.raises(dataclasses.FrozenInstanceError):
        context.out = tmp_path / "elsewhere"
