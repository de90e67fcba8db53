"""Columns of a table as elements of an input vector: a number each, or a 0 or 1 for each category.

A first pass finds out what each column holds. A column is numeric if all its cells are numbers (`true` and `false` are
1 and 0), categorical if less than half of them are; in between, the first text is taken for a fault and named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import DataError
from stages.datasets.tabular_files import Frame

Missing = Literal["error", "mean", "category"]
MISSING_CATEGORY = "<missing>"
MOST_CATEGORIES = 256
_TRUTH = {"true": 1.0, "false": 0.0}


@dataclass
class ColumnScan:
    """What the cells of one column are.

    Attributes:
        name: of the column.
        categorical: whether the user says that its cells are categories.
        numbers, texts, missing: how many cells are such.
        total, counted: sum and number of the numbers in rows that may train, for the mean.
        categories: distinct cells as text.
        first_text, first_missing: where, for messages.
    """

    name: str
    categorical: bool = False
    numbers: int = 0
    texts: int = 0
    missing: int = 0
    total: float = 0.0
    counted: int = 0
    categories: set[str] = field(default_factory=set)
    first_text: str = ""
    first_missing: str = ""

    def add(self, frame: Frame, trains: NDArray[np.bool_]) -> None:
        """Take in the column's cells of a frame.  # trains (rows,): rows that may train."""
        cells = frame.data[self.name]
        missing = cells.isna().to_numpy()  # (rows,) bool
        if missing.any() and not self.missing:
            self.first_missing = frame.place(int(missing.argmax()))
        self.missing += int(missing.sum())
        if self.categorical:
            self.texts += int((~missing).sum())
            self._add_categories(cells, ~missing)
            return
        values = as_numbers(cells)  # (rows,) float64, NaN where text or missing
        text = np.isnan(values) & ~missing
        if text.any():
            if not self.texts:
                row = int(text.argmax())
                self.first_text = f"{frame.place(row)}: '{cells.iloc[row]}'"
            self._add_categories(cells, text)
        self.texts += int(text.sum())
        self.numbers += int((~missing & ~text).sum())
        counted = np.isfinite(values) & trains
        self.total += float(values[counted].sum())
        self.counted += int(counted.sum())

    def _add_categories(self, cells: Any, rows: NDArray[np.bool_]) -> None:
        """Note the distinct texts of some rows, as long as there are not too many."""
        if len(self.categories) <= MOST_CATEGORIES:
            self.categories |= {str(cell) for cell in cells[rows].unique()}

    @property
    def is_category(self) -> bool:
        """Whether the column holds categories.

        Raises:
            DataError: it holds numbers, and some text.
        """
        if self.categorical or not self.texts:
            return self.categorical
        if self.numbers >= self.texts:
            raise DataError(f"the column '{self.name}' holds numbers and, in {self.first_text}, text",
                            "numbers, or categories", "mend the cell; or add it to data.source.missing_values; or "
                            f"list '{self.name}' under data.source.categorical")
        return True


@dataclass(frozen=True)
class Element:
    """One element of the input vector.

    Attributes:
        column: where it is from.
        kind: `number`; `category`: 1 where the cell is this category; `missing`: 1 where a number is missing.
        category: of kind `category`.
        fill: of kind `number`, what stands for a missing cell; None: there may be none.
    """

    column: str
    kind: Literal["number", "category", "missing"]
    category: str | None = None
    fill: float | None = None

    def as_json(self) -> dict[str, Any]:
        """For `features.json`: what does not apply is left out."""
        entries = {"column": self.column, "kind": self.kind, "category": self.category, "fill": self.fill}
        return {key: value for key, value in entries.items() if value is not None}


def elements_of(scan: ColumnScan, missing: Missing) -> list[Element]:
    """The elements that a column becomes.

    Raises:
        DataError: missing cells that may not be, or too many categories.
    """
    if scan.missing and missing == "error":
        found = f"{scan.missing} cells of the column '{scan.name}' are missing, the first in {scan.first_missing}"
        raise DataError(found, "no missing cells (data.source.missing: error)",
                        "set data.source.missing to mean or category, or drop these rows")
    if not scan.is_category:
        return _number_elements(scan, missing)
    if len(scan.categories) > MOST_CATEGORIES:
        raise DataError(f"the column '{scan.name}' has more than {MOST_CATEGORIES} categories",
                        "columns of few categories", f"leave it out: data.source.drop: [{scan.name}]")
    categories = sort_texts(scan.categories)
    if scan.missing and missing == "category":
        categories.append(MISSING_CATEGORY)
    return [Element(scan.name, "category", category) for category in categories]


def _number_elements(scan: ColumnScan, missing: Missing) -> list[Element]:
    """A number, and where asked whether it is missing."""
    if not scan.missing:
        return [Element(scan.name, "number")]
    if not scan.counted:
        raise DataError(f"the column '{scan.name}' has no number in the training rows to take a mean of",
                        "a number in at least one row", f"leave it out: data.source.drop: [{scan.name}]")
    number = Element(scan.name, "number", fill=float(np.float32(scan.total / scan.counted)))
    return [number, Element(scan.name, "missing")] if missing == "category" else [number]


def encode(frame: Frame, elements: Sequence[Element]) -> NDArray[np.float32]:
    """Input vectors of a frame's rows.

    Returns:
        (rows, elements) float32.

    Raises:
        DataError: an infinite number.
    """
    x = np.zeros((len(frame.data), len(elements)), np.float32)
    texts: dict[str, Any] = {}
    for place, element in enumerate(elements):
        cells = frame.data[element.column]
        if element.kind == "number":
            x[:, place] = _numbers(frame, element)
        elif element.kind == "missing" or element.category == MISSING_CATEGORY:
            x[:, place] = cells.isna().to_numpy()
        else:
            if element.column not in texts:
                texts = {element.column: cells.map(str, na_action="ignore")}
            x[:, place] = (texts[element.column] == element.category).to_numpy()
    return x


def _numbers(frame: Frame, element: Element) -> NDArray[np.float64]:
    """A column's numbers, missing ones filled."""
    values = as_numbers(frame.data[element.column])
    endless = np.isinf(values)
    if endless.any():
        place = frame.place(int(endless.argmax()))
        raise DataError(f"the column '{element.column}' holds {values[endless][0]} in {place}",
                        "finite numbers", "mend the cell, or add its text to data.source.missing_values")
    return values if element.fill is None else np.where(np.isnan(values), element.fill, values)


def as_numbers(cells: Any) -> NDArray[np.float64]:
    """A pandas Series as float64, NaN where a cell is missing or text; `true` is 1 and `false` 0."""
    import pandas

    if cells.dtype == object or not pandas.api.types.is_numeric_dtype(cells.dtype):
        texts = cells.map(lambda cell: _TRUTH.get(str(cell).lower(), cell), na_action="ignore")
        cells = pandas.to_numeric(texts.astype(object), errors="coerce")
    return np.asarray(cells.to_numpy(dtype=np.float64, na_value=np.nan), np.float64)


def sort_texts(texts: set[str]) -> list[str]:
    """Whole numbers by value if all are such, else by text."""
    whole = all(text.lstrip("-").isascii() and text.lstrip("-").isdigit() for text in texts)
    return sorted(texts, key=lambda text: (int(text), text)) if whole else sorted(texts)


def features_json(elements: Sequence[Element], missing: Missing) -> Mapping[str, Any]:
    """What `features.json` says: how a row becomes an input vector."""
    return {"missing": missing, "elements": [{"element": i, **element.as_json()} for i, element in enumerate(elements)]}
