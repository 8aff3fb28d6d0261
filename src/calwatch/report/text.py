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
    judged = ", ".join(
        part for part in (words.judged_words(report), words.sets_words(report)) if part
    )
    lines = [
        f"Verification report: {words.title(report.question)}",
        f"{judged}; limits {', '.join(made.limits) or 'unknown'}",
    ]
    for section in _sections(report):
        lines += _shown(section)
    lines.append(f"calwatch {made.version}, {made.ledger}, {utc(made.at)} UTC")
    return "\n".join(_cut(line) for line in lines) + "\n"


def _sections(report: Report) -> Iterable[_Section]:
    """Give the sections; together they fit on the screen."""
    bad = [run for run in reversed(report.runs) if run.verdict is not Verdict.PASS]
    yield _Section("FAILED", [_failure(group) for group in report.failures], 5)
    yield _Section("UNKNOWN", [(_reason(one),) for one in report.unknown], 3)
    yield _Section("MISSING", [(_missing(one),) for one in report.missing], 2)
    yield _Section("CANNOT BE READ", [(one,) for one in report.damaged], 2)
    yield _Section("RUNS NOT PASSED", [(words.run_words(run),) for run in bad], 2)
    yield _Section("SETS NOT PASSED", [(line,) for line in _sets(report)], 3)
    yield _Section("ALARMS", [(line,) for line in _alarms(report)], 3)
    yield _Section("CALIBRATIONS CHANGED", [(_change(one),) for one in report.changes], 2)
    yield _Section("WARNINGS", [(_head(group),) for group in report.warnings], 1)


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
    parts = (words.since_words(group, worst), together, against)
    return _head(group), "    " + "; ".join(part for part in parts if part)


def _head(group: Group) -> str:
    worst = group.findings[0]
    far = words.distance_words(worst.distance)
    text = f"{words.group_name(group)}: {worst.part} {words.value_words(group, worst)}"
    return f"{text} ({far} as far as the limit)" if far else text


def _reason(one: Reason) -> str:
    where = words.some(one.parts)
    times = words.counted(len(one.exposures), words.noun_of(one.kind))
    return f"{one.kind}, {times}: {where}: {one.words}"


def _sets(report: Report) -> list[str]:
    """Return a line for each kind of set that did not pass, the gravest first."""
    shown = []
    for kind, (sets, detectors) in words.sets_by_kind(report.sets).items():
        if sets[Verdict.PASS.value] == sets.total():
            continue
        first = next(one for one in report.set_detectors if one.kind == kind)
        worst = words.set_value(first) or "; ".join(first.reasons)
        line = (
            f"{kind}: {words.counted(sets.total(), 'set')} ({words.verdict_counts(sets)}), "
            f"detectors {words.verdict_counts(detectors)}; {first.detector} {worst}"
        )
        shown.append((not sets[Verdict.FAIL.value], line))
    return [line for _, line in sorted(shown, key=lambda one: one[0])]


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
