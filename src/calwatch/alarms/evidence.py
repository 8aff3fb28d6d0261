"""What one exposure says of every part and test: bad, good, or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from calwatch.alarms.model import Sample, Severity
from calwatch.alarms.parts import AMPLIFIER, CCD, Parts, amp_part
from calwatch.alarms.rebuild import BUTLER
from calwatch.alarms.rules import Explained, Family, Rules
from calwatch.verify.metrics import SET_TYPES
from calwatch.verify.model import DetectorResult, TestResult, Verdict
from calwatch.verify.reasons import is_fault

UNREADABLE = "UNREADABLE"
MASKED = "MASKED"
NO_REFERENCE = "NO_REFERENCE"
INGEST = "INGEST"
CHAIN = "CHAIN"
INCOMPLETE = "INCOMPLETE"
"""What stands where a test has its name, for problems that are no failed tests."""

_OF_PAIRS = ("gain", "cti")
"""A curve has pairs above the turnoff on purpose: their amplifiers are no incomplete sets."""

Spot = tuple[str, str]
"""(part, test)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A bad word on one part and test."""

    family: str
    aspect: str
    sample: Sample
    unit: str = ""
    section: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """One certified calibration of a chain, as far as it tells a newer one from an older."""

    uuid: str
    begin: float | None
    """Begin of its validity range, TAI MJD; None if open."""
    run: str
    collection: str


@dataclass(slots=True)
class Sighting:
    """One exposure, as alarms see it. Of what is neither bad nor good nothing is said."""

    instrument: str
    calib_type: str
    exposure_id: int
    end: datetime
    bad: dict[Spot, list[Finding]] = field(default_factory=dict)
    good: dict[Spot, float | None] = field(default_factory=dict)
    """Value of each test that was passed without a warning."""
    near: dict[Spot, tuple[float | None, float | None]] = field(default_factory=dict)
    """Allowed range of those of them whose value stands near its limit."""
    physical_filter: str = ""
    """Of a flat or a set; empty where it is not known or does not matter."""
    chains: dict[str, dict[str, Link]] = field(default_factory=dict)
    """Name of the CCD to what it was judged with, by calibration type (and filter)."""
    of: str = ""
    """Type of the exposures of a set that there is of several: defects of darks and of flats."""
    members: tuple[int, ...] = ()
    """Exposure ids of a set; none of a single exposure."""

    def kind(self, test: str, rules: Rules) -> str:
        """Return which exposures one test is counted over: ``bias``, or ``flat i_39``."""
        name = f"{self.calib_type} {self.of}".strip()
        if self.physical_filter and test in rules.by_filter:
            return f"{name} {self.physical_filter}"
        return name

    def blame(self, part: str, test: str, finding: Finding) -> None:
        """Note something bad."""
        self.bad.setdefault((part, test), []).append(finding)
        self.good.pop((part, test), None)
        self.near.pop((part, test), None)


def sighting(
    results: Sequence[DetectorResult],
    exposure_tests: Mapping[str, TestResult],
    end: datetime,
    parts: Parts,
    rules: Rules,
) -> Sighting:
    """Return what the detectors of one exposure say.

    Parameters
    ----------
    results
        At least one, all of one exposure.
    exposure_tests
        Tests of the exposure as a whole.
    end
        End of the exposure (aware).
    parts, rules
        The camera, and which tests are one problem.
    """
    first = results[0]
    seen = Sighting(first.instrument, first.calib_type, first.exposure_id, end)
    if first.calib_type not in ("bias", "dark"):
        seen.physical_filter = str(first.provenance.get("physical_filter") or "")
    if first.calib_type == "defects":
        seen.of = str(first.provenance.get("observation_type") or "")
    if first.calib_type in SET_TYPES:
        seen.members = tuple(
            sorted({number for r in results for number in r.provenance.get("members") or ()})
        )
    reader = _Reader(seen, rules)
    for result in results:
        reader.detector(result)
    reader.tests(parts.root.name, exposure_tests, {})
    _leave_out_explained(seen, parts, rules)
    return seen


def ingest_sighting(
    instrument: str,
    exposure_id: int,
    end: datetime,
    expected: Iterable[str],
    missing: Mapping[str, str],
) -> Sighting:
    """Return what is said by the files of an announced exposure that came, and that did not.

    Parameters
    ----------
    instrument, exposure_id, end
        The exposure.
    expected
        Names of the detectors that should come.
    missing
        Names of those that have not, each with a sentence.
    """
    seen = Sighting(instrument, "ingest", exposure_id, end)
    for name in expected:
        seen.good[name, INGEST] = None
    for name, reason in missing.items():
        sample = Sample(end, exposure_id, Severity.SERIOUS, reason=reason)
        seen.blame(name, INGEST, Finding("ingest", "", sample))
    return seen


def aspect_of(family: Family, test: TestResult) -> str:
    """Return on which side of its limits a value lies; empty where that does not matter."""
    if not family.directed or test.value is None:
        return ""
    _lower, upper = test.limit
    return "above" if upper is not None and test.value >= upper else "below"


def is_near(test: TestResult, margin: float) -> bool:
    """Tell whether a good value stands near its limit, so that it clears nothing.

    Parameters
    ----------
    test
        A test that was passed without a warning.
    margin
        How near: in parts of half the allowed range, or of the limit where it has one side only.
        A count that stands on its limit is as good as a count can be and is not near.
    """
    value, (lower, upper) = test.value, test.limit
    if value is None or value in (lower, upper):
        return False
    if lower is not None and upper is not None:
        width = margin * (upper - lower) / 2
    else:
        width = margin * abs(lower or upper or 0.0)
    return (upper is not None and value > upper - width) or (
        lower is not None and value < lower + width
    )


def _says_nothing(result: DetectorResult) -> bool:
    """Tell whether a set is no evidence: a flat without a partner, or nothing that was bright.

    Spots need not fall on every detector.
    """
    lone = len(result.provenance.get("members") or ()) == 1
    return not result.amps and (lone or bool(result.detector_tests))


@dataclass(slots=True)
class _Reader:
    """Reads results into a sighting."""

    seen: Sighting
    rules: Rules

    def detector(self, result: DetectorResult) -> None:
        name = result.detector_name
        # A set that cannot be measured is no unreadable file, nor a masked amplifier: single
        # exposures tell of those.
        is_set = result.calib_type in SET_TYPES
        if is_set and _says_nothing(result):
            return
        family, test = ("incomplete-set", INCOMPLETE) if is_set else ("unreadable", UNREADABLE)
        if not result.amps:
            self._unknown(family, name, test, result.reason, result.calib_type if is_set else "")
            return
        self.seen.good[name, test] = None
        chain = result.provenance.get("chain") or {}
        missing: Mapping[str, str] = result.provenance.get("missing") or {}
        for calib_type in chain:
            self.seen.good[name, f"{NO_REFERENCE}:{calib_type}"] = None
        for calib_type, reason in missing.items():
            spot = f"{NO_REFERENCE}:{calib_type}"
            self._unknown("no-reference", name, spot, reason, calib_type)
        self.seen.chains[name] = {
            _link_name(calib_type, entry): _link(entry) for calib_type, entry in chain.items()
        }
        for amp, judged in result.amps.items():
            part = amp_part(name, amp)
            if is_fault(amp, judged.reason) and judged.verdict is Verdict.UNKNOWN:
                if not is_set:
                    self._unknown("masked", part, MASKED, judged.reason)
                # Without a calibration there is one alarm: of that.
                elif result.calib_type not in _OF_PAIRS and not missing:
                    self._unknown(family, part, test, judged.reason, result.calib_type)
                continue
            self.seen.good[part, INCOMPLETE if is_set else MASKED] = None
            self.tests(part, judged.tests, chain)
        self.tests(name, result.detector_tests, chain)

    def tests(
        self, part: str, tests: Mapping[str, TestResult], chain: Mapping[str, Mapping[str, Any]]
    ) -> None:
        for name, test in tests.items():
            if not test.counts or test.verdict is Verdict.UNKNOWN:
                continue
            if not test.severity:
                self.seen.good[part, name] = test.value
                if is_near(test, self.rules.persistence.margin):
                    self.seen.near[part, name] = test.limit
                continue
            family = self.rules.family_of(self.seen.calib_type, name)
            reference = compared_with(family, self.seen.calib_type, chain)
            sample = self._sample(Severity[test.severity], test.reason, test, reference)
            finding = Finding(family.name, aspect_of(family, test), sample, test.unit, test.section)
            self.seen.blame(part, name, finding)

    def _unknown(self, family: str, part: str, test: str, reason: str, aspect: str = "") -> None:
        severity = self.rules.family(family).severity
        self.seen.blame(part, test, Finding(family, aspect, self._sample(severity, reason)))

    def _sample(
        self,
        severity: Severity,
        reason: str,
        test: TestResult | None = None,
        reference: Mapping[str, str] | None = None,
    ) -> Sample:
        known = reference or {}
        return Sample(
            self.seen.end,
            self.seen.exposure_id,
            severity,
            test.value if test else None,
            test.limit if test else (None, None),
            reason,
            collection=known.get("collection", ""),
            uuid=known.get("uuid", ""),
            calibration=known.get("calibration", ""),
        )


def compared_with(
    family: Family, calib_type: str, chain: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Return what a test compared with: the calibration of its problem, or that of its type."""
    names = (BUTLER.get(family.rebuild, family.rebuild), calib_type)
    name = next((name for name in names if chain.get(name)), "")
    entry = chain.get(name) or {}
    return {
        "calibration": name,
        "collection": str(entry.get("collection", "")),
        "uuid": str(entry.get("uuid", "")),
    }


