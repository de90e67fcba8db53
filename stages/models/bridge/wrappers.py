"""Recurrent layers, and layers that hold other layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.models.bridge.activations import SAME, activation_of
from stages.models.bridge.builder import Builder, MakeTwin, Twin
from stages.models.bridge.configs import refuse_unfit, translate
from stages.models.bridge.graph import Walk, fit_name, functional_of, is_graph, names_of
from stages.models.bridge.records import refusal

_CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell")
_RECURRENT = ("LSTM", "GRU", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")


def _unpaired(builder: Builder, layer: Any, name: str, own_name: str = "") -> Any:
    """A recurrent layer or cell in Keras 2; its activations must be Keras 2's, for they are inside the loop."""
    kind = getattr(builder.kl, type(layer).__name__)
    config = translate(builder, layer, name, kind, skip=("activation", "recurrent_activation"))
    for attribute in ("activation", "recurrent_activation"):
        if hasattr(layer, attribute):
            activation = activation_of(layer, attribute, name)
            if not isinstance(activation, str) or activation not in SAME:
                raise refusal(layer, name, f"has the {attribute} '{activation}', which Keras 2 does not have inside a "
                              "recurrent layer", "use another activation", ", ".join(SAME))
            config[attribute] = SAME[activation]
    return kind(name=own_name or name, **config)


def recurrent(builder: Builder, layer: Any, name: str) -> Twin:
    """LSTM, GRU, SimpleRNN and the convolutional LSTMs."""
    twin: Twin = _unpaired(builder, layer, name)
    builder.pairs.append((layer, twin))
    return twin


def rnn(builder: Builder, layer: Any, name: str) -> Twin:
    """`RNN` over built-in cells."""
    refuse_unfit(layer, name)
    cells = getattr(layer.cell, "cells", None)
    kind = builder.kl.RNN
    config = translate(builder, layer, name, kind, skip=("cell",))
    if cells is None:
        cell = _cell(builder, layer.cell, name)
    else:
        cell = builder.kl.StackedRNNCells([_cell(builder, one, name) for one in cells], name=fit_name(layer.cell.name))
    twin: Twin = kind(cell, name=name, **config)
    builder.pairs.append((layer, twin))
    return twin


def _cell(builder: Builder, cell: Any, name: str) -> Any:
    """A cell's twin."""
    import keras

    kind = type(cell).__name__
    if kind not in _CELLS or getattr(keras.layers, kind) is not type(cell):
        raise refusal(cell, name, "is a recurrent cell of its own", "use a built-in cell", ", ".join(_CELLS))
    return _unpaired(builder, cell, name, fit_name(cell.name))


def bidirectional(builder: Builder, layer: Any, name: str) -> Twin:
    """`Bidirectional` over LSTM, GRU or SimpleRNN."""
    for inner in (layer.forward_layer, layer.backward_layer):
        if type(inner).__name__ not in _RECURRENT[:3]:
            raise refusal(inner, name, "cannot be run in both directions here", "use LSTM or GRU",
                          ", ".join(_RECURRENT[:3]))
    forward, backward = (_unpaired(builder, inner, name, fit_name(inner.name))
                         for inner in (layer.forward_layer, layer.backward_layer))
    twin: Twin = builder.kl.Bidirectional(forward, merge_mode=layer.merge_mode, backward_layer=backward, name=name,
                                          trainable=layer.trainable)
    builder.pairs.append((layer, twin))
    return twin


def time_distributed(builder: Builder, layer: Any, name: str) -> Twin:
    """`TimeDistributed` over one layer or over a model, which stays nested."""
    inner = layer.layer

    def over_time(x: Any, mask: Any = None) -> Any:
        """As the layer."""
        if not made:
            made.append(builder.kl.TimeDistributed(_inside(builder, inner, x), name=name))
        return made[0](x, mask=mask)

    made: list[Any] = []
    return over_time


def _inside(builder: Builder, inner: Any, x: Any) -> Any:
    """What `TimeDistributed` repeats, as one `tf_keras` layer or model."""
    import tf_keras

    if not is_graph(inner):
        return builder.pure(inner, builder.fresh(fit_name(inner.name)), (x.shape[0], *x.shape[2:]), x.dtype.name)
    graph = functional_of(inner)
    names = {key: builder.fresh(own) for key, own in names_of(inner).items()}
    inputs = [tf_keras.Input(batch_shape=tensor.shape, dtype=x.dtype.name) for tensor in graph.inputs]
    outputs = Walk(names, builder.run, builder.cast).outputs(inner, inputs)
    name = builder.fresh(fit_name(inner.name))
    return tf_keras.Model(inputs, outputs[0] if len(outputs) == 1 else outputs, name=name)


WRAPPERS: Mapping[str, MakeTwin] = {
    **dict.fromkeys(_RECURRENT, recurrent), "RNN": rnn, "Bidirectional": bidirectional,
    "TimeDistributed": time_distributed,
}
