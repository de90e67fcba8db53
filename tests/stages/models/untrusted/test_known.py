"""The lists of what a description may name hold what the installed Keras has, and nothing that loads code."""

from __future__ import annotations

import importlib
import re

import pytest

from stages.models.untrusted import known

SUBMODULES = ("layers", "models", "initializers", "regularizers", "constraints", "losses", "metrics", "optimizers",
              "optimizers.schedules", "activations", "dtype_policies", "random", "quantizers", "mixed_precision")
OPERATIONS = ("numpy", "nn", "math", "image", "linalg", "core", "einops")


@pytest.fixture(scope="module")
def installed() -> set[str]:
    names: set[str] = set()
    for library in ("keras", "tf_keras"):
        root = importlib.import_module(library)
        for path in SUBMODULES:
            module = root
            for part in path.split("."):
                module = getattr(module, part, None)
            names |= set(dir(module))
    for path in OPERATIONS:
        names |= set(dir(importlib.import_module(f"keras.src.ops.{path}")))
    return names | {"Functional"}


@pytest.mark.parametrize("group", ["LAYERS", "INITIALIZERS", "REGULARIZERS", "CONSTRAINTS", "TRAINING", "OTHERS",
                                   "OPERATIONS", "FUNCTIONS"])
def test_every_listed_name_is_one_of_the_installed_keras(installed: set[str], group: str) -> None:
    assert getattr(known, group) - installed == set()


def test_nothing_that_loads_code_or_takes_functions_is_listed() -> None:
    dangerous = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer", "Map", "Scan", "WhileLoop",
                 "Cond", "get_file", "load_model", "deserialize", "get", "eval"}
    listed = known.FUNCTIONS.union(*(names for names, _ in known.HOMES))
    assert listed & dangerous == set()


def test_every_tensorflow_function_that_is_let_pass_is_one_of_tensorflow() -> None:
    import tensorflow as tf

    words = re.findall(r"\b(?:reduce_\w+|argm\w+|clip_\w+|boolean_mask|space_to_\w+|expand_dims)\b",
                       known.TENSORFLOW_FUNCTIONS)
    assert len(words) > 10
    assert [word for word in words if not hasattr(tf, word)] == []
