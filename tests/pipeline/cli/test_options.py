from __future__ import annotations

import json

import pytest

from pipeline import cli
from pipeline.cli.options import print_result


@pytest.mark.parametrize("command", [c for c in cli.main.commands.values() if c.name != "profiles"],
                         ids=lambda c: c.name)
def test_every_command_takes_json_and_debug(command):
    options = {word for option in command.params for word in option.opts}
    assert {"--json", "--debug"} <= options


def test_a_result_is_one_json_document_or_its_lines_and_never_both(capsys):
    print_result({"µ": [1]}, ["one", "two"], as_json=True)
    assert capsys.readouterr().out == '{\n  "µ": [\n    1\n  ]\n}\n'
    print_result({"µ": [1]}, iter(["one", "two"]), as_json=False)
    assert capsys.readouterr().out == "one\ntwo\n"


def test_an_unknown_option_is_wrong_usage(typed):
    done = typed("run", "--fast")
    assert done.code == 2
    assert "--fast" in done.err


def test_an_error_with_json_is_json_on_stdout_too(typed):
    done = typed("variants", "int9", "--json")
    assert done.code == 2
    assert json.loads(done.out)["error"]["found"].startswith("variant 'int9'")
