"""What the daemon must be given: who judges, and whom to ask what exists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from calwatch.arrivals.job import Job
from calwatch.butler.model import Chain, ExposureRecord, PhotodiodeDataset, RawDataset
from calwatch.verify.model import DetectorResult, ExposureResult


@dataclass(frozen=True, slots=True)
class JudgeFactory:
    """The functions that judge.

    ``work``, ``renew`` and ``initializer`` with its ``arguments`` go to the worker processes, so
    they are functions of a module; the others are called in the daemon's own process.
    """

    work: Callable[[Job], DetectorResult]
    calib_types: Callable[[str, str], Sequence[str]]
    """(instrument, calib type) to the types of calibration that the chain needs."""
    unknown: Callable[[Job, str], DetectorResult]
    """The UNKNOWN result of a job that could not be judged, with the reason."""
    merge: Callable[[Sequence[DetectorResult], ExposureRecord], ExposureResult]
    """All detectors of one exposure, merged."""
    initializer: Callable[..., None] | None = None
    arguments: tuple[Any, ...] = ()
    renew: Callable[..., None] | None = None
    """Takes new arguments in a worker that is set up already; it keeps what it has in memory."""


class RepositoryLike(Protocol):
    """What is asked of the Butler (`calwatch.butler.repository.Repository` is one)."""

    def refresh(self) -> None:
        """Forget what is remembered: see new collections and types of dataset."""
        ...

    def exposures(
        self,
        instrument: str,
        *,
        exposure_ids: Iterable[int] | None = None,
        where: str = "",
        observation_types: Iterable[str] | None = None,
        since_day_obs: int | None = None,
    ) -> list[ExposureRecord]:
        """Return exposure records, oldest first."""
        ...

    def raws(self, instrument: str, exposure_ids: Iterable[int]) -> list[RawDataset]:
        """Return the raw files of these exposures."""
        ...

    def photodiodes(self, instrument: str, exposure_ids: Iterable[int]) -> list[PhotodiodeDataset]:
        """Return the readings of the photodiode of these exposures, as far as there are any."""
        ...

    def chains(
        self,
        exposure: ExposureRecord,
        calib_types: Sequence[str],
        detectors: Sequence[int],
        collection: str | None = None,
    ) -> Mapping[int, Chain]:
        """Return the certified chain of each detector."""
        ...
