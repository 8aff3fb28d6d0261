"""A camera, and exposures of which a test says what is bad."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache

from calwatch.alarms.book import Book, Frame
from calwatch.alarms.evidence import Finding, Sighting
from calwatch.alarms.machine import Delays
from calwatch.alarms.model import Sample, Severity
from calwatch.alarms.parts import Parts, amp_part
from calwatch.alarms.rules import load_rules
from calwatch.alarms.state import BookState
from calwatch.camera.loader import load_camera
from calwatch.verify.limits import load_limits

NOON = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
RULES = load_rules()
LIMITS = load_limits("dmtn101")
TESTS = {
    "bias": ("MEAN", "NOISE", "OVERSCAN_LEVEL"),
    "dark": ("MEAN", "NOISE"),
    "flat": ("LEVEL", "RELATIVE_LEVEL"),
}


@cache
def parts(instrument: str = "LSSTCam") -> Parts:
    return Parts(load_camera(instrument))


@cache
def amps(within: str, instrument: str = "LSSTCam") -> tuple[str, ...]:
    """Return the names of all amplifiers of a part."""
    return tuple(
        amp_part(detector.name, amp)
        for detector in load_camera(instrument).detectors
        for amp in detector.amp_names
        if parts(instrument).within(amp_part(detector.name, amp), within)
    )


def frame(instrument: str = "LSSTCam", delays: Delays | None = None) -> Frame:
    return Frame(parts(instrument), RULES, LIMITS, delays or Delays())


def book(instrument: str = "LSSTCam", delays: Delays | None = None) -> Book:
    return Book(frame(instrument, delays), BookState(), {})


def reopened(old: Book) -> Book:
    """Return the same book as a restart finds it: from what was written down."""
    state = BookState.from_dict(old.state.to_dict())
    return Book(old.frame, state, dict(old.alarms))


def at(number: int) -> datetime:
    """Return the end of an exposure; one follows another after a minute."""
    return NOON + timedelta(minutes=number)


def seen(
    number: int,
    bad: Collection[str] = (),
    *,
    kind: str = "bias",
    test: str = "NOISE",
    aspect: str = "above",
    severity: Severity = Severity.SERIOUS,
    judged: Collection[str] = (),
    instrument: str = "LSSTCam",
    more: Mapping[str, Collection[str]] | None = None,
    near: Collection[str] = (),
    physical_filter: str = "",
) -> Sighting:
    """Return an exposure in which one test of some amplifiers is bad and all else is good."""
    found = Sighting(instrument, kind, 2026112200000 + number, at(number))
    found.physical_filter = physical_filter
    for part in judged or amps(instrument, instrument):
        for name in TESTS[kind]:
            found.good[part, name] = 1.0
    found.near.update({(part, test): (6.1, 6.8) for part in near})
    for name, members in {test: bad, **(more or {})}.items():
        family = RULES.family_of(kind, name)
        for part in members:
            sample = Sample(found.end, found.exposure_id, severity, 7.3, (6.1, 6.8), f"{name} bad")
            side = aspect if family.directed else ""
            found.blame(part, name, Finding(family.name, side, sample, "e-", "4.3"))
    return found
