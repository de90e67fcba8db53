"""The two building blocks of every record in the project: a frozen model, and the figure."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Provenance = Literal["measured", "emulated", "predicted", "published"]


class Record(BaseModel):
    """A frozen record: unknown keys are refused, and its JSON form is the same on every run.

    A NaN or an infinity (a loss that diverged) is written as text, "NaN", and reads back as the number: as null it
    would not read back at all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), ser_json_inf_nan="strings",
                              json_schema_serialization_defaults_required=True)


class Figure(Record):
    """A number that says what it is: unit, how many samples, how sure, and where it comes from.

    Attributes:
        value: the point estimate, in `unit`.
        unit: "ms", "bytes", "fraction", "points" (percentage points), "1/s", "uJ", "nats".
        provenance: how the number was obtained.
        samples: how many observations stand behind it; 1 for a count such as a file's bytes.
        interval: lower and upper end at `level`, in `unit`; None where no interval can be had or the number is exact.
        level: the interval's confidence level, 0 to 1.
        method: how value and interval were computed, for people: "median; bootstrap of 1,000 resamples".
    """

    value: float
    unit: str
    provenance: Provenance
    samples: int = 1
    interval: tuple[float, float] | None = None
    level: float = 0.95
    method: str = ""
