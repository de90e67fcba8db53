from __future__ import annotations

import pytest

from device_profiles.errors import ConfigError
from device_profiles.loader import load_profile

INI = "[System_Config.Mine]\ncore_clock=1e8\n"


@pytest.fixture
def write(tmp_path):
    """A profile file made of the shipped one, its npu section changed."""

    def make(old: str, new: str) -> str:
        from importlib import resources

        text = resources.files("device_profiles").joinpath("profiles", "corstone-300.yaml").read_text()
        assert old in text
        path = tmp_path / "board.yaml"
        path.write_text(text.replace(old, new, 1))
        return str(path)

    return make


@pytest.mark.parametrize(("name", "accelerator"), [("corstone-300", "ethos-u55-128"),
                                                   ("imx93-ethos-u65", "ethos-u65-256")])
def test_the_shipped_profiles_name_their_npu(name, accelerator):
    found = load_profile(name).npu
    assert found.accelerator.value == accelerator
    assert found.sram_bytes.value >= 384 * 1024


def test_vela_s_names_in_the_shipped_profiles_are_known_to_it():
    from stages.npu.configuration import check_names

    for name in ("corstone-300", "imx93-ethos-u65"):
        check_names(load_profile(name).npu, name)


def test_an_ini_file_beside_the_profile_becomes_its_text(write, tmp_path):
    (tmp_path / "mine.ini").write_text(INI)
    path = write("  system_config:\n", "  ini: {value: mine.ini, source: for a test}\n  system_config:\n")
    assert load_profile(path).npu.ini.value == INI


def test_an_ini_file_that_is_not_there_is_named(write):
    path = write("  system_config:\n", "  ini: {value: mine.ini, source: for a test}\n  system_config:\n")
    with pytest.raises(ConfigError, match=r"mine\.ini cannot be read: No such file"):
        load_profile(path)


def test_an_unknown_accelerator_is_refused_at_its_line(write):
    path = write("value: ethos-u55-128", "value: ethos-u55-12")
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    assert "'npu.accelerator.value' is the text 'ethos-u55-12'" in caught.value.found
    assert caught.value.excerpt == "    value: ethos-u55-12"
    assert caught.value.next_step == "did you mean 'ethos-u55-128'?"
