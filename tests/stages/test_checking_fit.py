"""What a device cannot run fails before any latency is looked at; then each limit is judged on its figure."""

from __future__ import annotations

import pytest

from device_profiles.schema import Profile
from device_profiles.workload import Workload
from stages.checking.fit import Subject, fit
from stages.records import EngineBenchmark, EngineEvaluation, LimitVerdict
from tests.stages.sample_profiles import measured_profile, micro_profile, workload
from tests.stages.sample_run import figure, latency, metrics


def _subject(work: Workload | None = None, **more: object) -> Subject:
    """An int8 variant of 10,000 bytes that ran everywhere: 1 ms in litert, arena of 4,096 bytes, drop of 0.5 points."""
    evaluated = {engine: EngineEvaluation(engine=engine, engine_version="2.3.0", status="ok", metrics=metrics(350),
                                          drop=figure(0.5, "points", samples=360, spread=0.4))
                 for engine in ("litert", "tflm")}
    measured = {"litert": latency(1.0, "litert", "2.3.0"), "tflm": latency(40.0, "tflm", "dev", 4096)}
    fields = {"name": "int8", "tflite_bytes": 10_000, "workload": work or workload(), "evaluated": evaluated,
              "measured": measured}
    return Subject.model_validate(fields | more)


def _limits(subject: Subject, profile: Profile) -> dict[str, LimitVerdict]:
    return {limit.limit: limit for limit in fit(subject, profile).check.limits}


def _stopped(status: str, message: str) -> dict[str, object]:
    run = {"engine": "tflm", "engine_version": "dev", "status": status, "message": message}
    return {"evaluated": {"tflm": EngineEvaluation.model_validate(run)},
            "measured": {"tflm": EngineBenchmark.model_validate(run)}}


def test_a_variant_within_all_limits_passes_with_a_figure_for_each() -> None:
    profile = measured_profile(latency_median_ms=2, latency_p90_ms=2, tflite_bytes=10_000, peak_memory_bytes=3_000_000,
                               accuracy_drop_points=1)
    found = fit(_subject(), profile)
    assert found.check.verdict == "pass"
    assert [limit.limit for limit in found.check.limits] == [
        "formats", "operators", "engine", "tflite_bytes", "peak_memory_bytes", "accuracy_drop_points",
        "latency_median_ms", "latency_p90_ms"]
    assert found.latency is not None
    assert (found.latency.value, found.latency.provenance) == (1.0, "measured")


def test_a_limit_that_is_not_set_is_not_checked() -> None:
    assert list(_limits(_subject(), measured_profile())) == ["formats", "operators", "engine"]


def test_an_operator_that_the_device_lacks_fails_and_no_latency_is_looked_at() -> None:
    found = fit(_subject(workload(operator="TRANSPOSE_CONV")), micro_profile(latency_median_ms=1000, energy_uj=1))
    limits = {limit.limit: limit for limit in found.check.limits}
    assert (found.check.verdict, found.latency) == ("fail", None)
    assert limits["operators"].verdict == "fail"
    assert "operator TRANSPOSE_CONV version 1" in limits["operators"].why
    assert (limits["latency_median_ms"].verdict, limits["latency_median_ms"].found) == ("unknown", None)
    assert limits["latency_median_ms"].why == "not looked at: the device cannot run this variant"


def test_many_operators_are_counted_and_few_are_named() -> None:
    assert _limits(_subject(), micro_profile())["operators"].allowed_text == "CONV_2D"
    assert _limits(_subject(), measured_profile())["operators"].allowed_text == "all of litert 2.3.0"
    operators = micro_profile().operators.model_copy(update={"value": ("CONV_2D", *(f"OP_{n}" for n in range(12)))})
    many = micro_profile().model_copy(update={"operators": operators})
    assert _limits(_subject(), many)["operators"].allowed_text == "the 13 operators of tflm dev"


def test_a_format_that_the_device_does_not_take_fails() -> None:
    limits = _limits(_subject(workload(number_format="int16x8")), micro_profile())
    assert (limits["formats"].verdict, limits["formats"].found_text, limits["formats"].allowed_text) == (
        "fail", "int16x8", "int8")


def test_an_engine_that_refuses_fails_with_its_own_words() -> None:
    limits = _limits(_subject(**_stopped("refused", "hybrid models are not supported")), micro_profile())
    assert limits["engine"].verdict == "fail"
    assert limits["engine"].why == "tflm refuses it: hybrid models are not supported"


@pytest.mark.parametrize(("status", "words"), [("crashed", "crashed on it"), ("timeout", "did not answer in time"),
                                               ("unavailable", "is not available here")])
def test_an_engine_that_gave_no_answer_is_unknown_not_a_fail(status: str, words: str) -> None:
    found = fit(_subject(**_stopped(status, "signal 11")), micro_profile(accuracy_drop_points=1, arena_bytes=5000))
    limits = {limit.limit: limit for limit in found.check.limits}
    assert found.check.verdict == "unknown"
    assert (limits["engine"].verdict, limits["engine"].why) == ("unknown", f"tflm {words}: signal 11")
    for name in ("ram_bytes", "arena_bytes", "accuracy_drop_points"):
        assert (limits[name].verdict, limits[name].why) == ("unknown", f"tflm {words}: see engine")


def test_an_engine_that_was_never_asked_is_unknown() -> None:
    limits = _limits(_subject(evaluated={}, measured={}), measured_profile(latency_median_ms=5, accuracy_drop_points=1))
    assert limits["engine"].why == "litert was neither evaluated nor benchmarked"
    assert limits["latency_median_ms"].why == "litert was not benchmarked"
    assert limits["accuracy_drop_points"].why == "the drop was not evaluated in litert"


def test_an_arena_larger_than_the_free_ram_fails_and_says_what_the_device_has() -> None:
    limits = _limits(_subject(), micro_profile(ram=4000, latency_median_ms=1000))
    assert limits["ram_bytes"].verdict == "fail"
    assert limits["ram_bytes"].why == "96 bytes (2 %) over; a board has 16,384 bytes of RAM, of which 4,000 are free"
    assert limits["latency_median_ms"].verdict == "unknown"


def test_activations_larger_than_the_ram_fail_even_where_no_arena_was_measured() -> None:
    limits = _limits(_subject(workload(peak=9000), **_stopped("crashed", "")), micro_profile(ram=8192))
    assert limits["ram_bytes"].verdict == "fail"
    assert limits["ram_bytes"].provenance == "predicted"
    assert limits["ram_bytes"].found_text == "at least 9,000 bytes"


def test_a_file_larger_than_the_flash_fails_to_the_byte() -> None:
    assert _limits(_subject(), micro_profile(flash=10_000))["flash_bytes"].verdict == "pass"
    assert _limits(_subject(), micro_profile(flash=9_999))["flash_bytes"].verdict == "fail"


def test_a_predicted_latency_is_held_with_its_interval() -> None:
    # 1,000 MACs at 1e6 a second: 1 ms, factor 2: 0.5 to 2 ms.
    for bound, verdict in ((2.0, "pass"), (1.5, "undecided"), (0.4, "fail")):
        limit = _limits(_subject(), micro_profile(latency_median_ms=bound))["latency_median_ms"]
        assert (limit.verdict, limit.provenance) == (verdict, "predicted")
        assert limit.found is not None
        assert limit.found.interval == (0.5, 2.0)


def test_a_p90_is_never_taken_from_a_predicted_median_but_fails_where_the_median_does() -> None:
    known = _limits(_subject(), micro_profile(latency_p90_ms=100))["latency_p90_ms"]
    assert (known.verdict, known.found) == ("unknown", None)
    failed = _limits(_subject(), micro_profile(latency_p90_ms=0.4))["latency_p90_ms"]
    assert failed.verdict == "fail"
    assert "a p90 is never below it" in failed.why


def test_energy_is_power_times_latency_with_its_interval() -> None:
    # 0.1 W for 1 ms is 100 uJ, 50 to 200.
    limit = _limits(_subject(), micro_profile(power_w=0.1, energy_uj=250))["energy_uj"]
    assert limit.found is not None
    assert (limit.verdict, limit.found.value) == ("pass", pytest.approx(100))
    assert limit.found.interval == pytest.approx((50, 200))


def test_energy_without_a_power_is_unknown() -> None:
    limit = _limits(_subject(), micro_profile(energy_uj=250))["energy_uj"]
    assert (limit.verdict, limit.why) == ("unknown", "the profile states no power")


