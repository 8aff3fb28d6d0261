"""Gathering a report from the ledger, exposure by exposure, so that memory stays flat."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from calwatch import __version__
from calwatch.alarms.model import Numbered
from calwatch.alarms.parts import amp_part
from calwatch.alarms.rules import Rules
from calwatch.camera.model import Camera
from calwatch.errors import StopError
from calwatch.ledger.alarms import AlarmStore
from calwatch.ledger.nights import exposures_between
from calwatch.ledger.queries import ExposureLine
from calwatch.ledger.reported import (
    DAMAGE,
    ReportedJudgement,
    announced_missing,
    collections_of,
    exposure_tests,
    judged_with,
    judgements_of,
    nights_beside,
)
from calwatch.ledger.sets import SetLine, sets_between
from calwatch.ledger.store import Ledger
from calwatch.report.calibrations import Calibrations
from calwatch.report.findings import Findings, Place
from calwatch.report.model import Made, Missing, Moment, Question, Report, Run
from calwatch.report.numbers import Numbers
from calwatch.report.past import Past
from calwatch.report.progress import Progress, in_silence
from calwatch.report.reasons import Reasons
from calwatch.report.sets import Sets, kind_of_set
from calwatch.service.alarm_words import gravest_first
from calwatch.verify.metrics import FRAME_TYPES
from calwatch.verify.model import ALGORITHM, DetectorResult, Verdict, algorithm_of, worst

FIRST_DAY, LAST_DAY = 0, 99991231
MOST_NAMED = 12


@dataclass(slots=True)
class _Counted:
    """A run as it is counted."""

    filters: dict[str, None] = field(default_factory=dict)
    exposures: Counter[str] = field(default_factory=Counter)
    detectors: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Gathering:
    """What is gathered while the exposures are read."""

    ledger: Ledger
    question: Question
    camera: Camera
    rules: Rules
    failures: Findings = field(init=False)
    warnings: Findings = field(init=False)
    numbers: Numbers = field(default_factory=Numbers)
    sets: Sets = field(default_factory=Sets)
    set_numbers: Numbers = field(default_factory=Numbers)
    calibrations: Calibrations = field(default_factory=Calibrations)
    unknown: Reasons = field(default_factory=Reasons)
    notes: Reasons = field(default_factory=Reasons)
    missing: list[Missing] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    runs: dict[tuple[int, str], _Counted] = field(default_factory=lambda: defaultdict(_Counted))
    algorithms: set[str] = field(default_factory=set)
    limits: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.failures = Findings("SERIOUS", self.rules)
        self.warnings = Findings("WARNING", self.rules)

    def exposure(self, line: ExposureLine) -> None:
        """Read one exposure."""
        run = self.runs[line.day_obs, line.calib_type]
        run.exposures[line.verdict.value] += 1
        if line.calib_type == "flat":
            run.filters[line.physical_filter] = None
        judged = set()
        for one in judgements_of(self.ledger, line.instrument, line.exposure_id):
            judged.add(one.detector)
            if one.result is None or _is_of(self.question.collection, one.result):
                run.detectors[one.verdict.value] += 1
                self._judgement(kind_of(line), line, one)
        self._whole(kind_of(line), line)
        absent = sorted(set(line.expected) - judged)
        if absent:
            parts = tuple(self._name(number) for number in absent)
            words = "raw files are in the Butler, and nothing has been judged"
            self.missing.append(Missing(line.exposure_id, kind_of(line), parts, words))

    def set(self, found: SetLine) -> None:
        """Read one set."""
        line, kind = found.line, kind_of_set(found.line, "")
        algorithm = algorithm_of(line.calib_type)
        verdicts: Counter[str] = Counter()
        for one in judgements_of(self.ledger, line.instrument, line.exposure_id, algorithm):
            if one.result is not None:
                if not _is_of(self.question.collection, one.result):
                    continue
                of = str(one.result.provenance.get("observation_type") or "")
                kind = kind_of_set(line, of)
            verdicts[one.verdict.value] += 1
            self._judgement(kind, line, one)
        if verdicts:
            self._whole(kind, line)
            self.sets.add(kind, found, verdicts)

    def _judgement(self, kind: str, line: ExposureLine, one: ReportedJudgement) -> None:
        at = Moment(line.exposure_id, line.end_utc)
        if one.result is None:
            self.damaged.append(
                f"{kind} {line.exposure_id}, {one.detector_name}: its document cannot be read "
                f"({one.damage}); its verdict is {one.verdict.value}, its numbers are not in this "
                "report"
            )
            return
        try:
            self._result(kind, one.result, at)
        except DAMAGE as error:
            self.damaged.append(
                f"{kind} {line.exposure_id}, {one.detector_name}: its document is not what "
                f"calwatch writes ({type(error).__name__}: {error}); its verdict is "
                f"{one.verdict.value}, some of its numbers are not in this report"
            )

    def _result(self, kind: str, result: DetectorResult, at: Moment) -> None:
        self.limits.add(result.limits)
        self.algorithms.add(result.algorithm)
        self.failures.add(kind, result, at)
        self.warnings.add(kind, result, at)
        if result.calib_type in FRAME_TYPES:
            self.numbers.add(kind, result)
            self.calibrations.add(result, at)
        else:
            self.set_numbers.add(kind, result)
            self.sets.result(kind, result)
        if result.verdict is Verdict.UNKNOWN:
            reason = result.reason or "no reason is recorded"
            self.unknown.add(kind, reason, result.detector_name, at.exposure_id)
        else:
            for amp, judged in result.amps.items():
                if judged.verdict is Verdict.UNKNOWN:
                    part = amp_part(result.detector_name, amp)
                    words = judged.reason.removeprefix(f"{amp}: ") or "no reason is recorded"
                    self.unknown.add(kind, words, part, at.exposure_id)
        for sentence in result.warnings:
            self.notes.add(kind, sentence, result.detector_name, at.exposure_id)

    def _whole(self, kind: str, line: ExposureLine) -> None:
        """Look at the tests of the exposure, or of the set, as a whole."""
        algorithm = algorithm_of(line.calib_type)
        at = Moment(line.exposure_id, line.end_utc)
        place = Place(line.instrument, None, "", "exposure")
        try:
            tests = exposure_tests(self.ledger, line.instrument, line.exposure_id, algorithm)
            for findings in (self.failures, self.warnings):
                findings.tests(kind, line.calib_type, place, tests, {}, at)
        except DAMAGE as error:
            self.damaged.append(
                f"{kind} {line.exposure_id}: the document of the merged verdict cannot be "
                f"read ({type(error).__name__}: {error}); tests of the exposure as a whole are not "
                "in this report"
            )

    def _name(self, number: int) -> str:
        return next((d.name for d in self.camera.detectors if d.number == number), str(number))

    def announced(self, since: datetime, until: datetime) -> None:
        """Add what was announced and did not come."""
        found = announced_missing(self.ledger, self.question.instrument, since, until)
        for one in found:
            parts = tuple(self._name(number) for number in one.missing)
            words = "the readout was announced, and no raw file came in time"
            self.missing.append(Missing(one.exposure_id, one.calib_type, parts, words))

    def unmerged(self, known: Iterable[int]) -> None:
        """Add what was judged and not put together yet."""
        ask = self.question
        found = self.ledger.unmerged(ask.instrument, ask.first_day, ask.last_day)
        for exposure_id in sorted(set(found) - set(known)):
            words = "detectors were judged, and not put together yet: not in this report"
            self.missing.append(Missing(exposure_id, "", (), words))


def gather(
    ledger: Ledger,
    question: Question,
    camera: Camera,
    rules: Rules,
    now: datetime,
    progress: Progress = in_silence,
) -> Report:
    """Gather a report.

    Parameters
    ----------
    ledger
        Where everything is.
    question
        Of what.
    camera, rules
        Of the instrument; the alarm rules say with which calibration each test compares.
    now
        Time of the report (aware).
    progress
        Told of the work.

    Raises
    ------
    StopError
        If nothing was judged; the message names what is nearest.
    LedgerError
        If the ledger cannot be read.
    """
    lines = chosen(ledger, question)
    found = _Gathering(ledger, question, camera, rules)
    for line in progress(lines, "reading exposures"):
        found.exposure(line)
    for one in progress(chosen_sets(ledger, question), "reading sets"):
        found.set(one)
    since, until = _span(question, lines)
    if not question.collection:
        found.announced(since, until)
        found.unmerged(line.exposure_id for line in lines)
    ends = [line.end_utc for line in lines if line.end_utc is not None]
    past = Past(ledger, question.instrument, max(ends, default=None), found.damaged)
    groups = found.failures.groups()
    for group, detector in progress(past.wanted(groups), "reading the past"):
        past.read(group, detector)
    alarms = _alarms(ledger, question.instrument, since, until, found.damaged)
    return Report(
        question=question,
        made=Made(
            now, __version__, ledger.name, tuple(sorted(found.algorithms)),
            tuple(sorted(found.limits)),
        ),
        first=_moment(lines[0]),
        last=_moment(lines[-1]),
        runs=_runs(found.runs),
        sets=found.sets.sets(),
        set_detectors=found.sets.detectors(),
        failures=past.dated(groups),
        warnings=found.warnings.groups(),
        unknown=found.unknown.all(),
        missing=tuple(sorted(found.missing, key=lambda one: (one.exposure_id, one.words))),
        notes=found.notes.all(),
        damaged=tuple(found.damaged),
        numbers=(*found.numbers.by_detector(), *found.set_numbers.by_detector()),
        camera_numbers=(*found.numbers.of_camera(), *found.set_numbers.of_camera()),
        used=found.calibrations.used(),
        changes=found.calibrations.changes(),
        alarms=tuple(alarms),
        new_alarms=frozenset(
            one.alarm_id for one in alarms if since <= one.alarm.opened_at < until
        ),
        trends=past.trends([one for one in groups if one.calib_type in FRAME_TYPES], alarms),
        focal=found.numbers.focal(),
    )  # fmt: skip


def chosen(ledger: Ledger, question: Question) -> list[ExposureLine]:
    """Return the exposures of a report, oldest first.

    Raises
    ------
    StopError
        If there is none.
    """
    first, last = question.first_day or FIRST_DAY, question.last_day or LAST_DAY
    lines = exposures_between(ledger, question.instrument, first, last)
    if question.collection:
        wanted = judged_with(ledger, question.instrument, question.collection)
        lines = [line for line in lines if (line.exposure_id, ALGORITHM) in wanted]
    if not lines:
        raise StopError(_nothing(ledger, question))
    return lines


def chosen_sets(ledger: Ledger, question: Question) -> list[SetLine]:
    """Return the sets of a report, by type and then oldest first."""
    first, last = question.first_day or FIRST_DAY, question.last_day or LAST_DAY
    found = sets_between(ledger, question.instrument, first, last)
    if not question.collection:
        return found
    wanted = judged_with(ledger, question.instrument, question.collection)
    return [
        one for one in found if (one.line.exposure_id, algorithm_of(one.line.calib_type)) in wanted
    ]


def kind_of(line: ExposureLine) -> str:
    """Name the kind of an exposure: ``bias``, ``dark`` or ``flat i_39``."""
    flat = line.calib_type == "flat" and line.physical_filter
    return f"{line.calib_type} {line.physical_filter}" if flat else line.calib_type


def noon_of(day_obs: int) -> datetime:
    """Return when a day of observation begins: noon UTC (12 h behind UTC, a new day begins)."""
    year, month, day = day_obs // 10000, day_obs // 100 % 100, day_obs % 100
    return datetime(year, month, day, 12, tzinfo=UTC)


def _nothing(ledger: Ledger, question: Question) -> str:
    """Say that there is nothing, and what there is."""
    where = f"{ledger.name}: {question.instrument}"
    if question.collection:
        known = collections_of(ledger, question.instrument)
        more = f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else ""
        listed = "".join(f"\n  {name}" for name in known[:MOST_NAMED])
        return (
            f"{where}: nothing was judged with a calibration of {question.collection}"
            f"{_days(question)}; collections that were used:{listed or ' none'}{more}"
        )
    before, _ = nights_beside(ledger, question.instrument, question.first_day or FIRST_DAY)
    _, after = nights_beside(ledger, question.instrument, question.last_day or LAST_DAY)
    near = [str(day) for day in (before, after) if day]
    words = f"the nearest nights are {' and '.join(near)}" if near else "it has no night at all"
    if len(near) == 1:
        words = f"the nearest night is {near[0]}"
    return f"{where}: no exposure was judged{_days(question)}; {words}"


def _days(question: Question) -> str:
    first, last = question.first_day, question.last_day
    if first is None and last is None:
        return ""
    if first == last:
        return f" in the night {first}"
    return f" from {first or 'the beginning'} to {last or 'the end'}"


def _span(question: Question, lines: Sequence[ExposureLine]) -> tuple[datetime, datetime]:
    """Return the time of the report: whole days of observation, the end not included."""
    first = question.first_day or lines[0].day_obs
    last = question.last_day or lines[-1].day_obs
    return noon_of(first), noon_of(last) + timedelta(days=1)


def _alarms(
    ledger: Ledger, instrument: str, since: datetime, until: datetime, damaged: list[str]
) -> list[Numbered]:
    try:
        found = AlarmStore(ledger).alarms(instrument, since=since, until=until)
    except DAMAGE as error:
        damaged.append(f"the alarms cannot be read ({type(error).__name__}: {error})")
        return []
    return gravest_first(found)


def _runs(counted: Mapping[tuple[int, str], _Counted]) -> tuple[Run, ...]:
    return tuple(
        Run(
            day,
            calib_type,
            tuple(run.filters),
            worst([Verdict(verdict) for verdict in run.exposures]),
            _all(run.exposures),
            _all(run.detectors),
        )
        for (day, calib_type), run in sorted(counted.items())
    )


def _all(counts: Counter[str]) -> dict[str, int]:
    return {verdict.value: counts[verdict.value] for verdict in Verdict}


def _moment(line: ExposureLine) -> Moment:
    return Moment(line.exposure_id, line.end_utc)


def _is_of(collection: str, result: DetectorResult) -> bool:
    """Tell whether a result used a calibration that a collection, or one below it, certifies."""
    if not collection:
        return True
    chain: Mapping[str, Mapping[str, Any]] = result.provenance.get("chain") or {}
    names = [str(entry.get("collection", "")) for entry in chain.values()]
    below = f"{collection.rstrip('/')}/"
    return any(name == collection or name.startswith(below) for name in names)
