"""What native code prints goes to the log, and the terminal comes back."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from stages.models.quiet import native_errors_to


def test_writes_to_the_descriptor_land_in_the_log_and_later_ones_do_not(tmp_path: Path,
                                                                       capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.txt"
    log.write_text("before\n", "utf-8")
    with native_errors_to(log):
        os.write(2, b"from C++\n")
    os.write(2, b"to the terminal\n")
    assert log.read_text("utf-8") == "before\nfrom C++\n"
    assert capfd.readouterr().err == "to the terminal\n"


def test_the_terminal_comes_back_after_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    open_before = len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0
    with pytest.raises(ValueError, match="broken"), native_errors_to(tmp_path / "log.txt"):
        raise ValueError("broken")
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "still here\n"
    if sys.platform == "linux":
        assert len(list(Path("/proc/self/fd").iterdir())) == open_before
