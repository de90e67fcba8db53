"""Parts of a docs page that a benchmark writes: between `<!-- NAME -->` and `<!-- /NAME -->`."""

from __future__ import annotations

from pathlib import Path


def between(text: str, name: str, part: str) -> str:
    """A text with a part between a name's marks, indented as the first one is; as it was where it has no such marks."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if begin not in text:
        return text
    before, _, rest = text.partition(begin)
    indent = before.rpartition("\n")[2]  # of a table inside a list
    body = "\n".join(f"{indent}{line}".rstrip() for line in part.splitlines())
    return f"{before}{begin}\n{body}\n{indent}{end}{rest.partition(end)[2]}"


def write_between(path: Path, parts: dict[str, str]) -> None:
    """Put parts into a page, by name; a page that they leave as it is is not written."""
    text = written = path.read_text("utf-8")
    for name, part in parts.items():
        written = between(written, name, part)
    if written != text:
        path.write_text(written, "utf-8")
