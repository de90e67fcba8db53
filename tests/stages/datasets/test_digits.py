"""The digits: real data without a download, and a digest that needs no import of scikit-learn."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

from stages.datasets import digits


def test_the_digits_are_whole_and_in_range() -> None:
    raw = digits.load(digits.Settings())
    assert raw.x.shape == (1797, 8, 8, 1)
    assert (raw.x.min(), raw.x.max()) == (0, 16)
    assert raw.class_names == tuple("0123456789")
    assert raw.y[:10].tolist() == list(range(10))


def test_the_digest_names_the_version_of_scikit_learn() -> None:
    assert digits.source_digest(digits.Settings()) == f"digits:scikit-learn {version('scikit-learn')}"


def test_settings_and_digest_import_neither_scikit_learn_nor_tensorflow() -> None:
    code = ("import sys; from stages import prepare; from stages.datasets import source_digest;"
            "source_digest(prepare.Settings()); print([m for m in ('sklearn', 'tensorflow') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
