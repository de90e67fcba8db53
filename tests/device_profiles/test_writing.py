"""A profile as YAML: it reads back as itself, and what a user wrote beside the latency stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.errors import ConfigError
from device_profiles.loader import load_profile, names
from device_profiles.schema import Calibrated, Profile
from device_profiles.strictyaml_tree import read_tree
from device_profiles.writing import WIDTH, checked, data_yaml, profile_yaml, with_latency
from tests.device_profiles.test_schema import GOOD

PLACE = Path("mine.yaml")


def calibrated(profile: Profile, name: str = "other") -> Profile:
    return profile.model_copy(update={"name": name, "latency": Calibrated(kind="calibrated", device="pixel-4")})


@pytest.mark.parametrize("name", names())
def test_a_shipped_profile_reads_back_as_itself(name: str) -> None:
    profile = load_profile(name)
    assert checked(profile_yaml(profile), PLACE).model_copy(update={"like": profile.like}) == profile


def test_the_engine_s_own_formats_and_operators_are_not_written_and_others_are() -> None:
    profile = load_profile("nucleo-l4r5zi")
    assert "operators:" not in profile_yaml(profile)
    fewer = profile.model_copy(update={"formats": profile.formats.model_copy(update={"value": ("int8",)})})
    assert "  value: [int8]\n" in profile_yaml(fewer)


def test_comments_stand_above_what_they_explain_and_lines_are_folded() -> None:
    text = profile_yaml(load_profile("nucleo-l4r5zi"), ["A board.", ""])
    assert text.startswith("# A board.\n#\nname: nucleo-l4r5zi\n")
    assert "# Each fact has a value and its source: what a reader looks at when a verdict surprises.\nhardware:" in text
    assert max(map(len, text.splitlines())) <= WIDTH


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=60))
def test_any_text_reads_back_as_the_same_text(text: str) -> None:
    data = {"device": text, "list": [text, text]}
    try:
        found = read_tree(data_yaml(data), "x.yaml").data
    except ConfigError:  # what YAML cannot hold at all, such as a lone surrogate
        assert any(not char.isprintable() for char in text)
        return
    assert found == data


@pytest.mark.parametrize("text", ["yes", "null", "1e9", "a: b", "a #b", "- a", "it's", '"', "[a]", "a, b", "0x1f", "~",
                                  "#", "a:", "*a", "&a", "@a", "`a", "%a", "!a", "? a", " a", "a ", "12:30:00"])
def test_words_that_yaml_reads_as_something_else_are_quoted(text: str) -> None:
    assert read_tree(data_yaml({"a": text, "b": [text]}), "x.yaml").data == {"a": text, "b": [text]}


@pytest.mark.parametrize("value", [0.1, 1e-7, 120e6, 1.5e300, 3, True, 12345.678])
def test_numbers_read_back_as_the_same_numbers(value: float) -> None:
    assert read_tree(data_yaml({"a": value, "b": [value]}), "x.yaml").data == {"a": value, "b": [value]}


def test_only_name_and_latency_of_a_user_s_own_file_change() -> None:
    text = GOOD.replace("limits:", "# mine, by hand\nlimits:") if "limits:" in GOOD else GOOD + "# mine, by hand\n"
    profile = calibrated(checked(text, PLACE))
    changed = with_latency(text, profile)
    assert checked(changed, PLACE) == profile
    assert "# mine, by hand" in changed
    before, after = (set(each.splitlines()) for each in (text, changed))
    assert {"name: other", "  kind: calibrated", "  device: pixel-4"} <= after - before
    assert "throughput_per_s" in text
    assert "throughput_per_s" not in changed


def test_a_latency_in_the_middle_and_on_one_line_is_replaced_and_the_next_section_keeps_its_comment() -> None:
    head = GOOD[:GOOD.index("latency:")]
    text = f"latency: {{kind: calibrated,\n  device: iphone-xs}}\n# drawn from the battery\n{head}"
    changed = with_latency(text, calibrated(checked(text, PLACE)))
    assert changed.count("latency:") == 1
    assert "iphone-xs" not in changed
    assert "# drawn from the battery\n" in changed
    assert checked(changed, PLACE).name == "other"


def test_a_file_that_rests_on_a_shipped_profile_gets_a_latency_of_its_own() -> None:
    text = "name: mine\nlike: pixel-4\n"
    changed = with_latency(text, calibrated(checked(text, PLACE)))
    assert changed.startswith("name: other\nlike: pixel-4\n")
    assert checked(changed, PLACE).latency == Calibrated(kind="calibrated", device="pixel-4")


def test_data_that_no_profile_can_have_are_refused_with_line_and_near_miss() -> None:
    with pytest.raises(ConfigError) as raised:
        checked(data_yaml({"name": "mine", "like": "pixel-4", "limits": {"latncy_median_ms": 3}}), PLACE)
    assert (raised.value.line, raised.value.next_step) == (5, "did you mean 'latency_median_ms'?")
