"""What is no plain YAML is refused at its place, quickly, and nothing in a file makes an object."""

from __future__ import annotations

import pytest

from device_profiles.errors import ConfigError
from device_profiles.strictyaml_tree import Spot, describe, key_path, read_tree


def refused(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read_tree(text, "f.yaml")
    return caught.value


def place(error: ConfigError) -> tuple[int, int]:
    return error.line, error.column


def test_keys_and_values_know_their_places() -> None:
    tree = read_tree("a:\n  b: [1, x]\n", "f.yaml")
    assert tree.data == {"a": {"b": [1, "x"]}}
    assert (tree.keys["a", "b"], tree.values["a", "b"]) == (Spot(2, 3), Spot(2, 6))
    assert tree.values["a", "b", 1] == Spot(2, 10)


def test_a_key_path_is_written_as_people_write_it() -> None:
    assert (key_path(("a", 2, "b")), key_path(())) == ("a[2].b", "")


def test_a_long_text_is_described_by_its_beginning() -> None:
    assert describe("x" * 100) == "the text '" + "x" * 57 + "...'"


@pytest.mark.parametrize(("text", "line", "column", "words"), [
    ("name: a\nname: b", 2, 1, "the key 'name' stands twice (first in line 1)"),
    ("name: a\nmode:\n  kind: fast\n  kind: slow", 4, 3, "'mode.kind' stands twice (first in line 3)"),
    ("name: a\nmode:\n\tkind: fast", 3, 1, "a tab in the indentation"),
    ("name: [a", 1, 9, "not YAML"),
    ("name: a: b", 1, 8, "not YAML"),
    ("name: 'a", 1, 9, "not YAML"),
    ("name: a\n---\nname: b", 2, 1, "another document"),
    ("name: \x01", 1, 7, "U+0001"),
    ("- name", 1, 1, "a list, not a mapping"),
    ("name", 1, 1, "the text 'name', not a mapping"),
    ("? [a]\n: b", 1, 3, "a key that is a list"),
    ("name: .nan", 1, 7, "'name' is .nan"),
    ("name: -.inf", 1, 7, "'name' is -.inf"),
    ("name: !!python/object:os.system x", 1, 7, "a tag (!!python/object:os.system)"),
    ("name: !!int abc", 1, 7, "'name' is abc"),
    ("name: &x a", 1, 7, "an anchor (&x)"),
    ("name: *x", 1, 7, "undefined alias"),
])
def test_what_is_no_plain_yaml_is_refused_at_its_place(text: str, line: int, column: int, words: str) -> None:
    error = refused(text)
    assert place(error) == (line, column)
    assert words in error.found


@pytest.mark.parametrize("text", ["", "# nothing\n", "\n\n"])
def test_an_empty_file_is_refused_as_a_whole(text: str) -> None:
    assert refused(text).found == "the file is empty"
    assert str(refused(text)).startswith("f.yaml: ")


@pytest.mark.parametrize("depth", [900, 200_000])
def test_a_file_of_brackets_is_refused_at_once(depth: int) -> None:
    assert "nested too deeply" in refused("name: " + "[" * depth).found


def test_a_billion_laughs_file_is_refused_before_it_is_expanded() -> None:
    rows = ["name: &a0 [x, x]"] + [f"k{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40)]
    assert "an anchor" in refused("\n".join(rows)).found


def test_a_number_of_5000_digits_is_refused() -> None:
    error = refused("name: " + "9" * 5000)
    assert "a number of 5000 digits" in error.found
    assert len(error.excerpt) <= 160
