"""`ds_cnn`: MLPerf Tiny's keyword spotting model; 24,908 parameters on 49x10x1 inputs and 12 classes.

Source: github.com/mlcommons/tiny, `benchmark/training/keyword_spotting/keras_model.py` and its trained SavedModel
`kws_ref_model`: a 10x4 convolution with stride 2 over frames and features, then four depthwise separable ones of 64
filters. The window of the pooling is the whole map, as in `kws_ref_model` (25x5); the reference script of later dates
writes it as half of the input, rounded down, and so leaves out the last row.
"""

from __future__ import annotations

from typing import Any

from stages.models.blocks import Output, check_image, convolution, normalize, pooled_scores, separable

FILTERS = 64
BLOCKS = 4
KERNEL = (10, 4)
"""Of the first convolution, in frames and features; also the smallest input that it fits into."""
_INITIALIZER = "glorot_uniform"


def build(input_shape: tuple[int, ...], classes: int, output: Output = "softmax") -> Any:
    """An untrained `tf_keras.Model`.

    Args:
        input_shape: (frames, features, channels), at least (10, 4, 1).
        classes: how many outputs there are.
        output: the last activation.

    Raises:
        ModelError: the samples are no spectrograms, or too small.
    """
    import tf_keras as keras

    check_image("ds_cnn", input_shape, KERNEL, "frames, features")
    inputs = keras.layers.Input(input_shape, name="input")
    x = convolution(inputs, FILTERS, KERNEL, 2, "stem", _INITIALIZER)  # (batch, frames / 2, features / 2, 64)
    x = keras.layers.Dropout(0.2, name="stem_dropout")(normalize(x, "stem"))
    for number in range(1, BLOCKS + 1):
        x = separable(x, FILTERS, 1, f"block{number}", _INITIALIZER)
    x = keras.layers.Dropout(0.4, name="dropout")(x)
    return keras.Model(inputs, pooled_scores(x, classes, output, _INITIALIZER), name="ds_cnn")
