"""What comes out at the outputs of noise that is made inside, on a network whose numbers can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import EngineRefusal
from device_profiles.tflite import read_tflite
from stages.explaining import reach
from stages.explaining.pairs import pair_up
from stages.explaining.reach import Reach, measure_reach
from stages.explaining.runs import Bench, Source
from stages.explaining.tally import Tally
from tests.device_profiles.handmade import Handmade

SAMPLES = np.array([[1.0, 3.0], [2.0, 2.0]], np.float32)  # means of 2 and 2
DELTA = np.array([[0.3, -0.3], [0.3, 0.1]], np.float32)  # their means are 0 and 0.2


def network() -> bytes:
    """(1, 2): doubled, then the mean, then doubled."""
    made = Handmade()
    data, twice = (made.activation((1, 2), name=name) for name in ("in", "twice"))
    mean, out = (made.activation((1, 1), name=name) for name in ("mean", "out"))
    made.operator("MUL", [data, made.constant(np.full(2, 2, np.float32))], [twice], "MulOptions")
    made.operator("MEAN", [twice, made.constant(np.array([1], np.int32))], [mean], "ReducerOptions", {"keepDims": True})
    made.operator("MUL", [mean, made.constant(np.full(1, 2, np.float32))], [out], "MulOptions")
    return made.bytes([data], [out])


def measured(tmp_path: Path, noise: dict[str, np.ndarray], rows: int = 1,
             twice: dict[str, Any] | None = None) -> tuple[Reach, dict[str, int]]:
    """The reach of noise that a variant of the network makes in some of its tensors, and their numbers."""
    pairing = pair_up(*[read_tflite(network()).graphs[0]] * 2)
    names = {tensor.name: tensor.index for tensor in pairing.variant.tensors}
    clean = {"in": SAMPLES, "twice": 2 * SAMPLES, "mean": np.full((2, 1), 4, np.float32),
             "out": np.full((2, 1), 8, np.float32)}
    out = clean["out"] + noise.get("out", 0) + 2 * noise.get("twice", np.zeros((2, 2))).mean(axis=1, keepdims=True)

    def read(start: int, stop: int) -> None:
        runs.reference = {names[name]: values[start:stop] for name, values in clean.items()}
        runs.variant = {names[name]: values[start:stop] + noise[name][start:stop] if name in noise else
                        values[start:stop] for name, values in clean.items() if name != "out"}
        runs.variant[names["out"]] = out[start:stop]
        runs.clean = {names[name]: runs.variant[names[name]] - (noise[name][start:stop] if name in noise else 0)
                      for name in clean}

    everything = list(names.values())
    runs = SimpleNamespace(pairing=pairing, tensors=(everything, everything), rows=rows, read=read,
                           noiseless=lambda tally: runs.clean[tally.tensor.index])
    tallies = [tally_of(pairing, name, noise) for name in ("in", "twice", "out")]
    for name, value in (twice or {}).items():
        setattr(tallies[1], name, value)
    bench = Bench(tmp_path / "x.npy", 2, tmp_path / "log")
    return measure_reach(tallies, runs, Source(network(), {}, "float32"), bench), names


def tally_of(pairing: Any, name: str, noise: dict[str, np.ndarray]) -> Tally:
    tensor = next(each for each in pairing.variant.tensors if each.name == name)
    pair = next((each for each in pairing.pairs if tensor.index in each.made.outputs), None)
    one = Tally(label=name, operator="INPUT" if pair is None else "MUL", original=name, matching="name", tensor=tensor,
                pair=pair)
    one.energy, one.distance = np.ones(1), np.full(1, 0.1 if name in noise else 0.0)
    return one


def test_noise_that_the_rest_of_the_model_averages_away_reaches_less_than_it_makes(tmp_path: Path) -> None:
    found, names = measured(tmp_path, {"twice": DELTA, "out": np.array([[0.4], [0.0]], np.float32)})
    # the outputs are 8 and 8: a signal of 128. Doubled means of the noise: 0 and 0.4; at the output itself: 0.4 and 0
    assert found.parts == {names["twice"]: pytest.approx(0.16 / 128, rel=1e-4),
                           names["out"]: pytest.approx(0.16 / 128, rel=1e-4)}
    assert found.total == pytest.approx(0.32 / 128, rel=1e-4)
    assert (found.share(names["twice"]), found.share(names["in"])) == (pytest.approx(0.5, rel=1e-4), 0.0)
    assert found.samples == 2


def test_noise_at_the_input_goes_through_all_of_the_model(tmp_path: Path) -> None:
    found, names = measured(tmp_path, {"in": DELTA}, rows=2)
    assert found.parts == {names["in"]: pytest.approx(0.64 / 128, rel=1e-4)}  # 4 times the means: 0 and 0.8


def test_a_shift_of_a_whole_channel_is_followed_on_its_own(tmp_path: Path) -> None:
    shift = {"shift": np.array([1.2, -0.4])}  # over two samples: 0.6 and -0.2 on average
    found, names = measured(tmp_path, {"twice": DELTA}, twice={**shift, "operator": "CONV_2D", "elements": 4,
                                                              "local_error": 0.5})
    assert found.shifts == {names["twice"]: pytest.approx(0.32 / 128, rel=1e-4)}  # doubled means: 0.4 and 0.4
    assert found.shift_share(names["twice"]) == pytest.approx(0.32 / 0.16, rel=1e-4)
    assert found.shift_share(names["out"]) == 0.0
    assert measured(tmp_path, {"twice": DELTA}, twice=shift)[0].shifts == {}  # a MUL has no bias


def test_without_noise_nothing_is_known_and_no_engine_is_started(tmp_path: Path) -> None:
    found, _ = measured(tmp_path, {})
    assert found == Reach()
    assert not found.is_known


def test_parts_that_do_not_add_up_are_shares_of_their_sum() -> None:
    found = Reach(0.1, {1: 0.3, 2: 0.1})
    assert (found.share(1), found.share(2)) == (pytest.approx(0.75), pytest.approx(0.25))
    assert replace(found, total=0.8).share(1) == pytest.approx(0.375)


def test_an_engine_that_takes_no_part_of_the_model_leaves_the_question_open(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise EngineRefusal("litert", "m", "no")

    monkeypatch.setattr(reach, "_follow", refuse)
    assert not measured(tmp_path, {"twice": DELTA})[0].is_known


def test_a_boundary_stands_where_the_operator_before_it_does() -> None:
    made = Handmade()
    data, quantized = made.activation((1, 2), name="in"), made.activation((1, 2), "INT8", name="quantized")
    made.operator("QUANTIZE", [data], [quantized])
    variant = read_tflite(made.bytes([data], [quantized])).graphs[0]
    reference = read_tflite(network()).graphs[0]
    runs: Any = SimpleNamespace(pairing=SimpleNamespace(variant=variant, reference=reference, pairs=()),
                                tensors=([0, 1], [0, 1, 2]))
    one = Tally("q", "QUANTIZE", "", "order", variant.tensors[quantized])
    assert reach._place(one, runs) == reference.inputs[0]
    assert reach._place(replace(one, tensor=variant.tensors[data]), runs) == reference.inputs[0]
