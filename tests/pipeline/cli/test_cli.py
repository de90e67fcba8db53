from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import cli

ROOT = Path(__file__).parents[3]


def test_help_lists_every_command_in_the_order_of_the_work_and_the_exit_codes(typed):
    done = typed("--help")
    assert done.code == 0
    names = re.findall(r"^  ([a-z]+) ", done.out.split("Commands:")[1].split("Exit codes")[0], re.MULTILINE)
    assert names == list(cli.main.commands)
    assert "3 does not fit" in done.out


@pytest.mark.parametrize("name", list(cli.main.commands))
def test_every_command_has_help_of_its_own(typed, name):
    done = typed(name, "--help")
    assert done.code == 0
    assert len(done.out.splitlines()) > 5


def test_version_is_printed(typed):
    assert typed("--version").out.startswith("litesmith, version 0.")


def test_a_mistyped_command_gets_the_near_miss_and_exit_code_2(typed):
    done = typed("trian")
    assert done.code == 2
    assert "did you mean 'train'" in done.err
    assert done.out == ""


def test_python_dash_m_pipeline_is_the_same_command():
    done = subprocess.run([sys.executable, "-m", "pipeline", "variants", "int9"], capture_output=True, text=True,
                          cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "unknown number format 'int9'; did you mean 'int8'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_fault_of_litesmith_itself_is_one_message_and_debug_shows_the_traceback():
    code = ("import sys; sys.argv = ['litesmith', 'variants', *{words}]\nfrom pipeline import cli\n"
            "import stages.variants as v\nv.parse_variant = lambda name: 1 / 0\ncli.entry()")
    plain = subprocess.run([sys.executable, "-c", code.format(words="['int8']")], capture_output=True, text=True,
                           cwd=ROOT, check=False)
    debug = subprocess.run([sys.executable, "-c", code.format(words="['int8', '--debug']")], capture_output=True,
                           text=True, cwd=ROOT, check=False)
    assert (plain.returncode, debug.returncode) == (1, 1)
    assert "ZeroDivisionError" in plain.stderr
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr
