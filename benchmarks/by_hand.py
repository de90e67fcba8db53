"""Nine variants of the default run made by hand: the script that a TFMOT user writes from the tutorials.

    python benchmarks/by_hand.py OUT EPOCHS_JSON

EPOCHS_JSON is {"float": 30, "prune": 12, "cluster": 12, "qat": 8, "pqat": 8}. Keras' own `fit`, TFMOT's wrappers, the
TFLite converter from Keras for each variant, a loop over single images for the accuracy. `overhead.py` times it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BATCH, RATE, FINE_RATE = 64, 3e-3, 1.5e-3


def main(out: Path, epochs: dict[str, int]) -> None:
    import numpy as np
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    keras.utils.set_random_seed(1)
    digits = load_digits()
    x = (digits.images / 16).astype("float32")[..., None]
    x, x_test, y, y_test = train_test_split(x, digits.target, test_size=0.2, stratify=digits.target, random_state=1)
    x, x_val, y, y_val = train_test_split(x, y, test_size=0.1875, stratify=y, random_state=1)
    steps = len(x) // BATCH

    def block(h, filters):
        h = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(h)
        return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(h))

    inputs = keras.layers.Input((8, 8, 1))
    h = keras.layers.MaxPooling2D()(block(block(inputs, 16), 32))
    h = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(block(h, 48)))
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(h))

    def fit(network, rate, count, callbacks=()):
        network.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        network.fit(x, y, batch_size=BATCH, epochs=count, validation_data=(x_val, y_val), callbacks=list(callbacks),
                    verbose=0)
        return network

    def convert(network, number_format):
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
        if number_format != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if number_format == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if number_format in ("int8", "int16x8"):
            converter.representative_dataset = lambda: ([row[None]] for row in x[:256])
            converter.target_spec.supported_ops = [
                tf.lite.OpsSet.TFLITE_BUILTINS_INT8 if number_format == "int8" else
                tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]
        if number_format in ("int8", "int8qat", "int16x8"):
            kind = tf.int16 if number_format == "int16x8" else tf.int8
            converter.inference_input_type = converter.inference_output_type = kind
        return converter.convert()

    def accuracy(content):
        interpreter = tf.lite.Interpreter(model_content=content)
        interpreter.allocate_tensors()
        taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        scale, zero = taken["quantization"]
        hits = 0
        for image, label in zip(x_test, y_test, strict=True):
            value = image[None]
            if scale:
                limits = np.iinfo(taken["dtype"])
                value = np.clip(np.round(value / scale) + zero, limits.min, limits.max).astype(taken["dtype"])
            interpreter.set_tensor(taken["index"], value)
            interpreter.invoke()
            hits += int(interpreter.get_tensor(given["index"])[0].argmax() == label)
        return hits / len(y_test)

    out.mkdir(parents=True, exist_ok=True)
    fit(model, RATE, epochs["float"])
    def copy():
        twin = keras.models.clone_model(model)
        twin.set_weights(model.get_weights())
        return twin

    prune = tfmot.sparsity.keras.prune_low_magnitude(copy(), tfmot.sparsity.keras.PolynomialDecay(
        0.3, 0.75, 0, steps * epochs["prune"] // 2, frequency=steps // 4))
    fit(prune, FINE_RATE, epochs["prune"], [tfmot.sparsity.keras.UpdatePruningStep()])
    pruned = tfmot.sparsity.keras.strip_pruning(prune)
    clustered = tfmot.clustering.keras.strip_clustering(fit(tfmot.clustering.keras.cluster_weights(
        copy(), number_of_clusters=16,
        cluster_centroids_init=tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS), FINE_RATE,
        epochs["cluster"]))
    qat = fit(tfmot.quantization.keras.quantize_model(model), FINE_RATE, epochs["qat"])
    annotated = tfmot.quantization.keras.quantize_annotate_model(pruned)
    pqat = fit(tfmot.quantization.keras.quantize_apply(
        annotated, tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()), FINE_RATE, epochs["pqat"])

    sources = {"float32": model, "float16": model, "dynamic": model, "int8": model, "int8qat": qat, "int16x8": model,
               "pruned75-int8": pruned, "pruned75-int8qat": pqat, "clustered16-int8": clustered}
    found = {}
    for name, network in sources.items():
        content = convert(network, name.split("-")[-1])
        (out / f"{name}.tflite").write_bytes(content)
        found[name] = {"accuracy": round(accuracy(content), 4), "tflite_bytes": len(content)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
