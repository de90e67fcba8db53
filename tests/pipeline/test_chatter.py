from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from device_profiles.errors import StoreError
from pipeline.chatter import kept_out

ROOT = Path(__file__).parents[2]


def test_what_c_code_writes_goes_to_the_log_and_the_terminal_stays_clean(tmp_path):
    code = ("import os, sys\nfrom pathlib import Path\nfrom pipeline.chatter import kept_out\n"
            f"with kept_out(Path({str(tmp_path / 'deep' / 'log.txt')!r})) as (out, err):\n"
            "    os.write(1, b'from C on 1\\n'); os.write(2, b'from C on 2\\n'); print('from python')\n"
            "    out.write('table\\n'); err.write('progress\\n')\n"
            "print('after')\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "table\nafter\n"
    assert done.stderr == "progress\n"
    log = (tmp_path / "deep" / "log.txt").read_text()
    assert all(text in log for text in ("from C on 1", "from C on 2", "from python"))


def test_the_descriptors_are_put_back_after_an_error(tmp_path, capfd):
    with pytest.raises(KeyboardInterrupt), kept_out(tmp_path / "log.txt"):
        raise KeyboardInterrupt
    os.write(2, b"visible\n")
    assert capfd.readouterr().err == "visible\n"


def test_a_second_run_appends_to_the_log(tmp_path):
    for word in (b"first\n", b"second\n"):
        with kept_out(tmp_path / "log.txt"):
            os.write(2, word)
    assert (tmp_path / "log.txt").read_text() == "first\nsecond\n"


def test_a_log_that_cannot_be_made_is_a_store_error(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StoreError, match="runs"), kept_out(tmp_path / "runs" / "x" / "log.txt"):
        pass
