"""Names of Arm cores."""

from __future__ import annotations

from stages.engines.targets.core_names import core_name, counted


def test_cores_are_named_by_their_register_and_others_by_its_numbers() -> None:
    assert core_name(0x41, 0xD08) == "Cortex-A72"  # Raspberry Pi 4's, as its kernel prints it
    assert core_name(0x41, 0xD0B) == "Cortex-A76"
    assert core_name(0x41, 0xD0C) == "Neoverse-N1"
    assert core_name(0x61, 0x22) == "core 0x61:0x022"


def test_names_are_counted_in_the_order_of_the_cores() -> None:
    assert counted(["Cortex-A55"] * 4 + ["Cortex-A76"] * 2) == ("4 Cortex-A55", "2 Cortex-A76")
    assert counted([]) == ()
