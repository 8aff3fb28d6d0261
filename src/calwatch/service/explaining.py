"""All that stands behind one test: its verdict, its history, its calibrations, its alarm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from calwatch.alarms.evidence import aspect_of
from calwatch.alarms.model import Kind, Numbered
from calwatch.alarms.parts import Parts, amp_part
from calwatch.alarms.rules import Rules
from calwatch.butler.times import tai_text
from calwatch.errors import StopError
from calwatch.ledger.alarms import AlarmStore
from calwatch.ledger.judged import (
    JudgedExposure,
    Merged,
    judged_exposure,
    merged_verdicts,
    newest_exposures,
)
from calwatch.ledger.queries import PastValue
from calwatch.ledger.store import Ledger
from calwatch.verify.codec import tests_from_dict
from calwatch.verify.explain import Explanation, explain
from calwatch.verify.limits import Limits, Part
from calwatch.verify.metrics import SET_TYPES, TESTS, Level
from calwatch.verify.model import ALGORITHM, DetectorResult, TestResult, Verdict, algorithm_of
from calwatch.verify.sets.abscissa import light_words

EARLIER = 10
"""Values of earlier exposures that are shown."""
NONE = "-"
"""Stands for no detector, or no amplifier."""
MOST_NAMED = 24


@dataclass(frozen=True, slots=True)
class Calibration:
    """A certified calibration that was used."""

    calib_type: str
    collection: str
    run: str
    uuid: str
    begin: str
    """Begin and end of validity in TAI; ``open`` where there is none."""
    end: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """The same number in an earlier exposure."""

    exposure_id: int
    end_utc: datetime | None
    value: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Explained:
    """One test with all that stands behind it."""

    exposure: JudgedExposure
    part: str
    """Name of the part of the camera."""
    detector: int | None
    amp: str
    explanation: Explanation
    part_reason: str
    """Why the part has its verdict, where that is not the test's own doing."""
    earlier: tuple[Earlier, ...]
    """The newest first."""
    calibrations: tuple[Calibration, ...]
    """That of the exposure's own type first."""
    missing: Mapping[str, str]
    """Needed calibrations that were not usable, with the reason."""
    light: str
    """What the light of a sequence was known by, and why; empty where that is no question."""
    alarms: tuple[Numbered, ...]
    """What it fed, or helped to end."""
    alarm_words: str
    """Which they are, or why there is none."""