def test_peak_memory_of_this_host_is_not_that_of_a_board() -> None:
    limit = _limits(_subject(), micro_profile(peak_memory_bytes=10**9))["peak_memory_bytes"]
    assert (limit.verdict, limit.found) == ("unknown", None)
    assert "a board is another machine" in limit.why


def test_a_measurement_on_the_profile_s_own_target_stands_over_the_prediction() -> None:
    """The subject's 40 ms in tflm against the 1 ms that the profile's rates predict."""
    board = micro_profile(latency_median_ms=10, peak_memory_bytes=10**9).model_copy(update={"target": "ssh:pi@pi"})
    limit = _limits(_subject(target="ssh:pi@pi"), board)["latency_median_ms"]
    assert (limit.verdict, limit.provenance) == ("fail", "measured")
    for elsewhere in ("host", "ssh:pi@other"):
        limits = _limits(_subject(target=elsewhere), board)
        assert limits["latency_median_ms"].provenance == "predicted"
        assert limits["peak_memory_bytes"].verdict == "unknown"


def test_a_measurement_elsewhere_says_nothing_about_this_host() -> None:
    limit = _limits(_subject(target="ssh:pi@pi"), measured_profile(latency_median_ms=10))["latency_median_ms"]
    assert limit.verdict == "unknown"
    assert limit.why == "latency was measured on ssh:pi@pi only; this host is another machine"


def test_an_arena_limit_on_an_engine_without_an_arena_is_unknown() -> None:
    limit = _limits(_subject(), measured_profile(arena_bytes=10_000))["arena_bytes"]
    assert (limit.verdict, limit.why) == ("unknown", "only tflm reports an arena, on a profile that runs it")


def test_a_latency_measured_with_other_threads_does_not_count() -> None:
    run = latency(1.0, "litert", "2.3.0").model_copy(update={"threads": 2})
    limit = _limits(_subject(measured={"litert": run}), measured_profile(latency_median_ms=5))["latency_median_ms"]
    assert (limit.verdict, limit.why) == ("unknown", "it was measured with 2 threads; the profile runs 1")


def test_an_open_latency_says_how_many_rounds_would_decide() -> None:
    """1 +- 0.01 ms of 10 rounds against 1.00625, p90 1.04 +- 0.02 against 1.0525: (0.01 / 0.00625)^2 * 10 = 25.6."""
    run = latency(1.0, "litert", "2.3.0")
    limits = _limits(_subject(measured={"litert": run}), measured_profile(latency_median_ms=1.00625,
                                                                               latency_p90_ms=1.0525))
    for name in ("latency_median_ms", "latency_p90_ms"):
        assert (limits[name].verdict, limits[name].deciding_rounds) == ("undecided", 26)
        assert "about 26 rounds (10 now; benchmark.rounds)" in limits[name].why


def test_too_few_samples_for_a_p90_ask_for_more_rounds() -> None:
    run = latency(1.0, "litert", "2.3.0").model_copy(update={"p90": None})
    limit = _limits(_subject(measured={"litert": run}), measured_profile(latency_p90_ms=5))["latency_p90_ms"]
    assert limit.verdict == "unknown"
    assert "let the benchmark take more rounds" in limit.why


def test_what_a_target_lacks_is_not_said_to_be_missing_here() -> None:
    subject = _subject(evaluated_on="adb:PIXEL6", target="ssh:pi@zero", **_stopped("unavailable", ""))
    limits = _limits(subject, micro_profile(arena_bytes=5000, accuracy_drop_points=1))
    assert limits["engine"].why == "tflm is not available on adb:PIXEL6"
    assert limits["accuracy_drop_points"].why == "tflm is not available on adb:PIXEL6: see engine"
    assert limits["arena_bytes"].why == "tflm is not available on ssh:pi@zero: see engine"


def test_an_emulated_core_tells_no_latency_and_what_ran_there_is_emulated() -> None:
    limits = _limits(_subject(evaluated_on="emulated", target="emulated"), measured_profile(latency_median_ms=5))
    assert limits["engine"].provenance == "emulated"
    assert (limits["latency_median_ms"].verdict, limits["latency_median_ms"].why) == (
        "unknown", "emulated counts instructions; it tells no latency")
