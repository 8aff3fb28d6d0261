"""A report as one HTML file that needs no other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from calwatch.alarms.naming import compress
from calwatch.report import words
from calwatch.report.model import Finding, Group, Number, Reference, Report
from calwatch.report.pictures import Pictures
from calwatch.service import alarm_words

HERE = Path(__file__).parent
FIRST_ROWS = 12
"""Parts of one failed test that are shown at once; the others are folded away."""
MOST_ROWS = 200
"""Parts of one failed test that get a row; the others are named together."""


@dataclass(frozen=True, slots=True)
class _Table:
    """The numbers of the detectors of one raft in one kind of exposure."""

    raft: str
    detectors: int
    rows: tuple[Number, ...]


def to_html(report: Report, pictures: Pictures) -> str:
    """Return a report as one HTML document.

    Parameters
    ----------
    report
        What it says.
    pictures
        The plots, with the script that draws them.
    """
    return _environment().get_template("report.html").render(
        report=report,
        pictures=pictures,
        words=words,
        first_rows=FIRST_ROWS,
        most_rows=MOST_ROWS,
        references=_references,
        rest=_rest,
        tables=_tables(report.numbers),
        set_tables={
            kind: tuple(rows) for kind, rows in groupby(report.set_detectors, lambda one: one.kind)
        },
        kinds=list(dict.fromkeys(number.kind for number in report.numbers)),
    )  # fmt: skip


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "utc": alarm_words.utc,
        "number": words.number,
        "range": words.allowed,
        "severity": alarm_words.severity_words,
        "where": alarm_words.where_words,
        "handling": alarm_words.handling_words,
        "compress": lambda parts: compress(sorted(parts)),
        "distance": words.distance_words,
        "anchor": _anchor,
        "tone": lambda verdict: str(verdict).lower(),
    }
    return made


def _references(group: Group) -> list[Reference]:
    """Return what a group was compared with; of many detectors the first stands for its RUN."""
    found: dict[Any, Reference] = {}
    for finding in group.findings:
        one = finding.reference
        if one is not None:
            found.setdefault((one.calib_type, one.run, one.collection, one.begin, one.end), one)
    return list(found.values())


def _rest(findings: tuple[Finding, ...]) -> str:
    """Name the parts that get no row."""
    return compress(sorted(finding.part for finding in findings[MOST_ROWS:]), 200)


def _tables(numbers: tuple[Number, ...]) -> dict[str, list[_Table]]:
    """Return the tables of numbers, by kind: one a raft."""
    found: dict[str, list[_Table]] = {}
    for (kind, raft), rows in groupby(numbers, lambda one: (one.kind, _raft(one.detector))):
        listed = tuple(rows)
        count = len({row.detector for row in listed})
        found.setdefault(kind, []).append(_Table(raft, count, listed))
    return found


def _raft(detector: str) -> str:
    return detector.partition("_")[0]


def _anchor(*parts: object) -> str:
    """Return a name that an address may end with."""
    text = "-".join(str(part) for part in parts)
    return "".join(c if c.isalnum() or c in "._" else "-" for c in text).lower()
