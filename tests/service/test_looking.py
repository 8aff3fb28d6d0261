"""A look finds all there is to do, and holds few exposures at a time."""

from __future__ import annotations

from datetime import UTC, datetime

import fakes
import pytest
from fakes import FakeRepository, make_exposure, make_job, make_result

from calwatch.ledger.store import Ledger
from calwatch.service.judging import JudgeFactory
from calwatch.service.looking import AT_ONCE, look
from calwatch.settings import Settings

JUDGING = JudgeFactory(fakes.work, fakes.calib_types, fakes.unknown, fakes.merge)
SETTINGS = Settings(repo="/repo", instruments=("LATISS",), look_back_days=None)
NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Noting(FakeRepository):
    """Notes how many exposures it is asked for at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def raws(self, instrument, exposure_ids):
        wanted = list(exposure_ids)
        self.asked.append(len(wanted))
        return super().raws(instrument, wanted)


def _look(repository: FakeRepository, ledger: Ledger, only=None):
    more = {"recheck_unknown": True, "rejudge": False}
    return look(repository, ledger, JUDGING, SETTINGS, NOW, only, **more)


@pytest.fixture
def ledger(tmp_path):
    found = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield found
    found.close()


@pytest.mark.parametrize("count", [0, 1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE + 2])
def test_everything_is_found_however_many_there_are(ledger, count: int) -> None:
    repository = Noting()
    taken = [repository.take(number, (0, 1)).exposure_id for number in range(1, count + 1)]
    found = _look(repository, ledger)
    assert [hand.record.exposure_id for hand in found] == taken
    assert all([job.detector for job in hand.jobs] == [0, 1] for hand in found)
    assert sum(repository.asked) == count
    assert max(repository.asked, default=0) <= AT_ONCE


def test_what_is_judged_is_left_out_wherever_it_stands(ledger) -> None:
    repository = Noting()
    numbers = range(1, 2 * AT_ONCE + 4)
    for number in numbers:
        repository.take(number, (0, 1))
    for number in numbers:
        for detector in (0, 1) if number % 2 else (1,):
            job = make_job(number, detector)
            ledger.record(make_result(job), make_exposure(number), NOW)
    found = {hand.record.seq_num: hand for hand in _look(repository, ledger)}
    # All are unmerged; only of the even ones a detector is left.
    assert sorted(found) == list(numbers)
    left = {number: [job.detector for job in hand.jobs] for number, hand in found.items()}
    assert left == {number: [] if number % 2 else [0] for number in numbers}


def test_only_the_exposures_that_are_named_are_looked_at(ledger) -> None:
    repository = Noting()
    ids = [repository.take(number).exposure_id for number in range(1, 3 * AT_ONCE)]
    found = _look(repository, ledger, {"LATISS": ids[4 : 6 + AT_ONCE]})
    assert [hand.record.exposure_id for hand in found] == ids[4 : 6 + AT_ONCE]
