"""SavedModels: operators beyond computing, the saver's own, links and assets."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.models.untrusted.records import Finding, ScanLimits
from stages.models.untrusted.saved_model import scan_saved_model, written_by
from tests.stages.models.hostile import field, graph, handmade_saved_model, node, saved_model

LIMITS = ScanLimits()
SAVER = ("saver_filename:0", "call_save:0", "call_restore")


def found_in(folder: Path, content: bytes, limits: ScanLimits = LIMITS) -> list[Finding]:
    return scan_saved_model(handmade_saved_model(folder, content), limits)


def places(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.what, finding.where) for finding in findings]


def test_a_saved_model_of_tensorflow_has_no_findings_and_names_its_version(tmp_path: Path) -> None:
    import tensorflow as tf

    folder = saved_model(tmp_path / "sm", "none", tmp_path / "unused")
    assert scan_saved_model(folder, LIMITS) == []
    assert written_by(folder) == f"TensorFlow {tf.__version__}"


@pytest.mark.parametrize(("kind", "why"), [("ReadFile", "reads any file"), ("WriteFile", "writes any file"),
                                           ("EagerPyFunc", "calls Python")])
def test_a_signature_that_does_more_than_compute_is_found(tmp_path: Path, kind: str, why: str) -> None:
    target = tmp_path / "target"
    found = scan_saved_model(saved_model(tmp_path / "sm", kind, target), LIMITS)
    assert {finding.what for finding in found} == {f"the operator {kind}"}
    assert why in found[0].why
    assert "function '__inference_serve" in found[0].where
    assert not target.exists()


def test_an_operator_that_tensorflow_does_not_have_is_found(tmp_path: Path) -> None:
    found = found_in(tmp_path / "sm", graph([node("out", "EvilOp")]))
    assert places(found) == [("the operator EvilOp", "saved_model.pb, node 'out'")]
    assert "custom operator" in found[0].why


def test_the_savers_operators_pass_where_the_saver_alone_reaches_them(tmp_path: Path) -> None:
    functions = {"save": [node("s", "ShardedFilename"), node("w", "SaveV2"), node("m", "MergeV2Checkpoints")],
                 "restore": [node("r", "RestoreV2"), node("a", "AssignVariableOp")]}
    nodes = [node("out", "Relu"), node("saver_filename", "Placeholder"),
             node("call_save", "StatefulPartitionedCall", calls="save"),
             node("call_restore", "StatefulPartitionedCall", calls="restore")]
    assert found_in(tmp_path / "sm", graph(nodes, functions, saver=SAVER)) == []


def test_the_savers_operators_are_found_where_the_signature_reaches_them(tmp_path: Path) -> None:
    functions = {"save": [node("w", "SaveV2")]}
    nodes = [node("out", "StatefulPartitionedCall", "call_save", calls="save"),
             node("call_save", "StatefulPartitionedCall", calls="save")]
    found = found_in(tmp_path / "sm", graph(nodes, functions, saver=SAVER))
    assert places(found) == [("the operator SaveV2", "saved_model.pb, function 'save', node 'w'")]


def test_writing_in_the_restore_function_is_found(tmp_path: Path) -> None:
    functions = {"restore": [node("r", "RestoreV2"), node("w", "SaveV2")]}
    nodes = [node("out", "Relu"), node("call_restore", "PartitionedCall", calls="restore")]
    found = found_in(tmp_path / "sm", graph(nodes, functions, saver=SAVER))
    assert [finding.what for finding in found] == ["the operator SaveV2"]


def test_an_evil_operator_in_the_save_function_is_found_all_the_same(tmp_path: Path) -> None:
    nodes = [node("out", "Relu"), node("call_save", "PartitionedCall", calls="save")]
    found = found_in(tmp_path / "sm", graph(nodes, {"save": [node("p", "PyFunc")]}, saver=SAVER))
    assert [finding.what for finding in found] == ["the operator PyFunc"]


def test_a_saver_of_tensorflow_1_that_stands_in_the_top_graph_passes(tmp_path: Path) -> None:
    nodes = [node("out", "Relu"), node("save/SaveV2", "SaveV2"), node("save/id", "Identity", "^save/SaveV2"),
             node("save/RestoreV2", "RestoreV2"), node("save/all", "NoOp", "^save/RestoreV2")]
    assert found_in(tmp_path / "sm", graph(nodes, saver=("save/Const:0", "save/id:0", "save/all"))) == []


def test_a_function_that_nothing_calls_is_looked_into(tmp_path: Path) -> None:
    found = found_in(tmp_path / "sm", graph([node("out", "Relu")], {"sleeper": [node("w", "WriteFile")]}))
    assert places(found) == [("the operator WriteFile", "saved_model.pb, function 'sleeper', node 'w'")]


def test_a_call_by_the_functions_own_name_is_no_unknown_operator(tmp_path: Path) -> None:
    assert found_in(tmp_path / "sm", graph([node("out", "mine")], {"mine": [node("r", "Relu")]})) == []


def test_a_second_definition_of_a_node_does_not_hide_the_first(tmp_path: Path) -> None:
    found = found_in(tmp_path / "sm", graph([node("out", "WriteFile"), node("out", "Relu")]))
    assert [finding.what for finding in found] == ["the operator WriteFile"]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "gs://bucket/x", "a\\..\\b"])
def test_an_asset_that_points_outside_is_found(tmp_path: Path, name: str) -> None:
    found = found_in(tmp_path / "sm", graph([node("out", "Relu")], assets=["vocabulary.txt", name]))
    assert [finding.what for finding in found] == [f"an asset that points outside, {name!r}"]


def test_links_and_second_graphs_in_the_folder_are_found(tmp_path: Path) -> None:
    folder = handmade_saved_model(tmp_path / "sm", graph([node("out", "Relu")]))
    (folder / "variables").mkdir()
    (folder / "variables" / "variables.index").symlink_to("/etc/passwd")
    (folder / "saved_model.pbtxt").touch()
    assert sorted(places(scan_saved_model(folder, LIMITS))) == [
        ("a second graph", "saved_model.pbtxt"), ("a symbolic link to '/etc/passwd'", "variables/variables.index")]


def test_the_number_of_operators_is_limited(tmp_path: Path) -> None:
    content = graph([node(f"n{i}", "Relu") for i in range(10)])
    assert found_in(tmp_path / "ten", content, ScanLimits(graph_nodes=10)) == []
    found = found_in(tmp_path / "nine", content, ScanLimits(graph_nodes=9))
    assert [finding.what for finding in found] == ["more than 9 operators"]


@pytest.mark.parametrize("content", [b"\x12\x05ab", b"\x0b", field(2, b"\x12\xff")])
def test_a_damaged_protobuf_is_a_finding_and_no_crash(tmp_path: Path, content: bytes) -> None:
    assert [finding.what for finding in found_in(tmp_path / "sm", content)] == ["a protobuf that is damaged"]
