"""Activation ranges that end where 8 bits round best."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from device_profiles.tflite import read_tflite
from stages.converting.quantizing import PostTraining
from stages.converting.ranges import Ranges, best_factor, clip, method_for
from stages.recipes import rules_for


def test_evenly_spread_values_need_their_whole_range() -> None:
    assert best_factor(0.0, 1.0, np.linspace(0, 1, 5001, dtype=np.float32)) == 1.0


def test_one_value_far_out_is_cut_off() -> None:
    values = np.append(np.linspace(-1, 1, 20_000), 3).astype(np.float32)
    # at a factor f: rounding (6 f / 255)^2 / 12 on all, cutting (3 - 3 f)^2 on one of 20,001
    factors = np.arange(100, 34, -2) / 100
    by_hand = (6 * factors / 255) ** 2 / 12 + (3 - 3 * factors) ** 2 / 20_001
    assert best_factor(-3.0, 3.0, values) == pytest.approx(factors[by_hand.argmin()], abs=0.041)
    assert best_factor(-3.0, 3.0, values) < 1


def test_a_range_of_nothing_stays() -> None:
    assert best_factor(0.0, 0.0, np.zeros(5, np.float32)) == 1.0


@pytest.mark.parametrize(("number_format", "kind", "wish", "method"), [
    ("int8", "classification", "auto", "mse"), ("int8", "multilabel", "auto", "mse"),
    ("int8", "regression", "auto", "extremes"), ("int8", "anomaly", "auto", "extremes"),
    ("int8", "anomaly", "mse", "mse"), ("int4", "classification", "extremes", "extremes"),
    ("int16x8", "classification", "mse", "extremes")])
def test_the_method_follows_from_format_task_and_wish(number_format: str, kind: str, wish: str, method: str) -> None:
    assert method_for(number_format, kind, wish) == method  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    """One pixel of 400 images is thirty times as bright as any other."""
    x = np.random.default_rng(8).normal(size=(400, 6, 6, 2)).astype(np.float32)
    x[7, 2, 2] = 90
    return x


def batches(x: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    for start in range(0, len(x), 50):
        yield {"x": x[start:start + 50]}


def extremes(content: bytes, x: np.ndarray) -> Ranges:
    return PostTraining(content, rules_for("int8")).calibrate(x)


def test_inner_activations_are_cut_and_inputs_and_outputs_are_not(tiny_tflites: dict[str, bytes],
                                                                  samples: np.ndarray) -> None:
    content = tiny_tflites["float32"]
    graph, before = read_tflite(content).graphs[0], extremes(content, samples)
    after = clip(before, content, graph, batches(samples), len(samples))
    outer = {graph.tensors[number].name for number in (*graph.inputs, *graph.outputs)}
    factors = {name: float(np.max(after[name]["max"]) / np.max(found["max"])) for name, found in before.items()
               if name not in outer and np.max(found["max"]) > 0}
    assert all(np.array_equal(after[name]["max"], before[name]["max"]) for name in outer)
    assert min(factors.values()) < 0.8
    assert max(factors.values()) <= 1.0


def test_the_quantized_model_comes_nearer_on_ordinary_samples(tiny_tflites: dict[str, bytes],
                                                              samples: np.ndarray) -> None:
    from ai_edge_litert.interpreter import Interpreter

    def outputs(content: bytes, x: np.ndarray) -> np.ndarray:
        work = Interpreter(model_content=content, num_threads=1)
        work.allocate_tensors()
        taken, given = work.get_input_details()[0], work.get_output_details()[0]
        found = []
        for one in x:
            scale, zero = taken["quantization"]
            fed = one if not scale else np.clip(np.round(one / scale) + zero, -128, 127)
            work.set_tensor(taken["index"], fed[None].astype(taken["dtype"]))
            work.invoke()
            scale, zero = given["quantization"]
            raw = work.get_tensor(given["index"])[0].astype(np.float32)
            found.append((raw - zero) * scale if scale else raw)
        return np.stack(found)

    content, ordinary = tiny_tflites["float32"], samples[8:48]
    wanted, errors = outputs(content, ordinary), {}
    for method in ("extremes", "mse"):
        work = PostTraining(content, rules_for("int8"), None, method)  # type: ignore[arg-type]
        errors[method] = float(np.abs(outputs(work.quantize(work.calibrate(samples)), ordinary) - wanted).mean())
    assert errors["mse"] < errors["extremes"]
