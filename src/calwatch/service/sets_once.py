"""Judging the sets among some exposures once, without a daemon and without a ledger to keep."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from calwatch.arrivals.job import Job
from calwatch.butler.model import Chain, ExposureRecord, PhotodiodeDataset, RawDataset
from calwatch.ledger.store import Ledger
from calwatch.service.judging import JudgeFactory, RepositoryLike
from calwatch.service.looking_sets import look_for_sets
from calwatch.service.numbers import with_numbers
from calwatch.settings import Settings
from calwatch.verify.model import DetectorResult


class ChosenExposures:
    """A repository of which only some exposures and raw files are seen."""

    def __init__(
        self,
        repository: RepositoryLike,
        records: Sequence[ExposureRecord],
        raws: Sequence[RawDataset],
    ) -> None:
        self._repository = repository
        self._records = records
        self._raws = raws

    def refresh(self) -> None:
        """Forget what is remembered."""
        self._repository.refresh()

    def exposures(
        self,
        instrument: str,
        *,
        exposure_ids: Iterable[int] | None = None,  # noqa: ARG002 (all that are chosen)
        where: str = "",  # noqa: ARG002
        observation_types: Iterable[str] | None = None,  # noqa: ARG002
        since_day_obs: int | None = None,  # noqa: ARG002
    ) -> list[ExposureRecord]:
        """Return the chosen exposures of an instrument."""
        return [record for record in self._records if record.instrument == instrument]

    def raws(
        self,
        instrument: str,  # noqa: ARG002 (all are of one)
        exposure_ids: Iterable[int],
    ) -> list[RawDataset]:
        """Return the chosen raw files of some exposures."""
        wanted = set(exposure_ids)
        return [raw for raw in self._raws if raw.exposure_id in wanted]

    def photodiodes(self, instrument: str, exposure_ids: Iterable[int]) -> list[PhotodiodeDataset]:
        """Return the readings of the photodiode of some exposures."""
        return self._repository.photodiodes(instrument, exposure_ids)

    def chains(
        self,
        exposure: ExposureRecord,
        calib_types: Sequence[str],
        detectors: Sequence[int],
        collection: str | None = None,
    ) -> Mapping[int, Chain]:
        """Return the certified chain of each detector."""
        return self._repository.chains(exposure, calib_types, detectors, collection)


def judge_sets_once(
    chosen: ChosenExposures,
    judging: JudgeFactory,
    settings: Settings,
    singles: Iterable[tuple[ExposureRecord, DetectorResult]],
    judge: Callable[[Sequence[Job]], Iterator[DetectorResult]],
) -> Iterator[DetectorResult]:
    """Judge every set among the chosen exposures; nothing more is waited for.

    Parameters
    ----------
    chosen
        The exposures.
    judging, settings
        As for `calwatch.service.looking_sets.look_for_sets`.
    singles
        What was judged of the exposures themselves: some sets are made of these numbers.
    judge
        Judges jobs, in their order.

    Yields
    ------
    DetectorResult
        Pairs before the curves that are made of them.
    """
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="calwatch-") as folder:
        ledger = Ledger.open(str(Path(folder) / "sets.db"))
        try:
            for record, result in singles:
                ledger.record(result, record, now)
            while jobs := _jobs(chosen, ledger, judging, settings, now):
                whole = [with_numbers(ledger, job) for job in jobs]
                for job, result in zip(jobs, judge(whole), strict=True):
                    ledger.record(result, job.exposure, now)
                    yield result
        finally:
            ledger.close()


def _jobs(
    chosen: ChosenExposures,
    ledger: Ledger,
    judging: JudgeFactory,
    settings: Settings,
    now: datetime,
) -> list[Job]:
    later = now + timedelta(days=1)
    found = look_for_sets(
        chosen, ledger, judging, settings, later, recheck_unknown=False, rejudge=False
    )
    return [job for hand in found for job in hand.jobs]
