"""The worst of several classes, slices or corruptions, with an interval that minds that there are several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from device_profiles.records import Figure
from stages.paired import POINTS, drop_interval
from stages.records import Member, PairedCounts, Worst
from stages.statistics import ENDS_LEVEL, ONE_SIDED, Interval, clopper_pearson

Ends = Callable[[float], Interval | None]
"""The interval at a two-sided level."""


@dataclass(frozen=True)
class Candidate:
    """One of several that may be the worst.

    Attributes:
        member: without its interval.
        ends: of its value.
    """

    member: Member
    ends: Ends


def family_level(members: int) -> float:
    """Two-sided level of one of so many intervals whose lower ends shall all hold at `ONE_SIDED` (Bonferroni)."""
    return 1 - 2 * (1 - ONE_SIDED) / members


def worst_of(candidates: Sequence[Candidate], unit: str, what: str) -> Worst | None:
    """The member with the largest value, and the interval of the largest; see `Worst`.

    Args:
        candidates: those that are not judged too.
        unit: of the values.
        what: of which the values are: "drop of recall".

    Returns:
        None where none is judged.
    """
    ends = {one.member.name: one.ends(ENDS_LEVEL) if one.member.judged else None for one in candidates}
    members = tuple(one.member.model_copy(update={"interval": ends[one.member.name]}) for one in candidates)
    judged = [one for one in candidates if ends[one.member.name] is not None]
    if not judged:
        return None
    worst = max(judged, key=lambda one: one.member.value or 0.0).member
    low = max(found[0] for one in judged if (found := one.ends(family_level(len(judged)))) is not None)
    high = max(found[1] for found in ends.values() if found is not None)
    figure = Figure(value=worst.value or 0.0, unit=unit, provenance="measured", samples=worst.samples,
                    level=ENDS_LEVEL, interval=(min(low, high), high),
                    method=f"{what}, '{worst.name}', the largest of {len(judged)}; each end a one-sided "
                           f"{100 * ONE_SIDED:.0f} % bound, the lower one for all {len(judged)} together (Bonferroni)")
    return Worst(name=worst.name, figure=figure, members=members)


def paired_candidate(name: str, table: PairedCounts, least: int = 1) -> Candidate:
    """A class, or a slice of a classification's samples.

    Args:
        name: of it.
        table: what it lost and gained.
        least: with fewer samples it is not judged.
    """
    value = POINTS * (table.lost - table.gained) / table.samples if table.samples else None
    note = "no test sample" if not table.samples else f"fewer than {least} samples" if table.samples < least else ""
    member = Member(name=name, samples=table.samples, value=value, lost=table.lost, gained=table.gained,
                    judged=not note, note=note)
    return Candidate(member, lambda level: drop_interval(table, level) if table.samples else None)


def share_candidate(name: str, changed: int, samples: int) -> Candidate:
    """A corruption under which so many of the samples are decided otherwise."""
    member = Member(name=name, samples=samples, value=changed / samples, lost=changed)
    return Candidate(member, lambda level: clopper_pearson(changed, samples, level))


def classes_worst(tables: dict[str, PairedCounts]) -> Worst | None:
    """The largest drop of recall of any class that has a sample; None for a task without classes."""
    return worst_of([paired_candidate(name, table) for name, table in tables.items()], "points", "drop of recall")
