"""What a human reads: verdict first, no wider than the terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from device_profiles.records import Figure
from pipeline.explanation import render
from stages.records import Cause, Change, ExplainResult, LayerNoise, Slowness, Step, Trial


def points(value: float, low: float, high: float) -> Figure:
    return Figure(value=value, unit="points", provenance="measured", samples=269, interval=(low, high))


def layer(index: int, share: float) -> LayerNoise:
    return LayerNoise(label=f"{index}:DEPTHWISE_CONV_2D a_layer_with_a_long_name_{index}", original="x",
                      matching="order", snr_db=20.0, local_db=31.25, share=share, weight_snr_db=44.0,
                      clipped_values=0.004, range_used=0.5)


def trial(change: str, gain: float, low: float) -> Trial:
    return Trial(change=change, kind="k", layer="l", lines=("- name: int8", '  quantize: {"algorithm": "mse"}'),
                 status="measured", drop=points(1, 0, 2), gain=points(gain, low, gain + 1), tflite_bytes=95_568)


CAUSE = Cause(kind="outlier_weights", layer="0:CONV_2D a", share=0.6, found="channel 3 is far out", short="3 of 16",
              changes=(Change(text="another algorithm", settings={"quantize": {"algorithm": "mse"}}),))


def shown(width: int = 80, trying: bool = False, **given: Any) -> str:
    usual = {"summary": "int8 loses 0.5 points; 60 % of the noise is made in 0:CONV_2D a: 3 of 16", "variant": "int8",
             "reference": "float32", "engine": "litert 2", "samples": 256, "tflite_bytes": 96_000,
             "looked_at": ("Holes",), "layers": (layer(0, 0.6), layer(1, 0.4)), "causes": (CAUSE,)}
    result = ExplainResult(**(usual | given))
    console = Console(file=io.StringIO(), width=width)
    for part in render(result, width, trying=trying):
        console.print(part)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    text = shown(width, trials=(trial("a change with rather a long text that must be folded somewhere", 1, 0.5),),
                 slow=(Slowness(kind="zeros", found="many zeros " * 20, change="slim", provenance="measured"),))
    assert max(len(line) for line in text.splitlines()) <= width


def test_the_verdict_stands_first_and_every_cause_with_its_share_and_change() -> None:
    text = shown()
    assert text.startswith("int8 loses 0.5 points; 60 % of the noise is made in")
    assert "1. 60 % of the noise: channel 3 is far out" in text
    assert "→ another algorithm" in text


def test_a_layer_s_row_has_its_ratios_and_a_bar() -> None:
    row = next(line for line in shown().splitlines() if line.startswith("0:DEPTHWISE"))
    assert row.split()[-10:] == ["20.0", "31.2", "44.0", "0.4", "%", "50", "%", "60", "%", "████▊"]  # 4.8 of 8 blocks


def test_steps_are_shown_as_what_they_do_to_the_score() -> None:
    steps = (Step(name="pruned75", part="training", drop=points(1.5, 0.5, 2.5)),)
    text = " ".join(shown(steps=steps, score_name="accuracy", score_samples=269).split())
    assert "accuracy on 269 validation samples: pruned75 -1.5 points (-2.5 to -0.5)" in text


def test_pairs_by_order_and_operators_without_counterpart_are_said() -> None:
    text = " ".join(shown(unmatched=("5:TANH z",)).split())
    assert "2 operators paired by order, as their names differ" in text
    assert "! 5:TANH z has no counterpart in float32" in text


def test_a_variant_that_lost_nothing_that_can_be_seen_is_not_said_to_have_fallen() -> None:
    given = {"score_name": "accuracy", "score_samples": 269}
    assert "It did not fall, as far as 269 samples can show" in shown(drop=points(0.2, -1.0, 1.4), **given)
    assert "Why it fell" in shown(drop=points(2.0, 0.5, 3.4), **given)


def test_measured_latencies_stand_beside_float32_s() -> None:
    text = " ".join(shown(latencies_ms={"litert": (0.25, 0.5)}).split())
    assert "0.25 ms, float32 0.5 ms: 2.0 times as fast (measured)" in text
    assert "Why it is not faster still" in text
    assert "1.5 times as slow" in " ".join(shown(latencies_ms={"litert": (0.6, 0.4)}).split())


def test_six_causes_are_enough_to_read() -> None:
    text = shown(causes=(CAUSE,) * 8)
    assert "6. 60 % of the noise" in text
    assert "7. 60 %" not in text
    assert "and 2 that make less" in text


def test_weights_that_differ_by_the_rounding_of_floats_are_equal() -> None:
    row = next(line for line in shown(layers=(layer(0, 1.0).model_copy(update={"weight_snr_db": 151.6}),)).splitlines()
               if line.startswith("0:DEPTHWISE"))
    assert "151" not in row


def test_where_nothing_was_found_it_says_what_was_looked_at() -> None:
    text = shown(causes=())
    assert "nothing found that one change would mend" in text
    assert "looked at: holes" in text


def test_the_trial_that_surely_wins_most_is_written_out_for_the_run_file() -> None:
    text = shown(trials=(trial("more", 3.0, -0.1), trial("better", 1.0, 0.5), trial("good", 0.9, 0.6)))
    assert "the most is won by: better" in text
    assert '  quantize: {"algorithm": "mse"}' in text
    assert "+3.0 (-0.1 to +4.0)" in text


def test_the_outputs_own_ratio_is_said_and_stands_beside_that_of_each_change() -> None:
    steps = (Step(name="int8", part="quantization", drop=points(1, 0, 2)),)
    better = trial("better", 1.0, 0.5).model_copy(update={"output_snr_db": 32.14})
    trained = trial("trained", 1.0, 0.5)
    text = shown(100, steps=steps, drop=points(1, 0, 2), score_name="accuracy", output_snr_db=24.25,
                 trials=(better, trained))
    assert "its outputs are 24.2 dB above their noise" in " ".join(text.split())
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line[:2] in ("as", "be", "tr")}
    assert (rows["as"][-3:-1], rows["better"][-3:-1]) == (["24.2", "dB"], ["32.1", "dB"])
    assert rows["trained"][-2] == "-"


def test_trials_that_may_be_chance_win_nothing_and_one_that_failed_says_why() -> None:
    failed = trial("x", 1, 0).model_copy(update={"status": "failed", "drop": None, "gain": None, "message": "no room"})
    text = " ".join(shown(trials=(trial("more", 3.0, -0.1), failed)).split())
    assert "none of them wins anything that the samples can show" in text
    assert "x: no room" in text


TRAINS = Change(text="train", format="int8qat", costly=True)


@pytest.mark.parametrize(("causes", "said"), [
    ((), "nothing was found that one change would mend, so there is nothing to try"),
    ((CAUSE.model_copy(update={"changes": (Change(text="build it anew"),)}),), "no setting makes these changes"),
    ((CAUSE.model_copy(update={"changes": (TRAINS,)}),), "--try --train makes them"),
    ((CAUSE,), "come down to what the variant has already")], ids=["none", "model", "training", "same"])
def test_where_nothing_was_tried_it_says_why(causes: tuple[Cause, ...], said: str) -> None:
    assert said in " ".join(shown(trying=True, causes=causes).split())
    assert "--try" not in shown(causes=causes)


def test_where_points_are_chance_the_change_with_the_least_noise_is_named() -> None:
    quiet, loud = (trial(name, 0.1, -1.0).model_copy(update={"output_snr_db": ratio})
                   for name, ratio in (("quiet", 31.0), ("loud", 24.5)))
    said = "the outputs' noise is least with: quiet (31.0 dB)"
    assert said in " ".join(shown(output_snr_db=24.0, trials=(loud, quiet)).split())
    assert "noise is least" not in shown(output_snr_db=24.0, trials=(loud,))  # half a decibel is nothing


def test_only_the_twelve_loudest_layers_are_shown() -> None:
    text = shown(layers=tuple(layer(index, index / 120) for index in range(16)))
    assert "and 4 that make less" in text
    assert "15:DEPTHWISE" in text
    assert "\n3:DEPTHWISE" not in text
