"""A report on one screen: failures first, and never more than `MOST_LINES` lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from calwatch.report import words
from calwatch.report.model import Change, Group, Missing, Reason, Report
from calwatch.service.alarm_words import severity_words, utc, where_words
from calwatch.verify.model import Verdict

MOST_LINES = 40
_WIDTH = 160


@dataclass(frozen=True, slots=True)
class _Section:
    heading: str
    entries: Sequence[tuple[str, ...]]
    """Each is one or more lines."""
    most: int
    """Entries shown at most; the last gives way to a count of the rest."""


def to_text(report: Report) -> str:
    """Return a report of at most `MOST_LINES` lines."""
    made = report.made
    lines = [
        f"Verification report: {words.title(report.question)}",
        f"{words.judged_words(report)}; limits {', '.join(made.limits) or 'unknown'}",
    ]
    for section in _sections(report):
        lines += _shown(section)
    lines.append(f"calwatch {made.version}, {made.ledger}, {utc(made.at)} UTC")
    return "\n".join(_cut(line) for line in lines) + "\n"


def _sections(report: Report) -> Iterable[_Section]:
    """Give the sections; together they fit on the screen."""
    bad = [run for run in reversed(report.runs) if run.verdict is not Verdict.PASS]
    yield _Section("FAILED", [_failure(group) for group in report.failures], 6)
    yield _Section("UNKNOWN", [(_reason(one),) for one in report.unknown], 3)
    yield _Section("MISSING", [(_missing(one),) for one in report.missing], 2)
    yield _Section("CANNOT BE READ", [(one,) for one in report.damaged], 2)
    yield _Section("RUNS NOT PASSED", [(words.run_words(run),) for run in bad], 3)
    yield _Section("ALARMS", [(line,) for line in _alarms(report)], 3)
    yield _Section("CALIBRATIONS CHANGED", [(_change(one),) for one in report.changes], 2)
    yield _Section("WARNINGS", [(_head(group),) for group in report.warnings], 2)


def _shown(section: _Section) -> list[str]:
    """Return a section with its heading; nothing at all if it is empty."""
    if not section.entries:
        return []
    shown = list(section.entries[: section.most])
    rest = len(section.entries) - section.most
    if rest > 0:
        shown[-1] = (f"… and {rest + 1} more, which the HTML has",)
    return [section.heading, *(f"  {line}" for entry in shown for line in entry)]


def _failure(group: Group) -> tuple[str, str]:
    """Return two lines: what failed most, then since when, where else, and against what."""
    worst = group.findings[0]
    known = worst.reference
    against = f"against {known.calib_type} of {known.collection}" if known else ""
    every = [finding.part for finding in group.findings]
    together = f"in all {words.some(every)}" if len(every) > 1 else ""
    parts = (words.since_words(worst), together, against)
    return _head(group), "    " + "; ".join(part for part in parts if part)


def _head(group: Group) -> str:
    worst = group.findings[0]
    far = words.distance_words(worst.distance)
    text = f"{words.group_name(group)}: {worst.part} {words.value_words(group, worst)}"
    return f"{text} ({far} as far as the limit)" if far else text


def _reason(one: Reason) -> str:
    where = words.some(one.parts)
    return f"{one.kind}, {words.counted(len(one.exposures), 'exposure')}: {where}: {one.words}"


def _missing(one: Missing) -> str:
    parts = f": {words.some(one.parts)}" if one.parts else ""
    return f"{one.kind} {one.exposure_id}{parts}: {one.words}".lstrip()


def _change(change: Change) -> str:
    return words.change_words(change, words.some(change.detectors))


def _alarms(report: Report) -> list[str]:
    return [
        f"{'new, ' if one.alarm_id in report.new_alarms else ''}{severity_words(one.alarm)}: "
        f"{where_words(one.alarm)}: {one.alarm.reason}"
        for one in report.alarms
    ]


def _cut(line: str) -> str:
    """Return one short line, without what a terminal would take for an order to itself."""
    line = "".join(c if c.isprintable() else " " for c in line)
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