@dataclass(frozen=True, slots=True)
class Explainer:
    """Finds in the ledger what stands behind a test.

    Parameters
    ----------
    ledger
        Where it is.
    parts
        The cameras, by instrument.
    limits
        The limits file of the configuration.
    rules
        The alarm rules.
    """

    ledger: Ledger
    parts: Mapping[str, Parts]
    limits: Limits
    rules: Rules

    def explain(
        self,
        exposure_id: int,
        detector: str,
        amp: str,
        test: str,
        instrument: str | None = None,
        of: str = "",
    ) -> Explained:
        """Explain one test of one part of an exposure.

        Parameters
        ----------
        exposure_id
            Which exposure.
        detector
            Number or name; ``-`` for a test of the exposure as a whole.
        amp
            Name; ``-`` for a test of the detector or of the exposure.
        test
            Name.
        instrument
            Which, if several have an exposure of this number.
        of
            What was judged of the set that ends with this exposure, such as ``ptc``; that which
            has such a test if empty.

        Raises
        ------
        StopError
            If there is no such thing; the message lists what there is.
        """
        exposure = self._exposure(exposure_id, instrument, of or _set_with(test))
        if detector == NONE:
            return self._of_exposure(exposure, amp, test)
        return self._of_detector(exposure, detector, amp, test)

    def _exposure(self, exposure_id: int, instrument: str | None, of: str) -> JudgedExposure:
        names = [instrument] if instrument else list(self.parts)
        for name in names:
            if name not in self.parts:
                raise StopError(f"{name}: the configuration has {', '.join(self.parts)}")
        algorithm = algorithm_of(of) if of else ALGORITHM
        asked = [judged_exposure(self.ledger, name, exposure_id, algorithm) for name in names]
        found = [exposure for exposure in asked if exposure is not None]
        if len(found) == 1:
            return found[0]
        if found:
            several = ", ".join(e.instrument for e in found)
            raise StopError(f"exposure {exposure_id} is one of {several}: say --instrument")
        what = f"no {of} that ends with exposure {exposure_id}" if of else f"exposure {exposure_id}"
        verb = "has been" if of else "has not been"
        lines = [f"{self.ledger.name}: {what} {verb} judged"]
        for name in names:
            newest = ", ".join(map(str, newest_exposures(self.ledger, name, 5)))
            lines.append(f"  {name}: {f'the newest are {newest}' if newest else 'nothing has'}")
        raise StopError("\n".join(lines))

    def _of_detector(
        self, exposure: JudgedExposure, detector: str, amp: str, name: str
    ) -> Explained:
        algorithm = algorithm_of(exposure.calib_type)
        recorded = self.ledger.results(exposure.instrument, exposure.exposure_id, algorithm)
        result = _detector(recorded.results, detector, exposure)
        where = f"exposure {exposure.exposure_id}, {result.detector_name}"
        if not result.amps and not result.detector_tests:
            raise StopError(
                f"{where}: was not measured: {result.reason or 'no reason is recorded'}"
            )
        level: Level
        if amp == NONE:
            amp_name, tests, numbers = "", result.detector_tests, result.detector_metrics
            part, level, why = result.detector_name, "detector", ""
        else:
            amp_name = _chosen(amp, list(result.amps), f"{where}: has no amplifier")
            judged = result.amps[amp_name]
            tests, numbers = judged.tests, judged.metrics
            part, level = amp_part(result.detector_name, amp_name), "amp"
            why = judged.reason if judged.verdict is Verdict.UNKNOWN else ""
        test = tests[_chosen(name, list(tests), f"{where}: {_level(amp_name)} has no test")]
        spot = Part(exposure.instrument, result.detector, result.detector_name, amp_name)
        explained = self._explained(test, numbers, exposure, level, spot, result.limits)
        alarms, words = self._fed(exposure, part, test, tests)
        return Explained(
            exposure=exposure,
            part=part,
            detector=result.detector,
            amp=amp_name,
            explanation=explained,
            part_reason=why,
            earlier=self._earlier(exposure, result.detector, amp_name or None, explained),
            calibrations=_calibrations(result.provenance, exposure.calib_type),
            missing=dict(result.provenance.get("missing") or {}),
            light=light_words(result.provenance.get("light") or {}),
            alarms=alarms,
            alarm_words=words,
        )

    def _of_exposure(self, exposure: JudgedExposure, amp: str, name: str) -> Explained:
        if amp != NONE:
            raise StopError(f"an exposure as a whole has no amplifier {amp!r}: give - there too")
        algorithm = algorithm_of(exposure.calib_type)
        merged = merged_verdicts(self.ledger, exposure, EARLIER + 1, algorithm)
        where = f"exposure {exposure.exposure_id}"
        mine = next((m for m in merged if m.exposure_id == exposure.exposure_id), None)
        if mine is None:
            raise StopError(f"{where}: its detectors have not been put together yet")
        tests = tests_from_dict(mine.document.get("tests") or {})
        test = tests[_chosen(name, list(tests), f"{where}: the exposure has no test")]
        numbers = mine.document.get("metrics") or {}
        asked = (exposure.instrument, exposure.exposure_id, algorithm)
        recorded = self.ledger.results(*asked).results
        used = recorded[0].limits if recorded else ""
        spot = Part(exposure.instrument)
        explained = self._explained(test, numbers, exposure, "exposure", spot, used)
        root = self.parts[exposure.instrument].root.name
        alarms, words = self._fed(exposure, root, test, tests)
        return Explained(
            exposure=exposure,
            part=root,
            detector=None,
            amp="",
            explanation=explained,
            part_reason="",
            earlier=_merged_values(merged, mine, explained),
            calibrations=(),
            missing={},
            light="",
            alarms=alarms,
            alarm_words=words,
        )

    def _explained(
        self,
        test: TestResult,
        numbers: Mapping[str, float | None],
        exposure: JudgedExposure,
        level: Level,
        part: Part,
        used: str,
    ) -> Explanation:
        at = exposure.end_utc
        return explain(test, numbers, exposure.calib_type, level, part, at, self.limits, used)

    def _earlier(
        self, exposure: JudgedExposure, detector: int, amp: str | None, explained: Explanation
    ) -> tuple[Earlier, ...]:
        if not explained.numbers or exposure.end_utc is None:
            return ()
        flat = exposure.calib_type == "flat"
        found: list[PastValue] = self.ledger.last_values(
            exposure.instrument,
            detector,
            amp,
            exposure.calib_type,
            explained.numbers[0].name,
            EARLIER,
            before=exposure.end_utc,
            physical_filter=exposure.physical_filter if flat else None,
            algorithm=algorithm_of(exposure.calib_type),
        )
        return tuple(Earlier(v.exposure_id, v.end_utc, v.value, v.verdict.value) for v in found)

    def _fed(
        self,
        exposure: JudgedExposure,
        part: str,
        test: TestResult,
        tests: Mapping[str, TestResult],
    ) -> tuple[tuple[Numbered, ...], str]:
        """Return the alarms a test fed, or ended by being good, and say which they are."""
        if not test.counts:
            return (), "none: the test is only reported, it is no evidence"
        store, camera = AlarmStore(self.ledger), self.parts[exposure.instrument]
        at = exposure.end_utc
        near = [
            one
            for one in store.alarms(exposure.instrument, since=at)
            if camera.within(part, one.alarm.key.part) and (at is None or one.alarm.since <= at)
        ]
        family = self.rules.family_of(exposure.calib_type, test.name)
        if test.verdict is Verdict.UNKNOWN:
            kin = [one for one in near if one.alarm.kind is Kind.UNKNOWN]
            fed = tuple(one for one in kin if _was_member(store, one, part, camera))
            return fed, "fed" if fed else "none: an UNKNOWN test is no evidence of a failure"
        mine = [one for one in near if one.alarm.key.family == family.name]
        if not test.severity:
            ended = tuple(o for o in mine if o.alarm.cleared_by == exposure.exposure_id)
            return ended, "helped to end" if ended else "none: the test was passed"
        aspect = aspect_of(family, test)
        fed = tuple(
            one
            for one in mine
            if one.alarm.key.aspect == aspect and _was_member(store, one, part, camera)
        )
        return fed, "fed" if fed else self._why_none(exposure, test, tests)

    def _why_none(
        self, exposure: JudgedExposure, test: TestResult, tests: Mapping[str, TestResult]
    ) -> str:
        calib_type = exposure.calib_type
        rules = self.rules.explained_by(calib_type, test.name)
        for other in (name for rule in rules if not rule.larger for name in rule.by):
            if other in tests and tests[other].severity:
                return f"none: it follows from {other}, which stands for it"
        asked = self.limits.alarm_persistence(calib_type, test.name)
        usual = self.rules.persistence
        serious = test.severity == "SERIOUS"
        rule = (asked.serious or usual.serious) if serious else (asked.warning or usual.warning)
        return (
            f"none: {rule.raise_} exposures of this type must say so, "
            "or most of a larger part at once; or alarms were not on at that time"
        )


