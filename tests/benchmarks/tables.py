"""Tables of results: for the terminal, and for marked sections of a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_BEGIN, _END = "<!-- measured: {} -->", "<!-- end: {} -->"


@dataclass(frozen=True)
class Table:
    """Words in rows and columns."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    """How it was measured."""

    def text(self) -> str:
        """Return it with aligned columns."""
        lines = [self.head, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.head))]
        shown = [
            "  ".join(
                word.ljust(width) if i == 0 else word.rjust(width)
                for i, (word, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self.title, *(f"  {line}" for line in shown), *self._notes("  ")])

    def markdown(self) -> str:
        """Return it as Markdown."""
        rule = ["---", *("---:" for _ in self.head[1:])]
        rows = [f"| {' | '.join(line)} |" for line in (self.head, rule, *self.rows)]
        return "\n".join([f"### {self.title}", "", *rows, *self._notes("\n")])

    def data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    def _notes(self, before: str) -> list[str]:
        return [f"{before}{self.note}"] if self.note else []


def write_section(page: Path, name: str, tables: Iterable[Table], about: str) -> None:
    """Put tables between the marks of a section of a page; at its end if it has no such marks.

    Parameters
    ----------
    page
        Made if it does not exist.
    name
        Of the section.
    tables, about
        What was measured, and a line on what machine and when.
    """
    begin, end = _BEGIN.format(name), _END.format(name)
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    content = "\n\n".join(table.markdown() for table in tables)
    section = f"{begin}\n\n{about}\n\n{content}\n\n{end}"
    if begin in old and end in old:
        before, rest = old.split(begin, 1)
        after = rest.split(end, 1)[1]
        new = before + section + after
    else:
        new = f"{old.rstrip()}\n\n{section}\n".lstrip()
    page.write_text(new, encoding="utf-8")