def _link_name(calib_type: str, entry: Mapping[str, Any]) -> str:
    """Name a link of the chain; flats differ from filter to filter."""
    physical_filter = str(entry.get("physical_filter") or "")
    return f"{calib_type} {physical_filter}".strip()


def _link(entry: Mapping[str, Any]) -> Link:
    return Link(
        str(entry.get("uuid", "")),
        entry.get("begin_tai"),
        str(entry.get("run", "")),
        str(entry.get("collection", "")),
    )


def _leave_out_explained(seen: Sighting, parts: Parts, rules: Rules) -> None:
    """Take out failures that follow from others: they are no evidence of their own.

    What a crowd of a larger part has in common is explained first; what that leaves may explain
    the larger part in turn.
    """
    for larger in (True, False):
        by_test: dict[str, dict[str, Severity]] = {}
        for (part, test), findings in seen.bad.items():
            by_test.setdefault(test, {})[part] = max(f.sample.severity for f in findings)
        for part, test in list(seen.bad):
            known = rules.explained_by(seen.calib_type, test)
            reasons = [rule for rule in known if rule.larger is larger]
            if any(_explains(rule, part, by_test, parts) for rule in reasons):
                del seen.bad[part, test]


def _explains(
    rule: Explained, part: str, by_test: Mapping[str, Mapping[str, Severity]], parts: Parts
) -> bool:
    """Tell whether a failure of one part follows from another one of the same exposure."""
    fellows = by_test[rule.test]
    inside: list[str] = []
    for other in rule.by:
        for where, severity in by_test.get(other, {}).items():
            if (where, other) == (part, rule.test) or severity < fellows[part]:
                continue
            if not rule.larger and parts.within(where, part):
                inside.append(where)
            if rule.larger and parts.within(part, where):
                return sum(parts.within(one, where) for one in fellows) >= rule.many
    return _shows_in(part, inside, parts)


def _shows_in(part: str, bad: Iterable[str], parts: Parts) -> bool:
    """Tell whether what is bad within a part can be seen in the part as a whole.

    One amplifier can in its CCD. In anything larger it takes most of a CCD, so that an amplifier
    that has been bad for days does not hide an uneven camera.
    """
    whole = parts.find(part)
    by_ccd: Counter[str] = Counter()
    for name in bad:
        node = parts.find(name)
        if whole is None or node is None or whole.level in (AMPLIFIER, CCD):
            return True
        ccd = node.parent if node.level == AMPLIFIER and node.parent else node
        by_ccd[ccd.name] += node.amps
        if 2 * by_ccd[ccd.name] > ccd.amps:
            return True
    return False
