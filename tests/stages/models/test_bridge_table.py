"""The page's table is what was measured, and leaves no architecture out."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]


def page_table(script):
    """The table as it stands on the page."""
    page = script.PAGE.read_text(encoding="utf-8")
    return page.split(script.BEGIN)[1].split(script.END)[0].strip()


@pytest.fixture(scope="module")
def script():
    """benchmarks/bridge_table.py as a module."""
    place = importlib.util.spec_from_file_location("bridge_table", ROOT / "benchmarks" / "bridge_table.py")
    module = importlib.util.module_from_spec(place)
    sys.modules["bridge_table"] = module
    place.loader.exec_module(module)
    return module


def test_the_page_s_table_is_that_of_the_measurements(script):
    rows = json.loads(script.RESULTS.read_text())
    assert page_table(script) == script.table(rows)


def test_every_architecture_of_keras_has_a_line(script):
    assert re.findall(r"^\| `(\w+)`", page_table(script), re.MULTILINE) == script.names()
    assert len(script.names()) >= 38


def test_what_counts_as_bridged_was_proven_within_the_tolerance(script):
    from stages.models.bridge import TOLERANCE

    rows = json.loads(script.RESULTS.read_text())
    proven = [row for row in rows.values() if row["bridged"]]
    assert proven
    assert all(row["largest_difference"] <= TOLERANCE * max(1, row["scale"]) and row["scale"] > 0.01 for row in proven)


def test_the_weights_of_the_measured_models_are_drawn_and_no_layer_is_a_neutral_one(script):
    import keras

    inputs = keras.Input((4, 4, 3))
    x = keras.layers.BatchNormalization(name="norm")(keras.layers.Conv2D(5, 3, name="conv")(inputs))
    model = keras.Model(inputs, x)
    script.randomized(model, np.random.default_rng(0).normal(3, 2, (8, 4, 4, 3)).astype(np.float32))
    norm = model.get_layer("norm")
    for weight, neutral in ((norm.gamma, 1), (norm.beta, 0), (norm.moving_mean, 0), (norm.moving_variance, 1),
                            (model.get_layer("conv").bias, 0)):
        assert np.abs(np.asarray(weight) - neutral).min() > 1e-4
    assert norm.momentum == 0.99


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNetB0"])
def test_an_architecture_is_bridged_and_proven_again(script, name):
    assert script.measure(name)["bridged"]
    assert script.converted(name)["tflite"] == "yes"
