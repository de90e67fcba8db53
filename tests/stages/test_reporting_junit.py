"""JUnit that readers parse: counts add up, a fail is a failure, doubt is skipped, control characters go."""

from __future__ import annotations

from xml.etree import ElementTree

from stages.records import ProfileCheck, VariantCheck
from stages.reporting.junit import junit_xml
from tests.stages.sample_run import check, figure, limit


def _profile(*limits: tuple[str, str, str]) -> dict[str, ProfileCheck]:
    """One profile with one variant; each limit is (name, verdict, why)."""
    found = tuple(limit(name, verdict, figure(5, "bytes") if verdict != "unknown" else None, "5 bytes", 4,
                        "at most 4 bytes", why) for name, verdict, why in limits)
    base = check().profiles["cpu"]
    return {"cpu": base.model_copy(update={"variants": {
        "int8": VariantCheck(variant="int8", verdict="fail", limits=found)}})}


def test_each_verdict_has_its_own_outcome() -> None:
    suite = ElementTree.fromstring(junit_xml(_profile(
        ("a", "pass", ""), ("b", "fail", "1 byte over"), ("c", "undecided", "spans"), ("d", "unknown", "no power"))))[0]
    assert suite.attrib == {
        "name": "cpu.int8", "tests": "4", "failures": "1", "errors": "0", "skipped": "2", "time": "0"}
    cases = {case.get("name"): case for case in suite}
    assert cases["a"].find("failure") is None
    assert cases["a"].find("skipped") is None
    failure = cases["b"].find("failure")
    assert failure is not None
    assert (failure.get("message"), failure.get("type")) == ("1 byte over", "b")
    assert failure.text == "found 5 bytes; allowed at most 4 bytes; provenance: measured"
    assert [cases[name].find("skipped").get("message") for name in "cd"] == [  # type: ignore[union-attr]
        "undecided: spans", "unknown: no power"]


def test_the_root_sums_up_its_suites() -> None:
    root = ElementTree.fromstring(junit_xml(check().profiles))
    assert len(root) == 27
    for name in ("tests", "failures", "skipped"):
        assert int(root.get(name, "-1")) == sum(int(suite.get(name, "-1")) for suite in root)


def test_markup_and_control_characters_of_an_engine_come_out_readable() -> None:
    text = junit_xml(_profile(("operators", "fail", "op <A & B> \x1b[31m\x00 \ufffe")))
    root = ElementTree.fromstring(text)
    failure = root[0][0].find("failure")
    assert failure is not None
    assert failure.get("message") == "op <A & B> \\x1b[31m\\x00 \\xfffe"


def test_it_is_utf8_with_a_declaration_and_the_same_on_every_run() -> None:
    text = junit_xml(check().profiles)
    assert text.startswith(b"<?xml version='1.0' encoding='utf-8'?>")
    assert "µJ".encode() in text
    assert text == junit_xml(check().profiles)
