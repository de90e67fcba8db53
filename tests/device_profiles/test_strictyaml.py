"""Strict YAML: every fault has its line, its column, its words, and what would have been right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, field_validator

from device_profiles.errors import ConfigError
from device_profiles.records import Record
from device_profiles.strictyaml import load, loads, refusal


class Fast(Record):
    kind: Literal["fast"]
    speed: int = Field(ge=1, le=9, description="how fast, 1 to 9")


class Slow(Record):
    kind: Literal["slow"]
    delay_s: float


class Sample(Record):
    name: str = Field(description="a word")
    mode: Annotated[Fast | Slow, Field(discriminator="kind")] | None = None
    operators: Literal["all"] | tuple[str, ...] = "all"
    steps: tuple[Fast, ...] = ()
    table: dict[str, Fast] = Field(default_factory=dict)
    shape: tuple[int, int] = (1, 1)
    verbose: bool = False
    folder: Path | None = None
    label: str = Field("x", alias="class")

    @field_validator("name")
    @classmethod
    def _no_spaces(cls, value: str) -> str:
        if " " in value:
            raise refusal(f"'{value}' has a space", "one word", "write an underscore")
        if value == "old":
            raise ValueError("'old' is gone; allowed: new")
        return value


def fault(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        loads(text, Sample, "f.yaml")
    return caught.value


def place(error: ConfigError) -> tuple[int, int]:
    return error.line, error.column


def test_a_whole_file_becomes_a_frozen_record_with_values_of_the_right_types() -> None:
    text = "name: a\nclass: b\nmode: {kind: slow, delay_s: 1e9}\nshape: [2, 0x10]\nverbose: true\nfolder: a/b\n"
    sample = loads(text, Sample, "f.yaml")
    slow = Slow(kind="slow", delay_s=1e9)
    assert sample == Sample(name="a", mode=slow, shape=(2, 16), verbose=True, folder=Path("a/b"), **{"class": "b"})


def test_yaml_1_2_reads_no_as_text_and_1e9_as_a_number() -> None:
    sample = loads("name: no\nmode: {kind: slow, delay_s: 1e3}", Sample, "f.yaml")
    assert sample.name == "no"
    assert isinstance(sample.mode, Slow)
    assert sample.mode.delay_s == 1000.0


def test_a_date_and_a_leading_zero_stay_what_yaml_1_2_says() -> None:
    assert loads("name: 2020-01-01\nshape: [017, 1_000]", Sample, "f").shape == (17, 1000)
    assert loads("name: 2020-01-01", Sample, "f").name == "2020-01-01"


@pytest.mark.parametrize(("text", "line", "column", "found", "allowed", "next_step"), [
    ("name: a\nverbos: true", 2, 1, "unknown key 'verbos'", "class, folder, mode, name", "did you mean 'verbose'?"),
    ("name: a\nmode:\n  kind: fast\n  sped: 3\n", 4, 3, "unknown key 'mode.sped'", "kind, speed", "mean 'speed'?"),
    ("name: a\nsteps:\n  - kind: fast\n    sped: 3\n", 4, 5, "unknown key 'steps[0].sped'", "kind, speed",
     "did you mean 'speed'?"),
    ("name: a\ntable:\n  x: {kind: fast, sped: 3}\n", 3, 19, "unknown key 'table.x.sped'", "kind, speed",
     "did you mean 'speed'?"),
    ("verbose: true\n", 1, 1, "the key 'name' is missing", "a word", ""),
    ("name: a\nmode:\n  kind: fast\n", 2, 1, "the key 'mode.speed' is missing", "how fast, 1 to 9", ""),
    ("name: 3", 1, 7, "'name' is the number 3", "text", ""),
    ("name:", 1, 6, "'name' is nothing", "text", ""),
    ("name: a\nverbose: 1", 2, 10, "'verbose' is the number 1", "true or false", ""),
    ("name: a\nshape: [1, 1.5]", 2, 12, "'shape[1]' is the number 1.5", "a whole number", ""),
    ("name: a\nshape: 5", 2, 8, "'shape' is the number 5", "a list", ""),
    ("name: a\nmode: 5", 2, 7, "'mode' is the number 5", "a mapping", ""),
    ("name: a\nmode: {kind: fast, speed: 10}", 2, 27, "'mode.speed' is the number 10", "at most 9", ""),
    ("name: a\nmode: {kind: fast, speed: 0}", 2, 27, "'mode.speed' is the number 0", "at least 1", ""),
    ("name: a\nmode: {kind: fasst}", 2, 14, "'mode.kind' is the text 'fasst'", "fast, slow", "did you mean 'fast'?"),
    ("name: a\nmode: {speed: 1}", 2, 1, "the key 'mode.kind' is missing", "which kind", ""),
    ("name: a\nsteps: [{kind: slow, speed: 1}]", 2, 16, "'steps[0].kind' is the text 'slow'", "fast", ""),
    ("name: a\noperators: al", 2, 12, "'operators' is the text 'al'", "all, or a list", "did you mean 'all'?"),
    ("name: a\noperators: [x, 3]", 2, 16, "'operators[1]' is the number 3", "text", ""),
    ("name: two words", 1, 7, "'name': 'two words' has a space", "one word", "underscore"),
    ("name: old", 1, 7, "'name': 'old' is gone", "new", ""),
    ("name: a\nlabel: b", 2, 1, "unknown key 'label'", "class, folder", ""),
])
def test_a_fault_is_reported_at_its_place_with_what_is_allowed(text: str, line: int, column: int, found: str,
                                                               allowed: str, next_step: str) -> None:
    error = fault(text)
    assert place(error) == (line, column)
    assert found in error.found
    assert allowed in error.allowed
    assert next_step in error.next_step
    assert error.excerpt == text.splitlines()[line - 1]
    assert str(error).startswith(f"f.yaml:{line}:{column}: ")


def test_of_several_faults_the_first_in_the_file_is_reported_and_the_others_counted() -> None:
    error = fault("shape: x\nname: 3\nverbose: 4\n")
    assert place(error) == (1, 8)
    assert error.found.endswith("(and 2 more faults in this file)")


def test_a_misspelt_required_key_is_one_fault() -> None:
    error = fault("nam: a")
    assert error.found == "unknown key 'nam'"
    assert error.next_step == "did you mean 'name'?"


def test_the_message_shows_the_line_with_a_mark_under_the_column() -> None:
    assert str(fault("name: a\nverbos: true")) == (
        "f.yaml:2:1: unknown key 'verbos'\n"
        "     2 | verbos: true\n"
        "       | ^\n"
        "  allowed: class, folder, mode, name, operators, shape, steps, table, verbose\n"
        "  next: did you mean 'verbose'?")


def test_a_file_is_read_with_and_without_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: a\r\n")
    assert load(path, Sample).name == "a"


@pytest.mark.parametrize(("make", "words"), [
    (lambda path: None, "there is no such file"),
    (lambda path: path.mkdir(), "this is a folder"),
    (lambda path: path.write_bytes(b"name: a\nclass: \xff\n"), "not UTF-8 text: byte 0xff at offset 15"),
    (lambda path: path.write_bytes("name: a".encode("utf-16")), "not UTF-8 text"),
    (lambda path: path.write_bytes(b"name: a #" + b"x" * (1 << 20)), "too large"),
])
def test_a_file_that_cannot_be_read_has_its_own_words(tmp_path: Path, make: object, words: str) -> None:
    path = tmp_path / "a.yaml"
    make(path)  # type: ignore[operator]
    with pytest.raises(ConfigError, match=words) as caught:
        load(path, Sample)
    assert caught.value.path == str(path)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("namekid:fst -[]{}\"'\n\t#&*!|>?%@`,01.e\x00é"), max_size=60))
def test_any_text_gives_a_record_or_a_config_error(text: str) -> None:
    try:
        result: Sample | ConfigError = loads(text, Sample, "f")
    except ConfigError as error:
        result = error
    assert isinstance(result, Sample) or result.found
