"""How a report says things: the same sentences in the text form and in the HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from calwatch.alarms.naming import compress
from calwatch.report.model import (
    Change,
    Finding,
    Group,
    JudgedSet,
    Moment,
    Question,
    Range,
    Report,
    Run,
    SetDetector,
)
from calwatch.service.alarm_words import utc
from calwatch.verify.metrics import SET_TYPES
from calwatch.verify.model import Verdict

ORDER = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.PASS)
"""Verdicts, the gravest first."""
_SHORT = 60


def title(question: Question) -> str:
    """Say what the report is of, such as ``LATISS, night 20261122``."""
    return f"{question.instrument}, {asked(question)}"


def asked(question: Question) -> str:
    """Say which nights and which collection."""
    first, last = question.first_day, question.last_day
    if first is not None and first == last:
        nights = f"night {first}"
    elif first is None and last is None:
        nights = "" if question.collection else "all nights"
    else:
        nights = f"nights {first or '(the first)'} to {last or '(the last)'}"
    certified = f"judged against {question.collection}" if question.collection else ""
    return ", ".join(part for part in (nights, certified) if part)


def slug(question: Question) -> str:
    """Return a name for the file of a report, without its ending."""
    first, last = question.first_day, question.last_day
    if first is not None and first == last:
        nights = str(first)
    elif first is None and last is None:
        nights = ""
    else:
        nights = f"{first or 'first'}-{last or 'last'}"
    parts = ("calwatch", question.instrument, nights, question.collection)
    text = "_".join(part for part in parts if part)
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in text)


def verdict_counts(counts: Mapping[str, int]) -> str:
    """Say how many there are of each verdict, the gravest first; none of those without one."""
    return ", ".join(f"{counts[v.value]} {v.value}" for v in ORDER if counts.get(v.value)) or "none"


def totals(runs: Iterable[Run]) -> tuple[Counter[str], Counter[str]]:
    """Add up exposures and detector exposures of some runs, by verdict."""
    exposures: Counter[str] = Counter()
    detectors: Counter[str] = Counter()
    for run in runs:
        exposures.update(run.exposures)
        detectors.update(run.detectors)
    return exposures, detectors


def by_type(runs: Sequence[Run]) -> dict[str, tuple[Counter[str], Counter[str]]]:
    """Add up runs by type."""
    types = dict.fromkeys(run.calib_type for run in runs)
    return {name: totals(run for run in runs if run.calib_type == name) for name in types}


def judged_words(report: Report) -> str:
    """Say what was judged, in one sentence."""
    exposures, detectors = totals(report.runs)
    return (
        f"{counted(exposures.total(), 'exposure')} ({verdict_counts(exposures)}) of "
        f"{counted(len(report.runs), 'run')}, {counted(detectors.total(), 'detector exposure')} "
        f"({verdict_counts(detectors)})"
    )


def run_words(run: Run) -> str:
    """Say what came of a run."""
    filters = f" {', '.join(run.filters)}" if run.filters else ""
    return (
        f"{run.day_obs} {run.calib_type}{filters}: {run.verdict.value}; "
        f"{counted(sum(run.exposures.values()), 'exposure')}, {verdict_counts(run.exposures)}"
    )


def counted(number: int, noun: str) -> str:
    """Write a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def group_name(group: Group) -> str:
    """Name a test of a kind of exposure, such as ``bias NOISE (DMTN-101 4.3)``."""
    section = f" (DMTN-101 {group.section})" if group.section else ""
    return f"{group.kind} {group.test}{section}"


def value_words(group: Group, finding: Finding) -> str:
    """Say value and limit, such as ``12.5 e-, allowed 8.4 … 9.2``."""
    unit = "" if group.unit == "count" else group.unit
    return f"{number(finding.value, unit) or 'no value'}, allowed {allowed(finding.limit)}"


def number(value: float | None, unit: str = "") -> str:
    """Write a number with five digits, so that levels in adu need no exponent; empty for None."""
    return "" if value is None else f"{value:.5g} {unit}".rstrip()


def allowed(limit: Range) -> str:
    """Write an allowed range."""
    lower, upper = limit
    return f"{number(lower) or '−∞'} … {number(upper) or '∞'}"


def distance_words(distance: float | None) -> str:
    """Say how far a value is: in times of the way from the middle of the range to the limit."""
    return "" if distance is None else f"{distance:.3g}×"


def since_words(group: Group, finding: Finding) -> str:
    """Say since when a part fails, in how many exposures or sets."""
    at = utc(finding.since.end_utc)
    when = f"{at} UTC" if at else f"exposure {finding.since.exposure_id}"
    least = " or earlier" if finding.at_least else ""
    noun = f"{noun_of(group.calib_type)}s"
    return f"{finding.crossed} of {finding.judged} {noun}, since {when}{least}"


def noun_of(kind: str) -> str:
    """Return what there are several of, of a type or of a kind such as ``ptc i_39``."""
    return "set" if kind.partition(" ")[0] in SET_TYPES else "exposure"


def sets_words(report: Report) -> str:
    """Say how many sets were judged, in one sentence; empty if none was."""
    if not report.sets:
        return ""
    verdicts = Counter(one.verdict.value for one in report.sets)
    return f"{counted(len(report.sets), 'set')} ({verdict_counts(verdicts)})"


def sets_by_kind(sets: Sequence[JudgedSet]) -> dict[str, tuple[Counter[str], Counter[str]]]:
    """Add up sets and their detectors by kind, each by verdict."""
    found: dict[str, tuple[Counter[str], Counter[str]]] = {}
    for one in sets:
        of_sets, detectors = found.setdefault(one.kind, (Counter(), Counter()))
        of_sets[one.verdict.value] += 1
        detectors.update(one.detectors)
    return found


def set_value(one: SetDetector) -> str:
    """Say value and limit of what stands nearest to its limit; empty if nothing does."""
    if one.value is None:
        return ""
    unit = "" if one.unit == "count" else one.unit
    amp = f"{one.amp} " if one.amp else ""
    return f"{amp}{one.test} {number(one.value, unit)}, allowed {allowed(one.limit)}"


def some(parts: Sequence[str]) -> str:
    """Name parts as long as it stays short, and else count them."""
    text = compress(sorted(parts), 4)
    return text if len(text) <= _SHORT else f"{len(parts)} parts"


def change_words(change: Change, where: str) -> str:
    """Say which certified calibration was replaced, when and for what."""
    return (
        f"{change.name} of {where}: from {change.before} to {change.after}, at exposure "
        f"{change.at.exposure_id}"
    )


def moment_words(moment: Moment) -> str:
    """Name an exposure with its time."""
    at = utc(moment.end_utc)
    return f"{moment.exposure_id} ({at} UTC)" if at else str(moment.exposure_id)
