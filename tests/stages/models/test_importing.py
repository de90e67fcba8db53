"""Taking in through a child process: what comes out, and that nothing a file does takes the caller down."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from device_profiles.errors import ModelError
from stages.models.importing import Imported, ImportSettings, import_model
from stages.models.origin import Origin, origin_of
from stages.models.untrusted import ScanLimits
from tests.stages.models import hostile

Take = Callable[..., Imported]
SLEEPER = "import time\ntime.sleep(600)\n"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def take(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> Take:
    """`take(path or text, settings as keywords)` in a fresh working folder."""
    monkeypatch.chdir(tmp_path)

    def run(text: Any, samples: Any = None, **settings: Any) -> Imported:
        return import_model(origin_of(str(text)), ImportSettings(**settings), out, log=tmp_path / "log.txt",
                            samples=samples, input_shape=(2,), classes=2)
    return run


@pytest.fixture
def custom(tmp_path: Path) -> Callable[[str], Path]:
    """A module `mine` with the given source, and a model file that names a layer of it."""
    def make(source: str) -> Path:
        (tmp_path / "mine.py").write_text(source)
        layer = {"module": "mine", "class_name": "Gate", "registered_name": "mine>Gate", "config": {"name": "gate"}}
        return hostile.archive(tmp_path / "m.keras", hostile.sequential(layer, keras=2), hostile.KERAS2)
    return make


def children() -> list[psutil.Process]:
    return [each for each in psutil.Process().children(recursive=True)
            if "import_worker" in " ".join(each.cmdline() if each.status() != psutil.STATUS_ZOMBIE else [])]


def test_a_keras_file_comes_out_the_same_by_outputs(take: Take, out: Path, tmp_path: Path, tiny_keras: Any,
                                                    tiny_samples: np.ndarray) -> None:
    from stages.models.files import load_model

    tiny_keras.save(tmp_path / "m.keras")
    imported = take(tmp_path / "m.keras")
    assert [path.name for path in out.iterdir()] == ["model.keras"] == [imported.artifact]
    assert (imported.kind, imported.parameters, imported.layers) == ("keras2", tiny_keras.count_params(), 5)
    assert list(imported.inputs.values()) == [(None, 6, 6, 2)]
    assert imported.library == "Keras 2.21.0"
    assert np.array_equal(load_model(out)(tiny_samples).numpy(), tiny_keras(tiny_samples).numpy())


def test_a_tflite_model_comes_out_byte_for_byte(take: Take, out: Path, tmp_path: Path,
                                                tiny_tflites: dict[str, bytes]) -> None:
    (tmp_path / "m.tflite").write_bytes(tiny_tflites["float32"])
    imported = take(tmp_path / "m.tflite")
    assert (out / "model.tflite").read_bytes() == tiny_tflites["float32"]
    assert list(imported.inputs.values()) == [(None, 6, 6, 2)]
    assert "no Keras model" in imported.warnings[0]


@pytest.mark.parametrize(("number_format", "words"), [("int8", "is int8"), ("float16", "is float16"),
                                                      ("int16x8", "is int")])
def test_a_quantized_tflite_model_is_refused(take: Take, out: Path, tmp_path: Path, tiny_tflites: dict[str, bytes],
                                             number_format: str, words: str) -> None:
    (tmp_path / "m.tflite").write_bytes(tiny_tflites[number_format])
    with pytest.raises(ModelError, match="is quantized already") as error:
        take(tmp_path / "m.tflite")
    assert words in error.value.found
    assert list(out.iterdir()) == []


def test_an_unsafe_file_is_refused_and_not_run(take: Take, out: Path, tmp_path: Path) -> None:
    import tf_keras

    marker = tmp_path / "marker"
    hostile.lambda_model(tf_keras, marker).save(tmp_path / "m.h5")
    marker.unlink(missing_ok=True)
    with pytest.raises(ModelError, match=r"m\.h5 is not safe to load: it has a Lambda layer in .*'evil'"):
        take(tmp_path / "m.h5")
    assert not marker.exists()
    assert list(out.iterdir()) == []


def test_a_custom_class_is_refused_unless_it_is_listed(take: Take, custom: Callable[[str], Path],
                                                       tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    path = custom(f"from pathlib import Path\nPath({str(marker)!r}).touch()\nclass Gate: ...\n")
    with pytest.raises(ModelError, match=r"the class 'mine\.Gate' in config\.json: layer 'gate'"):
        take(path)
    assert not marker.exists()


def test_loading_that_hangs_ends_at_the_limit_and_leaves_nothing(take: Take, custom: Callable[[str], Path],
                                                                 out: Path) -> None:
    path, start = custom(SLEEPER), time.monotonic()
    with pytest.raises(ModelError, match=r"took longer than 3 s"):
        take(path, custom_objects=("mine:Gate",), timeout_s=3)
    assert time.monotonic() - start < 20
    assert children() == []
    assert list(out.iterdir()) == []


def test_loading_that_crashes_is_one_clean_error(take: Take, custom: Callable[[str], Path], out: Path) -> None:
    path = custom("import os\nos._exit(7)\n")
    with pytest.raises(ModelError, match="the process that loaded it ended with status 7"):
        take(path, custom_objects=("mine:Gate",))
    assert list(out.iterdir()) == []


def test_a_crash_in_native_code_names_the_signal(take: Take, custom: Callable[[str], Path]) -> None:
    path = custom("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    with pytest.raises(ModelError, match="was ended by SIGSEGV"):
        take(path, custom_objects=("mine:Gate",))


def test_loading_that_eats_memory_is_stopped(take: Take, custom: Callable[[str], Path]) -> None:
    path = custom("import time\nheld = bytearray(b'x') * (400 << 20)\ntime.sleep(600)\n")
    with pytest.raises(ModelError, match="bytes of memory") as error:
        take(path, custom_objects=("mine:Gate",), memory_bytes=300 << 20, timeout_s=60)
    assert error.value.allowed == f"{300 << 20:,} bytes"
    assert children() == []


def test_what_loading_starts_ends_with_it(take: Take, custom: Callable[[str], Path], tmp_path: Path) -> None:
    note = tmp_path / "pid"
    path = custom("import subprocess, pathlib\nchild = subprocess.Popen(['sleep', '600'])\n"
                  f"pathlib.Path({str(note)!r}).write_text(str(child.pid))\n{SLEEPER}")
    with pytest.raises(ModelError, match="took longer"):
        take(path, custom_objects=("mine:Gate",), timeout_s=4)
    time.sleep(0.2)
    assert not psutil.pid_exists(int(note.read_text())) or psutil.Process(
        int(note.read_text())).status() == psutil.STATUS_ZOMBIE


def test_secrets_of_the_surroundings_do_not_reach_the_file(take: Take, custom: Callable[[str], Path], tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_TOKEN", "hunter2")
    note = tmp_path / "environment"
    path = custom(f"import os, pathlib\npathlib.Path({str(note)!r}).write_text(repr(dict(os.environ)))\nos._exit(1)\n")
    with pytest.raises(ModelError):
        take(path, custom_objects=("mine:Gate",))
    assert "hunter2" not in note.read_text()
    assert "'CUDA_VISIBLE_DEVICES': '-1'" in note.read_text()


def test_a_module_of_the_allow_list_that_raises_is_named_with_its_line(take: Take, custom: Callable[[str], Path],
                                                                       tmp_path: Path) -> None:
    path = custom("\n\n1 / 0\n")
    with pytest.raises(ModelError, match="mine:Gate cannot be imported: ZeroDivisionError") as error:
        take(path, custom_objects=("mine:Gate",))
    assert f"{tmp_path / 'mine.py'}, line 3" in error.value.found


def test_weights_alone_are_refused_with_what_to_do(take: Take, tmp_path: Path) -> None:
    (tmp_path / "w.h5").write_bytes(hostile.hdf5())
    with pytest.raises(ModelError, match=r"w\.h5 holds weights alone") as error:
        take(tmp_path / "w.h5")
    assert "load_weights" in error.value.next_step


def test_a_file_above_the_limit_is_not_copied(take: Take, out: Path, tmp_path: Path) -> None:
    path = hostile.archive(tmp_path / "m.keras")
    with pytest.raises(ModelError, match=f"has {path.stat().st_size:,} bytes"):
        take(path, limits=ScanLimits(file_bytes=100))
    assert list(out.iterdir()) == []


def test_a_missing_builder_is_named(take: Take) -> None:
    with pytest.raises(ModelError, match="there is no module 'absent_builders'"):
        take("absent_builders:build")


def test_a_builder_that_raises_is_named_with_its_line(take: Take, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def build(shape, classes):\n    width = shape[5]\n    return width\n")
    with pytest.raises(ModelError, match="mine:build failed: IndexError: tuple index out of range") as error:
        take("mine:build")
    assert f"({tmp_path / 'mine.py'}, line 2)" in error.value.found


def test_a_name_is_no_file_to_take_in(tmp_path: Path, out: Path) -> None:
    with pytest.raises(ModelError, match="small_cnn is no model file but a builder"):
        import_model(Origin(text="small_cnn", kind="builder"), ImportSettings(), out, log=tmp_path / "log.txt")


def test_a_pipe_in_a_saved_model_is_not_waited_for(take: Take, tmp_path: Path) -> None:
    folder = hostile.handmade_saved_model(tmp_path / "sm", hostile.graph([hostile.node("out", "EvilOp")]))
    os.mkfifo(folder / "pipe")
    with pytest.raises(ModelError, match="the operator EvilOp"):
        take(folder, timeout_s=60)


@pytest.mark.slow
def test_a_listed_layer_that_sleeps_when_it_is_built_ends_at_the_limit(take: Take, custom: Callable[[str], Path],
                                                                       tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    path = custom("import time, pathlib, tf_keras\nclass Gate(tf_keras.layers.Layer):\n"
                  "    def __init__(self, **given):\n"
                  f"        pathlib.Path({str(marker)!r}).touch()\n        time.sleep(600)\n")
    with pytest.raises(ModelError, match="took longer than 40 s"):
        take(path, custom_objects=("mine:Gate",), timeout_s=40)
    assert marker.exists()
