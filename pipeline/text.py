"""Plain text in columns."""

from __future__ import annotations

from typing import Any


def columns(header: list[str], rows: list[list[Any]], right: frozenset[int] = frozenset()) -> list[str]:
    """Cells under a header, as wide as their content.

    Args:
        header: titles.
        rows: cells, shown with `str`.
        right: columns that are set flush right.
    """
    cells = [header, *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    return ["  ".join(cell.rjust(w) if i in right else cell.ljust(w)
                      for i, (cell, w) in enumerate(zip(row, widths, strict=True))).rstrip() for row in cells]
