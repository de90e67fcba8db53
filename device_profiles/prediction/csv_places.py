"""A table of comma-separated values, read strictly, with the place of every cell for messages.

The standard library's reader gives no columns of characters, and it takes what a strict reader must refuse: rows with
too few or too many cells, quotes that never close.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from device_profiles.errors import ConfigError, near_miss

LARGEST_FILE_BYTES = 1 << 20
_CELL = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*|([^,"]*))(,|$)')
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True)
class Cell:
    """One cell: its text without blanks around, and where it stands (both numbers from 1)."""

    text: str
    path: str
    line: int
    column: int
    excerpt: str

    def refusal(self, found: str, allowed: str = "", next_step: str = "") -> ConfigError:
        """The error for this cell."""
        return ConfigError(found, allowed, next_step, path=self.path, line=self.line, column=self.column,
                           excerpt=self.excerpt)


def read_table(path: Path, required: Collection[str], optional: Collection[str]) -> list[dict[str, Cell]]:
    """Rows by column name; blank lines and lines that begin with # are passed over.

    Args:
        path: the file: UTF-8, a header, a line a row.
        required: columns that must be there and have a text in each row.
        optional: columns that may be there; an empty cell counts as left out.

    Raises:
        ConfigError: the file cannot be read, a column is unknown, missing or doubled, a row has too few or too many
            cells, a required cell is empty.
    """
    lines = [(number, text) for number, text in enumerate(_lines(path), 1)
             if text.strip() and not text.lstrip().startswith("#")]
    if not lines:
        raise ConfigError("the file is empty", f"a header with {', '.join(required)}, and a line a measurement",
                          path=path)
    header = list(_cells(str(path), *lines[0]))
    _check_header(header, required, optional)
    if not lines[1:]:
        raise ConfigError("the file has a header and no measurement", "a line a measurement", path=path,
                          line=lines[0][0], column=1)
    return [_row(header, list(_cells(str(path), number, text)), required) for number, text in lines[1:]]


def _row(header: list[Cell], cells: list[Cell], required: Collection[str]) -> dict[str, Cell]:
    """The cells of a row by column name, without empty ones.

    Raises:
        ConfigError: too few or too many cells, or a required one is empty.
    """
    if len(cells) != len(header):
        last = cells[min(len(cells), len(header) + 1) - 1]
        plural = "" if len(cells) == 1 else "s"
        raise last.refusal(f"{len(cells)} cell{plural} under {len(header)} columns", f"{len(header)} cells",
                           "put quotes around a text that has a comma in it")
    row = {name.text: cell for name, cell in zip(header, cells, strict=True)}
    for name in required:
        if not row[name].text:
            raise row[name].refusal(f"{name} is empty", f"a value in each row of {name}")
    return {name: cell for name, cell in row.items() if cell.text}


def _lines(path: Path) -> list[str]:
    """The file's lines.

    Raises:
        ConfigError: it is not there, a folder, too large, or no UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError("there is no such file", "a .csv file", path=path) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", "a .csv file", path=path) from error
    if len(data) > LARGEST_FILE_BYTES:
        raise ConfigError("the file is too large", f"{LARGEST_FILE_BYTES:,} bytes", path=path)
    try:
        return data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"not UTF-8 text: byte 0x{data[error.start]:02x}", "UTF-8", "save the file as CSV in UTF-8",
                          path=path, line=line) from error


def _cells(path: str, number: int, text: str) -> Iterator[Cell]:
    """The cells of a line.

    Raises:
        ConfigError: a quote that does not close, or stands in the middle of a cell.
    """
    start, more = 0, True
    while more:
        match = _CELL.match(text, start)
        column = start + 1 + len(text[start:]) - len(text[start:].lstrip())
        if match is None:
            raise Cell("", path, number, column, text).refusal(
                "a quote that does not close, or stands inside a cell", 'cells such as "a, b"')
        quoted, plain, end = match.groups()
        yield Cell((quoted.replace('""', '"') if quoted is not None else plain).strip(), path, number, column, text)
        start, more = match.end(), end == ","


def _check_header(header: list[Cell], required: Collection[str], optional: Collection[str]) -> None:
    """Every column known, none doubled, every required one there.

    Raises:
        ConfigError: it is not so.
    """
    known, seen = [*required, *optional], set()
    for cell in header:
        if cell.text not in known:
            raise cell.refusal(f"unknown column '{cell.text}'", ", ".join(known), _hint(cell.text, known))
        if cell.text in seen:
            raise cell.refusal(f"column '{cell.text}' stands twice", "each column once")
        seen.add(cell.text)
    missing = [name for name in required if name not in seen]
    if missing:
        raise header[0].refusal(f"the column{'s' if len(missing) > 1 else ''} {', '.join(missing)} "
                                f"{'are' if len(missing) > 1 else 'is'} missing", ", ".join(known))


def _hint(text: str, known: Collection[str]) -> str:
    """What may have been meant."""
    for separator, name in _OTHER_SEPARATORS.items():
        if separator in text:
            return f"the cells are separated by {name}; save the file with commas"
    for unit in ("us", "µs", "s", "ns"):
        if text.lower() in (f"latency_{unit}", f"time_{unit}"):
            return "give the latency in milliseconds, as latency_ms"
    return near_miss(text, known)
