"""What was announced and has not come is looked for again, and told of in the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fakes import FakeRepository

from calwatch.arrivals.model import Expectation, Notice, OpenExpectation
from calwatch.arrivals.source import Arrival
from calwatch.camera.loader import load_camera
from calwatch.service.watch import FORGET_AFTER, Watch
from calwatch.settings import RetrySettings

NOW = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
FIRST = 2026112000001


class HandClock:
    """A clock that is set by hand."""

    seconds = 0.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.seconds


class MemoryInbox:
    """An inbox in memory, in place of the ledger's own (which has tests of its own)."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.expectations: list[OpenExpectation] = []
        self.closed: list[tuple[int, tuple[int, ...]]] = []
        self.old: list[Notice] = []
        self.forgotten_before: datetime | None = None

    def waiting(self, instrument):
        return sorted({n.exposure_id for n in self.unsettled(instrument)})

    def unsettled(self, instrument, exposure_ids=None):
        return [
            n
            for n in self.notices
            if n.instrument == instrument
            and (exposure_ids is None or n.exposure_id in exposure_ids)
        ]

    def settle(self, instrument):
        return 0

    def drop(self, instrument, exposure_id, detectors):
        gone = {(instrument, exposure_id, detector) for detector in detectors}
        self.notices = [
            n for n in self.notices if (n.instrument, n.exposure_id, n.detector) not in gone
        ]

    def forget_before(self, when):
        self.forgotten_before = when
        return self.old

    def due(self, now, instrument):
        return self.expectations

    def close(self, expectation_id, missing, at):
        self.closed.append((expectation_id, tuple(missing)))
        return True


def notice(detector: int = 0, status: int = 0, number: int = FIRST) -> Notice:
    return Notice("LATISS", number, detector, NOW, status, "no space left" * status)


class Counting(FakeRepository):
    """A Butler that counts what it is asked."""

    asked = 0

    def raws(self, instrument, exposure_ids):
        self.asked += 1
        return super().raws(instrument, exposure_ids)


@pytest.fixture
def inbox() -> MemoryInbox:
    return MemoryInbox()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def watch(inbox: MemoryInbox, clock: HandClock) -> Watch:
    cameras = {"LATISS": load_camera("LATISS")}
    return Watch(inbox, cameras, RetrySettings(first_seconds=2.0), clock)


def test_a_file_that_is_late_is_looked_for_ever_less_often(
    inbox: MemoryInbox, clock: HandClock, watch: Watch
) -> None:
    inbox.notices = [notice()]
    repository = Counting()
    times = []
    for half_seconds in range(100):
        clock.seconds = half_seconds / 2
        before = repository.asked
        assert watch.report(repository).arrivals == []
        times += [clock.seconds] * (repository.asked - before)
    assert times == [0, 2, 6, 14, 30]
    assert inbox.notices == [notice()]


def test_what_has_come_wakes_once_and_is_the_butlers_from_then_on(
    inbox: MemoryInbox, watch: Watch
) -> None:
    inbox.notices = [notice(0), notice(1), notice(0, number=FIRST + 1)]
    repository = FakeRepository()
    repository.take(1, detectors=(0, 5))
    assert watch.report(repository).arrivals == [Arrival("LATISS", FIRST)]
    assert inbox.notices == [notice(1), notice(0, number=FIRST + 1)]
    assert watch.report(repository).arrivals == []


def test_an_exposure_that_is_none_of_ours_does_not_pile_up(
    inbox: MemoryInbox, watch: Watch
) -> None:
    inbox.notices = [notice()]
    repository = FakeRepository()
    repository.take(1, kind="science")
    watch.report(repository)
    assert inbox.notices == []


def test_missing_detectors_are_found_in_the_butler_and_told_with_the_reason(
    inbox: MemoryInbox, watch: Watch
) -> None:
    end = NOW - timedelta(seconds=240)
    expected = Expectation("LATISS", FIRST, "AT_O_1", "bias", end, NOW, (0,))
    inbox.expectations = [OpenExpectation(5, expected, None)]
    inbox.notices = [notice(0, status=1)]
    (line,) = watch.report(FakeRepository()).lines
    assert inbox.closed == [(5, (0,))]
    assert line["event"] == "exposure incomplete"
    assert line["missing"] == [0]
    assert "no space left" in str(line["reason"])


def test_what_is_complete_at_last_is_told_too(inbox: MemoryInbox, watch: Watch) -> None:
    expected = Expectation("LATISS", FIRST, "AT_O_1", "bias", NOW, NOW, (0,))
    inbox.expectations = [OpenExpectation(5, expected, (0,))]
    repository = FakeRepository()
    repository.take(1)
    (line,) = watch.report(repository).lines
    assert line["event"] == "exposure complete now"


def test_what_never_came_is_forgotten_after_a_day_and_told(
    inbox: MemoryInbox, watch: Watch
) -> None:
    inbox.old = [notice(0, status=1)]
    (line,) = watch.report(FakeRepository()).lines
    assert inbox.forgotten_before == NOW - FORGET_AFTER
    assert (line["event"], line["reason"]) == ("announced file never came", "no space left")
