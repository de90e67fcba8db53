"""Names for tensors that have none: what Vela says of an operator, it says by the name of the operator's output."""

from __future__ import annotations

from device_profiles.tflite import read_tflite


def with_names(content: bytes) -> bytes:
    """The tflite model with a name for every tensor of its main graph that no other tensor has; as it is where it has.

    Inputs and outputs keep theirs where they are unique.
    """
    names = [tensor.name for tensor in read_tflite(content).graphs[0].tensors]
    if all(names) and len(set(names)) == len(names):
        return content
    from stages.packing.objects import read_model
    from stages.packing.shrinking import write

    model = read_model(content)
    taken = {name for name in names if names.count(name) == 1}
    for index, tensor in enumerate(model.subgraphs[0].tensors):
        if not names[index] or names[index] not in taken:
            tensor.name = _free(f"tensor{index}", taken).encode()
    return write(model)


def _free(name: str, taken: set[str]) -> str:
    """The name, with a mark behind it while another tensor has it; it is taken then."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name
