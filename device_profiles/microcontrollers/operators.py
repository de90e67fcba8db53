"""How TFLM's op resolver is told which operators a model has: `AddConv2D()` for CONV_2D.

Names from tensorflow/lite/micro/micro_mutable_op_resolver.h (tensorflow/tflite-micro). What is not listed there is not
in TFLM, and a model with it needs another layer. `tflm::` is a namespace that the generated header opens (`sources`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from device_profiles.decoding import DECODE
from device_profiles.workload import OperatorWork, Workload

# Operators whose name does not follow from the rule that CONV_2D is AddConv2D.
_IRREGULAR: Mapping[str, str] = MappingProxyType({
    "BATCH_MATMUL": "BatchMatMul", "CUMSUM": "CumSum", "PADV2": "PadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM"})
_KNOWN = """
ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO
CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV
DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER
GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND
LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2
PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE RESIZE_BILINEAR
RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT
SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV
UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE ZEROS_LIKE
"""
TFLM_OPERATORS = frozenset(_KNOWN.split())
"""Builtin operators that TFLM registers; a test holds each against the registrations inside the tflite-micro wheel."""

_CUSTOM: Mapping[str, str] = MappingProxyType({
    DECODE: f'AddCustom("{DECODE}", tflm::Register_DECODE())', "ethos-u": "AddEthosU()",
    "CIRCULAR_BUFFER": "AddCircularBuffer()", "TFLite_Detection_PostProcess": "AddDetectionPostprocess()"})
_SPECIALIZED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "SOFTMAX", "AVERAGE_POOL_2D", "MAX_POOL_2D", "SVDF")
"""Operators with a registration for int8 alone, smaller than the one for all types (CMSIS-NN builds: kernels/*.h)."""

INSTEAD: Mapping[str, str] = MappingProxyType({
    "GELU": "use ReLU6 or hard-swish", "POW": "square by MUL", "TOPK_V2": "take the k largest in the firmware",
    "ONE_HOT": "make the code in the firmware", "TILE": "use BROADCAST_TO, or repeat the input in the firmware",
    "REDUCE_PROD": "multiply in the firmware", "SELECT": "convert with SELECT_V2 (tf.where)",
    "CONV_3D": "use CONV_2D with the depth as channels", "RNN": "use UNIDIRECTIONAL_SEQUENCE_LSTM, or unroll",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "use UNIDIRECTIONAL_SEQUENCE_LSTM, or unroll it (unroll=True)",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "use two UNIDIRECTIONAL_SEQUENCE_LSTM, one on the reversed input",
    "LSTM": "use UNIDIRECTIONAL_SEQUENCE_LSTM (tf.keras.layers.LSTM without unroll)",
    "NON_MAX_SUPPRESSION_V4": "suppress in the firmware", "NON_MAX_SUPPRESSION_V5": "suppress in the firmware",
    "LOCAL_RESPONSE_NORMALIZATION": "use batch normalization, which is folded away",
    "SIGN": "compare with zero by GREATER", "RELU_N1_TO_1": "use MINIMUM and MAXIMUM", "RELU_0_TO_1": "use RELU6",
    "RFFT2D": "compute features in the firmware (TFLM's signal library)", "WHERE": "find indices in the firmware"})
"""What to put in the place of an operator that TFLM lacks."""


def instead(name: str) -> str:
    """What to change in a model whose operator TFLM lacks."""
    if name.startswith(("FLEX", "Flex")):
        return "it is TensorFlow's own (SELECT_TF_OPS): convert with TFLITE_BUILTINS alone"
    return INSTEAD.get(name, "replace the layer that makes it")


def add_call(name: str, custom_code: str = "", *, int8: bool = False) -> str | None:
    """The resolver's call for an operator; None where TFLM has none.

    Args:
        name: builtin name, or "CUSTOM".
        custom_code: of a custom operator.
        int8: with the registration that has int8 kernels alone, where there is one.
    """
    if name == "CUSTOM":
        return _CUSTOM.get(custom_code)
    if name not in TFLM_OPERATORS:
        return None
    stem = _IRREGULAR.get(name) or "".join(
        part if part[0].isdigit() else part.capitalize() for part in name.split("_")).replace("2d", "2D")
    registration = f"tflm::Register_{name}_INT8()" if int8 and name in _SPECIALIZED else ""
    return f"Add{stem}({registration})"


def registrations(workload: Workload, *, int8: bool = False) -> tuple[dict[str, str], list[OperatorWork]]:
    """(operator -> call of the op resolver, operators that TFLM lacks); each operator once, in order of appearance.

    Args:
        workload: of the tflite model.
        int8: take registrations of int8 kernels alone for the operators that compute in int8 wherever they occur.
    """
    calls: dict[str, str] = {}
    missing: dict[str, OperatorWork] = {}
    for operator in workload.operators:
        same = [other for other in workload.operators if other.label == operator.label]
        only_int8 = int8 and all(other.arithmetic == "int8" for other in same)
        call = add_call(operator.name, operator.custom_code, int8=only_int8)
        if call is None:
            missing.setdefault(operator.label, operator)
        else:
            calls.setdefault(operator.label, call)
    return calls, list(missing.values())
