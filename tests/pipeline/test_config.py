from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles import strictyaml
from device_profiles.errors import ConfigError, UsageError, VariantError
from pipeline import config
from pipeline.config import DEFAULT_VARIANTS, RunConfig


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return path


def refused(tmp_path: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        config.load(write(tmp_path, text))
    return caught.value


def test_the_shipped_run_file_spells_out_the_defaults():
    spelled = strictyaml.loads(config.default_text(), RunConfig, "built-in")
    assert spelled == RunConfig()


def test_without_a_file_the_shipped_one_is_taken_and_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded, origin = config.load()
    assert tuple(entry.name for entry in loaded.variants) == DEFAULT_VARIANTS
    assert "built-in" in origin


def test_litesmith_yaml_in_the_working_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "litesmith.yaml").write_text("name: mine\n")
    loaded, origin = config.load()
    assert (loaded.name, origin) == ("mine", "litesmith.yaml")


def test_an_unknown_key_is_refused_with_line_column_and_near_miss(tmp_path):
    error = refused(tmp_path, "name: x\ntrain:\n  epoch: 3\n")
    assert (error.line, error.column) == (3, 3)
    assert "epochs" in str(error)
    assert error.exit_code == 2


def test_a_wrong_type_is_refused_at_its_place(tmp_path):
    error = refused(tmp_path, "name: x\ntrain:\n  epochs: many\n")
    assert error.line == 3
    assert "many" in str(error)


def test_a_doubled_key_is_refused_with_both_lines(tmp_path):
    error = refused(tmp_path, "name: x\nseed: 1\nname: y\n")
    assert error.line == 3
    assert "name" in str(error)


def test_an_unknown_variant_is_refused_at_its_line_with_the_near_miss(tmp_path):
    error = refused(tmp_path, "variants:\n  - float32\n  - pruned75-int9\n")
    assert error.line == 3
    assert "did you mean 'int8'" in str(error)


def test_a_profile_that_nobody_has_is_refused_with_the_shipped_ones(tmp_path):
    error = refused(tmp_path, "profiles: [cpu, mobil]\n")
    assert error.line == 1
    assert "did you mean 'mobile'" in str(error)
    assert "cpu, mobile, iot" in str(error)


@pytest.mark.parametrize("text", ["variants: [int8, int8]\n", "profiles: [cpu, cpu]\n"])
def test_what_is_there_twice_is_refused(tmp_path, text):
    assert "twice" in str(refused(tmp_path, text))


def test_an_empty_list_of_variants_is_refused(tmp_path):
    assert refused(tmp_path, "variants: []\n").line == 1


def test_a_name_that_would_leave_the_runs_folder_is_refused(tmp_path):
    assert refused(tmp_path, "name: ../up\n").line == 1


def test_a_variant_with_options_of_its_own_keeps_the_run_s_others(tmp_path):
    loaded, _ = config.load(write(tmp_path, (
        "prune: {epochs: 7, learning_rate: 0.01}\n"
        "variants:\n  - pruned50-int8\n  - name: pruned75-int8\n    prune: {epochs: 20}\n")))
    plain, own = loaded.variants
    assert plain.settings("prune", loaded.prune).epochs == 7
    assert own.settings("prune", loaded.prune).epochs == 20
    assert own.settings("prune", loaded.prune).learning_rate == 0.01


def test_changes_stand_over_the_file(tmp_path):
    loaded, _ = config.load(write(tmp_path, "train: {epochs: 5}\n"), ["train.epochs=2", "variants=[int8]", "seed=9"])
    assert loaded.train.epochs == 2
    assert [entry.name for entry in loaded.variants] == ["int8"]
    assert loaded.seed == 9


@pytest.mark.parametrize(("word", "hint"), [
    ("train.epoch=3", "did you mean 'epochs'"),
    ("epochs", "no '='"),
    ("train.epochs=many", "a whole number"),
    ("train.epochs=0", "at least 1"),
    ("model=small_cn", "did you mean 'small_cnn'"),
    ("variants=int8", "a list"),
    ("variants=[int9]", "did you mean 'int8'"),
    ("train.epochs.more=1", "unknown key 'more'"),
    ("seed=[1", "not YAML"),
])
def test_a_change_that_cannot_be_is_refused(word, hint):
    with pytest.raises(UsageError) as caught:
        config.changed(RunConfig(), [word])
    assert hint in str(caught.value)
    assert str(caught.value).startswith("--set ")


def test_only_keeps_the_wanted_variants_and_adds_one_that_is_not_listed():
    chosen = RunConfig().only(["int8", "pruned50-float16"])
    assert [entry.name for entry in chosen.variants] == ["int8", "pruned50-float16"]
    assert RunConfig().only([]) == RunConfig()
    with pytest.raises(VariantError):
        RunConfig().only(["int9"])


def test_the_config_as_yaml_gives_the_same_config_again():
    changed = RunConfig().only(["int8"]).model_copy(update={"seed": 5})
    assert strictyaml.loads(changed.as_yaml(), RunConfig, "again") == changed


def test_a_mapping_is_read_as_strictly_as_a_file():
    assert config.from_mapping({"seed": 3}).seed == 3
    with pytest.raises(ConfigError, match="sed"):
        config.from_mapping({"sed": 3})


def test_a_short_form_with_an_unknown_word_is_refused_at_its_place(tmp_path):
    error = refused(tmp_path, "data:\n  source: digit\n")
    assert (error.line, error.column) == (2, 11)
    assert "no source is called 'digit'" in str(error)
    assert "did you mean 'digits'" in str(error)


def test_one_value_in_two_places_of_a_mapping_is_no_anchor():
    augment = {"horizontal_flip": True}
    read = config.from_mapping({"train": {"augment": augment}, "prune": {"augment": augment}})
    assert read.train.augment.horizontal_flip
    assert read.prune.augment.horizontal_flip


def test_slices_that_the_source_cannot_have_are_refused_at_their_line(tmp_path):
    error = refused(tmp_path, "name: x\ndata:\n  source: {kind: csv, path: a.csv, slices: [light]}\n"
                              "evaluate:\n  resamples: 200\n  slices: [light, lihgt]\n")
    assert error.line == 6
    assert "'evaluate.slices': there is no slice column 'lihgt'; did you mean 'light'?" in str(error)
    error = refused(tmp_path, "data:\n  source: {kind: tfds, name: mnist}\nevaluate:\n  slices: [light]\n")
    assert (error.line, error.allowed) == (4, "no columns")
    assert "kind: function" in error.next_step


def test_a_limit_on_slices_is_refused_at_its_line_where_the_source_gives_none(tmp_path):
    text = "data:\n  source: {kind: keras, name: mnist}\ncheck:\n  limits:\n    cpu:\n      worst_slice_drop_points: "
    error = refused(tmp_path, text + "3\n")
    assert error.line == 6
    assert "the source 'keras' gives none" in str(error)
    config.load(write(tmp_path, text + "null\n"))


def test_corruptions_that_do_not_fit_the_source_are_refused_at_their_line(tmp_path):
    error = refused(tmp_path, "baseline:\n  corruptions:\n    severity: 2\n    kinds: [noise, gain]\n")
    assert (error.line, error.allowed) == (4, "noise, blur, brightness, shift")
    error = refused(tmp_path, "baseline:\n  corruptions:\n    layout: vector\n")
    assert error.line == 3
    with pytest.raises(UsageError, match=r"--set evaluate\.slices: 'evaluate\.slices': the source 'digits' gives no"):
        config.changed(RunConfig(), ["evaluate.slices=[light]"])
