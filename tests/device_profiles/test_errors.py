from __future__ import annotations

import pytest

from device_profiles import errors
from device_profiles.errors import ConfigError, EngineCrash, LitesmithError, near_miss, with_near_miss


def test_a_message_says_found_allowed_and_next_on_lines_of_their_own():
    assert str(LitesmithError("a is 3", "1 to 2", "set a=1")) == "a is 3\n  allowed: 1 to 2\n  next: set a=1"


def test_what_is_not_given_is_not_printed():
    assert str(LitesmithError("a is 3")) == "a is 3"


def test_a_config_error_shows_place_line_and_caret():
    error = ConfigError("unknown key 'epoch'", "epochs", path="run.yaml", line=3, column=3, excerpt="  epoch: 3")
    assert str(error) == ("run.yaml:3:3: unknown key 'epoch'\n"
                          "     3 |   epoch: 3\n"
                          "       |   ^\n"
                          "  allowed: epochs")


def test_a_config_error_without_a_line_names_the_file_alone():
    assert str(ConfigError("is empty", path="run.yaml")) == "run.yaml: is empty"


def test_an_engine_error_names_engine_and_model():
    error = EngineCrash("tflm", "int8", "its process died of SIGSEGV")
    assert str(error) == "tflm: int8: its process died of SIGSEGV"
    assert error.status == "crashed"


@pytest.mark.parametrize(("name", "code"), [
    ("LitesmithError", 1), ("UsageError", 2), ("ConfigError", 2), ("VariantError", 2), ("DataError", 1),
    ("ModelError", 1), ("TfliteError", 1), ("StageError", 1), ("StoreError", 1), ("EngineError", 1), ("DoesNotFit", 3)])
def test_exit_codes_are_those_of_the_tree_in_the_docstring(name, code):
    assert getattr(errors, name).exit_code == code


def test_every_error_class_stands_in_the_tree():
    classes = [c.__name__ for c in vars(errors).values() if isinstance(c, type) and issubclass(c, LitesmithError)]
    assert len(classes) == 17
    assert all(name in errors.__doc__ for name in classes)


@pytest.mark.parametrize(("word", "expected"), [("epoch", "did you mean 'epochs'?"), ("zzz", "")])
def test_near_miss_finds_the_closest_word_or_nothing(word, expected):
    assert near_miss(word, ["epochs", "seed"]) == expected


def test_the_near_miss_follows_what_was_found_and_nothing_follows_where_there_is_none():
    assert with_near_miss("unknown key 'epoch'", "epoch", ["epochs", "seed"]) == (
        "unknown key 'epoch'; did you mean 'epochs'?")
    assert with_near_miss("unknown key 'xyz'", "xyz", ["epochs", "seed"]) == "unknown key 'xyz'"
