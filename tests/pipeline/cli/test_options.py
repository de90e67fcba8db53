from __future__ import annotations

import json

import pytest

from pipeline import cli


@pytest.mark.parametrize("command", [c for c in cli.main.commands.values() if c.name != "profiles"],
                         ids=lambda c: c.name)
def test_every_command_takes_json_and_debug(command):
    options = {word for option in command.params for word in option.opts}
    assert {"--json", "--debug"} <= options


def test_an_unknown_option_is_wrong_usage(typed):
    done = typed("run", "--fast")
    assert done.code == 2
    assert "--fast" in done.err


def test_an_error_with_json_is_json_on_stdout_too(typed):
    done = typed("variants", "int9", "--json")
    assert done.code == 2
    assert json.loads(done.out)["error"]["found"].startswith("variant 'int9'")
