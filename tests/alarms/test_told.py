"""What a set shows because of an exposure that was told of is no news; nothing else is left out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scenes import LIMITS, RULES, amps, at, book, reopened
from scenes import seen as frame

from calwatch.alarms.book import Book
from calwatch.alarms.evidence import Finding, Sighting
from calwatch.alarms.model import Sample, Severity, What
from calwatch.alarms.state import BookState
from calwatch.verify.limits_schema import AlarmPersistence
from calwatch.verify.metrics import SET_TYPES

CCD = "R22_S11"
AMP = f"{CCD}/C05"
ELSEWHERE = "R22_S12/C05"
FIRST = 2026112200000
SERIOUS, WARNING = Severity.SERIOUS, Severity.WARNING


def made_of(
    number: int,
    members: range,
    part: str = AMP,
    *,
    kind: str = "dark_stack",
    tests: tuple[str, ...] = ("DARK_CURRENT",),
    severity: Severity = SERIOUS,
) -> Sighting:
    """Return a set in which some tests of a part failed."""
    found = Sighting("LSSTCam", kind, FIRST + number, at(number))
    found.members = tuple(FIRST + n for n in members)
    for test in tests:
        family = RULES.family_of(kind, test)
        sample = Sample(found.end, found.exposure_id, severity, 7.3, (None, 6.8), f"{test} bad")
        side = "above" if family.directed else ""
        found.blame(part, test, Finding(family.name, side, sample, "e-/s", "5.5"))
    return found


def darks(into: Book, bad: dict[int, list[str]], last: int = 5, **more) -> list[tuple[What, str]]:
    """Let darks be seen, of which some amplifiers of some are too bright."""
    here = [*amps(CCD), *amps("R22_S12")]
    return feed(into, *(
        frame(n, bad.get(n, ()), kind="dark", test="MEAN", judged=here, **more)
        for n in range(1, last + 1)
    ))  # fmt: skip


def feed(into: Book, *sightings: Sighting) -> list[tuple[What, str]]:
    first = len(into.transitions)
    for one in sightings:
        into.observe(one, one.end + timedelta(seconds=30))
    return [(t.what, t.alarm.name) for t in into.transitions[first:]]


def test_a_dark_that_was_told_of_is_not_told_of_in_its_stack() -> None:
    mine = book()
    told = darks(mine, {2: [AMP], 3: [AMP]})
    assert told == [
        (What.RAISED, f"LSSTCam.dark.above.{AMP}"),
        (What.RECOVERED, f"LSSTCam.dark.above.{AMP}"),
    ]
    both = ("DARK_CURRENT", "DARK_ODD_EVEN_MEAN", "DARK_TAIL")
    for again in (mine, reopened(mine)):
        assert feed(again, made_of(5, range(1, 6), tests=both)) == []
        assert feed(again, made_of(5, range(1, 6), tests=both)) == []
    # The next day's stack has none of them, and is believed at once.
    assert feed(mine, made_of(15, range(11, 16))) == [(What.RETURNED, f"LSSTCam.dark.above.{AMP}")]


def test_a_dark_that_was_not_told_of_hides_nothing() -> None:
    mine = book()
    assert darks(mine, {2: [AMP]}) == []
    assert feed(mine, made_of(5, range(1, 6))) == [(What.RAISED, f"LSSTCam.dark.above.{AMP}")]


def test_other_detectors_families_and_tests_are_told_of() -> None:
    mine = book()
    darks(mine, {2: [AMP], 3: [AMP]})
    for other in (
        made_of(5, range(1, 6), ELSEWHERE),
        made_of(5, range(1, 6), kind="defects", tests=("NEW_BAD_COLUMNS",)),
        made_of(5, range(4, 6)),
    ):
        assert [what for what, _ in feed(reopened(mine), other)] in ([What.RAISED], [What.RETURNED])
    noisy = book()
    here = [*amps(CCD)]
    feed(noisy, *(frame(n, [AMP], kind="dark", test="NOISE", judged=here) for n in (1, 2)))
    name = f"LSSTCam.dark.above.{AMP}"
    assert feed(noisy, made_of(5, range(1, 6))) == [(What.RAISED, name)]


def test_a_warning_hides_no_failure() -> None:
    mine = book()
    bad = {n: [AMP] for n in range(1, 6)}
    told = darks(mine, bad, severity=WARNING)
    assert told == [(What.RAISED, f"LSSTCam.dark.above.{AMP}")]
    assert [what for what, _ in feed(mine, made_of(5, range(1, 6)))] == [What.WORSE]


def test_an_exposure_that_was_judged_anew_hides_nothing() -> None:
    mine = book()
    darks(mine, {2: [AMP], 3: [AMP]})
    here = [*amps(CCD)]
    feed(mine, *(frame(n, kind="dark", judged=here) for n in (2, 3)))
    assert [what for what, _ in feed(mine, made_of(5, range(1, 6)))] == [What.RETURNED]


def test_what_was_written_by_an_older_calwatch_is_read() -> None:
    mine = book()
    darks(mine, {2: [AMP], 3: [AMP]})
    content = mine.state.to_dict()
    assert BookState.from_dict(content) == mine.state
    for recent in content["recent"].values():
        recent[:] = [row[:4] for row in recent]
    old = BookState.from_dict(content)
    assert all(not one.told for recent in old.recent.values() for one in recent)


def test_the_rules_name_families_of_single_exposures() -> None:
    for rule in RULES.resting:
        assert rule.calib_type in SET_TYPES
        of_frames = {f.name for f in RULES.families if set(f.tests) & {"bias", "dark", "flat"}}
        assert set(rule.families) <= of_frames


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sets(st.sampled_from([AMP, f"{CCD}/C06", ELSEWHERE])), min_size=5, max_size=8),
    st.sampled_from([AMP, ELSEWHERE]),
    st.booleans(),
)
def test_of_every_failure_somebody_is_told_once(bad, part, restart) -> None:
    """Either an exposure of the set was told of on that detector, or the set is."""
    mine = book()
    told = darks(mine, dict(enumerate((list(parts) for parts in bad), start=1)), last=len(bad))
    ccd = part.partition("/")[0]
    of_frames = [name for what, name in told if what is What.RAISED and f".{ccd}" in name]
    mine = reopened(mine) if restart else mine
    tests = ("DARK_CURRENT", "DARK_ODD_EVEN_MEAN")
    of_set = feed(mine, made_of(len(bad), range(1, len(bad) + 1), part, tests=tests))
    assert bool(of_frames) is not bool(of_set)


def test_a_test_that_is_never_an_alarm_raises_none() -> None:
    def book_with(alarm: AlarmPersistence) -> Book:
        specs = tuple(
            spec.model_copy(update={"alarm": alarm}) if spec.name == "DARK_CURRENT" else spec
            for spec in LIMITS.tests
        )
        mine = book()
        return Book(replace(mine.frame, limits=replace(LIMITS, tests=specs)), BookState(), {})

    spec = next(spec for spec in LIMITS.tests if spec.name == "DARK_CURRENT")
    assert feed(book_with(spec.alarm), made_of(5, range(1, 6)))
    assert feed(book_with(AlarmPersistence(never=True)), made_of(5, range(1, 6))) == []
