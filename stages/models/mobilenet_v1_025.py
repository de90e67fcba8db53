"""`mobilenet_v1_025`: MLPerf Tiny's person detector; 221,794 parameters on 96x96x3 inputs and 2 classes.

Source: github.com/mlcommons/tiny, `benchmark/training/visual_wake_words/vww_model.py`: MobileNet v1 (Howard et al.,
2017, arXiv:1704.04861, table 1) with a quarter of the filters. Unlike in `tf_keras.applications.MobileNet`,
convolutions have a bias, ReLU has no bound of 6, and strided ones are padded by the layer itself.
"""

from __future__ import annotations

from typing import Any

from stages.models.blocks import Output, check_image, convolution, normalize, pooled_scores, separable

STEM_FILTERS = 8
BLOCKS = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (128, 1), (128, 1), (128, 1), (128, 1),
          (256, 2), (256, 1))
"""(filters, stride) of each depthwise separable convolution."""
LEAST_SIDE = 32  # halved five times
_INITIALIZER = "he_normal"


def build(input_shape: tuple[int, ...], classes: int, output: Output = "softmax") -> Any:
    """An untrained `tf_keras.Model`.

    Args:
        input_shape: (height, width, channels); sides of at least `LEAST_SIDE`.
        classes: how many outputs there are.
        output: the last activation.

    Raises:
        ModelError: the samples are no images, or too small.
    """
    import tf_keras as keras

    check_image("mobilenet_v1_025", input_shape, (LEAST_SIDE, LEAST_SIDE))
    inputs = keras.layers.Input(input_shape, name="input")
    x = normalize(convolution(inputs, STEM_FILTERS, 3, 2, "stem", _INITIALIZER), "stem")
    for number, (filters, strides) in enumerate(BLOCKS, 1):
        x = separable(x, filters, strides, f"block{number}", _INITIALIZER)
    # (batch, height / 32, width / 32, 256); the dense layer alone starts from glorot_uniform
    return keras.Model(inputs, pooled_scores(x, classes, output, "glorot_uniform"), name="mobilenet_v1_025")
