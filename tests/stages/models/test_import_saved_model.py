"""SavedModels: which signature is taken, in which batches it is proved, and what cannot become a tflite model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.import_saved_model import convert


def saved(folder: Path, body: Any, shape: tuple[int | None, ...], **signatures: str) -> Path:
    """A SavedModel of one function, under the given signature names."""
    import tensorflow as tf

    module = tf.Module()
    module.serve = tf.function(body, input_signature=[tf.TensorSpec(shape, tf.float32, name="x")])
    names = signatures or {"serving_default": ""}
    given = {} if "none" in names else dict.fromkeys(names, module.serve)
    tf.saved_model.save(module, str(folder), signatures=given)
    return folder


def draw(inputs: dict[str, tuple[Any, Any]]) -> tuple[dict[str, np.ndarray], str]:
    rng = np.random.default_rng(0)
    return {name: rng.random((8, *shape[1:]), np.float32) for name, (shape, _) in inputs.items()}, "8 real samples"


def relu(x: Any) -> Any:
    import tensorflow as tf

    return {"y": tf.nn.relu(x - 0.5)}


def test_the_only_signature_is_taken_whatever_its_name(tmp_path: Path) -> None:
    made = convert(saved(tmp_path / "sm", relu, (None, 3), predict=""), "sm", draw)
    assert (made.inputs, made.outputs) == ({"x": (None, 3)}, {"y": (None, 3)})
    assert made.proof.largest_difference == 0.0


def test_several_signatures_without_a_default_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "sm", relu, (None, 3), one="", two="")
    with pytest.raises(ModelError, match="sm has the signatures one, two"):
        convert(folder, "sm", draw)


def test_a_saved_model_without_signature_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "sm", relu, (None, 3), none="")
    with pytest.raises(ModelError, match="sm has no signature"):
        convert(folder, "sm", draw)


def test_a_fixed_batch_is_proved_batch_by_batch(tmp_path: Path) -> None:
    made = convert(saved(tmp_path / "sm", relu, (3, 2)), "sm", draw)
    assert made.inputs == {"x": (3, 2)}
    assert made.proof.samples == 6  # of 8: two whole batches of 3


def test_an_operator_that_tflite_lacks_is_named(tmp_path: Path) -> None:
    def body(x: Any) -> Any:
        import tensorflow as tf

        return {"y": tf.math.betainc(x, x, x)}

    with pytest.raises(ModelError, match=r"sm cannot become a tflite model: .*Betainc"):
        convert(saved(tmp_path / "sm", body, (None, 2)), "sm", draw)
