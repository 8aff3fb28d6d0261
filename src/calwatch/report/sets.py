"""Collecting what was judged of several exposures together, set by set and detector by detector."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import inf

from calwatch.ledger.queries import ExposureLine
from calwatch.ledger.sets import SetLine
from calwatch.report.model import JudgedSet, Moment, Range, SetDetector
from calwatch.verify.distance import distance
from calwatch.verify.metrics import SET_TYPES
from calwatch.verify.model import DetectorResult, TestResult, Verdict, worst

ORDER = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.PASS)
NO_REASON = "no reason is recorded"


@dataclass(frozen=True, slots=True)
class _Far:
    """The test value that stood nearest to its limit, or farthest beyond."""

    amp: str = ""
    test: str = ""
    unit: str = ""
    value: float | None = None
    limit: Range = (None, None)
    distance: float | None = None
    exposure_id: int | None = None
    gravity: tuple[bool, float] = (False, -1.0)


@dataclass(slots=True)
class _OfDetector:
    verdicts: Counter[str] = field(default_factory=Counter)
    far: _Far = _Far()
    reasons: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Sets:
    """All sets of a report."""

    _sets: list[JudgedSet] = field(default_factory=list)
    _detectors: dict[tuple[str, str], _OfDetector] = field(default_factory=dict)

    def add(self, kind: str, one: SetLine, verdicts: Counter[str]) -> None:
        """Note a set, with the number of its detectors by verdict."""
        line = one.line
        self._sets.append(
            JudgedSet(
                line.day_obs,
                kind,
                line.calib_type,
                Moment(line.exposure_id, line.end_utc),
                one.members,
                worst([Verdict(verdict) for verdict in verdicts]),
                {verdict.value: verdicts[verdict.value] for verdict in Verdict},
            )
        )

    def result(self, kind: str, result: DetectorResult) -> None:
        """Look at what came of one set and detector."""
        mine = self._detectors.setdefault((kind, result.detector_name), _OfDetector())
        mine.verdicts[result.verdict.value] += 1
        if result.verdict is Verdict.UNKNOWN:
            mine.reasons[result.reason or NO_REASON] = None
        for amp, judged in result.amps.items():
            if judged.verdict is Verdict.UNKNOWN and result.verdict is not Verdict.UNKNOWN:
                mine.reasons[f"{amp}: {judged.reason.removeprefix(f'{amp}: ') or NO_REASON}"] = None
            for name, test in judged.tests.items():
                mine.far = _farther(mine.far, amp, name, test, result.exposure_id)
        for name, test in result.detector_tests.items():
            mine.far = _farther(mine.far, "", name, test, result.exposure_id)

    def sets(self) -> tuple[JudgedSet, ...]:
        """Return the sets by type, and then the oldest first."""
        return tuple(sorted(self._sets, key=lambda one: (SET_TYPES.index(one.calib_type), one.kind,
                                                         one.last.exposure_id)))  # fmt: skip

    def detectors(self) -> tuple[SetDetector, ...]:
        """Return each kind of set of each detector: by kind, then the gravest first."""
        kinds = list(dict.fromkeys(one.kind for one in self.sets()))
        found = [_row(*which, mine) for which, mine in self._detectors.items()]
        return tuple(
            sorted(
                found,
                key=lambda one: (
                    kinds.index(one.kind),
                    ORDER.index(one.verdict),
                    -(one.distance or 0.0),
                    one.detector,
                ),
            )
        )


def kind_of_set(line: ExposureLine, observation_type: str) -> str:
    """Name the kind of a set: ``ptc i_39``, ``dark_stack`` or ``defects dark``.

    Parameters
    ----------
    line
        Of its last exposure.
    observation_type
        Of its exposures; empty where nobody wrote it.
    """
    if line.calib_type in ("bias_stability", "dark_stack"):
        return line.calib_type
    if observation_type == "dark":
        return f"{line.calib_type} dark"
    return f"{line.calib_type} {line.physical_filter}".strip()


def _row(kind: str, detector: str, mine: _OfDetector) -> SetDetector:
    far = mine.far
    return SetDetector(
        kind,
        detector,
        worst([Verdict(verdict) for verdict in mine.verdicts]),
        {verdict.value: mine.verdicts[verdict.value] for verdict in Verdict},
        far.amp,
        far.test,
        far.unit,
        far.value,
        far.limit,
        far.distance,
        far.exposure_id,
        tuple(mine.reasons),
    )


def _farther(known: _Far, amp: str, name: str, test: TestResult, exposure_id: int) -> _Far:
    """Return the value that is farther out; a failed test comes before all that passed."""
    if not test.counts or test.value is None:
        return known
    good = test.verdict is Verdict.PASS and not test.severity
    far = distance(test.value, *test.limit)
    if good and (far is None or test.value in test.limit):
        return known  # A count on its limit is as good as a count can be.
    gravity = (test.verdict is Verdict.FAIL, inf if far is None else far)
    if gravity <= known.gravity:
        return known
    return _Far(amp, name, test.unit, test.value, test.limit, far, exposure_id, gravity)
