"""The list of operators holds TensorFlow's own, and none that reaches out of the model."""

from __future__ import annotations

import re

from stages.models.untrusted import operators

DANGEROUS = (
    "ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "EagerPyFunc", "PyFuncStateless", "SaveV2",
    "RestoreV2", "MergeV2Checkpoints", "ShardedFilename", "PrintV2", "Print", "DebugIdentityV2",
    "ImmutableConst", "LoadAndRemapMatrix", "InitializeTableFromTextFileV2", "TFRecordDataset",
    "XlaCustomCallV2", "RpcCall", "DumpTensor", "ImportEvent", "WriteSummary", "FixedLengthRecordReaderV2",
    "SleepOp", "Abort", "_Send",
)


def test_every_listed_operator_is_registered_in_the_installed_tensorflow() -> None:
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    registry = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    assert operators.COMPUTING - {operator.name for operator in registry.op} == set()
    assert "Conv2D" in operators.COMPUTING


def test_no_operator_that_reaches_out_of_the_model_is_listed() -> None:
    assert operators.COMPUTING & set(DANGEROUS) == set()
    parts = re.compile("File|PyFunc|Dataset|Summary|Debug|Rpc|Reader")
    assert [name for name in operators.COMPUTING if parts.search(name)] == []


def test_what_an_operator_could_do_is_said_for_the_dangerous_ones() -> None:
    said = {name: next((why for part, why in operators.DANGERS if part in name), "") for name in DANGEROUS}
    assert said["EagerPyFunc"] == "it calls Python"
    assert said["ReadFile"] == "it reads any file"
    assert [name for name, why in said.items() if not why] == []
