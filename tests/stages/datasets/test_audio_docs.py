"""The page on sound: every setting is there, and every example is one that works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.datasets import audio_folder
from stages.datasets.audio.front_end import FrontEnd
from stages.datasets.audio.vectors import FILES, parameters
from stages.prepare import Settings as PrepareSettings
from tests.stages.datasets.test_audio_features import MLPERF_ANOMALY

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "audio.md").read_text(encoding="utf-8")
EXAMPLES = [YAML(typ="safe").load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


@pytest.mark.parametrize("name", list(FrontEnd.model_fields))
def test_every_setting_has_a_place_in_the_table(name: str) -> None:
    assert any(f"`{name}`" in line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `"))


def test_the_defaults_in_the_table_are_the_defaults() -> None:
    rows = [line.split("|")[1:3] for line in PAGE.splitlines() if line.startswith("| `")]
    stated = {name.strip(): value.strip() for name, value in rows}
    for name in ("sample_rate", "clip_s", "align", "normalize_clip", "pre_emphasis", "feature", "window", "edge",
                 "power", "mel_scale", "mel_slopes", "mel_norm", "log", "coefficients", "dct", "stack_frames"):
        default = FrontEnd.model_fields[name].default
        assert stated[f"`{name}`"] in (str(default), f"{default:g}" if isinstance(default, float) else "")
    assert stated["`window_ms`, `hop_ms`"] == f"{FrontEnd().window_ms:g}, {FrontEnd().hop_ms:g}"
    assert stated["`low_hz`, `high_hz`"] == f"{FrontEnd().low_hz:g}, {FrontEnd().top_hz:g}"


def test_the_run_file_s_piece_is_a_valid_one() -> None:
    source = EXAMPLES[0]["data"]["source"]
    assert audio_folder.Settings.model_validate(source).front_end.output_shape == (49, 10, 1)


def test_the_reference_settings_are_what_the_tests_hold_against_the_references() -> None:
    keywords, anomaly = (FrontEnd.model_validate(example["front_end"]) for example in EXAMPLES[1:])
    assert keywords.model_copy(update={"high_hz": None}) == FrontEnd()
    stated, held = (parameters(settings) for settings in (anomaly, MLPERF_ANOMALY))
    assert stated["resolved"] == held["resolved"]
    assert stated["steps"] == held["steps"]


def test_every_exported_file_is_described() -> None:
    assert all(f"`{name}`" in PAGE for name in FILES)


@pytest.mark.parametrize("name", ["litesmith.yaml", "by_speaker.yaml"])
def test_the_example_s_data_settings_are_valid(name: str) -> None:
    config: dict[str, Any] = YAML(typ="safe").load((ROOT / "examples" / "spoken_digits" / name).read_text("utf-8"))
    settings = PrepareSettings.model_validate(config["data"])
    source = settings.source
    assert isinstance(source, audio_folder.Settings)
    assert source.front_end.output_shape == (49, 10, 1)
