"""Remarks say what the figures show, with the figures, and are silent where they show nothing."""

from __future__ import annotations

from stages.records import EngineBenchmark, SplitReport
from stages.reporting.assemble import build_report
from stages.reporting.record import VariantReport
from stages.reporting.remarks import growth_remarks, missing_remarks, saving_remarks, speed_remarks
from tests.stages.sample_run import heading, latency, sources


def _variants() -> tuple[VariantReport, ...]:
    return build_report(sources(), heading()).variants


def _with(name: str, **changes: object) -> tuple[VariantReport, ...]:
    return tuple(one.model_copy(update=changes) if one.name == name else one for one in _variants())


def test_int8_slower_than_float32_is_said_with_both_times_and_the_ratio() -> None:
    remark = next(iter(speed_remarks(_variants())))
    # 0.0262 / 0.0214 = 1.224
    assert "Slower than float32 on this CPU in litert" in remark.text
    assert "int8 (0.0262 ms, 1.22 times as long)" in remark.text
    assert "float32 takes 0.0214 ms (measured, medians)" in remark.text


def test_nothing_is_said_of_speed_where_the_intervals_overlap_or_int8_is_faster() -> None:
    one_time = {"litert": latency(0.02, "litert", "2.3.0")}
    same = tuple(one.model_copy(update={"latency": one_time}) for one in _variants())
    assert list(speed_remarks(same)) == []
    faster = tuple(one.model_copy(update={"latency": {"litert": latency(
        0.02 if one.name == "float32" else 0.01, "litert", "2.3.0")}}) for one in _variants())
    assert list(speed_remarks(faster)) == []


def test_reference_kernels_of_tflm_on_this_cpu_are_not_compared() -> None:
    assert [remark.text.split(":")[0] for remark in speed_remarks(_variants())] == [
        "Slower than float32 on this CPU in litert", "Slower than float32 on this CPU in tflite-runtime"]


def test_pruning_that_saves_no_bytes_is_said_with_both_sizes() -> None:
    pruning, clustering = saving_remarks(_variants())
    assert "pruned75-int8 26,480 bytes, int8 26,480" in pruning.text
    assert "(in litert 0.0261 ms against 0.0262 ms, measured: no proven difference in latency)" in pruning.text
    assert clustering.variants == ("clustered16-int8", "int8")


def test_pruning_that_saves_bytes_is_not_complained_of() -> None:
    smaller = [one for one in _with("pruned75-int8", tflite_bytes=20_000) if one.name in ("int8", "pruned75-int8")]
    assert list(saving_remarks(smaller)) == []


def test_a_format_that_grows_the_file_is_named_with_both_sizes() -> None:
    assert list(growth_remarks(_variants())) == []
    remark = next(growth_remarks(_with("int8", tflite_bytes=90_000)))
    assert "No smaller than float32 (84,212 bytes): int8 (90,000 bytes)." in remark.text


def test_a_refusal_is_told_once_for_all_variants_that_share_it() -> None:
    texts = [remark.text for remark in missing_remarks(_variants())]
    assert len(texts) == 1
    assert texts[0].startswith("tflm refuses float16 and dynamic: hybrid models")


def test_a_crash_of_one_engine_on_all_variants_counts_them() -> None:
    crash = EngineBenchmark(engine="litert", engine_version="2", status="crashed", message="signal 11")
    crashed = [one.model_copy(update={"latency": {"litert": crash}, "metrics": {}}) for one in _variants()]
    assert [remark.text for remark in missing_remarks(crashed)] == ["litert crashed on 9 variants: signal 11"]


def test_warnings_of_the_stages_are_each_told_once_with_their_variants() -> None:
    found = sources()
    warned = {name: one.model_copy(update={"warnings": ("layer dense stays in float",)}) if "int8" in name else one
              for name, one in found.converted.items()}
    data = found.data.model_copy(update={"warnings": ("3 duplicates",), "splits": {
        "test": SplitReport(samples=1, class_counts=(1,))}})
    report = build_report(found.model_copy(update={"converted": warned, "data": data}), heading())
    assert [remark.text for remark in report.remarks if remark.kind == "warning"] == [
        "3 duplicates",
        "int8, int8qat, pruned75-int8, pruned75-int8qat, clustered16-int8: layer dense stays in float"]


def test_engines_that_disagree_are_named_with_the_worst_variant() -> None:
    texts = [remark.text for remark in build_report(sources(), heading()).remarks if remark.kind == "agreement"]
    # 1 of 360 is 0.28 %
    assert texts == [
        "litert and tflite-runtime give different labels to some test samples in 9 variants, most in float32 (0.28 %). "
        "A score in one engine is not the score in another."]
