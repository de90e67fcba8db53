from __future__ import annotations

import pytest

from device_profiles.errors import UsageError
from stages.npu import configuration
from stages.npu.configuration import check_names
from tests.stages.npu.small import npu

OWN = "[System_Config.Mine]\ncore_clock=1e8\n\n[Memory_Mode.All_In_Sram]\nconst_mem_area=Axi0\n"


def test_arm_s_names_and_a_profile_s_own_are_known():
    check_names(npu(), "board")
    check_names(npu(system_config="Mine", memory_mode="All_In_Sram", ini=OWN), "board")
    check_names(npu(system_config="Mine", ini=OWN), "board")


def test_an_unknown_name_is_refused_with_the_near_miss():
    with pytest.raises(UsageError, match=r"npu\.memory_mode: Vela knows no 'Shared_Ram'; did you mean 'Shared_Sram'"):
        check_names(npu(memory_mode="Shared_Ram"), "board")


def test_an_ini_file_that_is_none_is_refused():
    with pytest.raises(UsageError, match=r"npu\.ini is no ini file"):
        check_names(npu(ini="core_clock=1e8\nno section\n"), "board")


def test_without_vela_nothing_is_known_and_nothing_refused(monkeypatch):
    monkeypatch.setattr(configuration, "_arm_sections", lambda: ())
    check_names(npu(system_config="Nobody_Knows"), "board")


def test_a_configuration_of_another_kind_of_ethos_u_is_refused():
    with pytest.raises(UsageError, match="Ethos_U65_High_End is not of ethos-u55-128") as caught:
        check_names(npu(system_config="Ethos_U65_High_End"), "board")
    assert caught.value.allowed == "a configuration of Ethos-U55"
