"""What was announced and has not come is looked for again, and told of in the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fakes import FakeRepository

from calwatch.arrivals.model import Expectation, Notice, OpenExpectation
from calwatch.arrivals.source import Arrival
from calwatch.service.watch import FORGET_AFTER, Watch
from calwatch.settings import RetrySettings

NOW = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
FIRST = 2026112000001


class FixedClock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


class MemoryInbox:
    """An inbox in memory, in place of the ledger's own (which has tests of its own)."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.expectations: list[OpenExpectation] = []
        self.closed: list[tuple[int, tuple[int, ...]]] = []
        self.forgotten_before: datetime | None = None

    def unsettled(self, instrument):
        return [n for n in self.notices if n.instrument == instrument]

    def settle(self, instrument):
        return 0

    def forget_before(self, when):
        self.forgotten_before = when
        return []

    def due(self, now, instrument):
        return self.expectations

    def close(self, expectation_id, missing, at):
        self.closed.append((expectation_id, tuple(missing)))
        return True


def notice(detector: int, status: int = 0) -> Notice:
    return Notice("LATISS", FIRST, detector, NOW, status, "no such dataset type" * status)


def watch(inbox: MemoryInbox) -> Watch:
    return Watch(inbox, ["LATISS"], RetrySettings(first_seconds=2.0), FixedClock())


def test_a_file_that_is_late_is_looked_for_ever_less_often() -> None:
    inbox = MemoryInbox()
    inbox.notices = [notice(0)]
    eye = watch(inbox)
    waiting = eye.report(FakeRepository()).waiting
    times = [
        t / 2 for t in range(100) if eye.again(waiting, lambda *_key: False, t / 2) == [
            Arrival("LATISS", FIRST)
        ]
    ]  # fmt: skip
    assert times == [0, 2, 6, 14, 30]


def test_what_is_in_hand_is_left_alone() -> None:
    eye = watch(MemoryInbox())
    assert eye.again([notice(0)], lambda *_key: True, 0.0) == []


def test_a_failed_ingest_is_no_reason_to_look() -> None:
    inbox = MemoryInbox()
    inbox.notices = [notice(0, status=1), notice(1)]
    assert watch(inbox).report(FakeRepository()).waiting == (notice(1),)


def test_missing_detectors_are_found_in_the_butler_and_told() -> None:
    inbox = MemoryInbox()
    end = NOW - timedelta(seconds=300)
    expectation = Expectation("LATISS", FIRST, "AT_O_1", "bias", end, NOW, (0, 1, 2))
    inbox.expectations = [OpenExpectation(5, expectation, None)]
    repository = FakeRepository()
    repository.take(1, detectors=(0, 2))
    report = watch(inbox).report(repository)
    assert inbox.closed == [(5, (1,))]
    assert [f.missing for f in report.findings] == [(1,)]
    (line,) = report.lines()
    assert line["event"] == "exposure incomplete"
    assert line["missing"] == [1]


def test_what_never_came_is_forgotten_after_a_day() -> None:
    inbox = MemoryInbox()
    watch(inbox).report(FakeRepository())
    assert inbox.forgotten_before == NOW - FORGET_AFTER