def _set_with(test: str) -> str:
    """Return the one type of set that has a test; empty if single exposures have it, or several."""
    types = {
        calib_type
        for (name, _level), known in TESTS.items()
        if name.casefold() == test.casefold()
        for calib_type in known.calib_types
    }
    return types.pop() if len(types) == 1 and types <= set(SET_TYPES) else ""


def _detector(
    results: Sequence[DetectorResult], word: str, exposure: JudgedExposure
) -> DetectorResult:
    for result in results:
        if word == str(result.detector) or word.casefold() == result.detector_name.casefold():
            return result
    known = [f"{result.detector_name} ({result.detector})" for result in results]
    raise StopError(
        f"exposure {exposure.exposure_id} of {exposure.instrument}: no detector {word!r} was "
        f"judged; there {'is' if len(known) == 1 else 'are'} {_listed(known)}"
    )


def _chosen(word: str, known: Sequence[str], problem: str) -> str:
    """Return the name that is meant, whatever its case."""
    for name in known:
        if name.casefold() == word.casefold():
            return name
    raise StopError(f"{problem} {word!r}; there {'are' if known else 'is'} {_listed(known)}")


def _listed(known: Sequence[str]) -> str:
    more = f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else ""
    return (", ".join(known[:MOST_NAMED]) or "none") + more


def _level(amp: str) -> str:
    return f"amplifier {amp}" if amp else "the detector"


def _calibrations(provenance: Mapping[str, Any], own: str) -> tuple[Calibration, ...]:
    chain: Mapping[str, Any] = provenance.get("chain") or {}
    names = sorted(chain, key=lambda name: (name != own, name))
    return tuple(
        Calibration(
            calib_type=name,
            collection=str(chain[name].get("collection", "")),
            run=str(chain[name].get("run", "")),
            uuid=str(chain[name].get("uuid", "")),
            begin=tai_text(chain[name].get("begin_tai")),
            end=tai_text(chain[name].get("end_tai")),
        )
        for name in names
    )


def _merged_values(
    merged: Sequence[Merged], mine: Merged, explained: Explanation
) -> tuple[Earlier, ...]:
    if not explained.numbers:
        return ()
    name = explained.numbers[0].name
    return tuple(
        Earlier(m.exposure_id, m.end_utc, (m.document.get("metrics") or {}).get(name), m.verdict)
        for m in merged
        if m is not mine
    )[:EARLIER]


def _was_member(store: AlarmStore, one: Numbered, part: str, camera: Parts) -> bool:
    """Tell whether an alarm ever stood for a part: its members change as it goes on."""
    ever = set(one.alarm.members)
    for stored in store.history(one.alarm_id):
        ever.update(stored.transition.alarm.members)
    return any(camera.within(part, member) for member in ever)
