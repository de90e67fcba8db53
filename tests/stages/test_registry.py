"""What is known of the engines without starting one, and what a probe adds."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

from device_profiles.errors import UsageError
from stages.engines import registry, worker


def test_every_engine_is_installed_here_with_its_distributions_version() -> None:
    for name, entry in registry.ENGINES.items():
        info = registry.engine_info(name)
        assert (info.available, info.version, info.reason) == (True, metadata.version(entry.distribution), "")


def test_registry_and_worker_know_the_same_engines() -> None:
    assert {name: entry.module for name, entry in registry.ENGINES.items()} == worker.MODULES
    assert {name: entry.distribution for name, entry in registry.ENGINES.items()} == worker.DISTRIBUTIONS


def test_tflm_has_one_thread_and_the_others_have_those_that_are_wanted() -> None:
    assert [registry.threads_of(name, 4) for name in ("litert", "tflite-runtime", "tflm")] == [4, 4, 1]


def test_engine_info_imports_no_engine() -> None:
    code = ("import sys; from stages.engines import registry; [registry.engine_info(n) for n in registry.ENGINES];"
            "print([m for m in sys.modules if m.split('.')[0] in "
            "('ai_edge_litert', 'tflite_runtime', 'tflite_micro', 'tensorflow', 'numpy')])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_an_engine_that_is_not_installed_is_not_available_and_says_what_to_install(
        monkeypatch: pytest.MonkeyPatch) -> None:
    gone = registry.ENGINES["litert"].__class__("litert", "no-such-distribution", "x", "x", True, "nowhere")
    monkeypatch.setitem(registry.ENGINES, "litert", gone)
    info = registry.engine_info("litert")
    assert (info.available, info.version) == (False, None)
    assert info.reason == "no-such-distribution is not installed: pip install no-such-distribution"
    assert registry.probe("litert") == info


@pytest.mark.parametrize(("version", "platform", "words"), [
    ((3, 12), "linux", "this is Python 3.12 on linux"), ((3, 13), "linux", "this is Python 3.13 on linux"),
    ((3, 11), "darwin", "this is Python 3.11 on darwin"), ((3, 11), "linux", "pip install tflite-runtime")])
def test_reason_says_where_tflite_runtime_has_no_wheel(version: tuple[int, int], platform: str, words: str) -> None:
    assert words in registry.missing_reason(registry.ENGINES["tflite-runtime"], version, platform)


def test_reason_says_that_tflm_is_for_linux() -> None:
    assert "this is darwin" in registry.missing_reason(registry.ENGINES["tflm"], (3, 11), "darwin")
    assert "pip install tflite-micro" in registry.missing_reason(registry.ENGINES["tflm"], (3, 13), "linux")


def test_an_unknown_engine_is_a_usage_error_with_all_names() -> None:
    with pytest.raises(UsageError, match="unknown engine 'tflite'") as caught:
        registry.engine_info("tflite")
    assert caught.value.allowed == "litert, tflite-runtime, tflm"


def test_checked_names_refuses_unknown_and_doubled_names() -> None:
    assert registry.checked_names(("tflm", "litert")) == ("tflm", "litert")
    with pytest.raises(ValueError, match="did you mean 'litert'"):
        registry.checked_names(("litertt",))
    with pytest.raises(ValueError, match="named twice"):
        registry.checked_names(("litert", "litert"))


@pytest.mark.parametrize("name", list(registry.ENGINES))
def test_probe_lets_a_worker_import_the_engine(name: str) -> None:
    assert registry.probe(name) == registry.engine_info(name)
