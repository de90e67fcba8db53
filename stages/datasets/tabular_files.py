"""CSV and Parquet files as data frames, some thousand rows at a time, whatever their size.

In a CSV file the first line names the columns; text is UTF-8, and blanks after a delimiter do not count.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from device_profiles.errors import DataError

TableKind = Literal["csv", "parquet"]
CELLS = 1 << 20
"""Cells of a frame: some 10 to 60 MiB, as text takes more than numbers."""

_NUMBERS = ("int", "uint", "float", "double", "halffloat", "bool", "decimal")
_TEXTS = ("string", "large_string", "dictionary")


@dataclass(frozen=True)
class Frame:
    """Consecutive rows of one file.

    Attributes:
        data: a pandas DataFrame.
        path: the file.
        split: the split that the file is, or "".
        start: number of the first row; the first row of data in a file is row 1.
    """

    data: Any
    path: Path
    split: str
    start: int

    def place(self, row: int) -> str:
        """What to call a row of the frame, counted from 0, in a message."""
        return f"{self.path}, row {self.start + row}"


@dataclass(frozen=True)
class Table:
    """One table in one or several files.

    Attributes:
        kind: of the files.
        files: (split or "", file).
        delimiter: between cells (CSV).
        missing: texts that mean that a cell of a feature is missing (CSV).
    """

    kind: TableKind
    files: Sequence[tuple[str, Path]]
    delimiter: str = ","
    missing: Sequence[str] = ("",)

    def columns(self) -> tuple[str, ...]:
        """The columns' names, the same in every file.

        Raises:
            DataError: a file cannot be read, or has other columns than the first.
        """
        named = [(path, self._columns_of(path)) for _, path in self.files]
        first_path, first = named[0]
        for path, columns in named[1:]:
            odd = sorted(set(columns) ^ set(first))
            if odd:
                has, lacks = (path, first_path) if odd[0] in columns else (first_path, path)
                raise DataError(f"{has} has a column '{odd[0]}', {lacks} does not", "the same columns in every file")
        return first

    def frames(self, columns: Sequence[str], text: Collection[str]) -> Iterator[Frame]:
        """All rows in order.

        Args:
            columns: which ones to read.
            text: those of them that are read as text, with nothing but an empty cell as missing.

        Raises:
            DataError: a file cannot be read.
        """
        rows = max(1000, min(100_000, CELLS // max(1, len(columns))))
        for split, path in self.files:
            start, read = 1, self._csv if self.kind == "csv" else self._parquet
            with table_faults(path, self.kind):
                for data in read(path, list(columns), set(text), rows):
                    yield Frame(data, path, split, start)
                    start += len(data)

    def _columns_of(self, path: Path) -> tuple[str, ...]:
        """The columns of one file."""
        with table_faults(path, self.kind):
            if self.kind == "parquet":
                from pyarrow import parquet

                columns = [str(name) for name in parquet.read_schema(path).names]
            else:
                columns = self._csv_header(path)
        doubled = sorted({name for name in columns if columns.count(name) > 1})
        if doubled:
            raise DataError(f"{path} has two columns called '{doubled[0]}'", "a name for each column")
        return tuple(columns)

    def _csv_header(self, path: Path) -> list[str]:
        """The first line's cells; the second line must have as many."""
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter=self.delimiter, skipinitialspace=True)
            header, first = next(lines, []), next(lines, None)
        if not header:
            raise DataError(f"{path} is empty", "a first line with the columns' names, and a line a sample")
        if len(header) == 1 and self.delimiter not in header[0]:
            other = next((mark for mark in ",;\t|" if mark in header[0]), "")
            if other:
                raise DataError(f"{path} has a single column '{header[0][:60]}'",
                                "columns apart by data.source.delimiter", f"set data.source.delimiter: {other!r}")
        if all(_is_number(cell) for cell in header):
            raise DataError(f"the first line of {path} is {', '.join(header[:4])}: numbers, not names",
                            "a first line with the columns' names", "add a line of names")
        if first and len(first) != len(header):
            raise DataError(f"{path} has {len(header)} column names and {len(first)} cells in row 1", "as many of each")
        return header

    def _csv(self, path: Path, columns: list[str], text: set[str], rows: int) -> Iterator[Any]:
        """Frames of a CSV file.

        All columns are parsed, not only those asked for: with `usecols`, pandas passes over lines with too many cells.
        """
        import pandas

        header = self._csv_header(path)
        marks = {name: [""] if name in text else list(self.missing) for name in header}
        with pandas.read_csv(path, sep=self.delimiter, dtype=dict.fromkeys(text, str), na_values=marks,
                             keep_default_na=False, skipinitialspace=True, encoding="utf-8-sig", low_memory=False,
                             chunksize=rows, index_col=None) as reader:
            for frame in reader:
                yield frame[columns].reset_index(drop=True)

    def _parquet(self, path: Path, columns: list[str], text: set[str], rows: int) -> Iterator[Any]:
        """Frames of a Parquet file."""
        from pyarrow import parquet, string

        with parquet.ParquetFile(path) as file:
            for name in columns:
                _check_type(path, name, str(file.schema_arrow.field(name).type))
            for batch in file.iter_batches(rows, columns=columns):
                for name in text:
                    place = batch.schema.get_field_index(name)
                    batch = batch.set_column(place, name, batch.column(place).cast(string()))
                yield batch.to_pandas()


def _check_type(path: Path, name: str, kind: str) -> None:
    """Refuse a Parquet column that is neither number nor text."""
    if not kind.startswith(_NUMBERS + _TEXTS):
        raise DataError(f"{path}: the column '{name}' holds {kind}", "numbers, truth values or text",
                        f"leave it out with data.source.drop: [{name}], or write it as numbers")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@contextmanager
def table_faults(path: Path, kind: TableKind) -> Iterator[None]:
    """What a missing or damaged file raises, as one error.

    pandas' and pyarrow's own errors are ValueErrors and OSErrors.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: {error.reason} at byte {error.start}", "UTF-8 text",
                        f"iconv -t UTF-8 {path}") from error
    except FileNotFoundError as error:
        raise DataError(f"there is no data file {path}", "", "check data.source.path in the run file") from error
    except (ValueError, OSError, csv.Error) as error:
        found = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DataError(f"{path} cannot be read as {kind}: {found}", f"a whole {kind} file",
                        "check data.source in the run file") from error
