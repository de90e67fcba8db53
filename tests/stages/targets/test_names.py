"""How a target is written."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from device_profiles.errors import UsageError
from stages.engines.targets.names import TargetName, TargetText, parse


@pytest.mark.parametrize(("text", "kind", "where", "port", "options"), [
    ("host", "host", "", 0, {}),
    ("ssh:raspberrypi", "ssh", "raspberrypi", 0, {}),
    ("ssh:pi@10.0.0.7:2222", "ssh", "pi@10.0.0.7", 2222, {}),
    ("ssh:pi@[fe80::1]:22", "ssh", "pi@[fe80::1]", 22, {}),
    ("ssh:pi@zero,python=/opt/venv/bin/python,folder=/data/ls", "ssh", "pi@zero", 0,
     {"python": "/opt/venv/bin/python", "folder": "/data/ls"}),
    ("adb", "adb", "", 0, {}),
    ("adb:10.0.0.9:5555,benchmark_model=tools/benchmark_model", "adb", "10.0.0.9:5555", 0,
     {"benchmark_model": "tools/benchmark_model"}),
    ("emulated", "emulated", "cortex-a72", 0, {}),
    ("emulated:max", "emulated", "max", 0, {}),
])
def test_a_target_comes_apart_into_its_parts(text: str, kind: str, where: str, port: int,
                                             options: dict[str, str]) -> None:
    assert parse(text) == TargetName(kind, where, port, options)


@pytest.mark.parametrize(("text", "found"), [
    ("shs:pi@pi", "no target 'shs'; did you mean 'ssh'"),
    ("ssh", "'' is no login"),
    ("ssh:", "nothing stands after 'ssh:'"),
    ("ssh:-oProxyCommand=reboot", "'-oProxyCommand=reboot' is no login"),
    ("ssh:pi@-host", "is no login"),
    ("ssh:pi@host:99999", "is no login"),
    ("ssh:pi@host:22; reboot", "is no login"),
    ("adb:-P", "'-P' cannot stand after 'adb:'"),
    ("emulated:max -plugin x", "cannot stand after 'emulated:'"),
    ("host:here", "'here' cannot stand after 'host:'"),
    ("host,python=/usr/bin/python3", "which takes nothing"),
    ("ssh:pi,pyhton=/x", "which takes python=..., folder=..."),
    ("ssh:pi,python=", "'python=' cannot stand"),
    ("ssh:pi,python=a,python=b", "'python=b' cannot stand"),
])
def test_what_is_no_target_is_refused_with_what_is_allowed(text: str, found: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert found in caught.value.found
    assert "ssh:user@host[:port]" in caught.value.allowed


def test_a_settings_field_refuses_what_is_no_target() -> None:
    field = TypeAdapter(TargetText)
    assert field.validate_python("ssh:pi@pi") == "ssh:pi@pi"
    with pytest.raises(ValidationError, match=r"no target 'ahost'; did you mean 'host'\?; allowed: host, ssh"):
        field.validate_python("ahost")
