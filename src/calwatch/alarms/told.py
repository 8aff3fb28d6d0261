"""Of which exposures the alarms have told, so that a set made of them is not told of once more.

One bright dark is raised by the exposure itself. It is also a part of the day's stack, whose dark
current is then too high and whose even and odd halves differ: that is the same cause, known by then
for a quarter of an hour. What the set measured stays a FAIL of the set, on the page, in the report
and in what is published. The next set, of other exposures, is told of again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from calwatch.alarms.evidence import Sighting
from calwatch.alarms.model import Severity
from calwatch.alarms.parts import Parts
from calwatch.alarms.rules import Rules
from calwatch.alarms.state import BookState


def note_told(seen: Sighting, state: BookState, parts: Parts, rules: Rules) -> None:
    """Remember of which exposures a raised alarm has spoken, by family and detector.

    Only what is SERIOUS is: a warning explains no failure. Sets are no evidence of one another.

    Parameters
    ----------
    seen
        An exposure that the tracks have taken in.
    state
        Whose remembered exposures learn of it.
    parts, rules
        The camera and the kinds of exposures that tests are counted over.
    """
    if seen.members:
        return
    bad: dict[str, int] = {}
    told: dict[int, dict[str, int]] = {}
    for (part, test), findings in seen.bad.items():
        bit = _bit(parts, part)
        for finding in findings:
            if finding.sample.severity < Severity.SERIOUS:
                continue
            bad[finding.family] = bad.get(finding.family, 0) | bit
            key = (part, seen.kind(test, rules), test, finding.aspect)
            track = state.tracks.get(key)
            if track is None or track.window.severity < Severity.SERIOUS:
                continue
            # The exposure that raised it, and those before it that were as bad.
            for sample in track.window.samples:
                if sample.severity >= Severity.SERIOUS:
                    families = told.setdefault(sample.exposure_id, {})
                    families[finding.family] = families.get(finding.family, 0) | bit
    recent = state.recent.get(seen.calib_type, [])
    for place, one in enumerate(recent):
        known = dict(one.told)
        if known and one.exposure_id == seen.exposure_id:
            # It was judged anew: of what is good now nothing was to be told.
            spoken = _detectors(seen, parts)
            known = {f: bits & (~spoken | bad.get(f, 0)) for f, bits in known.items()}
        for family, bits in told.get(one.exposure_id, {}).items():
            known[family] = known.get(family, 0) | bits
        now = tuple(sorted((family, bits) for family, bits in known.items() if bits))
        if now != one.told:
            recent[place] = replace(one, told=now)


def leave_out_told(seen: Sighting, state: BookState, parts: Parts, rules: Rules) -> None:
    """Take out failures of a set that rest on an exposure of which an alarm has told.

    The rules (``resting``) say which tests rest on which families; what is told of is one detector.
    """
    if not seen.members or not seen.bad:
        return
    told = _told_of(seen, state)
    if not told:
        return
    for part, test in list(seen.bad):
        bit = _bit(parts, part)
        if any(told.get(family, 0) & bit for family in rules.rests_on(seen.calib_type, test)):
            del seen.bad[part, test]


def _told_of(seen: Sighting, state: BookState) -> Mapping[str, int]:
    members = frozenset(seen.members)
    found: dict[str, int] = {}
    for recent in state.recent.values():
        for one in recent:
            if one.exposure_id in members:
                for family, bits in one.told:
                    found[family] = found.get(family, 0) | bits
    return found


def _detectors(seen: Sighting, parts: Parts) -> int:
    """Return the detectors of which an exposure says something."""
    bits = 0
    for part, _test in (*seen.good, *seen.bad):
        bits |= _bit(parts, part)
    return bits


def _bit(parts: Parts, part: str) -> int:
    """Return the detector of a part as one bit; 0 for larger parts and unknown ones."""
    number = parts.bit(part)
    return 1 << number if number else 0
