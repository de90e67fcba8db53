"""The calls of a Keras 3 model one after another, nested models opened.

The walk is an interpreter: the same code builds the Keras 2 model (values are symbolic tensors of `tf_keras`) and, when
a proof fails, computes the Keras 3 model's activations step by step (values are arrays).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stages.models.bridge.records import refusal

_UNFIT = re.compile(r"[^A-Za-z0-9_.\-]")


@dataclass(frozen=True)
class Step:
    """One call of one operation.

    Attributes:
        operation: a Keras 3 layer or `keras.ops` operation.
        name: unique in the flat model.
        args: positional arguments, Keras 3 tensors replaced by values.
        kwargs: the same by name.
        inputs: Keras 3's symbolic tensors that went in, for their shapes and types.
        outputs: Keras 3's symbolic tensors that came out.
        training: what an enclosing call fixed (`base(x, training=False)`), else None.
    """

    operation: Any
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    training: bool | None


Run = Callable[[Step], Any]
Cast = Callable[[Any, str, str], Any]
"""`cast(value, dtype, name)`: a nested model converts what it is given to the type of its inputs."""


@dataclass(frozen=True)
class Walk:
    """How the steps of one model are carried out.

    Attributes:
        names: from `names_of`.
        run: carries out one step.
        cast: changes a value's type between an outer and a nested model.
    """

    names: Mapping[int, str]
    run: Run
    cast: Cast

    def outputs(self, model: Any, inputs: Sequence[Any], training: bool | None = None) -> list[Any]:
        """Values of the model's outputs, flat, in Keras 3's order.

        Args:
            model: functional or Sequential, of Keras 3.
            inputs: a value for each of the model's inputs, flat.
            training: fixed by an enclosing call.
        """
        import keras

        graph = functional_of(model)
        values = {id(tensor): value for tensor, value in zip(graph.inputs, inputs, strict=True)}
        for node in nodes_of(graph):
            args, kwargs = node.arguments.fill_in(values)
            made = self._carry_out(node, args, dict(kwargs), training)
            values |= {id(tensor): value for tensor, value in zip(node.outputs, keras.tree.flatten(made), strict=True)}
        return [values[id(tensor)] for tensor in graph.outputs]

    def _carry_out(self, node: Any, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool | None) -> Any:
        """One node's outputs; a nested model's are those of its own walk."""
        operation = node.operation
        if not is_graph(operation):
            return self.run(Step(operation, self.names[id(operation)], args, kwargs, node.input_tensors, node.outputs,
                                 training))
        fixed = kwargs.get("training")
        inner = functional_of(operation)
        given = _inner_inputs(operation, inner, args, kwargs)
        outer = _inner_inputs(operation, inner, node.arguments.args, node.arguments.kwargs)
        return self.outputs(operation, self._adapted(operation, inner, given, outer),
                            training if fixed is None else fixed)

    def _adapted(self, model: Any, inner: Any, given: Sequence[Any], outer: Sequence[Any]) -> list[Any]:
        """Values as the nested model's inputs want them."""
        adapted = []
        for value, tensor, wanted in zip(given, outer, inner.inputs, strict=True):
            if len(tensor.shape) != len(wanted.shape):
                raise refusal(model, model.name, f"is given a tensor of rank {len(tensor.shape)} for an input of rank "
                              f"{len(wanted.shape)}", "reshape it before the nested model",
                              "tensors of the input's rank")
            same = tensor.dtype == wanted.dtype or ("float" in tensor.dtype and "float" in wanted.dtype)
            adapted.append(value if same else self.cast(value, wanted.dtype, f"{model.name}_cast"))
        return adapted


def _inner_inputs(model: Any, inner: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """What a nested model was called with, flat, in the order of its inputs; masks travel on the tensors."""
    import keras

    given = args[0] if args else kwargs.get("inputs")
    if isinstance(given, Mapping):
        return [given[tensor.name] if tensor.name in given else given[key]
                for tensor, key in zip(inner.inputs, sorted(given), strict=True)]
    flat = keras.tree.flatten(given)
    if len(flat) != len(inner.inputs):
        raise refusal(model, model.name, f"is called with {len(flat)} tensors and has {len(inner.inputs)} inputs",
                      "call it with its inputs alone", "one tensor for each input")
    return list(flat)


def is_graph(operation: Any) -> bool:
    """Whether an operation is a model whose graph can be walked: its `call` is Keras' own."""
    import keras
    from keras.src.models.functional import Functional

    return isinstance(operation, Functional | keras.Sequential) \
        and type(operation).call in (Functional.call, keras.Sequential.call)


def functional_of(model: Any) -> Any:
    """The functional graph of a model.

    Raises:
        ModelError: a subclassed model, or a Sequential that has never been built.
    """
    import keras

    if not is_graph(model):
        raise refusal(model, model.name, "computes in Python code of its own", "write it with the functional API",
                      "functional and Sequential models, nested as deep as you like")
    if not isinstance(model, keras.Sequential):
        return model
    if model._functional is None:
        raise refusal(model, model.name, "has no input shape yet", "call model.build((None, *input_shape)) and save it "
                      "again", "a Sequential model that begins with keras.Input, or was built")
    return model._functional


def nodes_of(graph: Any) -> Iterator[Any]:
    """The graph's calls in the order in which Keras 3 carries them out, inputs left out."""
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        yield from (node for node in graph._nodes_by_depth[depth] if not node.is_input)


def names_of(model: Any) -> dict[int, str]:
    """A unique name for every operation, by its `id`.

    Names of the outer model are kept; a nested model's layer keeps its name, too, unless that is taken: then the nested
    model's name is put before it.
    """
    found: list[tuple[int, str, Any]] = []
    _collect(functional_of(model), 0, "", found, set())
    names: dict[int, str] = {}
    taken: set[str] = set()
    for _, owner, operation in sorted(found, key=lambda entry: entry[0]):
        name = fit_name(operation.name)
        if name in taken:
            name = unused(f"{owner}_{name}" if owner else name, taken)
        names[id(operation)] = name
        taken.add(name)
    return names


def _collect(graph: Any, depth: int, owner: str, found: list[tuple[int, str, Any]], seen: set[int]) -> None:
    """Append (depth, owning nested model, operation) of every operation that is not a model."""
    inputs = [] if depth else [tensor._keras_history.operation for tensor in graph.inputs]
    for operation in [*inputs, *(node.operation for node in nodes_of(graph))]:
        if id(operation) in seen:
            continue
        seen.add(id(operation))
        if is_graph(operation):
            _collect(functional_of(operation), depth + 1, fit_name(operation.name), found, seen)
        else:
            found.append((depth, owner, operation))


def fit_name(name: str) -> str:
    """A name that TensorFlow takes as a scope: letters, digits, `_`, `.`, `-`."""
    fit = _UNFIT.sub("_", name)
    return fit if fit[:1].isalnum() else f"layer{fit}"


def unused(name: str, taken: set[str]) -> str:
    """`name`, or `name_1`, `name_2` and so on, whichever is not taken."""
    number, candidate = 0, name
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate
