"""How far a student's outputs lie from its teacher's, per sample.

With one class a sample, the Kullback-Leibler divergence of softened probabilities, `p = softmax(logits / T)`:

    T² · sum over classes of p_teacher · (ln p_teacher - ln p_student)

T² keeps the gradients' size as T grows (Hinton, Vinyals and Dean 2015, arXiv:1503.02531). With several labels a sample
the same for each label's two probabilities, `sigmoid(logit / T)` and the rest, mean over the labels. Values
(regression, a rebuilt input) have no temperature: their mean squared distance.
"""

from __future__ import annotations

from typing import Any

from stages.tasks.losses import SMALLEST_PROBABILITY

_LOOKED_THROUGH = ("Identity", "StopGradient", "FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")
"""Operators that may stand behind a softmax: among them the ranges of quantization-aware training."""


def class_divergence(teacher: Any, student: Any, temperature: float) -> Any:
    """Of one class a sample.

    Args:
        teacher: (batch, classes) logits.
        student: the same.
        temperature: above 0.

    Returns:
        (batch,) float32 tensor.
    """
    import tensorflow as tf

    wanted, given = (tf.nn.log_softmax(logits / temperature) for logits in (teacher, student))
    return temperature**2 * tf.reduce_sum(tf.exp(wanted) * (wanted - given), axis=-1)


def label_divergence(teacher: Any, student: Any, temperature: float) -> Any:
    """Of several labels a sample.

    Args:
        teacher: (batch, labels) logits.
        student: the same.
        temperature: above 0.

    Returns:
        (batch,) float32 tensor.
    """
    import tensorflow as tf

    total = 0.0
    for sign in (1.0, -1.0):  # the label is there, and it is not
        wanted, given = (tf.math.log_sigmoid(sign * logits / temperature) for logits in (teacher, student))
        total += tf.exp(wanted) * (wanted - given)
    return temperature**2 * tf.reduce_mean(total, axis=-1)


def class_logits(outputs: Any, logits: bool) -> Any:
    """Logits of one class a sample, up to a constant of each sample, which the softmax does not see.

    Args:
        outputs: (batch, classes) of a model.
        logits: whether they are logits already; else they are probabilities.
    """
    import tensorflow as tf

    return outputs if logits else _behind(outputs, "Softmax", lambda shares: tf.math.log(
        tf.maximum(shares, SMALLEST_PROBABILITY)))


def label_logits(outputs: Any, logits: bool) -> Any:
    """Logits of several labels a sample, or of the second of two classes.

    Args:
        outputs: (batch, labels) of a model.
        logits: whether they are logits already; else they are probabilities.
    """
    import tensorflow as tf

    def from_shares(shares: Any) -> Any:
        """Of probabilities p, `ln p - ln (1 - p)`."""
        kept = tf.clip_by_value(shares, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
        return tf.math.log(kept) - tf.math.log1p(-kept)

    return outputs if logits else _behind(outputs, "Sigmoid", from_shares)


def _behind(outputs: Any, kind: str, otherwise: Any) -> Any:
    """The input of the softmax or sigmoid that computed some probabilities, or what `otherwise` makes of these.

    A probability that rounds to 0 or 1 has no gradient; its logit has. Looks through the ranges of quantization-aware
    training, so there it is the logits before the outputs are rounded. Works in a graph alone, which is where trainings
    run.
    """
    import tensorflow as tf

    if tf.executing_eagerly():
        return otherwise(outputs)
    operator = outputs.op
    while operator.type in _LOOKED_THROUGH:
        operator = operator.inputs[0].op
    return operator.inputs[0] if operator.type == kind else otherwise(outputs)
