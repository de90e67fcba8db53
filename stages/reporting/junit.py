"""JUnit XML of the verdicts: a test suite for each profile and variant, a test case for each limit.

GitHub, GitLab and Jenkins read the same core (https://github.com/testmoapp/junitxml): `failure` for `fail`; `skipped`
with the reason for `undecided` and `unknown`, which are neither a pass nor a proof of failure. The gate is
the exit code.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from stages.records import LimitVerdict, ProfileCheck, VariantCheck
from stages.reporting.text import printable


def junit_xml(profiles: Mapping[str, ProfileCheck]) -> bytes:
    """The whole document, UTF-8, with an XML declaration and a newline at the end."""
    root = Element("testsuites", {"name": "litesmith check"})
    limits: list[LimitVerdict] = []
    for profile in profiles.values():
        for check in profile.variants.values():
            _add_suite(root, profile, check)
            limits += check.limits
    root.attrib |= _counts(limits)
    indent(root)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _counts(limits: list[LimitVerdict]) -> dict[str, str]:
    """The attributes that readers sum up. Nothing was timed, so the time is 0."""
    failed = sum(limit.verdict == "fail" for limit in limits)
    skipped = sum(limit.verdict in ("undecided", "unknown") for limit in limits)
    return {"tests": str(len(limits)), "failures": str(failed), "errors": "0", "skipped": str(skipped), "time": "0"}


def _add_suite(root: Element, profile: ProfileCheck, check: VariantCheck) -> None:
    """One profile on one variant."""
    name = printable(f"{profile.profile}.{check.variant}")
    suite = SubElement(root, "testsuite", {"name": name} | _counts(list(check.limits)))
    for limit in check.limits:
        case = SubElement(suite, "testcase", {"classname": name, "name": printable(limit.limit), "time": "0"})
        _add_outcome(case, limit)


def _add_outcome(case: Element, limit: LimitVerdict) -> None:
    """What the test case found; the reason where that is not a pass."""
    shown = printable(f"found {limit.found_text}; allowed {limit.allowed_text}; provenance: "
                      f"{limit.provenance or 'no figure'}")
    message = printable(limit.why) or shown
    if limit.verdict == "fail":
        SubElement(case, "failure", {"message": message, "type": limit.limit}).text = shown
        return
    if limit.verdict != "pass":
        SubElement(case, "skipped", {"message": f"{limit.verdict}: {message}"})
    SubElement(case, "system-out").text = shown
